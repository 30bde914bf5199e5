//! What flows from the source to the sink: a message, and the promise to say what became of it.

mod deadline;
mod lane;
mod priority;
mod settle;

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use tokio::sync::Notify;

pub use self::{
    deadline::{AgeFrom, Deadline, Now},
    lane::Lane,
    priority::{Priority, PriorityBy},
};
use crate::turns::{Place, Turn};

/// A stage of the data path. The names are the pipeline file's keys, the metric labels and the
/// dead letter's `stage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Messages come in.
    Source,
    /// Bytes become typed columns.
    Decode,
    /// Rows wait for company.
    Batch,
    /// Models run.
    Engine,
    /// Outputs become bytes.
    Encode,
    /// Results go out.
    Sink,
}

impl Stage {
    /// The one word for this stage, everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Decode => "decode",
            Self::Batch => "batch",
            Self::Engine => "engine",
            Self::Encode => "encode",
            Self::Sink => "sink",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a message (or one row of it) can never succeed. The sender must fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Where it failed.
    pub stage: Stage,
    /// A short fixed word for the metric label: `syntax`, `missing`, `range`, …
    pub kind: &'static str,
    /// A sentence for a person: field, rule and value.
    pub reason: String,
}

impl Reject {
    /// A reject of `stage`; `kind` is a fixed word (a metric label), `reason` a sentence.
    pub fn new(stage: Stage, kind: &'static str, reason: impl Into<String>) -> Self {
        Self {
            stage,
            kind,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.reason)
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its result is out, and confirmed where the sink can confirm.
    Done,
    /// Nothing will fix it; it is in the dead letter, or counted and dropped where there is none.
    Rejected,
    /// Time may fix it: deliver it again, after a pause that the source chooses when `None`.
    Retry {
        /// How long to wait before the next delivery.
        after: Option<Duration>,
    },
}

/// Where a message stands in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Name of the stream.
    pub stream: Arc<str>,
    /// Tells apart messages that have, or had, the same sequence number in a stream of this name:
    /// made of the time at which the message was stored, and of who reads it.
    pub incarnation: u64,
    /// Sequence number in the stream, from 1.
    pub sequence: u64,
    /// How often it was delivered, this time included.
    pub delivered: u64,
    /// Whether the source delivers it again after a [`Outcome::Retry`].
    pub again: bool,
    /// Whether it can still be read there after it was settled.
    pub kept: bool,
    /// When it was stored, by the server's clock, where the source says.
    pub stored: Option<SystemTime>,
}

/// Header names and values in the order they came.
pub type Headers = Vec<(String, String)>;

/// One message on its way through the pipeline.
#[derive(Debug)]
pub struct Message {
    /// The subject it came on (UTF-8); for a file, the file's name.
    pub subject: Bytes,
    /// Where the sender waits for an answer.
    pub reply: Option<Bytes>,
    /// The original bytes, untouched.
    pub payload: Bytes,
    /// Headers, when there were any.
    pub headers: Option<Arc<Headers>>,
    /// Stream and sequence, where the source has such a thing.
    pub position: Option<Arc<Position>>,
    /// When it was read.
    pub received: Instant,
    /// The promise to tell the source what became of it.
    pub ack: Ack,
}

impl Message {
    /// A message with this payload and nothing else, for which nobody waits.
    pub fn of(payload: Bytes) -> Self {
        Self {
            subject: Bytes::new(),
            reply: None,
            payload,
            headers: None,
            position: None,
            received: Instant::now(),
            ack: Ack::none(),
        }
    }

    /// The subject as text. Sources only let UTF-8 in.
    pub fn subject(&self) -> &str {
        std::str::from_utf8(&self.subject).unwrap_or("")
    }

    /// The reply subject as text, if the sender waits for an answer.
    pub fn reply(&self) -> Option<&str> {
        self.reply
            .as_deref()
            .and_then(|reply| std::str::from_utf8(reply).ok())
    }

    /// The value of the first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .as_ref()?
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Several messages that were read together; what travels from the source to the decoders.
#[derive(Debug)]
pub struct RawBlock {
    /// The source's number for it, from 0 and without a gap.
    pub number: u64,
    /// Never empty.
    pub messages: Vec<Message>,
}

/// The promise to tell the source what became of one message.
///
/// Dropped unresolved it says [`Outcome::Retry`]: a panic or a lost batch is redelivered.
#[derive(Debug)]
pub struct Ack {
    home: Option<Arc<Home>>,
    ticket: u64,
    bytes: usize,
    turn: Option<Turn>,
}

impl Ack {
    /// A promise nobody waits for, for messages that the program itself makes.
    pub fn none() -> Self {
        Self {
            home: None,
            ticket: 0,
            bytes: 0,
            turn: None,
        }
    }

