//! What the host knows of the progress of streams.
//!
//! Work on a stream is numbered as it is queued. Waiting tells the host how far a stream has come; through events
//! and through streams that wait for them it also learns of others. So a buffer can say whether the device is
//! done with it, without asking the driver.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// One stream's count of work that the host knows to be done.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    fn done(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A moment on one stream: its first `count` pieces of work.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    stream: Arc<Progress>,
    count: u64,
}

impl Moment {
    pub(super) fn new(stream: &Arc<Progress>, count: u64) -> Self {
        Self {
            stream: Arc::clone(stream),
            count,
        }
    }

    /// Whether the host knows that all of it is done.
    pub(super) fn is_past(&self) -> bool {
        self.stream.done() >= self.count
    }

    pub(super) fn is_on(&self, stream: &Arc<Progress>) -> bool {
        Arc::ptr_eq(&self.stream, stream)
    }
}

/// What is done when some work is: a moment on each stream that it came after. At most one for each stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock(Vec<Moment>);

impl Clock {
    /// Sets one stream's moment, unless a later one is known.
    pub(super) fn advance(&mut self, stream: &Arc<Progress>, count: u64) {
        match self.0.iter_mut().find(|moment| moment.is_on(stream)) {
            Some(moment) => moment.count = moment.count.max(count),
            None => self.0.push(Moment::new(stream, count)),
        }
    }

    /// Takes over what another clock knows.
    pub(super) fn merge(&mut self, other: &Self) {
        for moment in &other.0 {
            self.advance(&moment.stream, moment.count);
        }
    }

    /// Becomes a copy, without new memory where there is enough.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.0.clone_from(&other.0);
    }

    /// The host has seen that all of it is done.
    pub(super) fn pass(&self) {
        for moment in &self.0 {
            moment.stream.0.fetch_max(moment.count, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_an_event_is_done_with_it_and_nothing_else() {
        let (up, compute) = (Arc::<Progress>::default(), Arc::<Progress>::default());
        let copied = Moment::new(&up, 1);
        let later = Moment::new(&up, 2);
        let mut event = Clock::default();
        event.advance(&up, 1);
        // `compute` waits for the event and does one piece of work; the host waits for that.
        let mut clock = Clock::default();
        clock.merge(&event);
        clock.advance(&compute, 1);
        assert!(!copied.is_past());
        clock.pass();
        assert!(copied.is_past() && Moment::new(&compute, 1).is_past());
        assert!(!later.is_past() && !Moment::new(&compute, 2).is_past());
    }

    #[test]
    fn a_clock_never_goes_back() {
        let up = Arc::<Progress>::default();
        let mut clock = Clock::default();
        clock.advance(&up, 5);
        clock.advance(&up, 3);
        clock.pass();
        let mut old = Clock::default();
        old.advance(&up, 2);
        old.pass();
        assert!(Moment::new(&up, 5).is_past());
    }
}
