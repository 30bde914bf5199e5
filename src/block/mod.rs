//! What travels between the stages: a block, a few up to some hundred messages as columns.
//!
//! Channel hops, clocks, locks and metrics are paid per block, never per message.

mod column;
mod pick;
mod pieces;
mod spare;

use std::ops::Range;

pub use self::{
    column::Column,
    pieces::{Blobs, Strings},
};

use crate::{
    contract::{Dtype, Field},
    message::{Message, Reject},
};

/// One named value of every row: a field on the way in, a model output on the way out.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The elements, row after row.
    pub values: Column,
    /// Shape of one row's value, without the batch dimension; empty for a single value.
    pub shape: Vec<usize>,
    /// For each row whether there is a value, where a step ran on some of the rows only; `None`
    /// where all have one. Only engines and encoders know of it: fields are always there.
    pub present: Option<Vec<bool>>,
}

impl Series {
    /// An empty series.
    pub fn new(dtype: Dtype, shape: Vec<usize>) -> Self {
        Self {
            values: Column::new(dtype),
            shape,
            present: None,
        }
    }

    /// Elements in one row.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// A copy of a part of each of these rows, whose values are lists.
    #[must_use]
    pub fn cut(&self, rows: Range<usize>, part: &Range<usize>) -> Self {
        let width = self.width();
        let mut cut = Self::new(self.values.dtype(), vec![part.len()]);
        for row in rows {
            let start = row * width;
            (cut.values).extend_from(&self.values, start + part.start..start + part.end);
        }
        cut
    }

    /// Whether this row has a value.
    pub fn is_present(&self, row: usize) -> bool {
        (self.present.as_ref()).is_none_or(|present| present.get(row).copied().unwrap_or(false))
    }
}

/// Rows as series of equal length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Number of rows. Every series has `rows × width` elements.
    pub rows: usize,
    /// In the order of the contract (or of the pipeline's outputs).
    pub series: Vec<Series>,
}

impl Table {
    /// An empty table with one series for each field.
    pub fn for_fields(fields: &[Field]) -> Self {
        Self {
            rows: 0,
            series: fields
                .iter()
                .map(|field| Series::new(field.dtype, field.shape.clone()))
                .collect(),
        }
    }

    /// An empty table of the same types and shapes.
    #[must_use]
    pub fn empty_like(&self) -> Self {
        Self {
            rows: 0,
            series: self
                .series
                .iter()
                .map(|series| Series::new(series.values.dtype(), series.shape.clone()))
                .collect(),
        }
    }

    /// Keeps the first `rows` rows and drops whatever a half-read row left behind.
    pub fn truncate(&mut self, rows: usize) {
        for series in &mut self.series {
            let elements = rows * series.width();
            series.values.truncate(elements);
        }
        self.rows = self.rows.min(rows);
    }

    /// Cuts off and returns the rows from `at` on, in memory that was kept where there is some.
    ///
    /// # Panics
    /// When `at` is past the end.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Self {
        let mut rest = self.spare_like();
        for (to, from) in rest.series.iter_mut().zip(&mut self.series) {
            let start = at * from.width();
            to.values
                .extend_from(&from.values, start..from.values.len());
            from.values.truncate(start);
        }
        rest.rows = self.rows - at;
        self.rows = at;
        rest
    }

    /// Appends all rows of `other`, which has the same series.
    ///
    /// # Panics
    /// When the series differ in number or type.
    pub fn append(&mut self, other: Self) {
        assert_eq!(self.series.len(), other.series.len(), "one contract");
        for (to, from) in self.series.iter_mut().zip(&other.series) {
            to.values.append(&from.values);
        }
        self.rows += other.rows;
        other.keep_memory();
    }

    /// A copy of the given rows.
    ///
    /// # Panics
    /// When the range is past the end.
    #[must_use]
    pub fn slice(&self, rows: std::ops::Range<usize>) -> Self {
        let mut copy = self.empty_like();
        for (to, from) in copy.series.iter_mut().zip(&self.series) {
            let width = from.width();
            to.values
                .extend_from(&from.values, rows.start * width..rows.end * width);
        }
        copy.rows = rows.len();
        copy
    }
}