    /// The source's own number for the message.
    pub fn ticket(&self) -> u64 {
        self.ticket
    }

    /// Gives the message its turn, which it keeps until it is settled.
    pub fn keep_turn(&mut self, turn: Turn) {
        self.turn = Some(turn);
    }

    /// Gives the turn up: there will be no result.
    pub fn leave_line(&mut self) {
        self.turn = None;
    }

    /// Where the message stands among those with its key, where order is kept.
    pub fn place(&self) -> Option<Place> {
        self.turn.as_ref().map(Turn::place)
    }

    /// Whether a source waits for it.
    pub fn is_awaited(&self) -> bool {
        self.home.is_some()
    }

    /// Says what became of the message.
    pub fn resolve(mut self, outcome: Outcome) {
        self.settle(outcome);
        self.leave_line();
    }

    fn settle(&mut self, outcome: Outcome) {
        if let Some(home) = self.home.take() {
            let to = Arc::clone(&home);
            to.come_home([Settled {
                ticket: self.ticket,
                outcome,
                credit: Credit {
                    home,
                    bytes: self.bytes,
                },
            }]);
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        self.settle(Outcome::Retry { after: None });
        if let Some(turn) = self.turn.take() {
            turn.lose();
        }
    }
}

/// An outcome on its way home. The source drops it only after telling the broker: that is what
/// frees the message's place in the pipeline.
#[derive(Debug)]
pub struct Settled {
    /// The source's own number for the message.
    pub ticket: u64,
    /// What became of it.
    pub outcome: Outcome,
    credit: Credit,
}

impl Settled {
    /// The bytes whose credit this gives back.
    pub fn bytes(&self) -> usize {
        self.credit.bytes
    }
}

/// One message's place in the pipeline; dropping it gives the place back.
#[derive(Debug)]
struct Credit {
    home: Arc<Home>,
    bytes: usize,
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.home.messages.fetch_sub(1, Ordering::Relaxed);
        self.home.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The source's end of all promises: outcomes come home here, and credit is counted here.
///
/// One source takes credit (so there is no race between asking and taking); any thread gives back.
#[derive(Debug)]
pub struct Home {
    settled: Mutex<VecDeque<Settled>>,
    arrived: Notify,
    messages: AtomicUsize,
    bytes: AtomicUsize,
    reading: AtomicBool,
    limit: InFlight,
}

/// The most that may be in the pipeline at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// Messages.
    pub messages: usize,
    /// Payload bytes. A message is let in while less than this is in flight, so one message can
    /// pass the limit by its own size.
    pub bytes: usize,
}

impl Home {
    /// A home with all its credit.
    pub fn new(limit: InFlight) -> Arc<Self> {
        Arc::new(Self {
            settled: Mutex::default(),
            arrived: Notify::new(),
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            reading: AtomicBool::new(false),
            limit,
        })
    }

    /// Says whether the source is subscribed and reading: part of readiness.
    pub fn set_reading(&self, reading: bool) {
        self.reading.store(reading, Ordering::Relaxed);
    }

    /// Whether the source is subscribed and reading.
    pub fn is_reading(&self) -> bool {
        self.reading.load(Ordering::Relaxed)
    }

    /// The most that may be in flight.
    pub fn limit(&self) -> InFlight {
        self.limit
    }

    /// What is in flight now.
    pub fn in_flight(&self) -> InFlight {
        InFlight {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// How many more messages may be read now; 0 also when the bytes are used up.
    pub fn room(&self) -> usize {
        let used = self.in_flight();
        if used.bytes >= self.limit.bytes {
            return 0;
        }
        self.limit.messages.saturating_sub(used.messages)
    }

    /// Takes one message's credit and makes the promise for it.
    pub fn admit(self: &Arc<Self>, ticket: u64, bytes: usize) -> Ack {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ack {
            home: Some(Arc::clone(self)),
            ticket,
            bytes,
            turn: None,
        }
    }
}

#[cfg(test)]
mod tests;
