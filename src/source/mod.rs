//! Where messages come from, and where their outcomes return.
//!
//! A source takes credit before it reads, and gives it back after it has told the broker what
//! became of a message. It knows nothing of what is inside a payload.

pub mod file;
pub mod jetstream;
pub mod nats;
mod rejects;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use crossbeam::channel::{Sender, TrySendError};
use tokio_util::sync::CancellationToken;

pub use self::rejects::Rejects;
use crate::{
    message::{Headers, Home, Message, Position, RawBlock, Reject, Settled},
    telemetry::metrics::SourceMetrics,
};

/// A future that a room gives to the pipeline to be driven.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a source had to give up. Fatal: the operator must act.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What failed, and what to do.
    pub message: String,
    /// Whether something that the source needs (a stream, say) is not there.
    pub unavailable: bool,
}

impl SourceError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            unavailable: false,
        }
    }

    /// Something that the source needs is not there.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            unavailable: true,
        }
    }
}

/// Brings messages in and reports outcomes back.
pub trait Source: Send {
    /// Runs until `stop` or until the input ends; then reads no more, drops the intake's sender
    /// with [`Intake::close`], reports the outcomes of what is still in flight, and returns.
    ///
    /// # Errors
    /// What the operator must fix: connection refused for good, stream missing, permission denied.
    fn run(
        self: Box<Self>,
        intake: Intake,
        stop: CancellationToken,
    ) -> BoxFuture<Result<(), SourceError>>;
}

/// A message as the source read it.
#[derive(Debug)]
pub struct Incoming {
    /// The source's own number for it; comes back in [`crate::message::Settled`].
    pub ticket: u64,
    /// The subject it came on; like the reply subject a copy that keeps nothing larger alive.
    pub subject: Bytes,
    /// Where the sender waits for an answer.
    pub reply: Option<Bytes>,
    /// The bytes.
    pub payload: Bytes,
    /// Headers, when there are any.
    pub headers: Option<Arc<Headers>>,
    /// Stream and sequence, where there is such a thing.
    pub position: Option<Arc<Position>>,
}

/// Does all the work on a block at once, in the source's task.
pub trait Alone: std::fmt::Debug + Send {
    /// Works on a block where no worker has anything to do.
    ///
    /// # Errors
    /// The block again, where it is better left to a worker: it must then be sent to one.
    fn take(&mut self, raw: RawBlock) -> Result<(), RawBlock>;
}

/// A message with more bytes than this is never worked on in the source's task.
pub(crate) const BYTES_ALONE_MAX: usize = COPY_BYTES_MAX;

/// The source's door into the pipeline.
#[derive(Debug)]
pub struct Intake {
    home: Arc<Home>,
    blocks: Option<Sender<RawBlock>>,
    /// Of the next block.
    number: u64,
    pending: Vec<Incoming>,
    pending_bytes: usize,
    rejects: Rejects,
    metrics: SourceMetrics,
    /// Never locked: it makes what is owned by one task fit to be looked at by others.
    alone: Option<Mutex<Box<dyn Alone>>>,
}

/// Most messages in one block: enough to make a hop's cost vanish, few enough to spread over the
/// decoders.
const BLOCK_MESSAGES_MAX: usize = 256;
/// A block is sent on once it has this many bytes: where a message has many rows, its columns are then small enough
/// to be kept for the next block. With 1 MiB they were not, and each block's were fresh pages.
const BLOCK_BYTES_MAX: usize = 256 << 10;
/// Payloads up to this size are copied out of the client's 64 KiB read buffer, which one waiting
/// payload would otherwise keep alive whole.
const COPY_BYTES_MAX: usize = 16 << 10;

impl Intake {
    /// A door that counts credit at `home` and hands blocks to `blocks`, a channel with room for
    /// as many blocks as there is credit for messages. What must not come in goes to `rejects`.
    pub fn new(
        home: Arc<Home>,
        blocks: Sender<RawBlock>,
        rejects: Rejects,
        metrics: SourceMetrics,
    ) -> Self {
        Self {
            home,
            blocks: Some(blocks),
            number: 0,
            pending: Vec::new(),
            pending_bytes: 0,
            rejects,
            metrics,
            alone: None,
        }
    }

    /// Every block goes here first, where this is something.
    pub fn work_in_place(&mut self, alone: Option<Box<dyn Alone>>) {
        self.alone = alone.map(Mutex::new);
    }