/// How a message's rows are laid out, so that its result can take the same form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// One record: the result is one record.
    One,
    /// A list of records: the result is a list of as many results.
    Many {
        /// Records that broke the contract, by their place in the list, in rising order. Their
        /// place in the result says why; they have no row in the table.
        rejected: Vec<(usize, Reject)>,
    },
}

impl Layout {
    /// Whether records of the message broke the contract.
    pub fn has_rejects(&self) -> bool {
        matches!(self, Self::Many { rejected } if !rejected.is_empty())
    }
}

/// A decoded message: its rows are in the block's table.
#[derive(Debug)]
pub struct Record {
    /// The message as it came.
    pub message: Message,
    /// Its rows in the table; 0 only for an empty list.
    pub rows: usize,
    /// The form the result takes.
    pub layout: Layout,
}

/// Decoded messages and their rows, in the same order.
#[derive(Debug)]
pub struct Block {
    /// The messages. Their `rows` add up to the table's.
    pub records: Vec<Record>,
    /// The fields of every row, then one string series of JSON text for each passed key.
    pub table: Table,
}

impl Block {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.table.rows
    }

    /// Cuts off everything after the first messages that together have at most `rows` rows (but
    /// at least one message). `None` when nothing is left over.
    #[must_use]
    pub fn split_after_rows(&mut self, rows: usize) -> Option<Self> {
        let (mut kept_messages, mut kept_rows) = (0, 0);
        for record in &self.records {
            if kept_messages > 0 && kept_rows + record.rows > rows {
                break;
            }
            kept_messages += 1;
            kept_rows += record.rows;
        }
        self.split_at_message(kept_messages)
    }

    /// Cuts off everything from message `at` on. `None` when there is nothing from there on.
    #[must_use]
    pub fn split_at_message(&mut self, at: usize) -> Option<Self> {
        if at >= self.records.len() {
            return None;
        }
        let row = self.records.iter().take(at).map(|record| record.rows).sum();
        Some(Self {
            records: self.records.split_off(at),
            table: self.table.split_off(row),
        })
    }

    /// Takes out the messages that `out` says `true` of, and gives what is left and what was taken out, each
    /// in its order. A message for which there is no word stays.
    #[must_use]
    pub fn sort_out(mut self, out: &[bool]) -> (Option<Self>, Option<Self>) {
        let is_out = |at: usize| out.get(at).copied().unwrap_or(false);
        let last = self.records.len().saturating_sub(1);
        // Cut where the answer changes, from the back, so that each row is moved once.
        let ends = (1..=last).rev().filter(|at| is_out(*at) != is_out(*at - 1));
        let mut runs: Vec<(bool, Self)> = ends
            .filter_map(|at| Some((is_out(at), self.split_at_message(at)?)))
            .collect();
        if !self.records.is_empty() {
            runs.push((is_out(0), self));
        }
        let mut sorted = [None, None];
        for (out, run) in runs.into_iter().rev() {
            match &mut sorted[usize::from(out)] {
                Some(before) => Self::append(before, run),
                first @ None => *first = Some(run),
            }
        }
        let [left, out] = sorted;
        (left, out)
    }

    /// Appends all messages and rows of `other`.
    pub fn append(&mut self, other: Self) {
        self.records.extend(other.records);
        self.table.append(other.table);
    }
}

/// A batch that went through the models.
#[derive(Debug)]
pub struct Scored {
    /// What went in.
    pub block: Block,
    /// One series for each output of the pipeline; as many rows as the block.
    pub output: Table,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Ack;

