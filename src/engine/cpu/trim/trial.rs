//! Whether a model gives the same for rows that are cut.

use super::{
    super::{
        catalog::{blank, came_out},
        collect::Collector,
        feed::{Feed, Taken},
        load::load,
        model::Model,
        step::Step,
    },
    LEAST, Side, Trim, bucket, takes_tokens,
};
use crate::{
    block::{Column, Series},
    contract::{Dtype, Field},
    engine::{InputSpec, ModelSource, StepSpec},
    graph::{
        self,
        proto::{Dimension, Kind, Size, ValueInfo},
    },
};

/// How far a number may be off, as a part of the largest of its output: single precision summed in another order.
const TOLERANCE: f64 = 1e-4;

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
        match trim.holds(&mut model, &feeds, wanted, side) {
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
        side: Side,
    ) -> Result<(), String> {
        // Whether rows of several lengths go together is known by then.
        let rows = model
            .batch
            .unwrap_or(if side == Side::Left { 2 } else { 1 });
        let mut last = String::new();
        // A model may know one type of token only.
        for ids in [2, 1] {
            let made = |length: usize| -> Vec<Series> {
                let inputs = model.inputs.iter().zip(feeds).enumerate();
                let made = inputs.map(|(at, (input, feed))| {
                    if self.feeds.contains(&at) {
                        let ids = ids * i64::from(at != self.mask);
                        tokens(input.dtype, (rows, length), side, ids)
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
}

/// Rows of three tokens and more on a side, and padding. There are so many kinds of tokens; with none, it is the mask.
fn tokens(dtype: Dtype, (rows, length): (usize, usize), side: Side, kinds: i64) -> Series {
    let value = |row: usize, at: usize| {
        let at = match side {
            Side::Left => at,
            Side::Right => length - 1 - at,
        };
        let there = at < 3 + row % (LEAST - 2);
        let kind = usize::try_from(kinds).unwrap_or(0).max(1);
        i64::from(there && (kinds == 0 || (row * 5 + at * at + at / 3) % kind == 1))
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
