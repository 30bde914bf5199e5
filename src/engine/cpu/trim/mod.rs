//! Tokens of texts are padded to the longest text that there may be, and most are short. A batch is cut to its longest row,
//! rounded up, where the model gives the same for that: its attention mask says what is padding.
//!
//! Whether it does is tried out when the model is loaded (`trial`); a graph that was built for the step is tried with the length of
//! rows left open. A model whose outputs have a row for each token, or that fixes the length, gets all of it as before.

mod trial;

use std::ops::Range;

pub(super) use self::trial::tried;
use super::{
    feed::{Feed, From, Source},
    model::Model,
};
use crate::{
    block::Column,
    contract::Field,
    engine::{ColumnRef, Dim, InputInfo},
};

/// The shortest rows that are fed; up to here a model takes as long as for one token.
const LEAST: usize = 8;

/// The inputs of a model that are cut.
#[derive(Debug)]
pub(super) struct Trim {
    feeds: Vec<usize>,
    /// The one that says where padding is: it is 0 there.
    mask: usize,
    /// Tokens of a row before anything is cut.
    length: usize,
    /// Where tokens may be for that: a model may count them from the first place of a row.
    sides: Vec<Side>,
}

/// Where the tokens of rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Padding is behind them.
    Left,
    /// Padding is in front of them.
    Right,
}

/// Inputs of a model that can be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    /// Their places.
    pub(super) inputs: Vec<usize>,
    /// Tokens of a row before.
    pub(super) length: usize,
}

/// The field that is 0 where a column is padded.
fn mask_of(column: ColumnRef, fields: &[Field]) -> Option<usize> {
    match column {
        ColumnRef::Field(place) => Some(fields.get(place)?.padding?.mask),
        _ => None,
    }
}

/// Whether a step takes tokens, which stay whole for this: the columns of an input are one such field.
pub(super) fn takes_tokens(columns: &[ColumnRef], fields: &[Field]) -> bool {
    matches!(columns, [column] if mask_of(*column, fields).is_some())
}

impl Trim {
    /// The inputs that are tokens of one step, and can be shorter.
    fn of(model: &Model, feeds: &[Feed], fields: &[Field]) -> Option<Self> {
        let field = |feed: &Feed| match feed.columns.as_slice() {
            [Source::Field(place)] if feed.is_plain() => Some(*place),
            _ => None,
        };
        let padded = |at: &usize| Some(fields.get(*at)?.padding?.mask);
        let mask = feeds
            .iter()
            .find_map(|feed| field(feed).as_ref().and_then(padded))?;
        let of_mask = |feed: &Feed| field(feed).as_ref().and_then(padded) == Some(mask);
        let all: Vec<usize> = (0..feeds.len())
            .filter(|at| feeds.get(*at).is_some_and(of_mask))
            .collect();
        let length = fields.get(mask)?.width();
        let open = |at: &usize| {
            let input = model.inputs.get(*at).map(InputInfo::row_dims);
            let whole = feeds
                .get(*at)
                .is_some_and(|feed| feed.row_shape() == [length]);
            whole && matches!(input, Some([Dim::Free(_)]))
        };
        (length > LEAST && all.iter().all(open)).then_some(())?;
        let is_mask = |at: &usize| feeds.get(*at).and_then(field) == Some(mask);
        Some(Self {
            mask: all.iter().copied().find(is_mask)?,
            feeds: all,
            length,
            sides: Vec::new(),
        })
    }

