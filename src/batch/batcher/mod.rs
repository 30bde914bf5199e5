//! Decides when a batch is ready and what is in it. Pure: no clock, no channel.

mod closed;
mod line;

use std::time::Instant;

pub use self::closed::Closed;
use self::line::{Line, Piece, cut};
use super::{
    BatchPolicy, Queued, Wait,
    pace::{Choice, Pace, Service},
    policy::Limits,
};
use crate::message::Lane;

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
    pace: Option<Pace>,
    /// Nothing overtakes anything: all lanes are one line, in which a batch ends where the lane does.
    in_order: bool,
    /// Those that go before the others of the first lane.
    urgent: Line,
    first: Line,
    /// Nearly always empty.
    again: Line,
    alone: Line,
    /// Most rows in the batch that was last said to be ready.
    rows: usize,
    /// Batches with urgent rows, while others waited.
    overtaken: usize,
}

/// One in so many batches takes the others first, so that urgent rows cannot starve them.
const OTHERS_FIRST: usize = 4;

/// What stands at the front of a lane.
struct Front {
    rows: usize,
    since: Instant,
    read: Instant,
    closed: Option<Closed>,
}

impl Batcher {
    /// A batcher with nothing in it.
    pub fn new(policy: BatchPolicy) -> Self {
        Self {
            policy,
            pace: None,
            in_order: false,
            urgent: Line::default(),
            first: Line::default(),
            again: Line::default(),
            alone: Line::default(),
            rows: policy.max_rows,
            overtaken: 0,
        }
        .for_engines(1)
    }

    /// For so many engines.
    #[must_use]
    pub fn for_engines(mut self, engines: usize) -> Self {
        if let Wait::Target(target) = self.policy.wait {
            self.pace = Some(Pace::new(target, self.policy.max_rows, engines));
        }
        self
    }

    /// Gives out rows in the order in which they are pushed, whatever their lanes.
    pub fn keep_order(&mut self) {
        self.in_order = true;
    }

    /// Adds a block behind the others of its lane; the lane of a block is that of its first
    /// message.
    pub fn push(&mut self, queued: Queued) {
        let lane = lane_of(&queued);
        self.add(queued, lane, false);
    }

    /// Adds a block whose rows go before those that are not urgent. What was delivered before has its own lane
    /// all the same.
    pub fn push_urgent(&mut self, queued: Queued) {
        let lane = lane_of(&queued);
        self.add(queued, lane, lane == Lane::First && !self.in_order);
    }

    fn add(&mut self, queued: Queued, lane: Lane, urgent: bool) {
        let Queued { block, since } = queued;
        if let Some(pace) = &mut self.pace {
            pace.arrived(block.rows(), since);
        }
        let (costs, limits) = (self.policy.costs(&block), self.policy.limits());
        let line = match lane {
            _ if urgent => &mut self.urgent,
            lane => self.line(lane),
        };
        for piece in cut(block, since, costs, &limits) {
            line.push(piece);
        }
    }

    /// What is known of the engines by now.
    pub fn learn(&mut self, service: Option<Service>) {
        if let Some(pace) = &mut self.pace {
            pace.learn(service);
        }
    }

    /// An engine is free, and waits since [`Batcher::readiness`] said so.
    pub fn engine_waits(&mut self, now: Instant) {
        if let Some(pace) = &mut self.pace {
            pace.waits(now);
        }
    }

    /// What a free engine should do at `now`; `open` is whether more may come. Of several lanes
    /// that are ready, the one that has waited longest goes.
    pub fn readiness(&mut self, now: Instant, open: bool) -> Readiness {
        let mut ready: Option<(Instant, Closed, Lane, usize)> = None;
        let mut filling: Option<Instant> = None;
        for lane in [Lane::First, Lane::Again, Lane::Alone] {
            let Some((front, lane)) = self.front(lane) else {
                continue;
            };
            match self.closed(&front, lane, now, open) {
                Ok((closed, rows)) if ready.is_none_or(|(since, ..)| front.since < since) => {
                    ready = Some((front.since, closed, lane, rows));
                }
                Ok(_) => {}
                Err(due) => filling = Some(filling.map_or(due, |other| other.min(due))),
            }
        }
        match (ready, filling) {
            (Some((_, closed, lane, rows)), _) => {
                self.rows = rows;
                Readiness::Ready(closed, lane)
            }
            (None, Some(due)) => Readiness::Filling { due },
            (None, None) => Readiness::Empty,
        }
    }

