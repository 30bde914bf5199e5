//! Wires the rooms together: channels, threads, supervision, shutdown. The only room that knows
//! every room.
//!
//! ```text
//!            tokio                     named OS threads, crossbeam channels              tokio
//!  NATS ─▶ source ──RawBlock──▶ decode-N ──Queued──▶ engine-N ──Scored──▶ encode-N ──▶ sink ─▶ NATS
//!            ▲                     │        batches are      │               │           │
//!            │                     └────────formed here──────┴── rejects ────┴──▶ dead letter
//!            └───────────────────────────── outcomes and credit ◀────────────────────────┘
//! ```
//!
//! Shutdown is the source closing its door: each room drains, drops its sender, and the next room
//! sees its channel close. There is no other stop signal on the data path.

pub mod build;
mod rejects;
mod stages;
mod status;
mod supervise;

use std::{sync::Arc, time::Duration};

use crossbeam::channel::bounded;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    batch::{BatchPolicy, Batches},
    decode::Decode,
    encode::Encode,
    engine::{Engine, EngineError},
    message::{Home, InFlight},
    sink::{Rejects, Sink, SinkError},
    source::{Intake, Source, SourceError},
    telemetry::metrics::PipelineMetrics,
};
use rejects::RejectRoutes;
pub use status::{Check, Status};
use supervise::Crew;

/// Why a pipeline ended early.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A bug in one of our threads. What it held is delivered again.
    #[error("thread {thread} panicked: {message}; this is a bug in forebay")]
    Panicked {
        /// The thread's name.
        thread: String,
        /// What it said.
        message: String,
    },
    /// The device is gone.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The source gave up.
    #[error("source: {0}")]
    Source(#[from] SourceError),
    /// A sink gave up.
    #[error("sink: {0}")]
    Sink(#[from] SinkError),
    /// A thread could not be started.
    #[error("cannot start thread {thread}: {error}")]
    Thread {
        /// Its name.
        thread: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The time for an orderly stop is over.
    #[error(
        "{in_flight} messages were not finished within shutdown_grace ({grace:?}); a JetStream source delivers them again"
    )]
    Grace {
        /// Messages abandoned.
        in_flight: usize,
        /// How long we waited.
        grace: Duration,
    },
}

/// Everything a pipeline is made of.
pub struct Parts {
    /// Its name: a metric label and the prefix of its threads' names.
    pub name: String,
    /// Where messages come from.
    pub source: Box<dyn Source>,
    /// One decoder for each decode thread.
    pub decoders: Vec<Box<dyn Decode>>,
    /// The series that decoders fill, empty: the fields, then one string series for each passed key.
    pub table: crate::block::Table,
    /// When batches are sent.
    pub batch: BatchPolicy,
    /// One engine for each engine thread.
    pub engines: Vec<Box<dyn Engine>>,
    /// One encoder for each encode thread.
    pub encoders: Vec<Box<dyn Encode>>,
    /// Where results go.
    pub sink: Box<dyn Sink>,
    /// Whether results go to the sender's reply subject; rejects are then answered too.
    pub replies: bool,
    /// Where rejected messages go.
    pub dead_letter: Option<Box<dyn Sink>>,
    /// Where credit is counted; the limit of all channels.
    pub home: Arc<Home>,
    /// The handles of all metrics.
    pub metrics: PipelineMetrics,
    /// How long an orderly stop may take.
    pub shutdown_grace: Duration,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("name", &self.name)
            .field("decoders", &self.decoders.len())
            .field("engines", &self.engines.len())
            .finish_non_exhaustive()
    }
}

/// Runs until the input ends, until `stop` and everything in flight has settled, or until
/// something fatal.
///
/// # Errors
/// The first fatal failure of any room. Messages that were in flight are delivered again where
/// the source can.
pub async fn run(parts: Parts, stop: CancellationToken) -> Result<(), PipelineError> {
    let Parts {
        name,
        source,
        sink,
        dead_letter,
        replies,
        home,
        metrics,
        shutdown_grace,
        ..
    } = parts;
    let limit: InFlight = home.limit();
    let (raw_sender, raw) = bounded(limit.messages);
    let (queued_sender, queued) = bounded(limit.messages);
    let (scored_sender, scored) = bounded(limit.messages);
    let (outgoing_sender, outgoing) = mpsc::channel(limit.messages);
    let (rejects, rejected) = Rejects::new(limit.messages);

    let mut crew = Crew::new(&name, stop.clone());
    for decoder in parts.decoders {
        let stage = stages::DecodeStage {
            decoder,
            empty: parts.table.empty_like(),
            rejects: rejects.clone(),
            metrics: metrics.decode.clone(),
            row_rejects: metrics.rejects.clone(),
        };
        let (raw, queued_sender) = (raw.clone(), queued_sender.clone());
        crew.thread("decode", move || {
            stage.run(&raw, &queued_sender);
            Ok(())
        })?;
    }
    drop((raw, queued_sender));
    let batches = Arc::new(Batches::new(parts.batch, queued));
    for engine in parts.engines {
        let stage =
            stages::EngineStage::new(engine, parts.batch.max_rows, rejects.clone(), &metrics);
        let (batches, scored_sender) = (Arc::clone(&batches), scored_sender.clone());
        crew.thread("engine", move || stage.run(&batches, &scored_sender))?;
    }
    drop((batches, scored_sender));
    for encoder in parts.encoders {
        let stage = stages::EncodeStage {
            encoder,
            rejects: rejects.clone(),
            metrics: metrics.encode.clone(),
        };
        let (scored, outgoing_sender) = (scored.clone(), outgoing_sender.clone());
        crew.thread("encode", move || {
            stage.run(&scored, &outgoing_sender);
            Ok(())
        })?;
    }
    drop(scored);

    let settled = CancellationToken::new();
    let (dead_sender, dead) = match dead_letter {
        Some(sink) => {
            let (sender, outgoing) = mpsc::channel(limit.messages);
            (Some(sender), Some((sink, outgoing)))
        }
        None => (None, None),
    };
    let routes = RejectRoutes {
        replies: replies.then(|| outgoing_sender.clone()),
        dead_letter: dead_sender,
        metrics: metrics.rejects.clone(),
    };
    drop(outgoing_sender);
    let (undeliverable, lost) = Rejects::new(limit.messages);
    crew.task("rejects", rejects::route(routes, rejected, settled.clone()));
    crew.task(
        "rejects",
        rejects::give_up(lost, metrics.rejects.clone(), settled.clone()),
    );
    crew.sink(
        "sink",
        sink.run(outgoing, rejects.clone(), metrics.sink.clone()),
    );
    if let Some((sink, outgoing)) = dead {
        crew.sink(
            "dead_letter",
            sink.run(outgoing, undeliverable, metrics.dead_letter.clone()),
        );
    }
    let intake = Intake::new(
        Arc::clone(&home),
        raw_sender,
        rejects.clone(),
        metrics.source.clone(),
    );
    let source = source.run(intake, stop.clone());
    drop(rejects);
    crew.finish(source, &home, settled, shutdown_grace).await
}
