//! Tokens of texts are padded to the longest text that there may be, and most are short. A batch is cut to its longest row,
//! rounded up, where the model gives the same for that: its attention mask says what is padding.
//!
//! Whether it does is tried out when the model is loaded; a graph that was built for the step is tried with the length of
//! rows left open. A model whose outputs have a row for each token, or that fixes the length, gets all of it as before.

use std::ops::Range;

use super::{
    catalog::{blank, came_out},
    collect::Collector,
    feed::{Feed, From, Source, Taken},
    load::load,
    model::Model,
    step::Step,
};
use crate::{
    block::{Column, Series},
    contract::{Dtype, Field},
    engine::{ColumnRef, Dim, InputInfo, InputSpec, ModelSource, StepSpec},
    graph::{
        self,
        proto::{Dimension, Kind, Size, ValueInfo},
    },
};

/// The shortest rows that are fed; up to here a model takes as long as for one token.
const LEAST: usize = 8;
/// How far a number may be off, as a part of the largest of its output: single precision summed in another order.
const TOLERANCE: f64 = 1e-4;

/// The inputs of a model that are cut.
#[derive(Debug)]
pub(super) struct Trim {
    feeds: Vec<usize>,
    /// The one that says where padding is: it is 0 there.
    mask: usize,
    /// Tokens of a row before anything is cut.
    length: usize,
}

/// The field that is 0 where a column is padded.
fn mask_of(column: ColumnRef, fields: &[Field]) -> Option<usize> {
    match column {
        ColumnRef::Field(place) => fields.get(place)?.padding,
        _ => None,
    }
}

/// Whether a step takes tokens, which stay whole for this: the columns of an input are one such field.
pub(super) fn takes_tokens(columns: &[ColumnRef], fields: &[Field]) -> bool {
    matches!(columns, [column] if mask_of(*column, fields).is_some())
}

/// The step's model with inputs that can be cut; `None` where it has none, or gives something else for it.
pub(super) fn tried(
    spec: &StepSpec,
    wanted: &[usize],
    taken: Taken<'_>,
    earlier: &[Step],
) -> Option<(Model, Vec<Feed>, Trim)> {
    let tokens = |input: &InputSpec| takes_tokens(&input.columns, taken.fields);
    if !spec.inputs.iter().any(tokens) {
        return None;
    }
    let mut open = spec.clone();
    if let Some(built) = &spec.source.graph {
        let graph = with_open_length(built.clone(), spec, taken.fields)?;
        open.source = ModelSource::built(&spec.source.path, graph);
    }
    let path = spec.source.path.display();
    let (mut model, feeds) = load(&open, taken, earlier).ok()?;
    let trim = Trim::of(&model, &feeds, taken.fields)?;
    match trim.holds(&mut model, &feeds, wanted) {
        Ok(()) => Some((model, feeds, trim)),
        Err(why) => {
            tracing::debug!(model = %path, "batches of tokens are not cut to their longest row: {why}");
            None
        }
    }
}

/// The graph with the number of tokens left open.
fn with_open_length(built: bytes::Bytes, spec: &StepSpec, fields: &[Field]) -> Option<Vec<u8>> {
    let mut model = graph::parse(built).ok()?;
    let graph = model.graph.as_mut()?;
    for (input, fed) in graph.input.iter_mut().zip(&spec.inputs) {
        if takes_tokens(&fed.columns, fields)
            && let [_, length] = dims_of(input)?.as_mut_slice()
        {
            length.value = Some(Size::Param("tokens".to_owned()));
        }
    }
    // What is said of other values was worked out from the length.
    graph.value_info.clear();
    for output in &mut graph.output {
        let kind = output.r#type.as_mut().and_then(|it| it.value.as_mut());
        if let Some(Kind::Tensor(tensor)) = kind {
            tensor.shape = None;
        }
    }
    Some(graph::to_bytes(&model))
}

fn dims_of(input: &mut ValueInfo) -> Option<&mut Vec<Dimension>> {
    match input.r#type.as_mut()?.value.as_mut()? {
        Kind::Tensor(tensor) => Some(&mut tensor.shape.as_mut()?.dim),
        _ => None,
    }
}

