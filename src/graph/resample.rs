//! Images in another size. A filter is separable, so it is two matrices with a row for each new pixel: GEMMs at
//! every operator set and on every device, exact in the convention, where the operator `Resize` has no antialiasing
//! before set 18 and other corners in every runtime.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{GraphBuilder, Value};
use crate::contract::Dtype;

/// How new pixels are made of old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The pixel whose middle is nearest, as Pillow's `NEAREST` and PyTorch's `nearest-exact`.
    Nearest,
    /// The mean of what a new pixel covers, as Pillow's `BOX`.
    Box,
    /// A triangle, as Pillow's `BILINEAR`.
    #[default]
    Bilinear,
    /// Cubic curves: `a = -0.5` as Pillow's `BICUBIC` with antialiasing, `-0.75` as PyTorch and OpenCV without.
    Bicubic,
    /// A windowed sinc over three lobes, as Pillow's `LANCZOS`.
    Lanczos,
}

impl Filter {
    /// How far the filter reaches, in pixels of the smaller scale.
    fn support(self) -> f64 {
        match self {
            Self::Nearest | Self::Box => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// Whether results may leave the range of the pixels.
    fn overshoots(self) -> bool {
        matches!(self, Self::Bicubic | Self::Lanczos)
    }

    fn at(self, x: f64) -> f64 {
        match self {
            Self::Nearest | Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => cubic(x.abs(), -0.5),
            Self::Lanczos if x.abs() < 3.0 => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

/// Keys, "Cubic convolution interpolation for digital image processing", 1981.
fn cubic(x: f64, a: f64) -> f64 {
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((x - 5.0) * x + 8.0) * a * x - 4.0 * a
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    let x = x * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

/// A row of `from` weights for each of `to` new pixels; every row sums to 1. Pixels are areas: the middle of the first
/// is at 0.5 (the half-pixel convention). With antialiasing the filter is as wide as a new pixel, and is cut and
/// made to sum to 1 again at the edges (Pillow); without, it is as wide as an old one, and the pixels at the edge go on
/// for ever (PyTorch).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "places lie within a side of an image, which is 32,768 at most"
)]
pub fn weights(from: usize, to: usize, filter: Filter, antialias: bool) -> Vec<f64> {
    let scale = from as f64 / to as f64;
    let mut matrix = vec![0.0; from * to];
    for (new, row) in matrix.chunks_exact_mut(from).enumerate() {
        let middle = (new as f64 + 0.5) * scale;
        if antialias {
            let stretch = scale.max(1.0);
            let support = filter.support() * stretch;
            let first = (middle - support + 0.5).max(0.0) as usize;
            let last = ((middle + support + 0.5) as usize).min(from);
            for (old, weight) in row.iter_mut().enumerate().take(last).skip(first) {
                *weight = filter.at((old as f64 + 0.5 - middle) / stretch);
            }
        } else {
            let reach = filter.support() as i64;
            let place = middle - 0.5;
            let left = place.floor() as i64;
            for old in left + 1 - reach..=left + reach {
                let distance = (old as f64 - place).abs();
                let weight = match filter {
                    Filter::Bicubic => cubic(distance, -0.75),
                    other => other.at(distance),
                };
                row[old.clamp(0, from as i64 - 1) as usize] += weight;
            }
        }
        let sum: f64 = row.iter().sum();
        for weight in row {
            *weight /= sum;
        }
    }
    matrix
}

/// The old pixel for each new one: the one that the new one's middle lies in. Where that is between two, the errors of
/// adding up decide, so they are made as Pillow makes them: by adding the step in `f64`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places lie within a side of an image"
)]
pub fn nearest(from: usize, to: usize) -> Vec<usize> {
    let step = from as f64 / to as f64;
    let mut place = step * 0.5;
    (0..to)
        .map(|_| {
            let old = place as usize;
            place += step;
            old.min(from - 1)
        })
        .collect()
}

/// Images `[.., height, width]` in another size. `u8` stays, rounded as Pillow rounds; other whole numbers become `f32`.
pub fn resize(
    graph: &mut GraphBuilder,
    planes: &Value,
    [height, width]: [usize; 2],
    filter: Filter,
    antialias: bool,
) -> Value {
    let [.., old_height, old_width] = *planes.shape else {
        return planes.clone();
    };
    let axis = planes.shape.len() - 2;
    if [old_height, old_width] == [height, width] {
        return planes.clone();
    }
    if filter == Filter::Nearest {
        let mut picked = planes.clone();
        if height != old_height {
            picked = graph.pick(&picked, axis, &[height], &nearest(old_height, height));
        }
        if width != old_width {
            picked = graph.pick(&picked, axis + 1, &[width], &nearest(old_width, width));
        }
        return picked;
    }
    let bytes = planes.dtype == Dtype::U8;
    let mut value = graph.float(planes);
    if width != old_width {
        let matrix = weights(old_width, width, filter, antialias);
        value = across(graph, &value, width, &matrix);
        // Pillow stores bytes between its two passes.
        if bytes && antialias && height != old_height {
            value = round(graph, &value, filter);
            value = graph.map("Floor", &value, Vec::new());
        }
    }
    if height != old_height {
        let matrix = weights(old_height, height, filter, antialias);
        let matrix = graph.numbers(value.dtype, &[height, old_height], &matrix);
        let name = graph.node("MatMul", &[&matrix, &value.name], Vec::new());
        let mut shape = value.shape.clone();
        shape[axis] = height;
        value = Value::new(name, value.dtype, shape);
    }
    if bytes {
        value = round(graph, &value, filter);
        // A cast to bytes cuts off what is behind the point.
        value = graph.cast(&value, Dtype::U8);
    }
    value
}

/// The last axis through a matrix of `to` rows.
fn across(graph: &mut GraphBuilder, value: &Value, to: usize, rows: &[f64]) -> Value {
    let from = rows.len() / to;
    let mut columns = vec![0.0; rows.len()];
    for (new, row) in rows.chunks_exact(from).enumerate() {
        for (old, weight) in row.iter().enumerate() {
            columns[old * to + new] = *weight;
        }
    }
    let matrix = graph.numbers(value.dtype, &[from, to], &columns);
    let name = graph.node("MatMul", &[&value.name, &matrix], Vec::new());
    let mut shape = value.shape.clone();
    if let Some(last) = shape.last_mut() {
        *last = to;
    }
    Value::new(name, value.dtype, shape)
}

/// Half a level up, and within a byte once the fraction is cut off.
fn round(graph: &mut GraphBuilder, value: &Value, filter: Filter) -> Value {
    let half = graph.number(value.dtype, 0.5);
    let value = graph.with_constant("Add", value, &half);
    if !filter.overshoots() {
        return value;
    }
    let (low, high) = (graph.number(value.dtype, 0.0), graph.number(value.dtype, 255.5));
    let name = graph.node("Clip", &[&value.name, &low, &high], Vec::new());
    Value { name, ..value }
}
