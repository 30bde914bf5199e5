//! A few messages that find the workers idle are worked on where they were read.
//!
//! Handing them to a worker and their results back wakes a thread twice, and each time costs more than a small model;
//! where all cores are busy, each thread also waits for its turn. So while workers have nothing else to do, and
//! such messages took a short time last, the source's task does what a worker would. No row could have joined the batch, so no
//! batch is smaller for it. What comes meanwhile is read together afterwards; where it is more than a few messages, workers take
//! it, so that a flood has all of them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    Terms,
    supervise::Alarm,
    worker::{Desk, Worker},
};
use crate::{
    batch::{BatchPolicy, Wait},
    engine::Engine,
    message::{Lane, Message, RawBlock},
    sink::Outgoing,
    source::{Alone, BYTES_ALONE_MAX},
};

/// The longest that the source's task may be kept from the network.
const SHORT: Duration = Duration::from_micros(200);

/// Most messages that are worked on in the source's task: fewer than a block of a source under load.
const FEW: usize = 192;
/// Most bytes of several messages together.
const BYTES_MAX: usize = 4 * BYTES_ALONE_MAX;

/// How many messages may be worked on at once in the source's task; 0 for none.
pub(super) fn few(batch: &BatchPolicy, terms: &Terms, ordered: bool) -> usize {
    // Where rows wait for company or for their turn, none is ever alone; and workers ask for kept results.
    let waits = ordered || batch.wait != Wait::Delay(Duration::ZERO);
    if waits || terms.cache.is_some() {
        return 0;
    }
    // Where more than rows is counted, or some go first, the desk says which run together.
    if batch.max_bytes.is_some() || batch.max_tokens.is_some() || terms.priority.is_some() {
        return 1;
    }
    FEW.min(batch.max_rows)
}

/// How long the last block and the last batch took that had few messages.
#[derive(Debug)]
pub(super) struct Pace {
    /// Nanoseconds for each message.
    decode: AtomicU64,
    /// Nanoseconds for all of them, and how many they were. Read one after the other, they may not belong together; what
    /// follows from that is one block in the wrong place.
    run: AtomicU64,
    ran: AtomicU64,
}

impl Pace {
    /// Nothing is known yet: a worker takes the first messages.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            decode: AtomicU64::new(u64::MAX),
            run: AtomicU64::new(u64::MAX),
            ran: AtomicU64::new(1),
        })
    }

    /// A block of so many messages was decoded.
    pub(super) fn decoded(&self, messages: usize, took: Duration) {
        if (1..=FEW).contains(&messages) {
            self.decode.store(nanos(took) / messages as u64, Relaxed);
        }
    }

    /// A batch of so many messages was run.
    pub(super) fn ran(&self, messages: usize, took: Duration) {
        if (1..=FEW).contains(&messages) {
            self.run.store(nanos(took), Relaxed);
            self.ran.store(messages as u64, Relaxed);
        }
    }

    /// Whether so many messages will take a short time. Fewer than last may take as long, more so many times as long.
    fn is_short(&self, messages: usize) -> bool {
        let (messages, ran) = (messages as u64, self.ran.load(Relaxed));
        let decode = self.decode.load(Relaxed).saturating_mul(messages);
        let run = self.run.load(Relaxed).saturating_mul(messages.max(ran)) / ran.max(1);
        decode.saturating_add(run) <= nanos(SHORT)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Does a worker's work in the source's task.
pub(super) struct InPlace {
    worker: Worker,
    desk: Arc<Desk>,
    outgoing: mpsc::Sender<Vec<Outgoing>>,
    pace: Arc<Pace>,
    /// Most messages at once.
    few: usize,
    /// Blocks that were left to the workers.
    sent: u64,
    terms: Arc<Terms>,
    alarm: Alarm,
}

impl std::fmt::Debug for InPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InPlace")
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

impl InPlace {
    /// With a worker of its own, the desk that has the engines, and where results go; for as many messages at once.
    pub(super) fn boxed(
        worker: Worker,
        (desk, outgoing): (Arc<Desk>, mpsc::Sender<Vec<Outgoing>>),
        (pace, terms): (Arc<Pace>, Arc<Terms>),
        few: usize,
        alarm: Alarm,
    ) -> Box<dyn Alone> {
        Box::new(Self {
            worker,
            desk,
            outgoing,
            pace,
            few,
            sent: 0,
            terms,
            alarm,
        })
    }
}

impl Alone for InPlace {
    fn take(&mut self, raw: RawBlock) -> Result<(), RawBlock> {
        if self.may_take(&raw) {
            let terms = Arc::clone(&self.terms);
            // The core is kept until the work is done.
            if let Ok(_core) = terms.free_core()
                && let Some(engine) = self.desk.engine_for_one(self.sent)
            {
                self.work(raw, engine);
                return Ok(());
            }
        }
        self.sent += 1;
        Err(raw)
    }
}

impl InPlace {
    /// Whether a block is small, and will take a short time.
    fn may_take(&self, raw: &RawBlock) -> bool {
        let messages = &raw.messages;
        // What was delivered before may have brought the process down, or never come back from a model: a worker's work.
        let fits = |message: &Message| {
            message.payload.len() <= BYTES_ALONE_MAX && message.lane() == Lane::First
        };
        let bytes = messages.iter().map(|message| message.payload.len());
        messages.len() <= self.few
            && self.pace.is_short(messages.len())
            && bytes.sum::<usize>() <= BYTES_MAX
            && messages.iter().all(fits)
    }

    /// Does all the work on the block, and gives the engine back.
    fn work(&mut self, raw: RawBlock, mut engine: Box<dyn Engine>) {
        let worked = catch_unwind(AssertUnwindSafe(|| {
            self.worker.alone(raw, &mut *engine, &self.desk)
        }));
        match worked {
            Ok(Ok(parts)) => {
                self.desk.give_back(engine);
                for results in parts {
                    // Each place in this channel is backed by a credit; closed, it says that the sink has failed.
                    drop(self.outgoing.try_send(results));
                }
            }
            Ok(Err(error)) => self.alarm.raise(error),
            Err(panic) => self.alarm.raise_panic("source", &*panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_short_last_time_is_done_in_place() {
        let us = Duration::from_micros;
        let pace = Pace::new();
        assert!(!pace.is_short(1), "nothing is known");
        pace.decoded(1, us(3));
        assert!(!pace.is_short(1), "it has not run");
        pace.ran(1, us(30));
        assert!(pace.is_short(1));
        pace.ran(FEW + 1, us(1_000_000));
        assert!(pace.is_short(1), "many say nothing of few");
        pace.decoded(1, us(190));
        assert!(!pace.is_short(1), "both together count");
        pace.decoded(1, us(3));
        pace.ran(1, us(1_000_000));
        assert!(!pace.is_short(1));
    }

    #[test]
    fn more_messages_take_longer_until_it_is_known_better() {
        let us = Duration::from_micros;
        let pace = Pace::new();
        pace.decoded(10, us(20));
        pace.ran(1, us(20));
        assert!(pace.is_short(9), "9 x 2 and 9 x 20");
        assert!(!pace.is_short(10), "10 x 2 and 10 x 20");
        pace.ran(20, us(40));
        assert!(pace.is_short(1) && pace.is_short(50), "50 x 2 and 50 x 2");
        assert!(!pace.is_short(51));
        pace.ran(20, us(190));
        assert!(!pace.is_short(6), "as long as 20 took, and 6 x 2");
        assert!(pace.is_short(5));
    }
}
