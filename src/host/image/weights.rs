//! The weights of a resampling along one axis, as Pillow's `Image.resize` has them.
//!
//! Each output pixel is a weighted sum of the input pixels in a window around its place in the
//! input. Making a picture smaller widens the window in proportion (antialias). Weights are
//! computed in f64 and then held as integers with 22 bits after the binary point, so that sums are
//! exact and the result does not depend on their order. This is the method that Pillow describes
//! in its release notes 2.7 and 3.3 ("Image resizing"), written anew from that and from its results.

use super::{geometry::Axis, options::Filter};

/// Bits after the binary point of a weight: 32, less 8 for a pixel, less 2 for sign and overshoot.
pub(super) const PRECISION: u32 = 32 - 8 - 2;

/// The input pixels that one output pixel is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// The first input pixel.
    pub(super) first: usize,
    /// How many there are, from 1 to the length of the input.
    pub(super) len: usize,
    /// Where its weights begin.
    at: usize,
}

/// Windows and weights for the kept pixels of one axis; kept while pictures have the same size.
#[derive(Debug, Default)]
pub(super) struct Weights {
    made_for: Option<(Filter, Axis)>,
    windows: Vec<Window>,
    taps: Vec<i32>,
}

impl Weights {
    /// Makes the weights for `axis`, unless they are there already. `filter` is not `Nearest`.
    pub(super) fn prepare(&mut self, filter: Filter, axis: &Axis) {
        if self.made_for == Some((filter, *axis)) {
            return;
        }
        self.made_for = Some((filter, *axis));
        self.windows.clear();
        self.taps.clear();
        let scale = axis.input as f64 / axis.scaled as f64;
        let stretch = scale.max(1.0);
        let reach = reach(filter) * stretch;
        let mut weights = Vec::new();
        for place in axis.start..axis.start + axis.kept {
            let center = (place as f64 + 0.5) * scale;
            let first = whole(center - reach + 0.5).min(axis.input - 1);
            let end = whole(center + reach + 0.5).clamp(first + 1, axis.input);
            weights.clear();
            weights.extend(
                (first..end)
                    .map(|pixel| weight(filter, (pixel as f64 - center + 0.5) * (1.0 / stretch))),
            );
            let sum: f64 = weights.iter().sum();
            self.windows.push(Window {
                first,
                len: end - first,
                at: self.taps.len(),
            });
            self.taps.extend(
                weights
                    .iter()
                    .map(|weight| fixed(if sum == 0.0 { *weight } else { weight / sum })),
            );
        }
    }

    /// One window for each kept pixel; their starts and their ends never go back.
    pub(super) fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The weights of a window, one for each of its pixels.
    pub(super) fn taps(&self, window: Window) -> &[i32] {
        self.taps
            .get(window.at..window.at + window.len)
            .unwrap_or_default()
    }
}

/// A sum of weighted pixels, begun at `HALF`, as a pixel.
#[expect(clippy::cast_sign_loss, reason = "clamped to a byte")]
pub(super) fn pixel(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// What a sum begins with, so that it is rounded.
pub(super) const HALF: i32 = 1 << (PRECISION - 1);

/// The input pixels that an output without smoothing takes, as Pillow's `NEAREST` does: the place
/// is summed up step by step, and the rounding errors of the sum are part of the result.
pub(super) fn nearest(axis: &Axis, into: &mut Vec<usize>) {
    let scale = axis.input as f64 / axis.scaled as f64;
    let mut place = scale * 0.5;
    into.clear();
    for output in 0..axis.start + axis.kept {
        if output >= axis.start {
            into.push(whole(place).min(axis.input - 1));
        }
        place += scale;
    }
}

/// How far a filter reaches, in pixels, when nothing is made smaller.
fn reach(filter: Filter) -> f64 {
    match filter {
        Filter::Nearest => 0.5,
        Filter::Bilinear => 1.0,
        Filter::Bicubic => 2.0,
        Filter::Lanczos => 3.0,
    }
}

/// The weight of a pixel at distance `x` from the centre.
fn weight(filter: Filter, x: f64) -> f64 {
    let x = x.abs();
    match filter {
        Filter::Nearest => 1.0,
        Filter::Bilinear => (1.0 - x).max(0.0),
        Filter::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
        Filter::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
        Filter::Bicubic | Filter::Lanczos => 0.0,
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        let x = x * std::f64::consts::PI;
        x.sin() / x
    }
}

/// The whole part; 0 for what is below it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and below 0 is 0"
)]
fn whole(x: f64) -> usize {
    x as usize
}

/// A weight as an integer, rounded, halves away from 0.
#[expect(clippy::cast_possible_truncation, reason = "weights are small")]
fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION);
    if scaled < 0.0 {
        (scaled - 0.5) as i32
    } else {
        (scaled + 0.5) as i32
    }
}
