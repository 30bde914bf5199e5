//! Rows through engines, on a clock that is not real.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use crate::batch::{
    fit::Fit,
    pace::{Choice, Pace, Service},
};

/// Where rows come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// Independent arrivals, so many a second.
    Open(f64),
    /// So many senders that each wait for their answer before they send the next row.
    Closed(usize),
}

/// What is simulated; times in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    pub(super) fixed: f64,
    pub(super) per_row: f64,
    /// The part by which a run may be longer or shorter.
    pub(super) noise: f64,
    pub(super) engines: usize,
    pub(super) max_rows: usize,
    pub(super) load: Load,
    /// Rows until it ends.
    pub(super) rows: usize,
    pub(super) seed: u64,
}

/// What came out.
#[derive(Debug)]
pub(super) struct Seen {
    /// Seconds from arrival to result of all rows but the first tenth, in rising order.
    latencies: Vec<f64>,
    pub(super) rows_per_second: f64,
    /// Rows in a batch, on average.
    pub(super) batch: f64,
}

impl Seen {
    /// The latency that so many of a hundred rows do not pass.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        self.latencies[(self.latencies.len() - 1) * percent / 100]
    }
}

/// Runs a world; without a target, whatever waits goes as soon as an engine is free.
pub(super) fn simulate(world: World, target: Option<f64>) -> Seen {
    let mut simulation = Simulation::new(world, target);
    while simulation.latencies.len() < world.rows {
        simulation.step();
    }
    let Simulation {
        mut latencies,
        now,
        batches,
        ..
    } = simulation;
    let rows = latencies.len() as f64;
    let mut latencies = latencies.split_off(latencies.len() / 10);
    latencies.sort_by(f64::total_cmp);
    Seen {
        latencies,
        rows_per_second: rows / now,
        batch: rows / f64::from(batches),
    }
}

/// Numbers from a seed: enough for simulations.
struct Dice(u64);

impl Dice {
    /// Evenly from 0 up to 1.
    fn throw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of a mean of 1, as times between what happens independently.
    fn pause(&mut self) -> f64 {
        -(1.0 - self.throw()).ln()
    }
}

/// A time, in a heap.
#[derive(Debug, Clone, Copy)]
struct At(f64);

impl PartialEq for At {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for At {}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for At {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A batch in an engine.
struct Run {
    end: f64,
    took: f64,
    came: Vec<f64>,
}

struct Simulation {
    world: World,
    dice: Dice,
    start: Instant,
    pace: Option<Pace>,
    fit: Fit,
    arrivals: BinaryHeap<Reverse<At>>,
    running: Vec<Run>,
    waiting: VecDeque<f64>,
    now: f64,
    /// When whoever waits looks again.
    due: f64,
    latencies: Vec<f64>,
    batches: u32,
}

impl Simulation {
    fn new(world: World, target: Option<f64>) -> Self {
        let pace = |target| {
            let target = Duration::from_secs_f64(target);
            Pace::new(target, world.max_rows, world.engines)
        };
        let first = match world.load {
            Load::Open(_) => 1,
            Load::Closed(senders) => senders,
        };
        Self {
            world,
            dice: Dice(world.seed | 1),
            start: Instant::now(),
            pace: target.map(pace),
            fit: Fit::default(),
            arrivals: (0..first)
                .map(|sender| Reverse(At(sender as f64 * 1e-6)))
                .collect(),
            running: Vec::new(),
            waiting: VecDeque::new(),
            now: 0.0,
            due: f64::INFINITY,
            latencies: Vec::new(),
            batches: 0,
        }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    /// Goes on to what happens next.
    fn step(&mut self) {
        let arrival = self
            .arrivals
            .peek()
            .map_or(f64::INFINITY, |Reverse(at)| at.0);
        let ends = self.running.iter().map(|run| run.end);
        let end = ends.fold(f64::INFINITY, f64::min);
        self.now = arrival.min(end).min(self.due).max(self.now);
        self.due = f64::INFINITY;
        if end <= self.now {
            self.end();
        } else if arrival <= self.now {
            self.arrive();
        }
        while self.running.len() < self.world.engines && self.start_batch() {}
    }

    fn end(&mut self) {
        let ended = self.running.iter().position(|run| run.end <= self.now);
        let Run { end, took, came } = self.running.swap_remove(ended.expect("one ended"));
        self.fit.observe(came.len(), took);
        if let Some(pace) = &mut self.pace {
            let service = |line| Service {
                engine: line,
                whole: line,
            };
            pace.learn(self.fit.line().map(service));
        }
        if let Load::Closed(_) = self.world.load {
            for _ in &came {
                let again = end + 2e-5 * self.dice.throw();
                self.arrivals.push(Reverse(At(again)));
            }
        }
        self.latencies.extend(came.iter().map(|came| end - came));
    }

    fn arrive(&mut self) {
        self.arrivals.pop();
        if let Load::Open(rate) = self.world.load {
            let next = self.now + self.dice.pause() / rate;
            self.arrivals.push(Reverse(At(next)));
        }
        self.waiting.push_back(self.now);
        let now = self.at(self.now);
        if let Some(pace) = &mut self.pace {
            pace.arrived(1, now);
        }
    }

    /// Whether one was started.
    fn start_batch(&mut self) -> bool {
        let Some(oldest) = self.waiting.front().copied() else {
            return false;
        };
        let (read, now) = (self.at(oldest), self.at(self.now));
        let mut rows = self.world.max_rows.min(self.waiting.len());
        if let Some(pace) = &mut self.pace {
            match pace.choose(self.waiting.len(), read, now) {
                Choice::Go { rows: most } => {
                    rows = rows.min(most);
                    pace.taken(rows, now);
                }
                Choice::Wait(due) => {
                    pace.waits(now);
                    let due = due.duration_since(self.start).as_secs_f64();
                    self.due = due.max(self.now + 1e-9);
                    return false;
                }
            }
        }
        let World {
            fixed,
            per_row,
            noise,
            ..
        } = self.world;
        let noise = 1.0 + noise * (2.0 * self.dice.throw() - 1.0);
        let took = (fixed + per_row * rows as f64) * noise;
        self.running.push(Run {
            end: self.now + took,
            took,
            came: self.waiting.drain(..rows).collect(),
        });
        self.batches += 1;
        true
    }
}
