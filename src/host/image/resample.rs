//! A picture of any size becomes one of the asked size, row by row.
//!
//! Pillow resamples the whole picture along the rows, rounds to bytes, and then along the columns.
//! (From version 13 on, the other way round where the height shrinks much more than the width; the
//! results differ by up to 8 levels there. Here it is rows first, as models have been trained with.)
//! Here each input row is resampled once and added at once to all output rows that it is a part of:
//! the sums, being of integers, are the same, and memory is bounded by the output, not by a picture
//! of 1 × 65535 pixels. Only what a crop keeps is computed.

use super::{
    geometry::Axis,
    options::Filter,
    weights::{HALF, Weights, nearest, pixel},
};

/// A picture in memory: rows of pixels, the channels of a pixel side by side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picture<'a> {
    /// `width × height × channels` bytes.
    pub(super) pixels: &'a [u8],
    /// In pixels, at least 1.
    pub(super) width: usize,
    /// 1 or 3.
    pub(super) channels: usize,
}

impl<'a> Picture<'a> {
    fn row(&self, y: usize) -> &'a [u8] {
        let len = self.width * self.channels;
        self.pixels.get(y * len..(y + 1) * len).unwrap_or_default()
    }
}

/// Scratch memory and weights, kept from picture to picture.
#[derive(Debug, Default)]
pub(super) struct Resampler {
    across: Weights,
    down: Weights,
    columns: Vec<usize>,
    rows: Vec<usize>,
    /// One input row, resampled.
    line: Vec<u8>,
    /// Sums of the output rows that are under way, one after another, in a ring.
    sums: Vec<i32>,
}

impl Resampler {
    /// Gives each kept output row, from the top, to `row`: `x.kept × channels` bytes.
    pub(super) fn run(
        &mut self,
        filter: Filter,
        picture: &Picture<'_>,
        x: &Axis,
        y: &Axis,
        mut row: impl FnMut(&[u8]),
    ) {
        if filter == Filter::Nearest {
            self.pick(picture, x, y, row);
            return;
        }
        self.across.prepare(filter, x);
        if y.input == y.scaled {
            for input in y.start..y.start + y.kept {
                resample_row(&self.across, picture, x, input, &mut self.line);
                row(&self.line);
            }
        } else {
            self.down.prepare(filter, y);
            self.add_up(picture, x, row);
        }
    }

    /// Without smoothing.
    fn pick(&mut self, picture: &Picture<'_>, x: &Axis, y: &Axis, mut row: impl FnMut(&[u8])) {
        nearest(x, &mut self.columns);
        nearest(y, &mut self.rows);
        let channels = picture.channels;
        for &input in &self.rows {
            let source = picture.row(input);
            self.line.clear();
            for &column in &self.columns {
                let at = column * channels;
                self.line
                    .extend_from_slice(source.get(at..at + channels).unwrap_or_default());
            }
            row(&self.line);
        }
    }

    /// Reads the input rows in order and adds each to the output rows that it is a part of.
    fn add_up(&mut self, picture: &Picture<'_>, x: &Axis, mut row: impl FnMut(&[u8])) {
        let windows = self.down.windows();
        let len = x.kept * picture.channels;
        let ring = rows_under_way(windows.iter().map(|window| (window.first, window.len)));
        self.sums.clear();
        self.sums.resize(ring * len, HALF);
        let (mut done, mut begun) = (0, 0);
        let first = windows.first().map_or(0, |window| window.first);
        let end = windows.last().map_or(0, |window| window.first + window.len);
        for input in first..end {
            resample_row(&self.across, picture, x, input, &mut self.line);
            while windows.get(begun).is_some_and(|w| w.first <= input) {
                begun += 1;
            }
            for output in done..begun {
                let Some(&window) = windows.get(output) else {
                    break;
                };
                let taps = self.down.taps(window);
                let Some(&tap) = input.checked_sub(window.first).and_then(|at| taps.get(at)) else {
                    continue;
                };
                let at = output % ring * len;
                let sums = self.sums.get_mut(at..at + len).unwrap_or_default();
                for (sum, &pixel) in sums.iter_mut().zip(&self.line) {
                    *sum = sum.wrapping_add(i32::from(pixel).wrapping_mul(tap));
                }
            }
            while done < begun
                && windows
                    .get(done)
                    .is_some_and(|w| w.first + w.len <= input + 1)
            {
                let at = done % ring * len;
                let sums = self.sums.get_mut(at..at + len).unwrap_or_default();
                self.line.clear();
                self.line.extend(sums.iter().map(|&sum| pixel(sum)));
                sums.fill(HALF);
                row(&self.line);
                done += 1;
            }
        }
    }
}

/// The most windows that are open at once; starts and ends never go back.
fn rows_under_way(windows: impl Iterator<Item = (usize, usize)> + Clone) -> usize {
    let mut oldest = windows.clone().enumerate();
    let mut open = oldest.next();
    let mut most = 1;
    for (newest, (first, _)) in windows.enumerate() {
        while open.is_some_and(|(at, (start, len))| at < newest && start + len <= first) {
            open = oldest.next();
        }
        most = most.max(newest + 1 - open.map_or(newest, |(at, _)| at));
    }
    most
}

/// One input row, resampled to the kept columns.
fn resample_row(
    across: &Weights,
    picture: &Picture<'_>,
    x: &Axis,
    input: usize,
    line: &mut Vec<u8>,
) {
    let source = picture.row(input);
    line.clear();
    if x.input == x.scaled {
        let (from, to) = (
            x.start * picture.channels,
            (x.start + x.kept) * picture.channels,
        );
        line.extend_from_slice(source.get(from..to).unwrap_or_default());
    } else if picture.channels == 3 {
        weigh::<3>(across, source, line);
    } else {
        weigh::<1>(across, source, line);
    }
}

/// The weighted sums of one row with `C` channels.
fn weigh<const C: usize>(across: &Weights, source: &[u8], line: &mut Vec<u8>) {
    let (source, _) = source.as_chunks::<C>();
    for &window in across.windows() {
        let mut sums = [HALF; C];
        let inputs = source
            .get(window.first..window.first + window.len)
            .unwrap_or_default();
        for (input, &tap) in inputs.iter().zip(across.taps(window)) {
            for (sum, &pixel) in sums.iter_mut().zip(input) {
                *sum = sum.wrapping_add(i32::from(pixel).wrapping_mul(tap));
            }
        }
        line.extend(sums.map(pixel));
    }
}
