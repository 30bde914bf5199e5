//! What is sent when, and how long it took: shared by those who send and those who receive.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::cli::latency::Latencies;

/// The clock of the load does not tick more often than this: waking up costs more than a message.
const TICK: Duration = Duration::from_micros(20);

/// A stretch of load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Messages a second, by a timetable; none sends the next one when there is room.
    pub(super) rate: Option<f64>,
    /// Messages that may be in the pipeline at once.
    pub(super) in_flight: u64,
    /// For how long.
    pub(super) time: Duration,
    /// Whether what was due in time and could not be sent is sent after all.
    pub(super) all: bool,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Standing {
    /// Since the start.
    pub(super) after: Duration,
    /// Messages that should have been sent.
    pub(super) due: u64,
    /// Messages that were.
    pub(super) sent: u64,
    /// Results.
    pub(super) done: u64,
    pub(super) rejected: u64,
}

/// What came of a stretch.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// From the time at which a message should have been sent.
    pub(super) latencies: Latencies,
    pub(super) done: u64,
    pub(super) rejected: u64,
    /// Given back by the pipeline, or gone.
    pub(super) lost: u64,
    pub(super) first_reject: Option<String>,
}

/// The timetable, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Drive {
    state: Mutex<State>,
    /// The clock waits for a stretch.
    begun: Condvar,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    stretch: Option<Stretch>,
    sent: u64,
    seen: Seen,
    over: bool,
}

#[derive(Debug, Clone, Copy)]
struct Stretch {
    load: Load,
    start: Instant,
}

impl Stretch {
    /// How many messages should have been sent by now.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of messages"
    )]
    fn due(&self, now: Instant) -> u64 {
        let passed = now.duration_since(self.start).min(self.load.time);
        self.load
            .rate
            .map_or(u64::MAX, |rate| (passed.as_secs_f64() * rate) as u64)
    }

    /// When the message with this number is due.
    fn at(&self, number: u64) -> Option<Instant> {
        let rate = self.load.rate?;
        // The first one after one interval, so that as many are due as the rate says.
        Some(self.start + Duration::from_secs_f64((number + 1) as f64 / rate))
    }
}

