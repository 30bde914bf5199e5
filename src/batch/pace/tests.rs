use super::*;
use crate::batch::fit::Fit;
use proptest::prelude::*;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

/// Numbers from a seed: enough for simulations.
struct Dice(u64);

impl Dice {
    /// Evenly from 0 up to 1.
    fn throw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Of a mean of 1, as waiting times for what happens independently.
    fn pause(&mut self) -> f64 {
        -(1.0 - self.throw()).ln()
    }
}

/// Where rows come from.
#[derive(Clone, Copy, Debug)]
enum Load {
    /// Independent arrivals, so many a second.
    Open(f64),
    /// So many senders that each wait for their answer before they send the next row.
    Closed(usize),
}

#[derive(Clone, Copy, Debug)]
struct World {
    fixed: f64,
    per_row: f64,
    noise: f64,
    engines: usize,
    max_rows: usize,
    load: Load,
    rows: usize,
    seed: u64,
}

#[derive(Debug, PartialEq, PartialOrd)]
struct At(f64);
impl Eq for At {}
impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[derive(Debug)]
struct Seen {
    /// Seconds of all rows but the first tenth, sorted.
    latencies: Vec<f64>,
    rows_per_second: f64,
    batch: f64,
}

impl Seen {
    fn at(&self, part: f64) -> f64 {
        let last = self.latencies.len() - 1;
        self.latencies[((last as f64) * part) as usize]
    }
}

/// Rows through engines, on a clock that is not real; without a target, whatever waits goes as soon
/// as an engine is free.
fn simulate(world: World, target: Option<f64>) -> Seen {
    let start = Instant::now();
    let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
    let mut dice = Dice(world.seed | 1);
    let mut pace =
        target.map(|t| Pace::new(Duration::from_secs_f64(t), world.max_rows, world.engines));
    let mut fit = Fit::default();
    let mut arrivals = BinaryHeap::new();
    match world.load {
        Load::Open(_) => arrivals.push(Reverse(At(0.0))),
        Load::Closed(senders) => {
            (0..senders).for_each(|n| arrivals.push(Reverse(At(n as f64 * 1e-6))))
        }
    }
    let mut ends: BinaryHeap<Reverse<At>> = BinaryHeap::new();
    let mut running: Vec<(f64, Vec<f64>, f64)> = Vec::new();
    let (mut waiting, mut free, mut now) = (VecDeque::new(), world.engines, 0.0_f64);
    let (mut latencies, mut batches, mut alarm) = (Vec::new(), 0u32, f64::INFINITY);
    while latencies.len() < world.rows {
        let next_arrival = arrivals.peek().map_or(f64::INFINITY, |Reverse(At(t))| *t);
        let next_end = ends.peek().map_or(f64::INFINITY, |Reverse(At(t))| *t);
        now = next_arrival.min(next_end).min(alarm).max(now);
        alarm = f64::INFINITY;
        if next_end <= now {
            ends.pop();
            let done = running
                .iter()
                .position(|run| run.0 <= now)
                .expect("one ended");
            let (end, rows, took) = running.swap_remove(done);
            fit.observe(rows.len(), took);
            if let Some(pace) = &mut pace {
                pace.learn(fit.line().map(|line| Service {
                    engine: line,
                    whole: line,
                }));
            }
            latencies.extend(rows.iter().map(|came| end - came));
            if let Load::Closed(_) = world.load {
                for _ in &rows {
                    arrivals.push(Reverse(At(end + 2e-5 * dice.throw())));
                }
            }
            free += 1;
        } else if next_arrival <= now {
            arrivals.pop();
            if let Load::Open(rate) = world.load {
                arrivals.push(Reverse(At(now + dice.pause() / rate)));
            }
            waiting.push_back(now);
            if let Some(pace) = &mut pace {
                pace.arrived(1, at(now));
            }
        }
        while let Some(oldest) = waiting.front().copied().filter(|_| free > 0) {
            let rows = match &mut pace {
                None => world.max_rows,
                Some(pace) => match pace.choose(waiting.len(), at(oldest), at(now)) {
                    Choice::Go { rows } => {
                        pace.taken(rows.min(waiting.len()), at(now));
                        rows
                    }
                    Choice::Wait(due) => {
                        pace.waits(at(now));
                        alarm = (due - start).as_secs_f64().max(now + 1e-9);
                        break;
                    }
                },
            };
            let rows: Vec<f64> = waiting.drain(..rows.min(waiting.len())).collect();
            let took = world.fixed + world.per_row * rows.len() as f64;
            let took = took * (1.0 + world.noise * (2.0 * dice.throw() - 1.0));
            ends.push(Reverse(At(now + took)));
            running.push((now + took, rows, took));
            batches += 1;
            free -= 1;
        }
    }
    let rows = latencies.len();
    let mut late = latencies.split_off(rows / 10);
    late.sort_by(f64::total_cmp);
    Seen {
        latencies: late,
        rows_per_second: rows as f64 / now,
        batch: rows as f64 / f64::from(batches),
    }
}

