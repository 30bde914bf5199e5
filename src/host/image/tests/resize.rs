//! Rounding against the formulas as they stand in Python, and the sums row by row against the whole
//! picture in two passes.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the formulas as they stand in Python"
)]

use proptest::prelude::*;

use crate::host::image::{
    Filter, Fit, ImageOptions,
    geometry::{Axis, axes},
    resample::{Picture, Resampler},
    weights::{HALF, Weights, pixel},
};

/// Pillow's two passes over the whole picture, then the cut; one channel.
fn two_passes(filter: Filter, pixels: &[u8], width: usize, x: Axis, y: Axis) -> Vec<u8> {
    let whole = |axis: Axis| Axis {
        start: 0,
        kept: axis.scaled,
        ..axis
    };
    let pass = |axis: Axis, line: Vec<u8>| -> Vec<u8> {
        let mut weights = Weights::default();
        weights.prepare(filter, &whole(axis));
        let sums = weights.windows().iter().map(|window| {
            let inputs = &line[window.first..window.first + window.len];
            let products = inputs.iter().zip(weights.taps(*window));
            HALF + products.map(|(p, tap)| i32::from(*p) * tap).sum::<i32>()
        });
        sums.map(pixel).collect()
    };
    let rows: Vec<Vec<u8>> = pixels
        .chunks(width)
        .map(|row| pass(x, row.to_vec()))
        .collect();
    let columns: Vec<Vec<u8>> = (0..x.scaled)
        .map(|at| pass(y, rows.iter().map(|row| row[at]).collect()))
        .collect();
    (y.start..y.start + y.kept)
        .flat_map(|row| (x.start..x.start + x.kept).map(move |column| (row, column)))
        .map(|(row, column)| columns[column][row])
        .collect()
}

fn side() -> impl Strategy<Value = usize> {
    prop_oneof![1_usize..12, 1_usize..90]
}

proptest! {
    #[test]
    fn rows_add_up_to_the_same(
        width in side(),
        height in side(),
        size in [side(), side()],
        fit in prop::sample::select(vec![Fit::Stretch, Fit::Crop, Fit::Letterbox]),
        filter in prop::sample::select(vec![Filter::Bilinear, Filter::Bicubic, Filter::Lanczos]),
        seed: u64,
    ) {
        let mut state = seed | 1;
        let pixels: Vec<u8> = (0..width * height).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        }).collect();
        let (x, y) = axes(&ImageOptions::new(size, fit), width, height);
        let expected = two_passes(filter, &pixels, width, x, y);
        let picture = Picture { pixels: &pixels, width, channels: 1 };
        let mut ours = Vec::new();
        Resampler::default().run(filter, &picture, &x, &y, |row| ours.extend_from_slice(row));
        prop_assert_eq!(ours, expected);
    }

    /// `int(round((scaled - output) / 2.0))`, `int(shorter * long / short)`.
    #[test]
    fn crops_are_torchvisions(width in 1_usize..=65535, height in 1_usize..=65535, resize in 32_usize..=4096) {
        let mut options = ImageOptions::new([32, 31], Fit::Crop);
        options.resize = Some(resize);
        let (x, y) = axes(&options, width, height);
        let (short, long) = (width.min(height) as f64, width.max(height) as f64);
        let longer = (resize as f64 * long / short) as usize;
        prop_assert_eq!(x.scaled.min(y.scaled), resize);
        prop_assert_eq!(x.scaled.max(y.scaled), longer);
        prop_assert_eq!(x.start, ((x.scaled - 31) as f64 / 2.0).round_ties_even() as usize);
        prop_assert_eq!(y.start, ((y.scaled - 32) as f64 / 2.0).round_ties_even() as usize);
    }

    /// Without `resize`, a square is torchvision's `Resize(side)`, and any size is covered.
    #[test]
    fn crops_cover(width in 1_usize..=65535, height in 1_usize..=65535, size in [1_usize..=4096, 1_usize..=4096]) {
        let (x, y) = axes(&ImageOptions::new(size, Fit::Crop), width, height);
        prop_assert!(x.scaled >= size[1] && y.scaled >= size[0]);
        prop_assert!(x.scaled == size[1] || y.scaled == size[0]);
        prop_assert!(x.start + x.kept <= x.scaled && y.start + y.kept <= y.scaled);
        let square = ImageOptions::new([size[0]; 2], Fit::Crop);
        let without = axes(&square, width, height);
        let with = ImageOptions { resize: Some(size[0]), ..square };
        prop_assert_eq!(without, axes(&with, width, height));
    }

    /// `round(spare / 2 - 0.1)`, and nothing beyond the edges.
    #[test]
    fn letterboxes_are_ultralytics(width in 1_usize..=65535, height in 1_usize..=65535, size in [1_usize..=4096, 1_usize..=4096]) {
        let (x, y) = axes(&ImageOptions::new(size, Fit::Letterbox), width, height);
        for (axis, output) in [(x, size[1]), (y, size[0])] {
            prop_assert!(axis.scaled >= 1 && axis.offset + axis.kept <= output);
            let spare = (output - axis.scaled) as f64;
            prop_assert_eq!(axis.offset, (spare / 2.0 - 0.1).round_ties_even().max(0.0) as usize);
        }
        prop_assert!(x.scaled == size[1] || y.scaled == size[0]);
    }
}
