//! When a batch is worth sending, and when it is full.

use std::time::Duration;

use crate::block::{Block, Column, Record};

/// When a batch is worth sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPolicy {
    /// Most rows in a batch. A single message with more rows is a batch of its own.
    pub max_rows: usize,
    /// Most bytes of payloads in a batch; a single message with more is a batch of its own.
    pub max_bytes: Option<usize>,
    /// Most tokens in a batch; a single message with more is a batch of its own.
    pub max_tokens: Option<MaxTokens>,
    /// How long a batch may wait for company while an engine is free.
    pub wait: Wait,
}

/// How long a batch may wait for company while an engine is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until its oldest row has waited so long. Zero sends whatever there is as soon as an engine is
    /// free.
    Delay(Duration),
    /// As long as is useful, if rows are done within this time of being read.
    Target(Duration),
}

/// Most tokens in a batch, padding included: rows times the tokens of the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxTokens {
    /// So many.
    pub most: usize,
    /// The series with the attention mask, in which a token is not 0.
    pub mask: usize,
}

impl BatchPolicy {
    /// A policy without limits but that of rows.
    pub fn new(max_rows: usize, max_delay: Duration) -> Self {
        Self {
            max_rows,
            max_bytes: None,
            max_tokens: None,
            wait: Wait::Delay(max_delay),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            rows: self.max_rows,
            bytes: self.max_bytes.unwrap_or(usize::MAX),
            tokens: self.max_tokens.map_or(usize::MAX, |tokens| tokens.most),
        }
    }

    /// What each message of a block costs, where more than rows is counted.
    pub(super) fn costs(&self, block: &Block) -> Option<Vec<Cost>> {
        if self.max_bytes.is_none() && self.max_tokens.is_none() {
            return None;
        }
        let mask = self.max_tokens.and_then(|tokens| {
            let series = block.table.series.get(tokens.mask)?;
            match &series.values {
                Column::I64(values) => Some((values.as_slice(), series.width())),
                _ => None,
            }
        });
        let mut row = 0;
        let costs = block.records.iter().map(|record| {
            let longest = mask.map_or(0, |(values, width)| {
                let rows = values.get(row * width..(row + record.rows) * width);
                longest(rows.unwrap_or_default(), width)
            });
            row += record.rows;
            Cost {
                longest,
                ..Cost::of(record)
            }
        });
        Some(costs.collect())
    }
}

/// Tokens of the longest row.
fn longest(mask: &[i64], width: usize) -> usize {
    let tokens = |row: &[i64]| row.iter().filter(|one| **one != 0).count();
    mask.chunks(width.max(1)).map(tokens).max().unwrap_or(0)
}

/// What messages cost in a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    /// Tokens of the longest row.
    pub(super) longest: usize,
}

impl Cost {
    /// What a message costs, tokens left out.
    pub(super) fn of(record: &Record) -> Self {
        Self {
            rows: record.rows,
            bytes: record.message.payload.len(),
            longest: 0,
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
            longest: self.longest.max(other.longest),
        }
    }

    fn tokens(self) -> usize {
        self.rows.saturating_mul(self.longest)
    }
}

/// The most that a batch may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    pub(super) tokens: usize,
}

/// The limit that ends a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Rows,
    Bytes,
    Tokens,
}

impl Limits {
    /// The limit that is passed, if one is.
    pub(super) fn passed(&self, cost: Cost) -> Option<Limit> {
        self.first(cost, |cost, most| cost > most)
    }

    /// The limit that leaves no room for another row, if one does.
    pub(super) fn reached(&self, cost: Cost) -> Option<Limit> {
        self.first(cost, |cost, most| cost >= most)
    }

    /// Whether only rows are counted.
    pub(super) fn rows_only(&self) -> bool {
        self.bytes == usize::MAX && self.tokens == usize::MAX
    }

    fn first(&self, cost: Cost, of: impl Fn(usize, usize) -> bool) -> Option<Limit> {
        if of(cost.rows, self.rows) {
            Some(Limit::Rows)
        } else if of(cost.bytes, self.bytes) {
            Some(Limit::Bytes)
        } else if of(cost.tokens(), self.tokens) {
            Some(Limit::Tokens)
        } else {
            None
        }
    }
}
