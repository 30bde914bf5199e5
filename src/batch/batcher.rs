//! Decides when a batch is ready and what is in it. Pure: no clock, no channel.

use std::{collections::VecDeque, time::Instant};

use super::{BatchPolicy, Queued};
use crate::{block::Block, message::Lane};

/// Why a batch was closed: the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It has `max_rows` rows, or the next message would not fit.
    Full,
    /// Its oldest row had waited `max_delay`.
    Delay,
    /// An engine was free and the policy is not to wait.
    Idle,
    /// The pipeline is stopping.
    Drain,
    /// A message that was delivered again and again goes without company.
    Alone,
}

impl Closed {
    /// Every reason, for making one counter each.
    pub const ALL: [Self; 5] = [
        Self::Full,
        Self::Delay,
        Self::Idle,
        Self::Drain,
        Self::Alone,
    ];

    /// The metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Delay => "delay",
            Self::Idle => "idle",
            Self::Drain => "drain",
            Self::Alone => "alone",
        }
    }
}

/// What a free engine should do now.
#[derive(Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Nothing to run.
    Empty,
    /// Worth waiting for company until `due`.
    Filling {
        /// When the oldest row will have waited long enough.
        due: Instant,
    },
    /// Take it, from this lane.
    Ready(Closed, Lane),
}

/// Rows that wait for an engine, in lanes that do not mix.
#[derive(Debug)]
pub struct Batcher {
    policy: BatchPolicy,
    first: Line,
    /// Nearly always empty.
    again: Line,
    alone: Line,
}

/// Rows of one lane, in the order they came.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Queued>,
    rows: usize,
}

impl Batcher {
    /// A batcher with nothing in it.
    pub fn new(policy: BatchPolicy) -> Self {
        Self {
            policy,
            first: Line::default(),
            again: Line::default(),
            alone: Line::default(),
        }
    }

    /// Adds a block behind the others of its lane; the lane of a block is that of its first
    /// message.
    pub fn push(&mut self, queued: Queued) {
        let first = queued.block.records.first();
        let lane = first.map_or(Lane::First, |record| record.message.lane());
        let since = queued.since;
        let max_rows = self.policy.max_rows;
        let line = self.line(lane);
        for block in pieces(queued.block, max_rows) {
            line.push(Queued { block, since });
        }
    }

    /// What a free engine should do at `now`; `open` is whether more may come. Of several lanes
    /// that are ready, the one that has waited longest goes.
    pub fn readiness(&self, now: Instant, open: bool) -> Readiness {
        let lanes = [
            (Lane::First, &self.first),
            (Lane::Again, &self.again),
            (Lane::Alone, &self.alone),
        ];
        let mut ready: Option<(Instant, Closed, Lane)> = None;
        let mut filling: Option<Instant> = None;
        for (lane, line) in lanes {
            let Some(oldest) = line.waiting.front() else {
                continue;
            };
            match self.closed(line, lane, oldest.since, now, open) {
                Ok(closed) if ready.is_none_or(|(since, ..)| oldest.since < since) => {
                    ready = Some((oldest.since, closed, lane));
                }
                Ok(_) => {}
                Err(due) => filling = Some(filling.map_or(due, |other| other.min(due))),
            }
        }
        match (ready, filling) {
            (Some((_, closed, lane)), _) => Readiness::Ready(closed, lane),
            (None, Some(due)) => Readiness::Filling { due },
            (None, None) => Readiness::Empty,
        }
    }

    /// Why a batch of this line would be closed now, or when it will be.
    fn closed(
        &self,
        line: &Line,
        lane: Lane,
        since: Instant,
        now: Instant,
        open: bool,
    ) -> Result<Closed, Instant> {
        if lane == Lane::Alone {
            return Ok(Closed::Alone);
        }
        if line.rows >= self.policy.max_rows {
            return Ok(Closed::Full);
        }
        if !open {
            return Ok(Closed::Drain);
        }
        if self.policy.max_delay.is_zero() {
            return Ok(Closed::Idle);
        }
        let due = since + self.policy.max_delay;
        if due <= now {
            Ok(Closed::Delay)
        } else {
            Err(due)
        }
    }

    /// Takes at most `max_rows` rows off the front of a lane (or one message, if it alone has
    /// more), cutting a block between messages where needed. Of [`Lane::Alone`], one message.
    /// `None` when nothing waits.
    pub fn take(&mut self, lane: Lane) -> Option<Queued> {
        let rows = match lane {
            Lane::First | Lane::Again => self.policy.max_rows,
            // Nothing fits beside the first message.
            Lane::Alone => 0,
        };
        self.line(lane).take(rows)
    }

