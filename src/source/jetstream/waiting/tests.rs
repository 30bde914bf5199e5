use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::message::Position;

const PATIENCE: Duration = Duration::from_secs(1);
const MAX_DELIVER: u64 = 5;

fn incoming(sequence: u64, delivered: u64) -> Incoming {
    Incoming {
        ticket: 0,
        subject: Bytes::new(),
        reply: None,
        payload: Bytes::from_static(b"four"),
        headers: None,
        position: Some(Arc::new(Position {
            stream: "IN".into(),
            incarnation: 1,
            sequence,
            delivered,
            again: true,
            kept: true,
            stored: None,
        })),
    }
}

fn waiting(all: &[(u64, u64)], complete: Instant) -> Waiting {
    let mut waiting = Waiting::new(MAX_DELIVER, PATIENCE, complete);
    for (sequence, delivered) in all {
        waiting.push(incoming(*sequence, *delivered));
    }
    waiting
}

/// The sequence of what goes in, negative for what came too often, 0 for nothing.
fn next(waiting: &mut Waiting, in_flight: usize, now: Instant) -> i64 {
    match waiting.pop(in_flight, now) {
        Some(Next::In(incoming)) => i64::try_from(sequence(&incoming)).expect("small"),
        Some(Next::TooOften(incoming)) => -i64::try_from(sequence(&incoming)).expect("small"),
        None => 0,
    }
}

#[test]
fn suspects_wait_for_all_others_and_go_in_one_by_one() {
    let now = Instant::now();
    let mut waiting = waiting(&[(7, 3), (1, 1), (8, 3), (2, 2)], now);
    assert_eq!((waiting.len(), waiting.bytes()), (4, 16));
    assert!(waiting.is_quarantined(now));
    let mut go = |in_flight| next(&mut waiting, in_flight, now);
    assert_eq!([go(0), go(1)], [1, 2]);
    assert_eq!(go(2), 0, "others are in flight");
    assert_eq!(go(0), 7);
    assert_eq!(go(1), 0, "one at a time");
    assert_eq!([go(0), go(1)], [8, 0]);
    assert_eq!((waiting.len(), waiting.bytes()), (0, 0));
    waiting.push(incoming(10, 1));
    assert_eq!(next(&mut waiting, 1, now), 0, "8 is still in flight, alone");
    assert_eq!(next(&mut waiting, 0, now), 10);
}

#[test]
fn nobody_waits_while_there_is_no_suspect() {
    let now = Instant::now();
    let mut waiting = waiting(&[(1, 1)], now);
    assert_eq!(next(&mut waiting, 5, now), 1);
    assert_eq!(next(&mut waiting, 6, now), 0);
    waiting.push(incoming(2, 2));
    assert_eq!(next(&mut waiting, 6, now), 2);
}

#[test]
fn in_order_a_suspect_goes_alone_and_nothing_overtakes_it() {
    let now = Instant::now();
    let mut waiting = waiting(&[], now);
    waiting.keep_order();
    for (sequence, delivered) in [(4, 1), (2, 4), (3, 3), (1, 2)] {
        waiting.push(incoming(sequence, delivered));
    }
    waiting.sort();
    assert!(!waiting.is_quarantined(now), "more is asked for");
    let mut go = |in_flight| next(&mut waiting, in_flight, now);
    assert_eq!([go(0), go(1)], [1, 0]);
    assert_eq!([go(0), go(1)], [2, 0]);
    assert_eq!([go(0), go(1)], [3, 0]);
    assert_eq!([go(0), go(1)], [4, 0]);
}

#[test]
fn patience_ends() {
    let now = Instant::now();
    let mut waiting = waiting(&[(7, 3)], now);
    assert_eq!(next(&mut waiting, 1, now), 0);
    assert_eq!(next(&mut waiting, 1, now + PATIENCE), 7);
    waiting.push(incoming(8, 1));
    let later = now + PATIENCE;
    assert_eq!(next(&mut waiting, 2, later), 0, "7 may be at work");
    assert_eq!(next(&mut waiting, 2, later + PATIENCE), 8);
    waiting.push(incoming(9, 1));
    assert_eq!(next(&mut waiting, 3, later + PATIENCE), 9);
}

#[test]
fn one_is_found_guilty_and_not_before_all_are_here() {
    let now = Instant::now();
    let complete = now + Duration::from_secs(1);
    let mut waiting = waiting(&[(7, 6), (9, 6)], complete);
    assert!(!waiting.is_quarantined(now), "the others go on meanwhile");
    assert_eq!(next(&mut waiting, 0, now), 0, "an earlier one may come yet");
    waiting.push(incoming(5, 6));
    let mut go = |in_flight| next(&mut waiting, in_flight, complete);
    assert_eq!([go(0), go(0), go(0)], [-5, 7, 9]);
    waiting.push(incoming(7, 7));
    assert_eq!(next(&mut waiting, 0, complete), -7, "it had its trial");
    waiting.push(incoming(8, 6));
    assert_eq!(next(&mut waiting, 0, complete), 8);
}

#[test]
fn what_the_server_gave_up_has_no_trial() {
    let now = Instant::now();
    let mut waiting = waiting(&[(1, 1)], now + PATIENCE);
    waiting.push_lost(incoming(3, 7));
    waiting.push_lost(incoming(4, 7));
    let mut go = |in_flight| next(&mut waiting, in_flight, now);
    assert_eq!([go(9), go(9), go(9)], [-3, -4, 1]);
}

proptest! {
    /// Any number of culprits among innocents, process after process: in the end the culprits are
    /// in the dead letter and nobody else, in order or not.
    #[test]
    fn only_culprits_come_to_the_dead_letter(
        count in 1u64..40,
        culprits in prop::collection::btree_set(1u64..40, 0..6),
        in_order: bool,
        shuffle in any::<prop::sample::Index>(),
    ) {
        let culprits: BTreeSet<u64> = culprits.into_iter().filter(|n| *n <= count).collect();
        let mut left: Vec<u64> = (1..=count).collect();
        let (mut dead, mut delivered) = (BTreeSet::new(), 3);
        let now = Instant::now();
        while !left.is_empty() {
            prop_assert!(delivered <= 3 + MAX_DELIVER + culprits.len() as u64, "it ends");
            let turn = shuffle.index(left.len());
            left.rotate_left(turn);
            let mut process = Waiting::new(MAX_DELIVER, PATIENCE, now);
            if in_order {
                process.keep_order();
            }
            for n in &left {
                process.push(incoming(*n, delivered));
            }
            if in_order {
                process.sort();
            }
            loop {
                let n = next(&mut process, 0, now);
                if n == 0 {
                    break;
                }
                if n < 0 {
                    dead.insert(n.unsigned_abs());
                } else if culprits.contains(&n.unsigned_abs()) {
                    break;
                }
                left.retain(|other| *other != n.unsigned_abs());
            }
            delivered += 1;
        }
        prop_assert_eq!(dead, culprits);
    }
}