    /// What stands at the front of a lane, and its lane: in order, all have the line of the first.
    fn front(&self, lane: Lane) -> Option<(Front, Lane)> {
        let (line, urgent) = match lane {
            Lane::First => (&self.first, &self.urgent),
            // Empty in order.
            Lane::Again => (&self.again, &self.again),
            Lane::Alone => (&self.alone, &self.alone),
        };
        let oldest = match (line.oldest(), urgent.oldest()) {
            (Some(one), Some(other)) if other.since < one.since => other,
            (Some(one), _) | (None, Some(one)) => one,
            (None, None) => return None,
        };
        let rows = match lane {
            Lane::First => line.rows + urgent.rows,
            Lane::Again | Lane::Alone => line.rows,
        };
        let lane = if self.in_order { lane_of(oldest) } else { lane };
        let limits = self.policy.limits();
        // In order, what stands behind another lane cannot come to this batch.
        let ends = self.in_order && line.ends(lane);
        let full = line.full(&limits).or_else(|| urgent.full(&limits));
        let closed = match full {
            Some(limit) => Some(limit.into()),
            None => (ends || rows >= limits.rows).then_some(Closed::Full),
        };
        let first = oldest.block.records.first();
        let front = Front {
            rows,
            since: oldest.since,
            read: first.map_or(oldest.since, |record| record.message.received),
            closed,
        };
        Some((front, lane))
    }

    /// Why a batch with this front would be closed now and how many rows it may have, or when it will
    /// be.
    fn closed(
        &self,
        front: &Front,
        lane: Lane,
        now: Instant,
        open: bool,
    ) -> Result<(Closed, usize), Instant> {
        let most = self.policy.max_rows;
        let paced = |pace: &Pace| pace.choose(front.rows, front.read, now);
        let choice = self.pace.as_ref().map(paced);
        let rows = match choice {
            Some(Choice::Go { rows }) => rows,
            Some(Choice::Wait(_)) | None => most,
        };
        if lane == Lane::Alone {
            return Ok((Closed::Alone, most));
        }
        if let Some(closed) = front.closed {
            return Ok((closed, rows));
        }
        if !open {
            return Ok((Closed::Drain, rows));
        }
        match (choice, self.policy.wait) {
            (Some(Choice::Go { rows }), _) => Ok((Closed::Target, rows)),
            (Some(Choice::Wait(due)), _) => Err(due),
            (None, Wait::Delay(delay)) if !delay.is_zero() => {
                let due = front.since + delay;
                if due <= now {
                    Ok((Closed::Delay, most))
                } else {
                    Err(due)
                }
            }
            (None, _) => Ok((Closed::Idle, most)),
        }
    }

    /// Takes what is within the limits off the front of a lane that is ready (or one message, if it alone
    /// is not), cutting a block between messages where needed. Of [`Lane::Alone`], one message.
    /// `None` when nothing waits.
    pub fn take(&mut self, lane: Lane, now: Instant) -> Option<Queued> {
        let mut limits = self.policy.limits();
        limits.rows = match lane {
            Lane::First | Lane::Again => self.rows.min(limits.rows),
            // Nothing fits beside the first message.
            Lane::Alone => 0,
        };
        self.rows = self.policy.max_rows;
        let batch = match lane {
            Lane::First if self.urgent.oldest().is_some() => self.take_urgent(&limits),
            lane => self.line(lane).take(&limits, lane),
        }?;
        if let Some(pace) = &mut self.pace {
            pace.taken(batch.cost.rows, now);
        }
        Some(batch.queued)
    }

    /// A batch with urgent rows, and others where there is room.
    fn take_urgent(&mut self, limits: &Limits) -> Option<Piece> {
        let (mut line, mut other) = (&mut self.urgent, &mut self.first);
        if other.oldest().is_some() {
            self.overtaken += 1;
            if self.overtaken.is_multiple_of(OTHERS_FIRST) {
                std::mem::swap(&mut line, &mut other);
            }
        }
        let mut batch = line.take(limits, Lane::First)?;
        other.fill(&mut batch, limits, Lane::First);
        Some(batch)
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

/// The lane of a block is that of its first message.
fn lane_of(queued: &Queued) -> Lane {
    let first = queued.block.records.first();
    first.map_or(Lane::First, |record| record.message.lane())
}

#[cfg(test)]
pub(super) mod tests;
