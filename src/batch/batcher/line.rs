//! Rows of one lane, in the order they came, and how batches are cut from them.

use std::{collections::VecDeque, time::Instant};

use super::lane_of;
use crate::{
    batch::{
        Queued,
        policy::{Cost, Limit, Limits},
    },
    block::Block,
    message::Lane,
};

/// Rows of one lane, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<Piece>,
    pub(super) rows: usize,
}

/// Messages that came together, and what they cost.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) queued: Queued,
    /// Of each message, where more than rows is counted.
    costs: Option<Vec<Cost>>,
    pub(super) cost: Cost,
}

impl Piece {
    pub(super) fn new(queued: Queued, costs: Option<Vec<Cost>>) -> Self {
        let mut piece = Self {
            cost: Cost::default(),
            queued,
            costs,
        };
        piece.add_up();
        piece
    }

    fn add_up(&mut self) {
        let all = 0..self.queued.block.records.len();
        self.cost = match &self.costs {
            None => Cost {
                rows: self.queued.block.rows(),
                ..Cost::default()
            },
            Some(_) => all.fold(Cost::default(), |sum, index| sum.and(self.cost_of(index))),
        };
    }

    fn cost_of(&self, index: usize) -> Cost {
        match (&self.costs, self.queued.block.records.get(index)) {
            (Some(costs), _) => costs.get(index).copied().unwrap_or_default(),
            (None, Some(record)) => Cost {
                rows: record.rows,
                ..Cost::default()
            },
            (None, None) => Cost::default(),
        }
    }

    /// How many messages fit into a batch that costs `before`; of an empty batch, one at least.
    fn fitting(&self, before: Cost, limits: &Limits) -> usize {
        let mut cost = before;
        let messages = self.queued.block.records.len();
        (0..messages)
            .find(|index| {
                cost = cost.and(self.cost_of(*index));
                *index > 0 && limits.passed(cost).is_some()
            })
            .unwrap_or(messages)
    }

    /// Cuts off everything from message `at` on. `None` when there is nothing from there on.
    fn split_at(&mut self, at: usize) -> Option<Self> {
        let block = self.queued.block.split_at_message(at)?;
        let costs = self.costs.as_mut().map(|costs| costs.split_off(at));
        self.add_up();
        let since = self.queued.since;
        Some(Self::new(Queued { block, since }, costs))
    }

    fn append(&mut self, other: Self) {
        self.queued.block.append(other.queued.block);
        if let (Some(costs), Some(more)) = (&mut self.costs, other.costs) {
            costs.extend(more);
        }
        self.cost = self.cost.and(other.cost);
    }

    /// Cuts into pieces within the limits (or of one message), from the back, so that each row is
    /// copied once. Cut from the front, the whole rest would be copied for each piece.
    pub(super) fn pieces(mut self, limits: &Limits) -> impl Iterator<Item = Self> {
        let (mut starts, mut cost) = (Vec::new(), Cost::default());
        for index in 0..self.queued.block.records.len() {
            let next = self.cost_of(index);
            if index > 0 && limits.passed(cost.and(next)).is_some() {
                starts.push(index);
                cost = Cost::default();
            }
            cost = cost.and(next);
        }
        let mut tails: Vec<Self> = starts
            .into_iter()
            .rev()
            .filter_map(|start| self.split_at(start))
            .collect();
        tails.push(self);
        tails.into_iter().rev()
    }
}

impl Line {
    pub(super) fn push(&mut self, piece: Piece) {
        self.rows += piece.cost.rows;
        self.waiting.push_back(piece);
    }

    pub(super) fn oldest(&self) -> Option<&Queued> {
        self.waiting.front().map(|piece| &piece.queued)
    }

    /// The limit that ends a batch from the front of this line, where there are rows enough.
    pub(super) fn full(&self, limits: &Limits) -> Option<Limit> {
        if self.rows >= limits.rows {
            return Some(Limit::Rows);
        }
        if limits.rows_only() {
            return None;
        }
        let mut cost = Cost::default();
        self.waiting.iter().find_map(|piece| {
            cost = cost.and(piece.cost);
            limits.reached(cost)
        })
    }

    /// Whether something stands in line that is of another lane.
    pub(super) fn ends(&self, lane: Lane) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|piece| lane_of(&piece.queued) != lane)
    }

    /// A batch from the front of the line: what is within the limits, or one message.
    pub(super) fn take(&mut self, limits: &Limits, lane: Lane) -> Option<Piece> {
        let mut batch = self.cut_front(limits, Cost::default())?;
        self.fill(&mut batch, limits, lane);
        Some(batch)
    }

    /// Adds to a batch what else is within the limits.
    pub(super) fn fill(&mut self, batch: &mut Piece, limits: &Limits, lane: Lane) {
        while limits.reached(batch.cost).is_none() {
            // The first message of the next piece decides: the limits may not be passed.
            let next = self.waiting.front();
            let fits = next.is_some_and(|next| {
                let cost = batch.cost.and(next.cost_of(0));
                lane_of(&next.queued) == lane && limits.passed(cost).is_none()
            });
            let next = fits.then(|| self.cut_front(limits, batch.cost)).flatten();
            let Some(next) = next else {
                break;
            };
            batch.append(next);
        }
    }

    fn cut_front(&mut self, limits: &Limits, before: Cost) -> Option<Piece> {
        let mut front = self.waiting.pop_front()?;
        let fitting = front.fitting(before, limits);
        if let Some(rest) = front.split_at(fitting) {
            self.waiting.push_front(rest);
        }
        self.rows -= front.cost.rows;
        Some(front)
    }
}

/// Cuts a block into blocks that are each within the limits.
pub(super) fn cut(
    block: Block,
    since: Instant,
    costs: Option<Vec<Cost>>,
    limits: &Limits,
) -> impl Iterator<Item = Piece> {
    Piece::new(Queued { block, since }, costs).pieces(limits)
}
