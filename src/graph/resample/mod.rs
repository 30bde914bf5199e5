//! Images in another size. A filter is separable, so it is two matrices with a row for each new pixel, cut into bands since
//! they are nearly all zeros: products of matrices at every operator set and on every device, exact in the convention. The operator
//! `Resize` has no antialiasing before set 18, and rounds and cuts in its own ways.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GraphBuilder, Value, image::Layout};
use crate::contract::Dtype;

/// How new pixels are made of old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
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

/// What a new pixel is made of: weights of old ones that lie side by side, which sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Taps {
    /// The first old pixel.
    pub first: usize,
    /// Its weight, and those of the next ones.
    pub weights: Vec<f64>,
}

impl Taps {
    /// Old pixels that count, with their weights.
    pub fn parts(&self) -> impl Iterator<Item = (usize, f64)> {
        (self.first..)
            .zip(self.weights.iter().copied())
            .filter(|(_, weight)| *weight != 0.0)
    }
}

/// The taps of each of `to` new pixels. Pixels are areas: the middle of the first is at 0.5 (the half-pixel convention). With antialiasing
/// the filter is as wide as a new pixel, and is cut and made to sum to 1 again at the edges (Pillow); without, it is
/// as wide as an old one, and the pixels at the edge go on for ever (PyTorch).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "places lie within a side of an image, which is 32,768 at most"
)]
pub fn taps(from: usize, to: usize, filter: Filter, antialias: bool) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let smooth = |middle: f64| {
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let first = (middle - support + 0.5).max(0.0) as usize;
        let end = ((middle + support + 0.5) as usize).min(from);
        let weight = |old: usize| filter.at((old as f64 + 0.5 - middle) / stretch);
        let weights = (first..end).map(weight).collect();
        Taps { first, weights }
    };
    let sharp = |middle: f64| {
        let reach = filter.support() as i64;
        let place = middle - 0.5;
        let left = place.floor() as i64;
        let inside = |old: i64| old.clamp(0, from as i64 - 1) as usize;
        let (first, last) = (inside(left + 1 - reach), inside(left + reach));
        let mut weights = vec![0.0; last + 1 - first];
        for old in left + 1 - reach..=left + reach {
            let distance = (old as f64 - place).abs();
            weights[inside(old) - first] += match filter {
                Filter::Bicubic => cubic(distance, -0.75),
                other => other.at(distance),
            };
        }
        Taps { first, weights }
    };
    (0..to)
        .map(|new| {
            let middle = (new as f64 + 0.5) * scale;
            let mut taps = if antialias {
                smooth(middle)
            } else {
                sharp(middle)
            };
            let sum: f64 = taps.weights.iter().sum();
            for weight in &mut taps.weights {
                *weight /= sum;
            }
            taps
        })
        .collect()
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

/// New pixels in one matrix; more would read what they do not need.
const BAND: usize = 8;

/// Taps as matrices: some new pixels each, and the old ones that they need.
#[derive(Debug, PartialEq)]
struct Bands {
    /// New pixels in a band.
    new: usize,
    /// Old pixels in a band.
    old: usize,
    /// `[bands, old]`: which ones. Where a band needs fewer, the last come again without weight.
    indices: Vec<usize>,
    /// `[bands, new, old]`.
    weights: Vec<f64>,
}

impl Bands {
    /// Bands over `from` old pixels; `None` where one matrix over all of them costs no more.
    fn of(taps: &[Taps], from: usize) -> Option<Self> {
        let to = taps.len();
        // All bands have as many pixels, near to the number that was measured to be best; the last may run over.
        let new = (6..=16)
            .filter(|new| to.is_multiple_of(*new))
            .min_by_key(|new| new.abs_diff(BAND))
            .unwrap_or(BAND);
        let needed: Vec<Vec<usize>> = (taps.chunks(new))
            .map(|band| {
                let mut old: Vec<usize> = (band.iter())
                    .flat_map(|taps| taps.parts().map(|(old, _)| old))
                    .collect();
                old.sort_unstable();
                old.dedup();
                old
            })
            .collect();
        let old = needed.iter().map(Vec::len).max()?;
        // What a product costs, counted in elements that are read: each is copied, and multiplied once for each new pixel.
        let cost = |bands: usize, old: usize, new: usize| bands * old * (2 * BAND + new);
        if cost(needed.len(), old, new) * 4 > cost(1, from, to) * 3 {
            return None;
        }
        let mut indices = Vec::with_capacity(needed.len() * old);
        let mut weights = vec![0.0; needed.len() * new * old];
        for (needed, (band, block)) in needed
            .iter()
            .zip(taps.chunks(new).zip(weights.chunks_mut(new * old)))
        {
            let last = needed.last()?;
            indices.extend(needed.iter().chain(std::iter::repeat(last)).take(old));
            for (taps, row) in band.iter().zip(block.chunks_mut(old)) {
                for (index, weight) in taps.parts() {
                    row[needed.binary_search(&index).ok()?] = weight;
                }
            }
        }
        Some(Self {
            new,
            old,
            indices,
            weights,
        })
    }
}