/// A model, a number of engines, and rows that come at a part of what they do.
fn worlds(parts: std::ops::Range<f64>) -> impl Strategy<Value = World> {
    let costs = (-4.5..-2.5_f64, -6.0..-3.7_f64, 0.0..0.15_f64);
    (
        costs,
        1..4usize,
        prop::sample::select(vec![16usize, 64, 256]),
        parts,
        any::<u64>(),
    )
        .prop_map(|((fixed, per_row, noise), engines, max_rows, part, seed)| {
            let (fixed, per_row) = (10_f64.powf(fixed), 10_f64.powf(per_row));
            let most = max_rows as f64;
            let capacity = engines as f64 * most / (fixed + per_row * most);
            World {
                fixed,
                per_row,
                noise,
                engines,
                max_rows,
                load: Load::Open(capacity * part),
                rows: 20_000,
                seed,
            }
        })
}

/// The smallest target that can be kept by batches with which the engines have a quarter of their time
/// left: a row waits for the run before its own, and then for its own.
fn possible(world: World) -> Option<f64> {
    let Load::Open(rate) = world.load else {
        return None;
    };
    let spare = world.engines as f64 - 1.33 * rate * world.per_row;
    let rows = (1.33 * rate * world.fixed / spare).max(1.0);
    let fits = spare > 0.0 && rows <= world.max_rows as f64;
    fits.then(|| {
        2.0 * (1.0 + world.noise) * (world.fixed + world.per_row * (rows + 3.0 * rows.sqrt()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Below the capacity, and with a target that can be kept, 99 of 100 rows keep it, in batches that are no
    /// smaller than without one.
    #[test]
    fn rows_stay_within_the_target(world in worlds(0.001..0.75), times in 1.5..20.0_f64) {
        let Some(target) = possible(world).map(|least| least * times) else {
            return Ok(());
        };
        let (with, without) = (simulate(world, Some(target)), simulate(world, None));
        prop_assert!(with.at(0.99) <= target, "p99 {} of {target}, without {}", with.at(0.99), without.at(0.99));
        prop_assert!(with.batch >= 0.9 * without.batch, "{} rows, without {}", with.batch, without.batch);
    }

    /// Whatever comes, as much of it is done as without a target; also where the target is out of reach.
    #[test]
    fn throughput_is_the_same(world in worlds(0.01..3.0), target in -4.0..0.0_f64) {
        let (with, without) = (simulate(world, Some(10_f64.powf(target))), simulate(world, None));
        prop_assert!(with.rows_per_second >= 0.97 * without.rows_per_second, "{} of {}", with.rows_per_second, without.rows_per_second);
    }

    /// Senders that wait for their answers bring no company to those who wait for them. That is noticed,
    /// so that no row waits until it is due; a few senders and several engines lose a part all the same.
    #[test]
    fn nobody_waits_for_who_waits(world in worlds(0.5..1.0), senders in 1usize..100, target in -3.0..-0.5_f64) {
        let world = World { load: Load::Closed(senders), ..world };
        let (with, without) = (simulate(world, Some(10_f64.powf(target))), simulate(world, None));
        let least = if world.engines == 1 { 0.95 } else { 0.75 };
        prop_assert!(with.rows_per_second >= least * without.rows_per_second, "{} of {}", with.rows_per_second, without.rows_per_second);
    }
}

#[test]
fn batches_become_as_large_as_is_useful() {
    // A run of one row costs as much as 100 rows more.
    let world = World {
        fixed: 1e-3,
        per_row: 1e-5,
        noise: 0.05,
        engines: 1,
        max_rows: 256,
        load: Load::Open(10_000.0),
        rows: 20_000,
        seed: 7,
    };
    let (with, without) = (simulate(world, Some(0.02)), simulate(world, None));
    assert!(with.at(0.99) < 0.02, "{:?}", with.at(0.99));
    assert!(
        with.batch > 4.0 * without.batch,
        "{} and {}",
        with.batch,
        without.batch
    );
}

#[test]
fn a_lone_row_goes_at_once() {
    let world = World {
        fixed: 1e-3,
        per_row: 1e-5,
        noise: 0.0,
        engines: 1,
        max_rows: 256,
        load: Load::Open(20.0),
        rows: 300,
        seed: 7,
    };
    let seen = simulate(world, Some(0.02));
    assert!(seen.at(0.5) < 0.0012, "{}", seen.at(0.5));
}
