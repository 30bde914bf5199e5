//! Limits of cost, urgent rows, and targets.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{numbered, numbers, queued};
use crate::{
    batch::{
        BatchPolicy, Closed, MaxTokens, Queued, Wait,
        batcher::{Batcher, Readiness},
        fit::Line,
        pace::Service,
        policy::Cost,
    },
    block::{Column, Series},
    message::Lane,
};

/// A limit of bytes: ten for each row.
fn with_bytes(max_bytes: usize) -> BatchPolicy {
    BatchPolicy {
        max_bytes: Some(max_bytes),
        ..BatchPolicy::new(100, Duration::from_secs(1))
    }
}

/// A limit of tokens, whose mask is the only series: row `n` has `n % 4` tokens.
fn with_tokens(most: usize) -> BatchPolicy {
    BatchPolicy {
        max_tokens: Some(MaxTokens { most, mask: 0 }),
        ..BatchPolicy::new(100, Duration::from_secs(1))
    }
}

fn masked(sizes: &[usize], since: Instant, first: usize) -> Queued {
    let mut queued = queued(sizes, since);
    let rows = queued.block.table.rows;
    queued.block.table.series[0] = Series {
        values: Column::I64(
            (first..first + rows)
                .flat_map(|row| (0..4).map(move |token| i64::from(token < row % 4)))
                .collect(),
        ),
        shape: vec![4],
        present: None,
    };
    queued
}

fn cost_of(policy: &BatchPolicy, batch: &Queued) -> Cost {
    let costs = policy
        .costs(&batch.block)
        .expect("more than rows is counted");
    costs.into_iter().fold(Cost::default(), Cost::and)
}

proptest! {
    /// No batch passes a limit unless one message alone does, none is smaller than it could be, and
    /// nothing is lost.
    #[test]
    fn limits_of_cost_are_kept(
        blocks in prop::collection::vec(prop::collection::vec(0usize..6, 1..6), 1..20),
        most in 1usize..100,
        tokens in any::<bool>(),
    ) {
        let now = Instant::now();
        let policy = if tokens { with_tokens(most) } else { with_bytes(most) };
        let mut batcher = Batcher::new(policy);
        let mut sizes = Vec::new();
        for block in &blocks {
            let rows: usize = sizes.iter().sum();
            batcher.push(if tokens { masked(block, now, rows) } else { queued(block, now) });
            sizes.extend(block.iter().copied());
        }
        let mut batches = Vec::new();
        while let Readiness::Ready(..) = batcher.readiness(now, false) {
            batches.push(batcher.take(Lane::First, now).expect("it is ready"));
        }
        let costs: Vec<_> = batches.iter().map(|batch| cost_of(&policy, batch)).collect();
        let limits = policy.limits();
        for (cost, batch) in costs.iter().zip(&batches) {
            prop_assert!(limits.passed(*cost).is_none() || batch.block.records.len() == 1, "{cost:?}");
        }
        for pair in batches.windows(2) {
            let next = policy.costs(&pair[1].block).expect("counted")[0];
            let cost = cost_of(&policy, &pair[0]);
            prop_assert!(limits.passed(cost.and(next)).is_some() || limits.reached(cost).is_some());
        }
        let out = batches.iter().flat_map(|batch| &batch.block.records);
        prop_assert_eq!(out.map(|record| record.rows).collect::<Vec<_>>(), sizes);
    }
}

#[test]
fn what_costs_too_much_does_not_wait_and_says_why() {
    let now = Instant::now();
    let mut bytes = Batcher::new(with_bytes(50));
    bytes.push(queued(&[1, 2], now));
    assert!(matches!(
        bytes.readiness(now, true),
        Readiness::Filling { .. }
    ));
    bytes.push(queued(&[3], now));
    let ready = Readiness::Ready(Closed::Bytes, Lane::First);
    assert_eq!(bytes.readiness(now, true), ready);
    // Rows of 0, 1, 2 and 3 tokens: four times three.
    let mut tokens = Batcher::new(with_tokens(12));
    tokens.push(masked(&[1, 1, 1], now, 0));
    assert!(matches!(
        tokens.readiness(now, true),
        Readiness::Filling { .. }
    ));
    tokens.push(masked(&[1, 1], now, 3));
    let ready = Readiness::Ready(Closed::Tokens, Lane::First);
    assert_eq!(tokens.readiness(now, true), ready);
    assert_eq!(
        tokens.take(Lane::First, now).expect("ready").block.rows(),
        4
    );
}

