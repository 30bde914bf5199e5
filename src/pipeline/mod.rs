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
pub mod streams;
mod supervise;

use std::{sync::Arc, time::Duration};

use crossbeam::channel::{Sender, bounded};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    batch::{BatchPolicy, Batches},
    decode::Decode,
    encode::Encode,
    engine::{Engine, EngineError},
    message::{Home, RawBlock},
    sink::{Outgoing, Rejects, Sink, SinkError},
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
    #[error("{room}: {error}")]
    Sink {
        /// `sink` or `dead_letter`.
        room: &'static str,
        /// What it said.
        error: SinkError,
    },
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

impl PipelineError {
    /// Whether something that the pipeline needs (a stream, say) is not there.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Source(error) => error.unavailable,
            Self::Sink { error, .. } => error.unavailable,
            _ => false,
        }
    }
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
    let limit = parts.home.limit().messages;
    let (rejects, rejected) = Rejects::new(limit);
    let mut crew = Crew::new(&parts.name, stop.clone());
    let work = Work {
        decoders: parts.decoders,
        table: parts.table,
        batch: parts.batch,
        engines: parts.engines,
        encoders: parts.encoders,
    };
    let (raw, outgoing_sender, outgoing) =
        work.start(&mut crew, limit, &rejects, &parts.metrics)?;

    let settled = CancellationToken::new();
    let metrics = parts.metrics;
    let mut routes = RejectRoutes {
        replies: parts.replies.then_some(outgoing_sender),
        dead_letter: None,
        metrics: metrics.rejects.clone(),
    };
    if let Some(dead_letter) = parts.dead_letter {
        let (sender, outgoing) = mpsc::channel(limit);
        routes.dead_letter = Some(sender);
        // What the dead letter cannot take has nowhere else to go.
        let (undeliverable, lost) = Rejects::new(limit);
        crew.task(
            "give_up",
            rejects::give_up(lost, metrics.rejects.clone(), settled.clone()),
        );
        let dead_letter = dead_letter.run(outgoing, undeliverable, metrics.dead_letter.clone());
        crew.sink("dead_letter", dead_letter);
    }
    crew.task("rejects", rejects::route(routes, rejected, settled.clone()));
    let sink = parts
        .sink
        .run(outgoing, rejects.clone(), metrics.sink.clone());
    crew.sink("sink", sink);
    let intake = Intake::new(
        Arc::clone(&parts.home),
        raw,
        rejects,
        metrics.source.clone(),
    );
    let source = parts.source.run(intake, stop);
    crew.finish(source, &parts.home, settled, parts.shutdown_grace)
        .await
}

/// What runs on threads: everything between the source and the sink.
struct Work {
    decoders: Vec<Box<dyn Decode>>,
    table: crate::block::Table,
    batch: BatchPolicy,
    engines: Vec<Box<dyn Engine>>,
    encoders: Vec<Box<dyn Encode>>,
}

/// Both ends of the path: where raw blocks go in, and where results come out (with a sender for
/// answers that do not take the path).
type Ends = (
    Sender<RawBlock>,
    mpsc::Sender<Vec<Outgoing>>,
    mpsc::Receiver<Vec<Outgoing>>,
);

impl Work {
    /// Starts the threads, joined by channels with room for `limit` blocks: credit keeps them
    /// from ever being full.
    fn start(
        self,
        crew: &mut Crew,
        limit: usize,
        rejects: &Rejects,
        metrics: &PipelineMetrics,
    ) -> Result<Ends, PipelineError> {
        let (raw_sender, raw) = bounded(limit);
        let (queued_sender, queued) = bounded(limit);
        let (scored_sender, scored) = bounded(limit);
        let (outgoing_sender, outgoing) = mpsc::channel(limit);
        for decoder in self.decoders {
            let stage = stages::DecodeStage {
                decoder,
                empty: self.table.empty_like(),
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
        let batches = Arc::new(Batches::new(self.batch, queued));
        for engine in self.engines {
            let max_rows = self.batch.max_rows;
            let stage = stages::EngineStage::new(engine, max_rows, rejects.clone(), metrics);
            let (batches, scored_sender) = (Arc::clone(&batches), scored_sender.clone());
            crew.thread("engine", move || stage.run(&batches, &scored_sender))?;
        }
        for encoder in self.encoders {
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
        Ok((raw_sender, outgoing_sender, outgoing))
    }
}