/// `[taps, from]`: all weights in one matrix.
fn dense(taps: &[Taps], from: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; taps.len() * from];
    for (taps, row) in taps.iter().zip(matrix.chunks_mut(from)) {
        for (old, weight) in taps.parts() {
            row[old] = weight;
        }
    }
    matrix
}

/// An image `[height, width]`, `hwc` or `chw` in another size, as it goes out. `u8` stays, rounded as Pillow rounds; other whole
/// numbers become `f32`.
pub fn resize(
    graph: &mut GraphBuilder,
    value: &Value,
    layout: Layout,
    [height, width]: [usize; 2],
    filter: Filter,
    antialias: bool,
) -> Value {
    let [row_axis, column_axis] = layout.axes(value);
    let (old_height, old_width) = (value.shape[row_axis], value.shape[column_axis]);
    let flat = value.shape.len() == 2;
    let (coming, going) = layout.orders(flat);
    if [old_height, old_width] == [height, width] {
        return arrange(graph, value, coming, going);
    }
    if filter == Filter::Nearest {
        let mut picked = value.clone();
        for (axis, old, new) in [
            (row_axis, old_height, height),
            (column_axis, old_width, width),
        ] {
            if old != new {
                picked = graph.pick(&picked, axis, &[new], &nearest(old, new));
            }
        }
        return arrange(graph, &picked, coming, going);
    }
    let bytes = value.dtype == Dtype::U8;
    let (mut value, mut lies) = (value.clone(), coming);
    // Columns first, as Pillow. The axis that is resized lies in front, so that whole stretches are copied and multiplied; each
    // turn moves one axis past the two others, which is the kind that runtimes are quick at.
    if width != old_width {
        let front = if flat { "wh" } else { "wch" };
        value = arrange(graph, &value, lies, front);
        value = along(graph, &value, &taps(old_width, width, filter, antialias));
        lies = front;
        // Pillow stores bytes between its two passes.
        if bytes && antialias && height != old_height {
            value = round(graph, &value, filter);
            value = graph.map("Floor", &value, Vec::new());
        }
    }
    if height != old_height {
        let front = if flat { "hw" } else { "hwc" };
        value = arrange(graph, &value, lies, front);
        value = along(graph, &value, &taps(old_height, height, filter, antialias));
        lies = front;
    }
    if bytes {
        value = round(graph, &value, filter);
        // A cast to bytes cuts off what is behind the point.
        value = graph.cast(&value, Dtype::U8);
    }
    arrange(graph, &value, lies, going)
}

/// Axes in another order, both given by their letters.
pub fn arrange(graph: &mut GraphBuilder, value: &Value, from: &str, to: &str) -> Value {
    let order: Vec<usize> = to.chars().filter_map(|axis| from.find(axis)).collect();
    graph.transpose(value, &order)
}

/// The first axis made new, as floats.
fn along(graph: &mut GraphBuilder, value: &Value, taps: &[Taps]) -> Value {
    let Some((&from, rest)) = value.shape.split_first() else {
        return value.clone();
    };
    let to = taps.len();
    let stretch: usize = rest.iter().product();
    let new_shape: Vec<usize> = std::iter::once(to).chain(rest.iter().copied()).collect();
    let value = graph.reshape(value, &[from, stretch]);
    let Some(bands) = Bands::of(taps, from) else {
        let value = graph.float(&value);
        let matrix = graph.numbers(value.dtype, &[to, from], &dense(taps, from));
        let name = graph.node("MatMul", &[&matrix, &value.name], Vec::new());
        let value = Value::new(name, value.dtype, vec![to, stretch]);
        return graph.reshape(&value, &new_shape);
    };
    let Bands { new, old, .. } = bands;
    let count = bands.indices.len() / old;
    // Bytes are picked before they become floats.
    let picked = graph.pick(&value, 0, &[count, old], &bands.indices);
    let picked = graph.float(&picked);
    let weights = graph.numbers(picked.dtype, &[count, new, old], &bands.weights);
    let name = graph.node("MatMul", &[&weights, &picked.name], Vec::new());
    let value = Value::new(name, picked.dtype, vec![count, new, stretch]);
    let value = graph.reshape(&value, &[count * new, stretch]);
    let value = graph.crop(&value, &[0], &[0], &[to]);
    graph.reshape(&value, &new_shape)
}

/// Half a level up, and within a byte once the fraction is cut off.
fn round(graph: &mut GraphBuilder, value: &Value, filter: Filter) -> Value {
    let half = graph.number(value.dtype, 0.5);
    let value = graph.with_constant("Add", value, &half);
    if !filter.overshoots() {
        return value;
    }
    let (low, high) = (
        graph.number(value.dtype, 0.0),
        graph.number(value.dtype, 255.5),
    );
    let name = graph.node("Clip", &[&value.name, &low, &high], Vec::new());
    Value { name, ..value }
}

#[cfg(test)]
mod tests;
