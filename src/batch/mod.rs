//! Gives out the work: raw blocks to be decoded, and batches to be run. [`batcher`] decides when a
//! batch is ready and knows no clock and no channel; this room obeys it.
//!
//! There is no batching thread. A worker that has decoded a block puts it into the batcher and
//! asks for work; where a batch is ready and an engine is free, that worker runs it. So a batch
//! leaves only when an engine can run it, and grows until then; and a lone message goes from the
//! source through one thread to the sink.

pub mod batcher;
pub mod fit;
pub mod meter;
pub mod pace;
mod policy;
pub mod rate;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, RecvTimeoutError};

pub use self::{
    batcher::Closed,
    meter::Meter,
    policy::{BatchPolicy, MaxTokens, Wait},
};
use batcher::{Batcher, Readiness};

use crate::{block::Block, message::Lane};

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

/// What a worker is to do next.
#[derive(Debug)]
pub enum Work<R, E> {
    /// Decode this and [`Batches::push`] the rows.
    Decode(R),
    /// Run this and [`Batches::give_back`] the engine.
    Run(Batch, E),
}

/// Where workers get their work: raw blocks of type `R` from a channel, batches for engines of
/// type `E`.
#[derive(Debug)]
pub struct Batches<R, E> {
    raw: Receiver<R>,
    state: Mutex<State<E>>,
    meter: Option<Arc<Meter>>,
    /// What is measured says how long to wait.
    paced: bool,
}

#[derive(Debug)]
struct State<E> {
    batcher: Batcher,
    /// Those that nobody runs.
    engines: Vec<E>,
    /// Batches that were given out.
    started: u64,
    /// Pieces of work that are finished: of raw blocks all rows were pushed, of batches the results handed over.
    finished: u64,
    /// More raw blocks may come.
    open: bool,
}

impl<R, E> Batches<R, E> {
    /// Gives out the blocks of `raw`, and batches for as many workers at once as there are
    /// `engines`.
    pub fn new(policy: BatchPolicy, raw: Receiver<R>, engines: Vec<E>) -> Self {
        Self {
            raw,
            state: Mutex::new(State {
                batcher: Batcher::new(policy).for_engines(engines.len()),
                engines,
                started: 0,
                finished: 0,
                open: true,
            }),
            meter: None,
            paced: matches!(policy.wait, Wait::Target(_)),
        }
    }

    /// Tells this meter what runs take, and learns from it.
    #[must_use]
    pub fn measured_by(mut self, meter: Arc<Meter>) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Gives out rows in the order in which they are pushed, for an engine to which that matters.
    #[must_use]
    pub fn in_order(self) -> Self {
        self.lock().batcher.keep_order();
        self
    }

