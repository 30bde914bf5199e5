//! Targets, tried on rows that come and engines that run on a clock that is not real.

mod simulation;

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use self::simulation::{Load, World, simulate};

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
                rows: 8000,
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
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Below the capacity, and with a target that can be kept, 99 of 100 rows keep it, in batches that are no
    /// smaller than without one.
    #[test]
    fn rows_stay_within_the_target(world in worlds(0.001..0.75), times in 1.5..20.0_f64) {
        let Some(target) = possible(world).map(|least| least * times) else {
            return Ok(());
        };
        let (with, without) = (simulate(world, Some(target)), simulate(world, None));
        prop_assert!(with.percentile(99) <= target, "p99 {} of {target}, without {}", with.percentile(99), without.percentile(99));
        prop_assert!(with.batch >= 0.9 * without.batch, "{} rows, without {}", with.batch, without.batch);
    }

    /// Whatever comes, as much of it is done as without a target; also where the target is out of reach.
    #[test]
    fn throughput_is_the_same(world in worlds(0.01..3.0), target in -4.0..0.0_f64) {
        let (with, without) = (simulate(world, Some(10_f64.powf(target))), simulate(world, None));
        prop_assert!(with.rows_per_second >= 0.95 * without.rows_per_second, "{} of {}", with.rows_per_second, without.rows_per_second);
    }

    /// Senders that wait for their answers bring no company to those who wait for them. That is noticed,
    /// so that no row waits until it is due: one world in a thousand loses up to a third, and none more.
    #[test]
    fn nobody_waits_for_who_waits((world, senders, target) in waiting()) {
        let left = with_who_waits(world, senders, target);
        prop_assert!(left >= 0.6, "{left} of the rows a second");
    }
}

fn waiting() -> impl Strategy<Value = (World, usize, f64)> {
    (worlds(0.5..1.0), 1usize..100, -3.0..-0.5_f64)
}

/// Rows a second with a target as a part of those without, from senders that wait for their answers.
fn with_who_waits(world: World, senders: usize, target: f64) -> f64 {
    let load = Load::Closed(senders);
    let world = World { load, ..world };
    let with = simulate(world, Some(10_f64.powf(target)));
    with.rows_per_second / simulate(world, None).rows_per_second
}

/// The same worlds each time, for what holds of most.
#[test]
fn most_who_wait_lose_next_to_nothing() {
    let mut runner = TestRunner::deterministic();
    let mut left: Vec<f64> = (0..100)
        .map(|_| {
            let world = waiting().new_tree(&mut runner).expect("a world");
            let (world, senders, target) = world.current();
            with_who_waits(world, senders, target)
        })
        .collect();
    left.sort_by(f64::total_cmp);
    assert!(left[5] >= 0.95 && left[50] >= 0.99, "{left:?}");
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
    assert!(with.percentile(99) < 0.02, "{:?}", with.percentile(99));
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
    assert!(seen.percentile(50) < 0.0012, "{}", seen.percentile(50));
}
