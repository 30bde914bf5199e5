mod limits;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    block::{Block, Column, Layout, Record, Series, Table},
    message::{Message, Position},
};

/// A block whose rows are numbered by the message they belong to, in `since`'s order.
pub(crate) fn queued(rows_of_messages: &[usize], since: Instant) -> Queued {
    numbered(rows_of_messages, since, 0, 1)
}

fn position(delivered: u64) -> Arc<Position> {
    Arc::new(Position {
        stream: "IN".into(),
        incarnation: 1,
        sequence: 1,
        delivered,
        again: true,
        kept: true,
        stored: None,
    })
}

fn numbered(rows_of_messages: &[usize], since: Instant, first: i64, delivered: u64) -> Queued {
    let records = rows_of_messages
        .iter()
        .map(|rows| Record {
            message: Message {
                position: Some(position(delivered)),
                received: since,
                ..Message::of(Bytes::from(vec![0; rows * 10]))
            },
            rows: *rows,
            layout: Layout::One,
        })
        .collect();
    let rows = rows_of_messages.iter().sum();
    let values = (first..).take(rows).collect();
    Queued {
        block: Block {
            records,
            table: Table {
                rows,
                series: vec![Series {
                    values: Column::I64(values),
                    shape: vec![],
                    present: None,
                }],
            },
        },
        since,
    }
}

fn numbers(queued: &Queued) -> Vec<i64> {
    match &queued.block.table.series[0].values {
        Column::I64(values) => values.clone(),
        other => panic!("made as i64, is {}", other.dtype()),
    }
}

fn lanes(queued: &Queued) -> Vec<Lane> {
    let records = queued.block.records.iter();
    records.map(|record| record.message.lane()).collect()
}

proptest! {
    /// Whatever arrives whenever: order is kept in each lane, no row is lost, lanes do not
    /// mix, no batch is too big unless one message alone is, and no row waits past its delay
    /// while an engine is free.
    #[test]
    fn keeps_order_size_and_deadline(
        arrivals in prop::collection::vec(
            (0u64..20, prop::collection::vec(0usize..6, 1..6), prop_oneof![4 => Just(1u64), 1 => 2u64..5]),
            1..60,
        ),
        max_rows in 1usize..9,
        delay in 0u64..30,
    ) {
        let policy = BatchPolicy::new(max_rows, Duration::from_millis(delay));
        let mut batcher = Batcher::new(policy);
        let start = Instant::now();
        let (mut now, mut sent) = (start, 0i64);
        let (mut expected, mut got) = (vec![Vec::new(); 3], vec![Vec::new(); 3]);
        let (mut messages_in, mut messages_out) = (0, 0);
        let mut take = |batcher: &mut Batcher, lane: Lane| {
            let batch = batcher.take(lane, start).expect("ready means there is something");
            let alone = batch.block.records.len() == 1;
            prop_assert!(batch.block.rows() <= max_rows || alone);
            prop_assert!(lanes(&batch).iter().all(|other| *other == lane), "one lane");
            // Messages without rows cost the model nothing.
            let with_rows = batch.block.records.iter().filter(|record| record.rows > 0);
            prop_assert!(lane != Lane::Alone || with_rows.count() <= 1);
            messages_out += batch.block.records.len();
            got[lane as usize].extend(numbers(&batch));
            Ok(())
        };
        for (gap, sizes, delivered) in arrivals {
            now += Duration::from_millis(gap);
            loop {
                match batcher.readiness(now, true) {
                    Readiness::Ready(_, lane) => take(&mut batcher, lane)?,
                    Readiness::Filling { due } => { prop_assert!(due > now); break }
                    Readiness::Empty => break,
                }
            }
            batcher.push(numbered(&sizes, now, sent, delivered));
            let next = sent + i64::try_from(sizes.iter().sum::<usize>()).expect("few");
            expected[Lane::of(delivered) as usize].extend(sent..next);
            sent = next;
            messages_in += sizes.len();
        }
        while let Readiness::Ready(closed, lane) = batcher.readiness(now, false) {
            prop_assert!(matches!(closed, Closed::Full | Closed::Drain | Closed::Alone));
            take(&mut batcher, lane)?;
        }
        prop_assert_eq!(batcher.readiness(now, true), Readiness::Empty);
        prop_assert_eq!(got, expected);
        prop_assert_eq!(messages_out, messages_in);
    }
}