#[test]
fn urgent_rows_go_first_and_starve_nobody() {
    let now = Instant::now();
    let mut batcher = Batcher::new(BatchPolicy::new(4, Duration::ZERO));
    batcher.push(numbered(&[1; 40], now, 100, 1));
    batcher.push_urgent(numbered(&[1; 40], now, 0, 1));
    // What was delivered before is suspect, urgent or not.
    batcher.push_urgent(numbered(&[1], now, 900, 2));
    let mut batches = Vec::new();
    for _ in 0..8 {
        let batch = batcher.take(Lane::First, now).expect("there are many");
        batches.push(numbers(&batch));
    }
    let others = |batch: &[i64]| batch.iter().all(|number| *number >= 100);
    let first: Vec<_> = batches.iter().map(|batch| others(batch)).collect();
    let (yes, no) = (true, false);
    assert_eq!(first, [no, no, no, yes, no, no, no, yes]);
    assert_eq!(batches[0], [0, 1, 2, 3]);
    assert_eq!(
        batcher.take(Lane::Again, now).map(|batch| numbers(&batch)),
        Some(vec![900])
    );
}

#[test]
fn others_fill_a_batch_of_urgent_rows() {
    let now = Instant::now();
    let mut batcher = Batcher::new(BatchPolicy::new(4, Duration::from_secs(1)));
    batcher.push(numbered(&[1, 1], now, 10, 1));
    assert!(matches!(
        batcher.readiness(now, true),
        Readiness::Filling { .. }
    ));
    batcher.push_urgent(numbered(&[1, 1], now, 0, 1));
    let ready = Readiness::Ready(Closed::Full, Lane::First);
    assert_eq!(batcher.readiness(now, true), ready, "both count");
    let batch = batcher.take(Lane::First, now).expect("ready");
    assert_eq!(numbers(&batch), [0, 1, 10, 11]);
    // An urgent list without rows is somebody's answer too.
    batcher.push_urgent(numbered(&[0], now, 0, 1));
    assert_eq!(
        batcher.readiness(now, false),
        Readiness::Ready(Closed::Drain, Lane::First)
    );
    assert!(batcher.take(Lane::First, now).is_some());
    assert_eq!(batcher.readiness(now, false), Readiness::Empty);
}

#[test]
fn a_target_waits_once_it_knows_what_runs_take() {
    let start = Instant::now();
    let at = |micros| start + Duration::from_micros(micros);
    let policy = BatchPolicy {
        wait: Wait::Target(Duration::from_millis(20)),
        ..BatchPolicy::new(64, Duration::ZERO)
    };
    let mut batcher = Batcher::new(policy);
    let line = Line {
        fixed: 1e-3,
        per_row: 1e-5,
        spread: 0.0,
    };
    let ready = Readiness::Ready(Closed::Target, Lane::First);
    // A row each 100 us.
    for row in 0..20 {
        batcher.push(queued(&[1], at(100 * row)));
        assert_eq!(
            batcher.readiness(at(100 * row), true),
            ready,
            "nothing is known"
        );
        batcher.take(Lane::First, at(100 * row));
    }
    batcher.learn(Some(Service {
        engine: line,
        whole: line,
    }));
    batcher.push(queued(&[1], at(2000)));
    let Readiness::Filling { due } = batcher.readiness(at(2000), true) else {
        panic!("19 more come within the target, and make it cheaper");
    };
    assert!(due > at(2000) && due < at(20_000));
    assert_eq!(
        batcher.readiness(at(20_000), true),
        ready,
        "it would be late"
    );
    assert_eq!(
        batcher.readiness(at(2000), false),
        Readiness::Ready(Closed::Drain, Lane::First)
    );
    for row in 1..64 {
        batcher.push(queued(&[1], at(2000 + 10 * row)));
    }
    assert_eq!(
        batcher.readiness(at(2640), true),
        Readiness::Ready(Closed::Full, Lane::First)
    );
}