    fn record(rows: usize) -> Record {
        Record {
            message: Message {
                subject: bytes::Bytes::new(),
                reply: None,
                payload: bytes::Bytes::new(),
                headers: None,
                position: None,
                received: std::time::Instant::now(),
                ack: Ack::none(),
            },
            rows,
            layout: Layout::One,
        }
    }

    fn block(rows_of_messages: &[usize]) -> Block {
        let rows: usize = rows_of_messages.iter().sum();
        let numbers = (0i64..).take(rows * 2).collect();
        let mut names = Strings::default();
        (0..rows).for_each(|row| names.push(&format!("row {row}")));
        Block {
            records: rows_of_messages.iter().map(|rows| record(*rows)).collect(),
            table: Table {
                rows,
                series: vec![
                    Series {
                        values: Column::I64(numbers),
                        shape: vec![2],
                        present: None,
                    },
                    Series {
                        values: Column::String(names),
                        shape: vec![],
                        present: None,
                    },
                ],
            },
        }
    }

    proptest! {
        /// Cutting a block anywhere and joining the pieces again changes nothing.
        #[test]
        fn split_and_append_are_inverse(sizes in prop::collection::vec(0usize..5, 1..20), at in 0usize..25) {
            let whole = block(&sizes);
            let mut first = block(&sizes);
            if let Some(rest) = first.split_at_message(at) {
                prop_assert_eq!(first.records.len(), at);
                prop_assert_eq!(first.table.slice(0..first.rows()), first.table.clone());
                first.append(rest);
            }
            prop_assert_eq!(first.table, whole.table);
            prop_assert_eq!(first.records.len(), sizes.len());
        }

        /// A piece never has more rows than asked for, unless one message alone has.
        #[test]
        fn split_after_rows_keeps_the_limit(sizes in prop::collection::vec(0usize..9, 1..20), limit in 1usize..12) {
            let mut rest = Some(block(&sizes));
            let mut seen = Vec::new();
            while let Some(mut piece) = rest {
                rest = piece.split_after_rows(limit);
                prop_assert!(piece.rows() <= limit || piece.records.len() == 1);
                prop_assert_eq!(piece.rows(), piece.records.iter().map(|r| r.rows).sum::<usize>());
                seen.extend(piece.records.iter().map(|r| r.rows));
            }
            prop_assert_eq!(seen, sizes);
        }
    }

    proptest! {
        /// Every message goes to its side with its rows, in its order.
        #[test]
        fn sorting_out_loses_nothing(messages in prop::collection::vec((0usize..4, any::<bool>()), 0..30)) {
            let sizes: Vec<usize> = messages.iter().map(|(rows, _)| *rows).collect();
            let out: Vec<bool> = messages.iter().map(|(_, out)| *out).collect();
            let whole = block(&sizes);
            let (left, taken) = block(&sizes).sort_out(&out);
            let mut row = 0;
            let mut expected = [block(&[]), block(&[])];
            for (rows, out) in &messages {
                let mut part = block(&[*rows]);
                part.table = whole.table.slice(row..row + rows);
                expected[usize::from(*out)].append(part);
                row += rows;
            }
            for (sorted, expected) in [left, taken].into_iter().zip(expected) {
                let sorted = sorted.unwrap_or_else(|| block(&[]));
                prop_assert_eq!(sorted.table, expected.table);
                let rows = |block: &[Record]| block.iter().map(|record| record.rows).collect::<Vec<_>>();
                prop_assert_eq!(rows(&sorted.records), rows(&expected.records));
            }
        }
    }

    #[test]
    fn truncate_drops_half_a_row() {
        let mut table = block(&[3]).table;
        if let Column::I64(values) = &mut table.series[0].values {
            values.push(99);
        }
        table.truncate(2);
        assert_eq!(table.rows, 2);
        assert_eq!(table.series[0].values.len(), 4);
        assert_eq!(table.series[1].values.len(), 2);
    }
}