impl Drive {
    /// A drive whose clock runs until it is [ended](Self::end).
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn start() -> std::io::Result<Arc<Self>> {
        let drive = Arc::new(Self::default());
        let clock = Arc::clone(&drive);
        thread::Builder::new()
            .name("clock".to_owned())
            .spawn(move || clock.tick())?;
        Ok(drive)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the sender whenever a message is due.
    fn tick(&self) {
        loop {
            let mut state = self.state();
            while state.stretch.is_none() && !state.over {
                state = self
                    .begun
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if state.over {
                return;
            }
            let now = Instant::now();
            let next = (state.stretch).and_then(|stretch| stretch.at(stretch.due(now)));
            let pause = match next {
                Some(next) => next.saturating_duration_since(now).max(TICK),
                // Who sends when there is room is woken by room.
                None => Duration::from_millis(1),
            };
            // Another stretch may begin meanwhile.
            let waited = self.begun.wait_timeout(state, pause);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_one();
        }
    }

    /// Begins a stretch. The one before is over, and all it sent is settled.
    pub(super) fn begin(&self, load: Load) {
        *self.state() = State {
            stretch: Some(Stretch {
                load,
                start: Instant::now(),
            }),
            ..State::default()
        };
        self.begun.notify_all();
        self.wake.notify_one();
    }

    /// Stops the clock.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.stretch = None;
        state.over = true;
        self.begun.notify_all();
    }

    /// Waits until something may be due. Safe to cancel.
    pub(super) async fn wait(&self) {
        self.wake.notified().await;
    }

    /// Takes as many messages as are due and there is room for: the number of the first, and how
    /// many.
    pub(super) fn take(&self, room: usize) -> (u64, u64) {
        let mut state = self.state();
        let first = state.sent;
        let Some(stretch) = state.stretch else {
            return (first, 0);
        };
        let now = Instant::now();
        let due = if stretch.load.rate.is_none() && now - stretch.start >= stretch.load.time {
            first
        } else {
            stretch.due(now)
        };
        let in_flight = first.saturating_sub(state.seen.settled());
        let count = due
            .saturating_sub(first)
            .min(room as u64)
            .min(stretch.load.in_flight.saturating_sub(in_flight));
        state.sent += count;
        (first, count)
    }

    /// Results came for the messages with these numbers, which were sent when it says beside.
    pub(super) fn done(&self, messages: impl Iterator<Item = (u64, Instant)>, now: Instant) {
        let mut state = self.state();
        let stretch = state.stretch;
        for (number, sent) in messages {
            let since = stretch
                .and_then(|stretch| stretch.at(number))
                .unwrap_or(sent);
            let latency = now.saturating_duration_since(since);
            state.seen.latencies.record(latency);
            state.seen.done += 1;
        }
    }

    /// A message was rejected.
    pub(super) fn rejected(&self, reason: &str) {
        let mut state = self.state();
        state.seen.rejected += 1;
        state
            .seen
            .first_reject
            .get_or_insert_with(|| reason.to_owned());
    }

    /// A message came back unsettled.
    pub(super) fn lost(&self) {
        self.state().seen.lost += 1;
    }

    /// How it stands now.
    pub(super) fn standing(&self) -> Standing {
        let state = self.state();
        let now = Instant::now();
        let due = |stretch: &Stretch| stretch.due(now);
        Standing {
            after: state
                .stretch
                .map_or(Duration::ZERO, |stretch| now - stretch.start),
            due: state.stretch.as_ref().map_or(0, due).max(state.sent),
            sent: state.sent,
            done: state.seen.done,
            rejected: state.seen.rejected,
        }
    }

    /// Whether everything that was to be sent is sent, and settled.
    pub(super) fn is_settled(&self) -> bool {
        let state = self.state();
        let Some(stretch) = state.stretch else {
            return true;
        };
        let now = Instant::now();
        let all_sent = !stretch.load.all || state.sent >= stretch.due(now);
        now - stretch.start >= stretch.load.time && all_sent && state.sent == state.seen.settled()
    }

    /// Nothing more is sent; what is left of the stretch is dropped.
    pub(super) fn stop_sending(&self) {
        if let Some(stretch) = &mut self.state().stretch
            && !stretch.load.all
        {
            stretch.load.in_flight = 0;
        }
    }

    /// What came of the stretch, which is over.
    pub(super) fn take_seen(&self) -> Seen {
        let mut state = self.state();
        state.stretch = None;
        std::mem::take(&mut state.seen)
    }
}

impl Seen {
    fn settled(&self) -> u64 {
        self.done + self.rejected + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drive(rate: Option<f64>, in_flight: u64, time: Duration) -> Drive {
        let drive = Drive::default();
        drive.begin(Load {
            rate,
            in_flight,
            time,
            all: true,
        });
        drive
    }

    #[test]
    fn no_more_is_sent_than_there_is_room_for() {
        let drive = drive(None, 10, Duration::from_mins(1));
        assert_eq!(drive.take(4), (0, 4));
        assert_eq!(drive.take(100), (4, 6));
        assert_eq!(drive.take(100), (10, 0));
        let now = Instant::now();
        drive.done([(0, now), (1, now)].into_iter(), now);
        drive.rejected("why");
        assert_eq!(drive.take(100), (10, 3));
        assert!(!drive.is_settled());
    }

    #[test]
    fn latency_counts_from_the_timetable() {
        let drive = drive(Some(1000.0), 1, Duration::from_millis(20));
        thread::sleep(Duration::from_millis(25));
        // One is sent, and 19 wait for it; it takes until now.
        assert_eq!(drive.take(100), (0, 1));
        let standing = drive.standing();
        assert_eq!((standing.due, standing.sent), (20, 1));
        let now = Instant::now();
        drive.done(std::iter::once((0, now)), now);
        let (first, count) = drive.take(100);
        assert_eq!((first, count), (1, 1));
        let seen = drive.take_seen();
        let longest = seen.latencies.percentile(1.0).expect("one");
        assert!(longest >= Duration::from_millis(24), "{longest:?}");
    }

    #[test]
    fn a_stretch_ends_when_all_is_settled() {
        let drive = drive(Some(1000.0), 100, Duration::from_millis(10));
        thread::sleep(Duration::from_millis(12));
        assert!(!drive.is_settled());
        assert_eq!(drive.take(100), (0, 10));
        for _ in 0..10 {
            assert!(!drive.is_settled());
            drive.lost();
        }
        assert!(drive.is_settled());
    }
}