    /// Says whether the source is subscribed, or its consumer there: part of readiness.
    pub fn set_attached(&self, attached: bool) {
        self.home.set_reading(attached);
    }

    /// Where outcomes come home and credit is counted.
    pub fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// The counters of this source, for what only the source can see.
    pub fn metrics(&self) -> &SourceMetrics {
        &self.metrics
    }

    /// How many more messages may be read now, those not yet flushed taken off.
    pub fn room(&self) -> usize {
        self.home.room().saturating_sub(self.pending.len())
    }

    /// Messages in the pipeline, those not yet flushed among them.
    pub fn in_flight(&self) -> usize {
        self.home.in_flight().messages + self.pending.len()
    }

    /// Whether the block in the making should be flushed before more is read.
    pub fn is_full(&self) -> bool {
        self.pending.len() >= BLOCK_MESSAGES_MAX || self.pending_bytes >= BLOCK_BYTES_MAX
    }

    /// Adds a message to the block in the making. Read it only while [`Intake::room`] is not 0.
    pub fn push(&mut self, incoming: Incoming) {
        self.pending_bytes += incoming.payload.len();
        self.pending.push(incoming);
    }

    /// Sends the block in the making on. Never waits: credit is the room.
    ///
    /// # Errors
    /// The pipeline has gone away (a thread died); what was read is redelivered.
    pub fn flush(&mut self) -> Result<(), SourceError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let received = Instant::now();
        let messages = pack(&mut self.pending)
            .map(|incoming| admit(&self.home, incoming, received))
            .collect::<Vec<_>>();
        self.metrics.read(messages.len(), self.pending_bytes);
        self.pending_bytes = 0;
        let blocks = self.blocks.as_ref().ok_or_else(closed)?;
        let mut raw = RawBlock {
            number: self.number,
            messages,
        };
        self.number += 1;
        if let Some(alone) = self.alone.as_mut() {
            let alone = alone.get_mut().unwrap_or_else(PoisonError::into_inner);
            match alone.take(raw) {
                Ok(()) => return Ok(()),
                Err(back) => raw = back,
            }
        }
        blocks.try_send(raw).map_err(|error| {
            assert!(
                matches!(error, TrySendError::Disconnected(_)),
                "each place in this channel is backed by a credit: this is a bug"
            );
            closed()
        })
    }

    /// Sends a message straight to the dead letter. Only while [`Intake::room`] is not 0.
    pub fn reject(&mut self, incoming: Incoming, reject: Reject) {
        self.metrics.read(1, incoming.payload.len());
        let message = admit(&self.home, incoming, Instant::now());
        self.rejects.reject(message, reject);
    }

    /// Closes the door: the stages drain and end one after another.
    pub fn close(&mut self) {
        self.blocks = None;
        self.alone = None;
        self.set_attached(false);
    }

    /// After [`Intake::close`]: gives each outcome to `settle` until nothing is in flight.
    async fn outcomes(&self, mut settle: impl FnMut(Settled)) {
        while self.home.in_flight().messages > 0 {
            self.home.wait_settled().await;
            while let Some(settled) = self.home.next_settled() {
                settle(settled);
            }
        }
    }
}

fn admit(home: &Arc<Home>, incoming: Incoming, received: Instant) -> Message {
    Message {
        ack: home.admit(incoming.ticket, incoming.payload.len()),
        subject: incoming.subject,
        reply: incoming.reply,
        payload: incoming.payload,
        headers: incoming.headers,
        position: incoming.position,
        received,
    }
}

fn closed() -> SourceError {
    SourceError::new("the pipeline closed under the source")
}

/// Moves small payloads into one allocation. Subjects are the sources' own copies.
fn pack(pending: &mut Vec<Incoming>) -> impl Iterator<Item = Incoming> + '_ {
    let small = |bytes: &Bytes| bytes.len() <= COPY_BYTES_MAX;
    let payloads = || {
        let payloads = pending.iter().map(|message| &message.payload);
        payloads.filter(|payload| small(payload))
    };
    let mut arena = BytesMut::with_capacity(payloads().map(Bytes::len).sum());
    payloads().for_each(|payload| arena.extend_from_slice(payload));
    let mut arena = arena.freeze();
    pending.drain(..).map(move |mut message| {
        if small(&message.payload) {
            message.payload = arena.split_to(message.payload.len());
        }
        message
    })
}
