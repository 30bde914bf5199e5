//! Results of several batches that go to the sink together.
//!
//! Each hand-over wakes the sink's task, and each block of results is a write to the socket: with many rows in a message
//! a batch has few results, and that would cost more than its model. So while a next batch is ready to run, and such
//! batches take a short time, a batch's results wait for those of the next.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::sink::Outgoing;

/// The longest that a result waits for others, but for the one batch that is being run then.
const WAIT_MAX: Duration = Duration::from_micros(300);
/// A batch that took longer is not waited for.
const RUN_MAX: Duration = Duration::from_micros(200);
/// With so many bytes a write to the socket is long enough.
const BYTES_MAX: usize = 64 << 10;

/// Results that go to the sink together.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    results: Vec<Outgoing>,
    bytes: usize,
    /// When the oldest of them was there.
    since: Option<Instant>,
    /// What the last batch took in the engine.
    ran: Duration,
}

impl Parcel {
    /// Adds the results of a batch that took so long in the engine.
    pub(super) fn add(&mut self, mut results: Vec<Outgoing>, ran: Duration) {
        self.ran = ran;
        if results.is_empty() {
            return;
        }
        self.bytes += (results.iter())
            .map(|result| result.payload.len())
            .sum::<usize>();
        if self.results.is_empty() {
            self.since = Some(Instant::now());
            self.results = results;
        } else {
            self.results.append(&mut results);
        }
    }

    /// Whether there is anything to send.
    pub(super) fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// Whether it may wait for the results of one more batch.
    pub(super) fn may_grow(&self) -> bool {
        self.ran <= RUN_MAX
            && self.bytes < BYTES_MAX
            && (self.since).is_none_or(|since| since.elapsed() <= WAIT_MAX)
    }

    /// Sends what is there; says whether anybody listens.
    pub(super) fn send(&mut self, outgoing: &mpsc::Sender<Vec<Outgoing>>) -> bool {
        if self.results.is_empty() {
            return true;
        }
        self.bytes = 0;
        outgoing
            .blocking_send(std::mem::take(&mut self.results))
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::{Message, Outcome};

    fn results(bytes: usize) -> Vec<Outgoing> {
        vec![Outgoing {
            message: Message::of(Bytes::new()),
            payload: vec![0; bytes].into(),
            headers: Vec::new(),
            outcome: Outcome::Done,
        }]
    }

    #[test]
    fn results_of_short_batches_go_together() {
        let (sender, mut receiver) = mpsc::channel(4);
        let mut parcel = Parcel::default();
        assert!(parcel.send(&sender), "nothing to send");
        parcel.add(Vec::new(), RUN_MAX);
        assert!(parcel.is_empty());
        parcel.add(results(1), RUN_MAX);
        parcel.add(results(1), RUN_MAX);
        assert!(!parcel.is_empty() && parcel.send(&sender) && parcel.is_empty());
        assert_eq!(receiver.try_recv().expect("sent").len(), 2);
        assert!(receiver.try_recv().is_err(), "once");
        parcel.add(results(1), RUN_MAX);
        drop(receiver);
        assert!(!parcel.send(&sender), "nobody listens");
    }

    #[test]
    fn nothing_waits_for_a_long_run_or_in_a_large_parcel() {
        let mut parcel = Parcel::default();
        parcel.add(results(1), RUN_MAX + Duration::from_micros(1));
        assert!(!parcel.may_grow(), "the next run may be as long");
        let mut parcel = Parcel::default();
        parcel.add(results(BYTES_MAX), Duration::ZERO);
        assert!(!parcel.may_grow());
        let mut parcel = Parcel::default();
        parcel.add(results(1), Duration::ZERO);
        parcel.since = Instant::now().checked_sub(WAIT_MAX * 2);
        assert!(!parcel.may_grow(), "its first has waited");
    }
}
