//! Whether a model mixes the rows of a batch: what comes out of a row alone is compared with what comes out of it beside
//! others. In a pipeline it is chance which rows come together.

use super::{catalog::came_out, collect::Collector, model::Model};
use crate::block::{Column, Series};

/// How far a number may be off, as a part of the greatest in its row: the runtime adds up in another order for another
/// number of rows, which a sum of 131,072 numbers shows in its third digit.
const RELATIVE: f64 = 1e-2;
/// How far it may be off besides.
const ABSOLUTE: f64 = 1e-5;
/// Rows in the batch, where the model does not say.
const ROWS: usize = 3;

/// What a comparison found.
#[derive(Debug, PartialEq)]
pub(super) enum Mixing {
    /// Every row is the same as alone.
    Apart,
    /// One is not; in words.
    Mixed(String),
}

/// Runs `row` alone and beside others; `None` where the model does not run on such rows.
pub(super) fn mixes_rows(model: &mut Model, row: &[Series]) -> Option<Mixing> {
    let rows = model.batch.unwrap_or(ROWS);
    if rows < 2 {
        return Some(Mixing::Apart);
    }
    let single = model.batch.unwrap_or(1);
    let alone = came_out(model, row, 1, single).ok()?;
    // A category or a token that the model does not know is refused, so whole numbers are left as they are then.
    let beside = [true, false].into_iter().find_map(|whole| {
        let others = beside_others(row, rows, whole);
        came_out(model, &others, rows, rows).ok()
    })?;
    let Some(what) = difference(&alone, &beside) else {
        return Some(Mixing::Apart);
    };
    // What is random differs from itself.
    let again = came_out(model, row, 1, single).ok()?;
    Some(match difference(&alone, &again) {
        Some(_) => Mixing::Apart,
        None => Mixing::Mixed(what),
    })
}

/// The row, and behind it others that differ from it and from each other.
fn beside_others(row: &[Series], rows: usize, whole: bool) -> Vec<Series> {
    let mut numbers = Numbers {
        state: 1,
        size: 1.0,
    };
    let each = |series: &Series| {
        let mut batch = series.clone();
        for other in 1..rows {
            // Numbers of several sizes, since the row does not say what is usual.
            numbers.size = if other % 2 == 0 { 1000.0 } else { 1.0 };
            push_other(&mut batch.values, &series.values, whole, &mut numbers);
        }
        batch
    };
    row.iter().map(each).collect()
}

fn push_other(to: &mut Column, from: &Column, whole: bool, numbers: &mut Numbers) {
    let mut bit = || whole && numbers.next() > 0.0;
    match (to, from) {
        (Column::I32(to), Column::I32(from)) => {
            to.extend(from.iter().map(|value| value + i32::from(bit())));
        }
        (Column::I64(to), Column::I64(from)) => {
            to.extend(from.iter().map(|value| value + i64::from(bit())));
        }
        (Column::U8(to), Column::U8(from)) => {
            to.extend(
                from.iter()
                    .map(|value| value.saturating_add(u8::from(bit()))),
            );
        }
        (Column::Bool(to), Column::Bool(from)) => {
            to.extend(from.iter().map(|value| *value || bit()));
        }
        (Column::F32(to), Column::F32(from)) => {
            #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
            to.extend(from.iter().map(|value| value + numbers.next() as f32));
        }
        (Column::F64(to), Column::F64(from)) => {
            to.extend(from.iter().map(|value| value + numbers.next()));
        }
        (to, from) => to.extend_from(from, 0..from.len()),
    }
}

/// Numbers from -`size` to `size` that look random: a linear congruential generator with the constants of Knuth's MMIX.
struct Numbers {
    state: u64,
    size: f64,
}

impl Numbers {
    fn next(&mut self) -> f64 {
        self.state = (self.state)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let high = u32::try_from(self.state >> 32).unwrap_or(u32::MAX);
        (f64::from(high) / f64::from(u32::MAX) * 2.0 - 1.0) * self.size
    }
}

/// What differs in the first row, in words. Whole numbers and texts hang on fractions, and two that are nearly the same may
/// change places; so only fractions are looked at.
fn difference(alone: &[Collector], beside: &[Collector]) -> Option<String> {
    alone.iter().zip(beside).find_map(|(alone, beside)| {
        let width = alone.series.width();
        let (one, other) = (floats(alone, width)?, floats(beside, width)?);
        let greatest = one.iter().chain(&other).copied().map(f64::abs);
        let greatest = greatest
            .filter(|value| value.is_finite())
            .fold(0.0, f64::max);
        let allowed = ABSOLUTE + RELATIVE * greatest;
        let same = |one: f64, other: f64| {
            one.is_nan() && other.is_nan()
                || one.total_cmp(&other).is_eq()
                || (one - other).abs() <= allowed
        };
        let pairs = one.iter().zip(&other).enumerate();
        let (element, (one, other)) = pairs
            .into_iter()
            .find(|(_, (one, other))| !same(**one, **other))?;
        let name = &alone.output.name;
        let element = if width == 1 {
            String::new()
        } else {
            format!("[{element}]")
        };
        Some(format!(
            "`{name}{element}` of a row is {one} alone, and {other} beside other rows"
        ))
    })
}

fn floats(output: &Collector, width: usize) -> Option<Vec<f64>> {
    Some(match &output.series.values {
        Column::F32(values) => values
            .iter()
            .take(width)
            .map(|value| f64::from(*value))
            .collect(),
        Column::F64(values) => values.iter().take(width).copied().collect(),
        _ => return None,
    })
}
