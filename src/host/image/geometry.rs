//! Where the pixels of the output come from: sizes and offsets as the libraries that models are
//! trained with round them.

use super::options::{Align, Fit, ImageOptions};

/// One axis of the way from the picture to the output, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    /// Length of the picture as it was read.
    pub(super) input: usize,
    /// Length of the whole picture after resampling.
    pub(super) scaled: usize,
    /// First pixel of the resampled picture that is kept.
    pub(super) start: usize,
    /// How many pixels of it are kept, from `start` on.
    pub(super) kept: usize,
    /// Where the first kept pixel lies in the output; before it is margin.
    pub(super) offset: usize,
    /// Length of the output.
    pub(super) output: usize,
}

impl Axis {
    /// Resampled to `scaled`, then cut at the centre to `output`. The offset is torchvision's
    /// `int(round((scaled - output) / 2.0))`: halves go to the even neighbour. `scaled` is at least
    /// `output`.
    fn cut(input: usize, scaled: usize, output: usize) -> Self {
        let spare = scaled.saturating_sub(output);
        let half = spare / 2;
        let start = if spare % 2 == 1 && half % 2 == 1 {
            half + 1
        } else {
            half
        };
        Self {
            input,
            scaled,
            start,
            kept: output,
            offset: 0,
            output,
        }
    }

    /// Resampled to `scaled`, with margins up to `output`: around it, or behind it only. Around it, the
    /// offset is Ultralytics' `round(spare / 2 - 0.1)`, which is the half rounded down. `scaled` is at
    /// most `output`.
    fn margin(input: usize, scaled: usize, output: usize, align: Align) -> Self {
        Self {
            input,
            scaled,
            start: 0,
            kept: scaled,
            offset: match align {
                Align::Center => output.saturating_sub(scaled) / 2,
                Align::TopLeft => 0,
            },
            output,
        }
    }
}

/// The horizontal and the vertical axis for a picture of `width` × `height`, both from 1 to 65535.
pub(super) fn axes(options: &ImageOptions, width: usize, height: usize) -> (Axis, Axis) {
    let [out_height, out_width] = options.size;
    match options.fit {
        Fit::Stretch => (
            Axis::cut(width, out_width, out_width),
            Axis::cut(height, out_height, out_height),
        ),
        Fit::Crop => {
            let (scaled_width, scaled_height) = match options.resize {
                Some(shorter) => shorter_side(width, height, shorter),
                None => cover(width, height, out_width, out_height),
            };
            (
                Axis::cut(width, scaled_width, out_width),
                Axis::cut(height, scaled_height, out_height),
            )
        }
        Fit::Letterbox => {
            let (scaled_width, scaled_height) = inside(width, height, out_width, out_height);
            (
                Axis::margin(width, scaled_width, out_width, options.align),
                Axis::margin(height, scaled_height, out_height, options.align),
            )
        }
    }
}

/// Width and height with the shorter side at `shorter`; the longer is torchvision's
/// `int(shorter * long / short)`. That division in floats never rounds up to a whole number here,
/// as all factors are far below 2^26, so it is the division of integers.
fn shorter_side(width: usize, height: usize, shorter: usize) -> (usize, usize) {
    if width <= height {
        (shorter, shorter * height / width)
    } else {
        (shorter * width / height, shorter)
    }
}

/// Width and height that just cover the output, with the proportions kept. For a square output this
/// is `shorter_side` with the output's side.
fn cover(width: usize, height: usize, out_width: usize, out_height: usize) -> (usize, usize) {
    if out_width * height >= out_height * width {
        (out_width, (out_width * height / width).max(out_height))
    } else {
        ((out_height * width / height).max(out_width), out_height)
    }
}

/// Width and height that just fit into the output, with the proportions kept: Ultralytics'
/// `max(round(side * min(out_height / height, out_width / width)), 1)`.
fn inside(width: usize, height: usize, out_width: usize, out_height: usize) -> (usize, usize) {
    let ratio = (out_height as f64 / height as f64).min(out_width as f64 / width as f64);
    (
        scaled(width, ratio).min(out_width),
        scaled(height, ratio).min(out_height),
    )
}

/// Python's `max(round(side * ratio), 1)`: halves go to the even neighbour.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number from 0 to the longest output side"
)]
fn scaled(side: usize, ratio: f64) -> usize {
    ((side as f64 * ratio).round_ties_even() as usize).max(1)
}
