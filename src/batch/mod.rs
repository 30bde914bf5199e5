//! Forms batches. [`batcher`] decides and knows no clock and no channel; this room obeys it.
//!
//! There is no batching thread: the batch is formed by whichever engine thread is free, so a batch
//! leaves only when an engine can run it, and grows until then. The engines take turns at the
//! queue's lock.

pub mod batcher;

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, RecvTimeoutError, TryRecvError};

pub use batcher::Closed;
use batcher::{Batcher, Readiness};

use crate::block::Block;

/// When a batch is worth sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPolicy {
    /// Most rows in a batch. A single message with more rows is a batch of its own.
    pub max_rows: usize,
    /// How long the oldest row may wait for company while an engine is free. Zero sends whatever
    /// there is as soon as an engine is free.
    pub max_delay: Duration,
}

/// A block and when its decoding ended.
#[derive(Debug)]
pub struct Queued {
    /// The rows.
    pub block: Block,
    /// When they could have run at the earliest.
    pub since: Instant,
}

/// Rows for one run of the engine.
#[derive(Debug)]
pub struct Batch {
    /// The rows, and their messages.
    pub block: Block,
    /// Why it has no more rows than it has.
    pub closed: Closed,
    /// When its oldest block was ready.
    pub since: Instant,
}

/// The queue between the decoders and the engines.
#[derive(Debug)]
pub struct Batches {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    blocks: Receiver<Queued>,
    batcher: Batcher,
    open: bool,
}

impl Batches {
    /// Forms batches from `blocks`.
    pub fn new(policy: BatchPolicy, blocks: Receiver<Queued>) -> Self {
        Self {
            state: Mutex::new(State {
                blocks,
                batcher: Batcher::new(policy),
                open: true,
            }),
        }
    }

    /// Waits for the next batch. `None` when the channel is closed and everything was given out.
    ///
    /// Called by an engine thread that is free; while it waits here, others wait behind it.
    pub fn next(&self) -> Option<Batch> {
        // A panic of another engine between two whole steps leaves the state sound.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            state.take_what_is_there();
            let now = Instant::now();
            match state.batcher.readiness(now, state.open) {
                Readiness::Ready(closed) => {
                    return state.batcher.take().map(|queued| Batch {
                        block: queued.block,
                        closed,
                        since: queued.since,
                    });
                }
                Readiness::Empty if !state.open => return None,
                Readiness::Empty => match state.blocks.recv() {
                    Ok(queued) => state.batcher.push(queued),
                    Err(_) => state.open = false,
                },
                Readiness::Filling { due } => match state.blocks.recv_deadline(due) {
                    Ok(queued) => state.batcher.push(queued),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => state.open = false,
                },
            }
        }
    }
}

impl State {
    /// Takes blocks without waiting until a batch is full.
    fn take_what_is_there(&mut self) {
        while self.open && !self.batcher.is_full() {
            match self.blocks.try_recv() {
                Ok(queued) => self.batcher.push(queued),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => self.open = false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam::channel::bounded;

    use super::{batcher::tests::queued, *};

    fn policy(max_rows: usize, max_delay_ms: u64) -> BatchPolicy {
        BatchPolicy {
            max_rows,
            max_delay: Duration::from_millis(max_delay_ms),
        }
    }

    #[test]
    fn an_idle_engine_takes_what_is_there() {
        let (sender, receiver) = bounded(8);
        let batches = Batches::new(policy(100, 0), receiver);
        let now = Instant::now();
        sender.send(queued(&[1, 2], now)).expect("open");
        sender.send(queued(&[3], now)).expect("open");
        let batch = batches.next().expect("two blocks wait");
        assert_eq!((batch.block.rows(), batch.closed), (6, Closed::Idle));
    }

    #[test]
    fn a_batch_waits_for_company_until_the_delay_is_over() {
        let (sender, receiver) = bounded(8);
        let batches = Batches::new(policy(4, 40), receiver);
        let start = Instant::now();
        sender.send(queued(&[1], start)).expect("open");
        let late = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(10));
                sender.send(queued(&[1], Instant::now())).expect("open");
            });
            batches.next().expect("one block waits")
        });
        assert_eq!((late.block.rows(), late.closed), (2, Closed::Delay));
        assert!(start.elapsed() >= Duration::from_millis(40));
    }

    #[test]
    fn closing_drains_and_ends() {
        let (sender, receiver) = bounded(8);
        let batches = Batches::new(policy(4, 60_000), receiver);
        sender
            .send(queued(&[1, 1, 1], Instant::now()))
            .expect("open");
        sender
            .send(queued(&[1, 1, 1], Instant::now()))
            .expect("open");
        drop(sender);
        let rows: Vec<_> = std::iter::from_fn(|| batches.next())
            .map(|batch| (batch.block.rows(), batch.closed))
            .collect();
        assert_eq!(rows, [(4, Closed::Full), (2, Closed::Drain)]);
    }
}
