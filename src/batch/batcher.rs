//! Decides when a batch is ready and what is in it. Pure: no clock, no channel.

use std::{collections::VecDeque, time::Instant};

use super::{BatchPolicy, Queued};

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
}

impl Closed {
    /// Every reason, for making one counter each.
    pub const ALL: [Self; 4] = [Self::Full, Self::Delay, Self::Idle, Self::Drain];

    /// The metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Delay => "delay",
            Self::Idle => "idle",
            Self::Drain => "drain",
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
    /// Take it.
    Ready(Closed),
}

/// Rows that wait for an engine.
#[derive(Debug)]
pub struct Batcher {
    policy: BatchPolicy,
    waiting: VecDeque<Queued>,
    rows: usize,
}

impl Batcher {
    /// A batcher with nothing in it.
    pub fn new(policy: BatchPolicy) -> Self {
        Self {
            policy,
            waiting: VecDeque::new(),
            rows: 0,
        }
    }

    /// Adds a block behind the others.
    pub fn push(&mut self, queued: Queued) {
        self.rows += queued.block.rows();
        self.waiting.push_back(queued);
    }

    /// Whether there are rows enough for a full batch.
    pub fn is_full(&self) -> bool {
        self.rows >= self.policy.max_rows
    }

    /// What a free engine should do at `now`; `open` is whether more may come.
    pub fn readiness(&self, now: Instant, open: bool) -> Readiness {
        let Some(oldest) = self.waiting.front() else {
            return Readiness::Empty;
        };
        if self.is_full() {
            return Readiness::Ready(Closed::Full);
        }
        if !open {
            return Readiness::Ready(Closed::Drain);
        }
        if self.policy.max_delay.is_zero() {
            return Readiness::Ready(Closed::Idle);
        }
        let due = oldest.since + self.policy.max_delay;
        if due <= now {
            Readiness::Ready(Closed::Delay)
        } else {
            Readiness::Filling { due }
        }
    }

    /// Takes at most `max_rows` rows off the front (or one message, if it alone has more),
    /// cutting a block between messages where needed. `None` when nothing waits.
    pub fn take(&mut self) -> Option<Queued> {
        let mut batch = self.cut_front(self.policy.max_rows)?;
        while let Some(room) = self
            .policy
            .max_rows
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

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        block::{Block, Column, Layout, Record, Series, Table},
        message::{Ack, Message},
    };

    /// A block whose rows are numbered by the message they belong to, in `since`'s order.
    pub(crate) fn queued(rows_of_messages: &[usize], since: Instant) -> Queued {
        numbered(rows_of_messages, since, 0)
    }

    fn numbered(rows_of_messages: &[usize], since: Instant, first: i64) -> Queued {
        let records = rows_of_messages
            .iter()
            .map(|rows| Record {
                message: Message {
                    subject: Bytes::new(),
                    reply: None,
                    payload: Bytes::new(),
                    headers: None,
                    position: None,
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

    proptest! {
        /// Whatever arrives whenever: order is kept, no row is lost, no batch is too big unless
        /// one message alone is, and no row waits past its delay while an engine is free.
        #[test]
        fn keeps_order_size_and_deadline(
            arrivals in prop::collection::vec((0u64..20, prop::collection::vec(0usize..6, 1..6)), 1..60),
            max_rows in 1usize..9,
            delay in 0u64..30,
        ) {
            let policy = BatchPolicy { max_rows, max_delay: Duration::from_millis(delay) };
            let mut batcher = Batcher::new(policy);
            let (mut now, mut sent, mut got) = (Instant::now(), 0i64, Vec::new());
            let (mut messages_in, mut messages_out) = (0, 0);
            for (gap, sizes) in arrivals {
                now += Duration::from_millis(gap);
                loop {
                    match batcher.readiness(now, true) {
                        Readiness::Ready(_) => {
                            let batch = batcher.take().expect("ready means there is something");
                            prop_assert!(batch.block.rows() <= max_rows || batch.block.records.len() == 1);
                            messages_out += batch.block.records.len();
                            got.extend(numbers(&batch));
                        }
                        Readiness::Filling { due } => { prop_assert!(due > now); break }
                        Readiness::Empty => break,
                    }
                }
                batcher.push(numbered(&sizes, now, sent));
                sent += i64::try_from(sizes.iter().sum::<usize>()).expect("few");
                messages_in += sizes.len();
            }
            while let Readiness::Ready(closed) = batcher.readiness(now, false) {
                prop_assert!(matches!(closed, Closed::Full | Closed::Drain));
                let batch = batcher.take().expect("ready means there is something");
                messages_out += batch.block.records.len();
                got.extend(numbers(&batch));
            }
            prop_assert_eq!(batcher.readiness(now, true), Readiness::Empty);
            prop_assert_eq!(got, (0..sent).collect::<Vec<_>>());
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
        let sizes: Vec<_> = std::iter::from_fn(|| batcher.take())
            .map(|batch| batch.block.rows())
            .collect();
        assert_eq!(sizes, [1, 9, 4]);
    }
}
