//! `forebay bench FILE`: what this machine carries of a pipeline, and what holds it up.

mod course;
mod drive;
mod made;
mod memory;
mod page;
mod plot;
mod replicas;
mod report;
mod sample;
mod search;
mod stages;

use std::{
    env, fs,
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use metrics_exporter_prometheus::PrometheusHandle;

use self::{
    course::{Course, Found},
    drive::Drive,
    memory::{MemorySink, MemorySource},
    replicas::Replicas,
    report::{Report, SampleReport, Step},
    sample::Sample,
    stages::{Stages, Threads},
};
use super::{
    Exit, Failure, Globals, block_on, output, plans,
    send::{Rate, seconds},
    stop_on_signal,
};
use crate::{
    config::Plan,
    pipeline::{
        self,
        build::{self, BuildError},
    },
    telemetry,
};

/// What `bench` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The pipeline file; its source, sink and dead letter are not used, and nothing is connected
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Messages to send, over and over: a file of rows (.jsonl, .csv, .parquet) [default: the
    /// golden rows, else rows made up from the fields' types and limits]
    #[arg(long, value_name = "FILE")]
    pub rows: Option<PathBuf>,
    /// How long it may take, about; longer is steadier
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = seconds)]
    pub time: Duration,
    /// Say how many machines like this one carry so many rows: 50000/s, 50k/s
    #[arg(long, value_name = "RATE")]
    pub target: Option<Rate>,
    /// With --target: what 99 of 100 rows may take
    #[arg(long, value_name = "TIME", value_parser = seconds, requires = "target")]
    pub p99: Option<Duration>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Write the report as a page with a chart, too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

pub(super) fn examples() -> String {
    super::examples!(
        "forebay bench income.yaml                              what does this machine carry?",
        "forebay bench income.yaml --rows rows.jsonl            with real rows",
        "forebay bench income.yaml --target 50k/s --p99 20ms    how many machines does it take?",
        "forebay bench income.yaml --time 60s --html bench.html",
    )
}

/// Shorter than this, nothing can be seen.
const TIME_LEAST: Duration = Duration::from_secs(2);

/// Runs the pipeline in memory under more and more load, and prints what came of it.
///
/// # Errors
/// The pipeline file is wrong, its models cannot be loaded, its rows cannot be made up, or every one
/// is rejected.
pub fn bench(args: Args, globals: &Globals) -> Result<(), Failure> {
    if args.time < TIME_LEAST {
        return Err(Failure::new(
            Exit::Usage,
            "--time is too short to see anything: give it 2s or more",
        ));
    }
    let started = Instant::now();
    let plan = plans::load(std::slice::from_ref(&args.file), globals)?.remove(0);
    let sample = Sample::of(&plan, args.rows.as_deref())?;
    let metrics = telemetry::metrics::install()
        .map_err(|error| Failure::failed(format!("the metrics cannot be set up: {error}")))?;
    let told = SampleReport {
        from: sample.from.clone(),
        messages: sample.len(),
        rows_a_message: 1.0,
        rejected_percent: 0.0,
        first_reject: None,
    };
    let found = block_on(in_memory(&plan, sample, metrics, args.time))?;
    let report = report(&args, &plan, (told, found), started.elapsed());
    print(&args, &report)
}

/// Runs the pipeline between ends that are in memory.
async fn in_memory(
    plan: &Plan,
    sample: Sample,
    metrics: PrometheusHandle,
    time: Duration,
) -> Result<Found, Failure> {
    let stop = stop_on_signal()?;
    let drive = Drive::start()
        .map_err(|error| Failure::failed(format!("no thread can be started: {error}")))?;
    let sink = || Box::new(MemorySink::new(Arc::clone(&drive)));
    let source = MemorySource::new(Arc::clone(&drive), Arc::new(sample));
    let built = build::build_between(plan, Box::new(source), sink(), sink())
        .await
        .map_err(|error| cannot(plan, &error))?;
    let (name, ending) = (plan.name.clone(), stop.child_token());
    let pipeline = pipeline::run(built.parts, ending.clone());
    let running = tokio::spawn(async move {
        let ended = pipeline.await;
        ended.map_err(|error| Failure::failed(format!("pipeline `{name}`: {error}")))
    });
    let most = (time, plan.in_flight.messages);
    let mut course = Course::new(Arc::clone(&drive), metrics, running, stop, most);
    let found = course.run().await;
    drive.end();
    ending.cancel();
    found
}

fn cannot(plan: &Plan, error: &BuildError) -> Failure {
    let exit = match error {
        BuildError::Golden(_) => Exit::Config,
        _ => Exit::Unavailable,
    };
    Failure::new(exit, format!("pipeline `{}`: {error}", plan.name))
}

fn report(
    args: &Args,
    plan: &Plan,
    (told, found): (SampleReport, Found),
    took: Duration,
) -> Report {
    let rows = found.rows_a_message;
    // What is rejected costs time and gives no rows.
    let good = 1.0 - found.rejected_percent / 100.0;
    let maximum = found.maximum * rows * good;
    let alone_rate = found.alone.done as f64 / found.alone_time.as_secs_f64().max(1e-9);
    let threads = Threads {
        workers: build::threads(plan.workers),
        engines: plan.workers,
        cores: cores(),
    };
    Report {
        pipeline: plan.name.clone(),
        forebay: env!("CARGO_PKG_VERSION"),
        machine: machine(),
        through: "in process".to_owned(),
        sample: SampleReport {
            rows_a_message: rows,
            rejected_percent: found.rejected_percent,
            first_reject: found.first_reject,
            ..told
        },
        maximum_per_second: maximum,
        flood_per_second: found.flood * rows,
        alone: Step::new((0.0, alone_rate), &found.alone, found.alone_time, rows),
        replicas: args
            .target
            .map(|target| Replicas::new(target.in_a_second(), args.p99, maximum, &found.steps)),
        steps: found.steps,
        stages: Stages::new(found.sums, found.flood_time, threads),
        seconds: took.as_secs_f64(),
    }
}

fn print(args: &Args, report: &Report) -> Result<(), Failure> {
    if let Some(file) = &args.html {
        write(file, &page::page(report))?;
    }
    if args.json {
        let text = serde_json::to_string_pretty(report)
            .map_err(|error| Failure::failed(format!("the report cannot be written: {error}")))?;
        return output::print(&(text + "\n"));
    }
    output::print(&report.render())
}

fn write(file: &Path, page: &str) -> Result<(), Failure> {
    fs::write(file, page).map_err(|error| {
        Failure::failed(format!("`{}` cannot be written: {error}", file.display()))
    })
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// The cores that we may use, and what they are called.
fn machine() -> String {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut lines = about.lines().filter(|line| line.starts_with("model name"));
    let model = lines.next().and_then(|line| line.split(": ").nth(1));
    let (count, model) = (cores(), model.unwrap_or(env::consts::ARCH));
    let word = if count == 1 { "core" } else { "cores" };
    format!("{count} {word}, {model}")
}
