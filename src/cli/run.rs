//! `forebay run FILE…`: serves pipelines until they end or a signal comes.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    config::plan::Plan,
    control::{http, signals},
    pipeline::{self, PipelineError, build::BuildError},
    telemetry,
};

/// How often collected samples are folded into the histograms, so that they do not pile up where
/// nobody reads `/metrics`.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Why `run` ended early.
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
    /// The runtime or the signals could not be set up.
    #[error("{0}")]
    System(String),
}

/// Runs pipelines until all have ended, `stop` is cancelled, or one fails (which stops the others
/// in an orderly way).
///
/// # Errors
/// The first failure.
pub async fn run(
    plans: &[Plan],
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let mut background = JoinSet::new();
    let mut built = Vec::new();
    for plan in plans {
        let one = pipeline::build::build(plan).await.map_err(|error| RunError::Build {
            pipeline: plan.name.clone(),
            error,
        })?;
        built.push(one);
    }
    let facts = Arc::new(http::Facts {
        metrics: metrics.clone(),
        pipelines: built.iter().map(|one| one.status.clone()).collect(),
    });
    let addresses: BTreeSet<_> = plans.iter().filter_map(|plan| plan.http).collect();
    for address in addresses {
        let listener = http::bind(address).await.map_err(RunError::Http)?;
        tracing::info!(address = %listener.local_addr().unwrap_or(address), "serving /metrics, /healthz and /readyz");
        background.spawn(http::serve(listener, Arc::clone(&facts)));
    }
    background.spawn(async move {
        let mut tick = tokio::time::interval(UPKEEP_EVERY);
        loop {
            tick.tick().await;
            metrics.run_upkeep();
        }
    });
    let mut running = JoinSet::new();
    for one in built {
        let (name, stop) = (one.parts.name.clone(), stop.child_token());
        tracing::info!(pipeline = name, "running");
        running.spawn(async move { (name, pipeline::run(one.parts, stop).await) });
    }
    let mut first = Ok(());
    while let Some(ended) = running.join_next().await {
        let (pipeline, result) = ended.map_err(|error| RunError::System(error.to_string()))?;
        match result {
            Ok(()) => tracing::info!(pipeline, "ended; every message is settled"),
            Err(error) => {
                tracing::error!(pipeline, %error, "stopped");
                stop.cancel();
                if first.is_ok() {
                    first = Err(RunError::Pipeline { pipeline, error });
                }
            }
        }
    }
    first
}

/// What `forebay run` does once its files are read: metrics, signals, pipelines.
///
/// # Errors
/// The first failure.
pub fn serve(plans: &[Plan]) -> Result<(), RunError> {
    let system = |error: &dyn std::fmt::Display| RunError::System(error.to_string());
    let metrics = telemetry::metrics::install().map_err(|error| system(&error))?;
    let runtime = runtime().map_err(|error| system(&error))?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let signals = signals::listen(stop.clone()).map_err(|error| system(&error))?;
        tokio::select! {
            result = run(plans, metrics, stop) => result,
            () = signals => Ok(()),
        }
    })
}

/// A few tokio workers: they carry NATS, HTTP and timers; the work has threads of its own.
///
/// # Errors
/// The system has no threads or file descriptors left.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("tokio")
        .enable_all()
        .build()
}

/// The files of the command line.
pub type Files = Vec<PathBuf>;