#[test]
fn a_huge_message_goes_alone() {
    let now = Instant::now();
    let mut batcher = Batcher::new(BatchPolicy::new(4, Duration::ZERO));
    batcher.push(queued(&[1, 9, 2, 2], now));
    let sizes: Vec<_> = std::iter::from_fn(|| batcher.take(Lane::First, now))
        .map(|batch| batch.block.rows())
        .collect();
    assert_eq!(sizes, [1, 9, 4]);
}

#[test]
fn suspects_go_apart_and_the_oldest_lane_first() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut batcher = Batcher::new(BatchPolicy::new(4, Duration::from_millis(10)));
    batcher.push(numbered(&[1, 1], at(5), 0, 2));
    batcher.push(numbered(&[1, 1, 1, 1], at(6), 10, 1));
    batcher.push(numbered(&[1, 1], at(7), 20, 3));
    let mut order = Vec::new();
    while let Readiness::Ready(closed, lane) = batcher.readiness(at(15), true) {
        let batch = batcher.take(lane, start).expect("ready");
        order.push((lane, closed, numbers(&batch)));
    }
    assert_eq!(
        order,
        [
            (Lane::Again, Closed::Delay, vec![0, 1]),
            (Lane::First, Closed::Full, vec![10, 11, 12, 13]),
            (Lane::Alone, Closed::Alone, vec![20]),
            (Lane::Alone, Closed::Alone, vec![21]),
        ]
    );
}

proptest! {
    /// In order, rows come out as they were pushed, whatever their lanes; lanes do not mix, and what
    /// goes alone is alone.
    #[test]
    fn in_order_nothing_overtakes(
        blocks in prop::collection::vec((prop::collection::vec(0usize..4, 1..5), 1u64..4), 1..30),
        max_rows in 1usize..8,
    ) {
        let now = Instant::now();
        let mut batcher = Batcher::new(BatchPolicy::new(max_rows, Duration::from_secs(1)));
        batcher.keep_order();
        let (mut rows, mut messages) = (0, 0);
        for (sizes, delivered) in &blocks {
            batcher.push(numbered(sizes, now, rows, *delivered));
            rows += i64::try_from(sizes.iter().sum::<usize>()).expect("few");
            messages += sizes.len();
        }
        let mut seen = Vec::new();
        loop {
            // Nothing more comes, so nothing is worth waiting for.
            let lane = match batcher.readiness(now, false) {
                Readiness::Ready(_, lane) => lane,
                Readiness::Empty => break,
                Readiness::Filling { .. } => panic!("the pipeline is stopping"),
            };
            let batch = batcher.take(lane, now).expect("it is ready");
            prop_assert!(lanes(&batch).iter().all(|own| *own == lane));
            // Empty lists are no company.
            let with_rows = batch.block.records.iter().filter(|record| record.rows > 0).count();
            prop_assert!(lane != Lane::Alone || with_rows <= 1);
            prop_assert!(batch.block.rows() <= max_rows || batch.block.records.len() == 1);
            messages -= batch.block.records.len();
            seen.extend(numbers(&batch));
        }
        prop_assert_eq!(messages, 0);
        prop_assert!(seen.iter().copied().eq(0..rows));
    }
}

#[test]
fn in_order_what_cannot_grow_does_not_wait() {
    let now = Instant::now();
    let mut batcher = Batcher::new(BatchPolicy::new(8, Duration::from_secs(1)));
    batcher.keep_order();
    batcher.push(numbered(&[1], now, 0, 2));
    assert!(matches!(
        batcher.readiness(now, true),
        Readiness::Filling { .. }
    ));
    batcher.push(numbered(&[1], now, 1, 1));
    assert_eq!(
        batcher.readiness(now, true),
        Readiness::Ready(Closed::Full, Lane::Again)
    );
}
