//! `forebay run FILE…`: serves pipelines until they end or a signal comes.

use std::{collections::BTreeSet, num::NonZero, sync::Arc, thread::available_parallelism};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, Globals, RunArgs, block_on, plans, stop_on_signal};
use crate::{
    config::Plan,
    control::http,
    pipeline::{
        self, Cores, PipelineError,
        build::{BuildError, Built},
    },
    telemetry::{self, logs, metrics::Handle},
    threads,
};

/// Runs the pipelines of these files.
///
/// # Errors
/// What the operator must fix; or a pipeline stopped by itself.
pub fn run(args: RunArgs, globals: &Globals) -> Result<(), Failure> {
    let (files, globals) = (args.files, globals.clone());
    block_on(async move {
        let stop = stop_on_signal()?;
        // Models are looked into, which takes its time; and whoever ends the program must not wait.
        let plans = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            read = threads::apart("load", move || plans::load(&files, &globals)) => read??,
        };
        let metrics = telemetry::metrics::install()
            .map_err(|error| Failure::failed(format!("the metrics cannot be set up: {error}")))?;
        if args.create_streams {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                made = create_streams(&plans) => made?,
            }
        }
        serve(&plans, metrics, stop).await.map_err(Failure::from)
    })
}

async fn create_streams(plans: &[Plan]) -> Result<(), RunError> {
    for plan in plans {
        let made = pipeline::streams::create_missing(plan)
            .await
            .map_err(|error| RunError::Build {
                pipeline: plan.name.clone(),
                error,
            })?;
        for stream in made {
            tracing::info!(pipeline = plan.name, stream, "made a stream");
        }
    }
    Ok(())
}

/// Why pipelines could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A pipeline could not be started.
    #[error("pipeline `{pipeline}`: {error}")]
    Build {
        /// Its name.
        pipeline: String,
        /// What is wrong.
        error: BuildError,
    },
    /// A pipeline stopped by itself.
    #[error("pipeline `{pipeline}`: {error}")]
    Pipeline {
        /// Its name.
        pipeline: String,
        /// What happened.
        error: PipelineError,
    },
    /// An address could not be opened.
    #[error("{0}")]
    Http(String),
    /// A task of ours failed.
    #[error("{0}; this is a bug in forebay")]
    Bug(String),
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let exit = match &error {
            RunError::Build { error, .. } => Exit::from(error),
            RunError::Pipeline {
                error: PipelineError::Panicked { .. },
                ..
            }
            | RunError::Bug(_) => Exit::Bug,
            RunError::Pipeline { error, .. } if error.is_unavailable() => Exit::Unavailable,
            RunError::Pipeline { .. } | RunError::Http(_) => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

/// Runs pipelines until all have ended, `stop` is cancelled, or one fails (which stops the others
/// in an orderly way).
///
/// # Errors
/// The first failure.
pub async fn serve(
    plans: &[Plan],
    metrics: Handle,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let facts = Arc::new(http::Facts {
        metrics,
        pipelines: plans
            .iter()
            .map(|plan| http::Place::starting(&plan.name))
            .collect(),
        hung_after: http::HUNG_AFTER,
    });
    // First of all: models take their time to load, and a broker may be away. Whoever restarts what does not answer
    // must be answered meanwhile.
    let _background = listen(plans, &facts).await?;
    let mut built = Vec::new();
    for (plan, place) in plans.iter().zip(&facts.pipelines) {
        let one = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            one = pipeline::build::build(plan) => one,
        };
        let one = one.map_err(|error| RunError::Build {
            pipeline: plan.name.clone(),
            error,
        })?;
        place.status.get_or_init(|| one.status.clone());
        built.push(one);
    }
    share_cores(plans, &mut built);
    let mut running = JoinSet::new();
    for one in built {
        let (name, stop) = (one.parts.name.clone(), stop.child_token());
        tracing::info!(pipeline = name, "running");
        running.spawn(async move { (name, pipeline::run(one.parts, stop).await) });
    }
    let mut first = Ok(());
    while let Some(ended) = running.join_next().await {
        let (pipeline, result) = ended.map_err(|error| RunError::Bug(error.to_string()))?;
        match result {
            Ok(()) => tracing::info!(pipeline, "ended"),
            Err(error) => {
                stop.cancel();
                // The command says so itself, at once: on a terminal it would stand there twice.
                let said_next = first.is_ok() && running.is_empty() && logs::are_for_people();
                if !said_next {
                    tracing::error!(pipeline, %error, "stopped");
                }
                if first.is_ok() {
                    first = Err(RunError::Pipeline { pipeline, error });
                }
            }
        }
    }
    first
}

/// Answers on every address of the plans, until the set is dropped.
async fn listen(plans: &[Plan], facts: &Arc<http::Facts>) -> Result<JoinSet<()>, RunError> {
    let mut background = JoinSet::new();
    let addresses: BTreeSet<_> = plans.iter().filter_map(|plan| plan.http).collect();
    for address in addresses {
        let listener = http::bind(address).await.map_err(RunError::Http)?;
        tracing::info!(address = %listener.local_addr().unwrap_or(address), "serving /metrics, /healthz and /readyz");
        background.spawn(http::serve(listener, Arc::clone(facts)));
    }
    Ok(background)
}

/// Where several pipelines run, each has its share of the cores.
fn share_cores(plans: &[Plan], built: &mut [Built]) {
    if plans.len() < 2 {
        return;
    }
    let cores = Cores::new(available_parallelism().map_or(1, NonZero::get));
    for (plan, one) in plans.iter().zip(built) {
        one.parts.terms.share = Some(cores.share(plan.weight));
    }
}