    /// Waits for work: a batch where one is ready and an engine is free, else a raw block. `None`
    /// when there is none left for this worker.
    ///
    /// Takes note that the worker has `finished` so many pieces of work since it last said so, for
    /// [`Batches::engine_for_one`]: it has pushed all rows of a raw block, or handed over the results of a batch.
    ///
    /// Whatever changes the answer (a push, an engine given back, the time, the channel) is
    /// followed by a call of the worker that changed it, so nobody need be woken.
    pub fn next(&self, mut finished: u64) -> Option<Work<R, E>> {
        loop {
            let (due, open) = {
                let mut state = self.lock();
                state.finished += std::mem::take(&mut finished);
                let (now, open) = (Instant::now(), state.open);
                let due = match state.batcher.readiness(now, open) {
                    Readiness::Ready(closed, lane) => {
                        if let Some(run) = state.start(closed, lane, now) {
                            return Some(run);
                        }
                        // Who has the engine now takes the batch when it comes back.
                        None
                    }
                    Readiness::Filling { due } => {
                        if !state.engines.is_empty() {
                            state.batcher.engine_waits(now);
                        }
                        Some(due)
                    }
                    Readiness::Empty => None,
                };
                (due, open)
            };
            if !open {
                return None;
            }
            let received = match due {
                Some(due) => self.raw.recv_deadline(due),
                None => self.raw.recv().map_err(RecvTimeoutError::from),
            };
            match received {
                Ok(block) => return Some(Work::Decode(block)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.lock().open = false,
            }
        }
    }

    /// A batch, where one is ready and an engine is free: nothing is waited for.
    pub fn next_run(&self) -> Option<Work<R, E>> {
        let mut state = self.lock();
        let (now, open) = (Instant::now(), state.open);
        match state.batcher.readiness(now, open) {
            Readiness::Ready(closed, lane) => state.start(closed, lane, now),
            Readiness::Filling { .. } | Readiness::Empty => None,
        }
    }

    /// Adds decoded rows.
    pub fn push(&self, queued: Queued) {
        self.lock().batcher.push(queued);
    }

    /// Adds decoded rows that go before others.
    pub fn push_urgent(&self, queued: Queued) {
        self.lock().batcher.push_urgent(queued);
    }

    /// Notes what a batch took: in the engine, and from then on until its results went to the sink.
    pub fn ran(&self, rows: usize, engine: Duration, finish: Duration) {
        let Some(meter) = &self.meter else {
            return;
        };
        let service = meter.ran(rows, engine, finish, Instant::now());
        if self.paced {
            self.lock().batcher.learn(service);
        }
    }

    /// An engine for messages that are not in here and wait for no company, where one is free, nothing waits, and
    /// all results before theirs are out. `sent` is how many raw blocks went into the channel so far.
    ///
    /// The caller is the only one that sends raw blocks, and sends none before it has given the engine back: so nobody
    /// pushes meanwhile, who would find no engine and not be woken.
    pub fn engine_for_one(&self, sent: u64) -> Option<E> {
        let mut state = self.lock();
        // Rows are to come, or results.
        if state.finished < sent + state.started {
            return None;
        }
        let open = state.open;
        match state.batcher.readiness(Instant::now(), open) {
            Readiness::Empty => state.engines.pop(),
            Readiness::Filling { .. } | Readiness::Ready(..) => None,
        }
    }

    /// Gives an engine back that [`Work::Run`] or [`Batches::engine_for_one`] brought.
    pub fn give_back(&self, engine: E) {
        self.lock().engines.push(engine);
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        // A panic between two whole steps leaves the state sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> State<E> {
    fn start<R>(&mut self, closed: Closed, lane: Lane, now: Instant) -> Option<Work<R, E>> {
        let engine = self.engines.pop()?;
        let Some(queued) = self.batcher.take(lane, now) else {
            self.engines.push(engine);
            return None;
        };
        self.started += 1;
        let batch = Batch {
            block: queued.block,
            closed,
            since: queued.since,
        };
        Some(Work::Run(batch, engine))
    }
}

#[cfg(test)]
mod tests {
    use crossbeam::channel::{Sender, bounded};

    use super::{batcher::tests::queued, *};

    const ENGINE: &str = "the engine";

    fn batches(
        max_rows: usize,
        max_delay_ms: u64,
    ) -> (Sender<Queued>, Batches<Queued, &'static str>) {
        let (sender, receiver) = bounded(8);
        let policy = BatchPolicy::new(max_rows, Duration::from_millis(max_delay_ms));
        (sender, Batches::new(policy, receiver, vec![ENGINE]))
    }

    /// Works alone until there is a batch; gives its rows and why it was closed.
    fn run_next(batches: &Batches<Queued, &'static str>) -> Option<(usize, Closed)> {
        loop {
            match batches.next(0)? {
                Work::Decode(block) => batches.push(block),
                Work::Run(batch, engine) => {
                    batches.give_back(engine);
                    return Some((batch.block.rows(), batch.closed));
                }
            }
        }
    }

    #[test]
    fn messages_get_an_engine_for_themselves_while_nothing_is_unfinished() {
        let (sender, batches) = batches(100, 0);
        assert_eq!(batches.engine_for_one(0), Some(ENGINE));
        assert_eq!(batches.engine_for_one(0), None, "it is taken");
        batches.give_back(ENGINE);
        sender.send(queued(&[1], Instant::now())).expect("open");
        assert_eq!(batches.engine_for_one(1), None, "rows are to come");
        let Some(Work::Decode(block)) = batches.next(0) else {
            panic!("a raw block and nothing else");
        };
        assert_eq!(batches.engine_for_one(1), None, "rows are to come still");
        batches.push(block);
        let Some(Work::Run(_, engine)) = batches.next(1) else {
            panic!("a row and a free engine");
        };
        batches.give_back(engine);
        assert_eq!(batches.engine_for_one(1), None, "its results are to come");
        drop(sender);
        assert!(batches.next(1).is_none());
        assert_eq!(batches.engine_for_one(1), Some(ENGINE));
    }

    #[test]
    fn messages_get_no_engine_while_rows_wait() {
        let (sender, batches) = batches(100, 0);
        sender.send(queued(&[1], Instant::now())).expect("open");
        let Some(Work::Decode(block)) = batches.next(0) else {
            panic!("a raw block and nothing else");
        };
        batches.push(block);
        batches.lock().finished += 1;
        assert_eq!(batches.engine_for_one(1), None);
    }

    #[test]
    fn a_free_engine_takes_what_is_there() {
        let (sender, batches) = batches(100, 0);
        batches.push(queued(&[1, 2], Instant::now()));
        batches.push(queued(&[3], Instant::now()));
        assert_eq!(run_next(&batches), Some((6, Closed::Idle)));
        drop(sender);
        assert_eq!(run_next(&batches), None);
    }

    #[test]
    fn a_batch_grows_while_the_engine_is_busy() {
        let (sender, batches) = batches(100, 0);
        batches.push(queued(&[1], Instant::now()));
        let Some(Work::Run(_, engine)) = batches.next(0) else {
            panic!("a row and a free engine");
        };
        for _ in 0..3 {
            sender.send(queued(&[1], Instant::now())).expect("open");
            let Some(Work::Decode(block)) = batches.next(0) else {
                panic!("the engine is busy, so there is only decoding to do");
            };
            batches.push(block);
        }
        batches.give_back(engine);
        assert_eq!(run_next(&batches), Some((3, Closed::Idle)));
    }

    #[test]
    fn a_batch_waits_for_company_until_the_delay_is_over() {
        let (sender, batches) = batches(4, 40);
        let start = Instant::now();
        sender.send(queued(&[1], start)).expect("open");
        let late = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(10));
                sender.send(queued(&[1], Instant::now())).expect("open");
            });
            run_next(&batches)
        });
        assert_eq!(late, Some((2, Closed::Delay)));
        assert!(start.elapsed() >= Duration::from_millis(40));
    }

    #[test]
    fn closing_drains_and_ends() {
        let (sender, batches) = batches(4, 60_000);
        for _ in 0..2 {
            sender
                .send(queued(&[1, 1, 1], Instant::now()))
                .expect("open");
        }
        drop(sender);
        let all: Vec<_> = std::iter::from_fn(|| run_next(&batches)).collect();
        assert_eq!(all, [(4, Closed::Full), (2, Closed::Drain)]);
    }

    #[test]
    fn a_worker_without_work_leaves_the_rest_to_who_has_the_engine() {
        let (sender, batches) = batches(4, 0);
        batches.push(queued(&[1], Instant::now()));
        let Some(Work::Run(_, engine)) = batches.next(0) else {
            panic!("a row and a free engine");
        };
        batches.push(queued(&[1, 1], Instant::now()));
        drop(sender);
        assert!(batches.next(0).is_none(), "nothing to decode, no engine");
        batches.give_back(engine);
        assert_eq!(run_next(&batches), Some((2, Closed::Drain)));
    }
}
