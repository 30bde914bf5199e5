//! Starts the pipeline between its ends for the benchmark, and runs the course.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    course::{Course, Found},
    drive::Drive,
    memory::{MemorySink, MemorySource},
    over_nats::{self, Sender, Subjects},
    sample::Sample,
};
use crate::{
    cli::{Exit, Failure, stop_on_signal},
    config::Plan,
    nats::ServerOptions,
    pipeline::{
        self, Parts,
        build::{self, BuildError},
    },
    telemetry::metrics::Handle,
};

/// Messages and results are in memory.
///
/// # Errors
/// The pipeline cannot be started, or the [course](Course::run) fails.
pub(super) async fn memory(
    plan: &Plan,
    sample: Sample,
    metrics: Handle,
    time: Duration,
) -> Result<Found, Failure> {
    let stop = stop_on_signal()?;
    let drive = start_drive()?;
    let sink = || Box::new(MemorySink::new(Arc::clone(&drive)));
    let source = MemorySource::new(Arc::clone(&drive), Arc::new(sample));
    let built = build::build_between(plan, Box::new(source), sink(), sink())
        .await
        .map_err(|error| cannot(plan, &error))?;
    let ending = stop.child_token();
    let running = spawn(plan, built.parts, &ending);
    let most = (time, plan.in_flight.messages);
    let mut course = Course::new(Arc::clone(&drive), metrics, running, stop, most);
    let found = course.run().await;
    drive.end();
    ending.cancel();
    course.finish().await;
    found
}

/// Messages and results go over this server, whose address is given back.
///
/// # Errors
/// As [`memory`]; or there is no such server.
pub(super) async fn nats(
    plan: &Plan,
    sample: Sample,
    metrics: Handle,
    (time, server): (Duration, &ServerOptions),
) -> Result<(Found, String), Failure> {
    let stop = stop_on_signal()?;
    let drive = start_drive()?;
    let subjects = Subjects::new();
    let plan = over_nats::between(plan, server, &subjects)?;
    let mut sender = Sender::connect(server, subjects, Arc::clone(&drive), sample).await?;
    let address = sender.address().to_owned();
    let built = build::build(&plan)
        .await
        .map_err(|error| cannot(&plan, &error))?;
    let ending = stop.child_token();
    let mut pipeline = spawn(&plan, built.parts, &ending);
    sender.reached().await?;
    let running = tokio::spawn(async move {
        tokio::select! {
            ended = &mut pipeline => ended.unwrap_or_else(|error| {
                Err(Failure::new(Exit::Bug, format!("{error}; this is a bug in forebay")))
            }),
            ended = sender.run() => ended,
        }
    });
    let most = (time, plan.in_flight.messages);
    let mut course = Course::new(Arc::clone(&drive), metrics, running, stop, most);
    let found = course.run().await;
    drive.end();
    ending.cancel();
    course.finish().await;
    Ok((found?, address))
}

fn start_drive() -> Result<Arc<Drive>, Failure> {
    Drive::start().map_err(|error| Failure::failed(format!("no thread can be started: {error}")))
}

fn spawn(plan: &Plan, parts: Parts, ending: &CancellationToken) -> JoinHandle<Result<(), Failure>> {
    let name = plan.name.clone();
    let pipeline = pipeline::run(parts, ending.clone());
    tokio::spawn(async move {
        let ended = pipeline.await;
        ended.map_err(|error| Failure::failed(format!("pipeline `{name}`: {error}")))
    })
}

fn cannot(plan: &Plan, error: &BuildError) -> Failure {
    let words = format!("pipeline `{}`: {error}", plan.name);
    Failure::new(Exit::from(error), words)
}
