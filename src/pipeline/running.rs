//! Which workers have a batch in the models, and since when.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::places::Places;
use crate::engine::{Compared, Moved};

/// The runs of a pipeline's models that are under way.
#[derive(Debug)]
pub struct Running {
    /// What all times are counted from.
    start: Instant,
    workers: Mutex<Vec<Arc<AtomicU64>>>,
    /// Where the models run.
    pub places: Arc<Places>,
}

/// Where one worker notes its run; once a batch, and without a lock.
#[derive(Debug)]
pub struct Note {
    start: Instant,
    /// Milliseconds since `start`, plus one; 0 where no run is under way.
    since: Arc<AtomicU64>,
    places: Arc<Places>,
}

impl Running {
    /// None is under way yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            workers: Mutex::default(),
            places: Arc::default(),
        })
    }

    /// A place for one more worker's runs.
    pub fn note(&self) -> Note {
        let since = Arc::new(AtomicU64::new(0));
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.push(Arc::clone(&since));
        Note {
            start: self.start,
            since,
            places: Arc::clone(&self.places),
        }
    }

    /// How long the longest run that is under way has taken until `now`; zero where there is none.
    pub fn longest(&self, now: Instant) -> Duration {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = workers
            .iter()
            .filter_map(|since| since.load(Ordering::Relaxed).checked_sub(1));
        under_way.min().map_or(Duration::ZERO, |first| {
            Duration::from_millis(millis(self.start, now).saturating_sub(first))
        })
    }
}

impl Note {
    /// A run begins.
    pub fn begin(&self, now: Instant) {
        let since = millis(self.start, now) + 1;
        self.since.store(since, Ordering::Relaxed);
    }

    /// It has ended.
    pub fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// Steps of an engine run elsewhere since.
    pub fn moved(&self, moves: &[Moved]) {
        if !moves.is_empty() {
            self.places.moved(moves);
        }
    }

    /// Rows of an engine ran on the CPU too.
    pub fn compared(&self, all: &[Compared]) {
        if !all.is_empty() {
            self.places.compared(all);
        }
    }
}

impl Drop for Note {
    /// A worker that panicked runs nothing.
    fn drop(&mut self) {
        self.end();
    }
}

fn millis(start: Instant, now: Instant) -> u64 {
    let elapsed = now.saturating_duration_since(start).as_millis();
    u64::try_from(elapsed).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_run_is_the_one_that_began_first() {
        let running = Running::new();
        let at = |seconds| running.start + Duration::from_secs(seconds);
        let (early, late) = (running.note(), running.note());
        assert_eq!(running.longest(at(9)), Duration::ZERO);
        late.begin(at(4));
        early.begin(at(0));
        assert_eq!(running.longest(at(9)), Duration::from_secs(9));
        early.end();
        assert_eq!(running.longest(at(9)), Duration::from_secs(5));
        drop(late);
        assert_eq!(running.longest(at(9)), Duration::ZERO);
    }
}
