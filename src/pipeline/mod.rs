//! Wires the rooms together: channels, threads, supervision, shutdown. The only room that knows
//! every room.
//!
//! ```text
//!          tokio              named OS threads               tokio
//! NATS ─▶ source ──RawBlock──▶ worker-N ──────Outgoing──────▶ sink ─▶ NATS
//!           ▲            decode → batch → engine → encode      │
//!           │                      └──── rejects ────────▶ dead letter
//!           └────────────── outcomes and credit ◀──────────────┘
//! ```
//!
//! Shutdown is the source closing its door: each room drains, drops its sender, and the next room
//! sees its channel close. There is no other stop signal on the data path.

mod alone;
pub mod broker;
pub mod build;
mod cache;
mod connections;
mod cores;
pub mod golden;
mod order;
mod parcel;
pub mod permissions;
mod places;
mod reject_log;
mod rejects;
mod running;
mod status;
pub mod streams;
mod supervise;
mod terms;
mod worker;

use std::{sync::Arc, time::Duration};

use crossbeam::channel::bounded;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    batch::BatchPolicy,
    decode::Decode,
    encode::Encode,
    engine::{Engine, EngineError},
    message::Home,
    sink::{Rejects, Sink, SinkError},
    source::{Intake, Source, SourceError},
    telemetry::metrics::PipelineMetrics,
};
use alone::{InPlace, Pace};
pub use cache::Cache;
pub use cores::{Cores, Share};
pub use order::Order;
use order::Ordering;
pub use places::Places;
use rejects::{DeadLetter, RejectRoutes};
pub use running::{Note, Running};
pub use status::{Check, Status};
use supervise::Crew;
pub use terms::Terms;
use worker::{Desk, Worker};

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
    /// A decoder and an encoder for each worker thread. More workers than engines: the others
    /// decode while models run.
    pub workers: Vec<(Box<dyn Decode>, Box<dyn Encode>)>,
    /// The same for the source's task, which works on a message itself where it is alone; `None` for never.
    pub alone: Option<(Box<dyn Decode>, Box<dyn Encode>)>,
    /// The series that decoders fill, empty: the fields, then one string series for each passed key;
    /// then the one for the keys of rows, where there is one ([`build::table`]).
    pub table: crate::block::Table,
    /// When batches are sent.
    pub batch: BatchPolicy,
    /// Ages, priorities, what is kept, and the share of the machine.
    pub terms: Terms,
    /// How results are kept in order; `None` keeps none.
    pub order: Option<Order>,
    /// As many batches run at once as there are engines.
    pub engines: Vec<Box<dyn Engine>>,
    /// Where results go.
    pub sink: Box<dyn Sink>,
    /// Whether results go to the sender's reply subject; rejects are then answered too.
    pub replies: bool,
    /// Where rejected messages go.
    pub dead_letter: Option<Box<dyn Sink>>,
    /// Where credit is counted; the limit of all channels.
    pub home: Arc<Home>,
    /// Where workers note which runs of the models are under way.
    pub running: Arc<Running>,
    /// The handles of all metrics.
    pub metrics: PipelineMetrics,
    /// How long an orderly stop may take.
    pub shutdown_grace: Duration,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("name", &self.name)
            .field("workers", &self.workers.len())
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
    let places = Arc::clone(&parts.running.places);
    let ended = run_rooms(parts, stop).await;
    // It may wait for a device for a moment.
    drop(tokio::task::spawn_blocking(move || places.end()).await);
    ended
}

async fn run_rooms(parts: Parts, stop: CancellationToken) -> Result<(), PipelineError> {
    let limit = parts.home.limit().messages;
    let (rejects, rejected) = Rejects::new(limit);
    let mut crew = Crew::new(&parts.name, stop.clone());
    let (raw_sender, raw) = bounded(limit);
    let (outgoing_sender, outgoing) = mpsc::channel(limit);
    let terms = Arc::new(parts.terms);
    let meter = Arc::clone(&terms.meter);
    let mut desk = Desk::new(parts.batch, raw, parts.engines).measured_by(meter);
    if parts.order.as_ref().is_some_and(|order| order.stateful) {
        desk = desk.in_order();
    }
    let desk = Arc::new(desk);
    let order = parts
        .order
        .map(|order| Arc::new(Ordering::new(order, outgoing_sender.clone())));
    let pace = Pace::new();
    let worker = |codecs| {
        Worker::new(
            codecs,
            parts.table.empty_like(),
            parts.batch.max_rows,
            rejects.clone(),
            order.clone(),
            (parts.running.note(), Arc::clone(&terms), Arc::clone(&pace)),
            parts.metrics.clone(),
        )
    };
    for codecs in parts.workers {
        let worker = worker(codecs);
        let (desk, outgoing_sender) = (Arc::clone(&desk), outgoing_sender.clone());
        crew.thread("worker", move || worker.run(&desk, &outgoing_sender))?;
    }
    let few = alone::few(&parts.batch, &terms, order.is_some());
    let in_place = parts.alone.filter(|_| few > 0).map(|codecs| {
        let to = (Arc::clone(&desk), outgoing_sender.clone());
        let known = (Arc::clone(&pace), Arc::clone(&terms));
        InPlace::boxed(worker(codecs), to, known, few, crew.alarm())
    });
    drop((desk, order));

    let settled = CancellationToken::new();
    let metrics = parts.metrics;
    let mut routes = RejectRoutes {
        replies: parts.replies.then_some(outgoing_sender),
        dead_letter: None,
        metrics: metrics.rejects.clone(),
    };
    if let Some(sink) = parts.dead_letter {
        routes.dead_letter = Some(dead_letter(&mut crew, sink, limit, &metrics, &settled));
    }
    crew.task("rejects", rejects::route(routes, rejected, settled.clone()));
    let sink = parts
        .sink
        .run(outgoing, rejects.clone(), metrics.sink.clone());
    crew.sink("sink", sink);
    let mut intake = Intake::new(
        Arc::clone(&parts.home),
        raw_sender,
        rejects,
        metrics.source.clone(),
    );
    intake.work_in_place(in_place);
    let source = parts.source.run(intake, stop);
    crew.finish(source, &parts.home, settled, parts.shutdown_grace)
        .await
}

/// Starts the dead letter's sink; gives what goes there.
fn dead_letter(
    crew: &mut Crew,
    sink: Box<dyn Sink>,
    limit: usize,
    metrics: &PipelineMetrics,
    settled: &CancellationToken,
) -> DeadLetter {
    let unconfirmed = sink.unconfirmed();
    let (letters, outgoing) = mpsc::channel(limit);
    // What the dead letter cannot take has nowhere else to go.
    let (undeliverable, lost) = Rejects::new(limit);
    crew.task(
        "give_up",
        rejects::give_up(
            lost,
            metrics.rejects.pipeline().to_owned(),
            metrics.dead_letter.clone(),
            settled.clone(),
        ),
    );
    let running = sink.run(outgoing, undeliverable, metrics.dead_letter.clone());
    crew.sink("dead_letter", running);
    DeadLetter {
        letters,
        unconfirmed,
    }
}
