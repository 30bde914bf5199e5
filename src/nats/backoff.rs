//! How long to wait before trying again, and how often to complain meanwhile.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

/// Doubling waits with jitter, so that many clients do not come back all at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    seed: u64,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            seed: RandomState::new().hash_one(0u8) | 1,
        }
    }

    /// The wait before the try after `failures` failures (from 1): between half of it and all of it.
    pub(crate) fn wait(&mut self, failures: u64) -> Duration {
        let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let whole = self
            .first
            .saturating_mul(2u32.saturating_pow(doublings))
            .min(self.most);
        // Xorshift: spreading is all that is asked of it.
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        whole.mul_f64(0.5 + (self.seed % 1024) as f64 / 2048.0)
    }
}

/// Lets one log line through every ten seconds, and counts what it held back.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    last: Option<Instant>,
    count: u64,
}

const PAUSE: Duration = Duration::from_secs(10);

impl Seldom {
    /// Counts `count` happenings; `Some` with all since the last line when it is time for a line.
    pub(crate) fn happened(&mut self, count: u64) -> Option<u64> {
        self.count += count;
        if self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most() {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
        for (failures, most) in [
            (1, 250),
            (2, 500),
            (3, 1000),
            (8, 30_000),
            (u64::MAX, 30_000),
        ] {
            for _ in 0..50 {
                let wait = backoff.wait(failures).as_millis();
                assert!((most / 2..=most).contains(&wait), "{failures}: {wait}");
            }
        }
    }

    #[test]
    fn lines_are_held_back_and_counted() {
        let mut seldom = Seldom::default();
        assert_eq!(seldom.happened(1), Some(1));
        assert_eq!(seldom.happened(2), None);
        seldom.last = None;
        assert_eq!(seldom.happened(3), Some(5));
    }
}
