//! How much comes in a second, of late. Pure.

use std::time::Instant;

/// Things per second, of late: what is older counts for less.
#[derive(Debug, Clone)]
pub struct Rate {
    /// Time after which something counts for 1/e.
    memory: f64,
    counted: f64,
    seconds: f64,
    last: Option<Instant>,
}

impl Rate {
    /// Nothing was counted yet.
    pub fn over(memory: f64) -> Self {
        Self {
            memory,
            counted: 0.0,
            seconds: 0.0,
            last: None,
        }
    }

    /// So much came at `now`.
    pub fn count(&mut self, what: f64, now: Instant) {
        let Some(last) = self.last else {
            // What comes first came in no time; it says nothing of how often.
            self.last = Some(now);
            return;
        };
        self.add(what, now.saturating_duration_since(last).as_secs_f64());
        self.last = Some(now.max(last));
    }

    /// So much came in the seconds that followed the ones before.
    pub fn add(&mut self, what: f64, seconds: f64) {
        let kept = (-seconds / self.memory).exp();
        self.counted = kept * self.counted + what;
        self.seconds = kept * self.seconds + self.memory * (1.0 - kept);
    }

    /// The time that is known, up to the memory, in seconds.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// How many per second up to the last.
    pub fn mean(&self) -> f64 {
        if self.seconds > 0.0 {
            self.counted / self.seconds
        } else {
            0.0
        }
    }

    /// How many per second up to now.
    pub fn per_second(&self, now: Instant) -> f64 {
        let mut until = self.clone();
        until.count(0.0, now);
        until.mean()
    }
}
