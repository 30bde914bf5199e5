//! A message that is alone in the pipeline is worked on where it was read.
//!
//! Handing it to a worker and its result back wakes a thread twice, and each time costs more than a small model. So
//! while nothing else is in flight, and such messages took a short time last, the source's task does what a worker
//! would. No row could have joined the batch, so no batch is smaller for it.

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
    supervise::Alarm,
    worker::{Desk, Worker},
};
use crate::{
    message::{Lane, Message, RawBlock},
    sink::Outgoing,
    source::{Alone, BYTES_ALONE_MAX},
};

/// The longest that the source's task may be kept from the network.
const SHORT: Duration = Duration::from_micros(200);

/// How long the last message took that was alone in its block.
#[derive(Debug)]
pub(super) struct Pace {
    decode_us: AtomicU64,
    run_us: AtomicU64,
}

impl Pace {
    /// Nothing is known yet: a worker takes the first message.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            decode_us: AtomicU64::new(u64::MAX),
            run_us: AtomicU64::new(u64::MAX),
        })
    }

    /// A block of so many messages was decoded.
    pub(super) fn decoded(&self, messages: usize, took: Duration) {
        note(&self.decode_us, messages, took);
    }

    /// A batch of so many messages was run.
    pub(super) fn ran(&self, messages: usize, took: Duration) {
        note(&self.run_us, messages, took);
    }

    fn is_short(&self) -> bool {
        let took = (self.decode_us.load(Relaxed)).saturating_add(self.run_us.load(Relaxed));
        u128::from(took) <= SHORT.as_micros()
    }
}

fn note(last: &AtomicU64, messages: usize, took: Duration) {
    if messages == 1 {
        last.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }
}

/// Does a worker's work in the source's task.
pub(super) struct InPlace {
    worker: Worker,
    desk: Arc<Desk>,
    outgoing: mpsc::Sender<Vec<Outgoing>>,
    pace: Arc<Pace>,
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
    /// With a worker of its own, the desk that has the engines, and where results go.
    pub(super) fn boxed(
        worker: Worker,
        (desk, outgoing): (Arc<Desk>, mpsc::Sender<Vec<Outgoing>>),
        pace: Arc<Pace>,
        alarm: Alarm,
    ) -> Box<dyn Alone> {
        Box::new(Self {
            worker,
            desk,
            outgoing,
            pace,
            alarm,
        })
    }
}

impl Alone for InPlace {
    fn take(&mut self, raw: RawBlock) -> Result<(), RawBlock> {
        // What was delivered before may have brought the process down, or never come back from a model: a worker's work.
        let fits = |message: &Message| {
            message.payload.len() <= BYTES_ALONE_MAX && message.lane() == Lane::First
        };
        if !self.pace.is_short() || !raw.messages.iter().all(fits) {
            return Err(raw);
        }
        let Some(mut engine) = self.desk.engine_for_one() else {
            return Err(raw);
        };
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_short_last_time_is_done_in_place() {
        let pace = Pace::new();
        assert!(!pace.is_short(), "nothing is known");
        pace.decoded(1, Duration::from_micros(3));
        assert!(!pace.is_short(), "it has not run");
        pace.ran(1, Duration::from_micros(30));
        assert!(pace.is_short());
        pace.ran(64, Duration::from_secs(1));
        assert!(pace.is_short(), "a batch says nothing of a single message");
        pace.decoded(1, Duration::from_micros(190));
        assert!(!pace.is_short(), "both together count");
        pace.decoded(1, Duration::from_micros(3));
        pace.ran(1, Duration::from_secs(1));
        assert!(!pace.is_short());
    }
}
