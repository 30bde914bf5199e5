//! Whether a model gives the same for rows that are cut.

use super::{
    super::{
        catalog::{blank, came_out},
        collect::Collector,
        feed::{Feed, Source, Taken},
        load::load,
        model::Model,
        parity::made_up,
        step::Step,
    },
    LEAST, Side, Trim, bucket, takes_tokens,
};
use crate::{
    block::{Column, Series},
    contract::{Dtype, Field, Fill},
    engine::{InputSpec, ModelSource, StepSpec},
    graph::{
        self,
        proto::{Dimension, Kind, Size, ValueInfo},
    },
};

/// How far a number may be off, as a part of the largest in its place of a row: single precision summed in another order.
const TOLERANCE: f64 = 1e-4;
/// The same as a part of the largest of its output: where others are large, small ones are what is left of them.
const NOISE: f64 = 3e-6;

/// The step's model with inputs that can be cut; `None` where it has none, or gives something else for it.
pub(in crate::engine::cpu) fn tried(
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
    let mut trim = Trim::of(&model, &feeds, taken.fields)?;
    for side in [Side::Left, Side::Right] {
        match trim.holds(&mut model, &feeds, wanted, (taken.fields, side)) {
            Ok(()) => trim.sides.push(side),
            Err(why) => {
                let padded = match side {
                    Side::Left => "behind",
                    Side::Right => "in front",
                };
                tracing::debug!(model = %path, "batches of tokens with padding {padded} are not cut to their longest row: {why}");
            }
        }
    }
    (!trim.sides.is_empty()).then_some((model, feeds, trim))
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

/// Rows of about so many tokens are tried: a long row takes the CPU long.
const TOKENS: usize = 1024;

/// What is made up.
#[derive(Debug, Clone, Copy)]
struct Made {
    rows: usize,
    /// Of the inputs that are cut.
    length: usize,
    side: Side,
    /// So many kinds of tokens at most: a model may know fewer than its tokenizer.
    kinds: i64,
    /// What other fractions are multiplied by; without, other inputs are zeros.
    scale: Option<f32>,
}

impl Trim {
    /// Runs made-up rows of a few tokens on this side, whole and cut.
    ///
    /// # Errors
    /// What comes out differs, or the model does not run on them; in words.
    fn holds(
        &self,
        model: &mut Model,
        feeds: &[Feed],
        wanted: &[usize],
        (fields, side): (&[Field], Side),
    ) -> Result<(), String> {
        // Whether rows of several lengths go together is known by then.
        let rows = match side {
            Side::Left => (TOKENS / self.length).clamp(2, LEAST),
            Side::Right => 1,
        };
        let rows = model.batch.unwrap_or(rows);
        let mut last = String::new();
        for (kinds, scale) in [i64::MAX, 10_000, 1000, 2, 1]
            .into_iter()
            .flat_map(|kinds| [(kinds, Some(1.0)), (kinds, None)])
        {
            let made = |model: &Model, length| {
                let made = Made {
                    rows,
                    length,
                    side,
                    kinds,
                    scale,
                };
                self.made(model, feeds, fields, made)
            };
            let inputs = made(model, self.length);
            let whole = match came_out(model, &inputs, rows, rows) {
                Ok(whole) => whole,
                Err(why) => {
                    last = why;
                    continue;
                }
            };
            for length in [LEAST, bucket(LEAST + 1, self.length)] {
                let inputs = made(model, length);
                let cut = came_out(model, &inputs, rows, rows)?;
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

    /// Rows for each input: tokens where it takes some, all of them in texts that are not cut; else numbers of every kind.
    fn made(&self, model: &Model, feeds: &[Feed], fields: &[Field], made: Made) -> Vec<Series> {
        let padding = |feed: &Feed| match feed.columns.as_slice() {
            [Source::Field(place)] if feed.is_plain() => fields.get(*place)?.padding,
            _ => None,
        };
        let inputs = model.inputs.iter().zip(feeds).enumerate();
        let series = inputs.map(|(at, (input, feed))| match padding(feed) {
            Some(padding) => {
                let cut = self.feeds.contains(&at);
                let length = if cut {
                    made.length
                } else {
                    feed.row_shape().iter().product()
                };
                let made = Made { length, ..made };
                let is_mask = feed.columns.first() == Some(&Source::Field(padding.mask));
                tokens(input.dtype, made, (!is_mask).then_some(padding.fill), cut)
            }
            None => made_up(
                at,
                input.dtype,
                &feed.row_shape(),
                made.rows,
                made.scale,
                &[],
            ),
        });
        series.collect()
    }
}

/// Rows of 1 to [`LEAST`] tokens on a side and padding, where they are `cut`, else of as many as there is room for. Without what
/// fills them up it is the mask.
fn tokens(dtype: Dtype, made: Made, fill: Option<Fill>, cut: bool) -> Series {
    let Made { rows, length, .. } = made;
    let value = |row: usize, at: usize| {
        let at = match made.side {
            Side::Left => at,
            Side::Right => length - 1 - at,
        };
        let there = !cut || at < (3 * row + 2) % LEAST + 1;
        match fill {
            None => i64::from(there),
            Some(fill) if !there => fill.with,
            Some(fill) => {
                let kinds = fill.most.saturating_add(1).min(made.kinds).max(1);
                // Knuth's multiplicative hash: any spread does.
                let spread = (row * LEAST + at + 1).wrapping_mul(2_654_435_761) >> 8;
                i64::try_from(spread).unwrap_or(0) % kinds
            }
        }
    };
    let values = (0..rows).flat_map(|row| (0..length).map(move |at| value(row, at)));
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a model that takes token ids so takes them rounded"
    )]
    let values = match dtype {
        Dtype::I64 => Column::I64(values.collect()),
        Dtype::I32 => Column::I32(values.map(|it| it as i32).collect()),
        _ => Column::F32(values.map(|it| it as f32).collect()),
    };
    Series {
        values,
        ..blank(dtype, &[length])
    }
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
        (Some(one), Some(other)) => near(&one, &other, whole.series.shape.iter().product()),
        _ => one.values == other.values,
    };
    equal
        .then_some(())
        .ok_or_else(|| format!("output `{name}` depends on how long the rows are"))
}

/// Whether all numbers of rows of so many are near those of the others, and say anything at all.
fn near(one: &[f64], other: &[f64], width: usize) -> bool {
    let largest = |column: &[f64]| column.iter().fold(0.0, |most: f64, it| most.max(it.abs()));
    let scale = largest(one);
    let mut columns = vec![0.0f64; width];
    for row in one.chunks(width.max(1)) {
        for (most, it) in columns.iter_mut().zip(row) {
            *most = most.max(it.abs());
        }
    }
    let mut pairs = one.iter().zip(other).zip(columns.iter().cycle());
    let near = pairs
        .all(|((one, other), column)| (one - other).abs() <= column * TOLERANCE + scale * NOISE);
    // Zeros are the same whatever the rows are.
    near && (scale > 0.0 || one.is_empty())
}