    fn line(&mut self, lane: Lane) -> &mut Line {
        match lane {
            Lane::First => &mut self.first,
            Lane::Again => &mut self.again,
            Lane::Alone => &mut self.alone,
        }
    }
}

impl Line {
    fn push(&mut self, queued: Queued) {
        self.rows += queued.block.rows();
        self.waiting.push_back(queued);
    }

    fn take(&mut self, max_rows: usize) -> Option<Queued> {
        let mut batch = self.cut_front(max_rows)?;
        while let Some(room) = max_rows
            .checked_sub(batch.block.rows())
            .filter(|room| *room > 0)
        {
            // The first message of the next block decides: rows may not pass the limit.
            let fits = self
                .waiting
                .front()
                .and_then(|queued| queued.block.records.first())
                .is_some_and(|record| record.rows <= room);
            if !fits {
                break;
            }
            let Some(next) = self.cut_front(room) else {
                break;
            };
            batch.block.append(next.block);
        }
        Some(batch)
    }

    fn cut_front(&mut self, rows: usize) -> Option<Queued> {
        let mut front = self.waiting.pop_front()?;
        if let Some(rest) = front.block.split_after_rows(rows) {
            self.waiting.push_front(Queued {
                block: rest,
                since: front.since,
            });
        }
        self.rows -= front.block.rows();
        Some(front)
    }
}

/// Cuts a block into pieces of at most `max_rows` rows (or one message), from the back, so that
/// each row is copied once. Cut from the front, the whole rest would be copied for each piece.
fn pieces(mut block: Block, max_rows: usize) -> impl Iterator<Item = Block> {
    let (mut starts, mut rows) = (Vec::new(), 0);
    for (index, record) in block.records.iter().enumerate() {
        if index > 0 && rows + record.rows > max_rows {
            starts.push(index);
            rows = 0;
        }
        rows += record.rows;
    }
    let mut tails: Vec<Block> = starts
        .into_iter()
        .rev()
        .filter_map(|start| block.split_at_message(start))
        .collect();
    tails.push(block);
    tails.into_iter().rev()
}

#[cfg(test)]
pub(super) mod tests {
    use std::{sync::Arc, time::Duration};

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        block::{Block, Column, Layout, Record, Series, Table},
        message::{Ack, Message, Position},
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
        })
    }

    fn numbered(rows_of_messages: &[usize], since: Instant, first: i64, delivered: u64) -> Queued {
        let records = rows_of_messages
            .iter()
            .map(|rows| Record {
                message: Message {
                    subject: Bytes::new(),
                    reply: None,
                    payload: Bytes::new(),
                    headers: None,
                    position: Some(position(delivered)),
                    received: since,
                    ack: Ack::none(),
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
            let policy = BatchPolicy { max_rows, max_delay: Duration::from_millis(delay) };
            let mut batcher = Batcher::new(policy);
            let (mut now, mut sent) = (Instant::now(), 0i64);
            let (mut expected, mut got) = (vec![Vec::new(); 3], vec![Vec::new(); 3]);
            let (mut messages_in, mut messages_out) = (0, 0);
            let mut take = |batcher: &mut Batcher, lane: Lane| {
                let batch = batcher.take(lane).expect("ready means there is something");
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
        let mut batcher = Batcher::new(BatchPolicy {
            max_rows: 4,
            max_delay: Duration::ZERO,
        });
        batcher.push(queued(&[1, 9, 2, 2], now));
        let sizes: Vec<_> = std::iter::from_fn(|| batcher.take(Lane::First))
            .map(|batch| batch.block.rows())
            .collect();
        assert_eq!(sizes, [1, 9, 4]);
    }

    #[test]
    fn suspects_go_apart_and_the_oldest_lane_first() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut batcher = Batcher::new(BatchPolicy {
            max_rows: 4,
            max_delay: Duration::from_millis(10),
        });
        batcher.push(numbered(&[1, 1], at(5), 0, 2));
        batcher.push(numbered(&[1, 1, 1, 1], at(6), 10, 1));
        batcher.push(numbered(&[1, 1], at(7), 20, 3));
        let mut order = Vec::new();
        while let Readiness::Ready(closed, lane) = batcher.readiness(at(15), true) {
            let batch = batcher.take(lane).expect("ready");
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
}