    /// The places that are no padding, of each of these rows.
    fn spans<'a>(
        &'a self,
        feeds: &[Feed],
        from: From<'a>,
        rows: Range<usize>,
    ) -> Option<impl Iterator<Item = Range<usize>> + 'a> {
        let source = feeds.get(self.mask)?.columns.first()?;
        let Column::I64(mask) = &from.series(self.mask, 0, *source)?.values else {
            return None;
        };
        let rows = mask.get(rows.start * self.length..rows.end * self.length)?;
        Some(rows.chunks_exact(self.length).map(|row| {
            let end = row.iter().rposition(|it| *it != 0).map_or(0, |at| at + 1);
            row.iter().position(|it| *it != 0).unwrap_or(0)..end
        }))
    }

    /// The part of each row that these rows need; `None` where that is all of it.
    pub(super) fn kept(
        &self,
        feeds: &[Feed],
        from: From<'_>,
        rows: Range<usize>,
    ) -> Option<Range<usize>> {
        let (side, needed) = self.needs(feeds, from, rows)?;
        let longest = needed.into_iter().max().unwrap_or(0);
        self.part(side, bucket(longest, self.length))
    }

    /// Rows that had better run by themselves, the shortest first, since one long row would make all others as long.
    pub(super) fn groups(
        &self,
        feeds: &[Feed],
        from: From<'_>,
        rows: usize,
    ) -> Option<Vec<Vec<usize>>> {
        let (_, needed) = self.needs(feeds, from, 0..rows)?;
        let mut sorted: Vec<(usize, usize)> = (needed.iter().enumerate())
            .map(|(row, needed)| (bucket(*needed, self.length), row))
            .collect();
        sorted.sort_unstable();
        let mut ends = vec![sorted.len()];
        while let Some(end) = split(sorted.get(..*ends.last()?)?) {
            ends.push(end);
        }
        let mut start = 0;
        let groups = ends.iter().rev().map(|end| {
            let group = sorted.get(start..*end).unwrap_or_default();
            start = *end;
            group.iter().map(|(_, row)| *row).collect()
        });
        (ends.len() > 1).then(|| groups.collect())
    }

    /// The tokens that each of these rows needs, and the side that they are on: all where the model cannot be cut for that.
    pub(super) fn needs(
        &self,
        feeds: &[Feed],
        from: From<'_>,
        rows: Range<usize>,
    ) -> Option<(Side, Vec<usize>)> {
        let spans: Vec<Range<usize>> = self.spans(feeds, from, rows)?.collect();
        let there = || spans.iter().filter(|span| !span.is_empty());
        let behind = there().all(|span| span.end == self.length);
        let side = if behind && there().any(|span| span.start > 0) {
            Side::Right
        } else {
            Side::Left
        };
        let needed = |span: &Range<usize>| match side {
            // A row without tokens: what a model makes of that may depend on the length alone.
            _ if span.is_empty() || !self.sides.contains(&side) => self.length,
            Side::Left => span.end,
            Side::Right => self.length - span.start,
        };
        Some((side, spans.iter().map(needed).collect()))
    }

    /// So many tokens of each row, from this side; `None` where these are all.
    pub(super) fn part(&self, side: Side, length: usize) -> Option<Range<usize>> {
        let part = match side {
            Side::Left => 0..length,
            Side::Right => self.length.saturating_sub(length)..self.length,
        };
        (length < self.length).then_some(part)
    }

    /// The inputs that are cut, and the tokens of a row before.
    pub(super) fn cut(&self) -> Cut {
        Cut {
            inputs: self.feeds.clone(),
            length: self.length,
        }
    }

    /// Whether this input is cut.
    pub(super) fn cuts(&self, feed: usize) -> bool {
        self.feeds.contains(&feed)
    }
}

/// Powers of two and one and a half times these, from [`LEAST`] on, up to `most`: a row is longer by half at most than
/// it need be.
fn bucket(length: usize, most: usize) -> usize {
    let power = length.max(LEAST).next_power_of_two();
    let between = power / 4 * 3;
    let up = if between >= length && between > LEAST {
        between
    } else {
        power
    };
    up.min(most)
}

/// How many of the shortest rows (by rising length) had better run by themselves: where that saves the most tokens, if it is
/// a quarter of all and more than a run costs besides.
fn split(sorted: &[(usize, usize)]) -> Option<usize> {
    /// A run more reads all weights once more.
    const RUN: usize = 64;
    let (longest, _) = *sorted.last()?;
    let saved = |count: usize| {
        let (length, _) = sorted.get(count.checked_sub(1)?)?;
        Some((count * (longest - length), count))
    };
    let (saved, count) = (1..sorted.len()).filter_map(saved).max()?;
    (saved >= RUN && saved * 4 >= longest * sorted.len()).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two_and_one_and_a_half_times_these() {
        let found: Vec<usize> = [
            0, 1, 8, 9, 12, 13, 16, 17, 24, 25, 33, 48, 49, 64, 65, 97, 128,
        ]
        .into_iter()
        .map(|length| bucket(length, 100))
        .collect();
        assert_eq!(
            found,
            [
                8, 8, 8, 12, 12, 16, 16, 24, 24, 32, 48, 48, 64, 64, 96, 100, 100
            ]
        );
        assert_eq!(bucket(3, 5), 5);
    }

    #[test]
    fn a_long_row_is_left_alone_where_that_saves_much() {
        let split = |lengths: &[usize]| {
            let rows: Vec<(usize, usize)> = lengths.iter().copied().zip(0..).collect();
            split(&rows)
        };
        assert_eq!(split(&[16, 16, 16, 64]), Some(3));
        assert_eq!(split(&[8, 16, 16, 64]), Some(3));
        assert_eq!(split(&[16, 64]), None, "48 tokens");
        assert_eq!(split(&[48, 48, 48, 64]), None, "a fifth");
        assert_eq!(split(&[16, 512, 512, 512]), None, "a quarter less one");
        assert_eq!(split(&[8, 512, 512]), Some(1));
        assert_eq!(split(&[64]), None);
        assert_eq!(split(&[]), None);
    }
}