impl Trim {
    /// The inputs that are tokens of one step, and can be shorter.
    fn of(model: &Model, feeds: &[Feed], fields: &[Field]) -> Option<Self> {
        let field = |feed: &Feed| match feed.columns.as_slice() {
            [Source::Field(place)] if feed.is_plain() => Some(*place),
            _ => None,
        };
        let padded = |at: &usize| fields.get(*at)?.padding;
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
        })
    }

    /// Runs made-up rows of a few tokens, whole and cut.
    ///
    /// # Errors
    /// What comes out differs, or the model does not run on them; in words.
    fn holds(&self, model: &mut Model, feeds: &[Feed], wanted: &[usize]) -> Result<(), String> {
        let rows = model.batch.unwrap_or(2);
        let mut last = String::new();
        // A model may know one type of token only.
        for ids in [2, 1] {
            let made = |length: usize| -> Vec<Series> {
                let inputs = model.inputs.iter().zip(feeds).enumerate();
                let made = inputs.map(|(at, (input, feed))| {
                    if self.feeds.contains(&at) {
                        tokens(input.dtype, rows, length, at == self.mask, ids)
                    } else {
                        blank(input.dtype, &feed.row_shape())
                    }
                });
                made.collect()
            };
            let (whole, cut) = (
                made(self.length),
                [made(LEAST), made(bucket(LEAST + 1, self.length))],
            );
            let whole = match came_out(model, &whole, rows, rows) {
                Ok(whole) => whole,
                Err(why) => {
                    last = why;
                    continue;
                }
            };
            for cut in &cut {
                let cut = came_out(model, cut, rows, rows)?;
                for place in wanted {
                    if let (Some(whole), Some(cut)) = (whole.get(*place), cut.get(*place)) {
                        same(whole, cut)?;
                    }
                }
            }
            return Ok(());
        }
        Err(last)
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
        let all = self
            .spans(feeds, from, rows)?
            .filter(|span| !span.is_empty());
        let all = all.reduce(|one, other| one.start.min(other.start)..one.end.max(other.end));
        let Range { start, end } = all.unwrap_or(0..0);
        let length = bucket(end - start, self.length);
        // Padding is on one side.
        let start = if end == self.length {
            end - length
        } else {
            start.min(self.length - length)
        };
        (length < self.length).then_some(start..start + length)
    }

    /// Rows that had better run by themselves, the shortest first, since one long row would make all others as long.
    pub(super) fn groups(
        &self,
        feeds: &[Feed],
        from: From<'_>,
        rows: usize,
    ) -> Option<Vec<Vec<usize>>> {
        let spans = self.spans(feeds, from, 0..rows)?;
        let lengths = spans
            .map(|span| bucket(span.len(), self.length))
            .enumerate();
        let mut sorted: Vec<(usize, usize)> = lengths.map(|(row, length)| (length, row)).collect();
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

/// Rows of three tokens and more, with padding behind them.
fn tokens(dtype: Dtype, rows: usize, length: usize, mask: bool, ids: usize) -> Series {
    let value = |row: usize, at: usize| {
        let there = at < 3 + row % (LEAST - 2);
        i64::from(there && (mask || (row * 5 + at * at + at / 3) % ids == 1))
    };
    let values = (0..rows).flat_map(|row| (0..length).map(move |at| value(row, at)));
    let values: Vec<i64> = values.collect();
    let mut made = blank(dtype, &[length]);
    made.values = match dtype {
        Dtype::I64 => Column::I64(values),
        Dtype::I32 => Column::I32(values.iter().map(|it| i32::from(*it == 1)).collect()),
        #[expect(clippy::cast_precision_loss, reason = "0 and 1")]
        _ => Column::F32(values.iter().map(|it| *it as f32).collect()),
    };
    made
}

fn same(whole: &Collector, cut: &Collector) -> Result<(), String> {
    let (one, other) = (&whole.series, &cut.series);
    let name = whole.name();
    if one.shape != other.shape {
        return Err(format!(
            "output `{name}` has rows of shape {:?} for shorter rows, and {:?} for others",
            other.shape, one.shape
        ));
    }
    let wide = |column: &Column| -> Option<Vec<f64>> {
        match column {
            Column::F32(values) => Some(values.iter().map(|it| f64::from(*it)).collect()),
            Column::F64(values) => Some(values.clone()),
            _ => None,
        }
    };
    let equal = match (wide(&one.values), wide(&other.values)) {
        (Some(one), Some(other)) => {
            let scale = one.iter().fold(0.0, |scale: f64, it| scale.max(it.abs()));
            let mut pairs = one.iter().zip(&other);
            pairs.all(|(one, other)| (one - other).abs() <= scale * TOLERANCE)
        }
        _ => one.values == other.values,
    };
    equal
        .then_some(())
        .ok_or_else(|| format!("output `{name}` depends on how long the rows are"))
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
