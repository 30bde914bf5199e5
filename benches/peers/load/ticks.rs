//! A clock that wakes the load generator more often than the runtime's timers, which have a grain
//! of a millisecond.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::Notify;

/// Often enough for what is measured, and a few percent of a core.
const EVERY: Duration = Duration::from_micros(100);

/// Ticks until it is dropped.
pub(crate) struct Ticks {
    notify: Arc<Notify>,
    over: Arc<AtomicBool>,
}

impl Ticks {
    pub(crate) fn start() -> Self {
        let ticks = Self {
            notify: Arc::default(),
            over: Arc::default(),
        };
        let (notify, over) = (Arc::clone(&ticks.notify), Arc::clone(&ticks.over));
        let tick = move || {
            while !over.load(Ordering::Relaxed) {
                thread::sleep(EVERY);
                notify.notify_one();
            }
        };
        let clock = thread::Builder::new().name("clock".to_owned());
        clock.spawn(tick).unwrap();
        ticks
    }

    pub(crate) async fn next(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
