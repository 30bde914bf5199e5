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
    /// Nothing overtakes anything: all lanes are one line, in which a batch ends where the lane does.
    in_order: bool,
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
            in_order: false,
            first: Line::default(),
            again: Line::default(),
            alone: Line::default(),
        }
    }

    /// Gives out rows in the order in which they are pushed, whatever their lanes.
    pub fn keep_order(&mut self) {
        self.in_order = true;
    }

    /// Adds a block behind the others of its lane; the lane of a block is that of its first
    /// message.
    pub fn push(&mut self, queued: Queued) {
        let lane = lane_of(&queued);
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
            let lane = if self.in_order { lane_of(oldest) } else { lane };
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
        // In order, what stands behind another lane cannot come to this batch.
        let ends = self.in_order && line.waiting.iter().any(|queued| lane_of(queued) != lane);
        if line.rows >= self.policy.max_rows || ends {
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

    /// Takes at most `max_rows` rows off the front of a lane that is ready (or one message, if it alone has
    /// more), cutting a block between messages where needed. Of [`Lane::Alone`], one message.
    /// `None` when nothing waits.
    pub fn take(&mut self, lane: Lane) -> Option<Queued> {
        let rows = match lane {
            Lane::First | Lane::Again => self.policy.max_rows,
            // Nothing fits beside the first message.
            Lane::Alone => 0,
        };
        self.line(lane).take(rows, lane)
    }

    fn line(&mut self, lane: Lane) -> &mut Line {
        match lane {
            _ if self.in_order => &mut self.first,
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

    fn take(&mut self, max_rows: usize, lane: Lane) -> Option<Queued> {
        let mut batch = self.cut_front(max_rows)?;
        while let Some(room) = max_rows
            .checked_sub(batch.block.rows())
            .filter(|room| *room > 0)
        {
            // The first message of the next block decides: rows may not pass the limit.
            let next = self.waiting.front().filter(|next| lane_of(next) == lane);
            let fits = next
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

/// The lane of a block is that of its first message.
fn lane_of(queued: &Queued) -> Lane {
    let first = queued.block.records.first();
    first.map_or(Lane::First, |record| record.message.lane())
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
pub(super) mod tests;
