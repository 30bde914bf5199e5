//! The output of one picture: margins, order of channels and of axes.

use super::{
    frame::luma,
    geometry::Axis,
    options::{AxisOrder, Channels, ImageOptions},
};

/// The row of the output that a picture is written to, from the top.
#[derive(Debug)]
pub(super) struct Canvas<'a> {
    values: &'a mut [u8],
    /// Where the next row of pixels begins, less the distance of its channel.
    at: usize,
    /// Pixels in a row that is put.
    width: usize,
    /// Channels in a row that is put: 1 or 3.
    given: usize,
    /// For each channel of the output, the channel of the rows that are put, and how far its
    /// values are from those of the first.
    channels: Vec<(usize, usize)>,
    /// How far values of neighbours in a row are from each other.
    pixel_step: usize,
    /// How far values of neighbours in a column are from each other.
    row_step: usize,
}

impl<'a> Canvas<'a> {
    /// Appends the output to `out`, all margin, for rows with `given` channels.
    pub(super) fn new(
        options: &ImageOptions,
        x: &Axis,
        y: &Axis,
        given: usize,
        out: &'a mut Vec<u8>,
    ) -> Self {
        let [height, width] = options.size;
        let count = options.channels.count();
        let (plane, pixel_step, row_step) = match options.layout {
            AxisOrder::Chw => (height * width, 1, width),
            AxisOrder::Hwc => (1, count, width * count),
        };
        let begin = out.len();
        out.resize(begin + height * width * count, 0);
        let mut canvas = Self {
            values: out.get_mut(begin..).unwrap_or_default(),
            at: 0,
            width,
            given: count,
            channels: (0..count)
                .map(|channel| (channel, channel * plane))
                .collect(),
            pixel_step,
            row_step,
        };
        if x.kept < x.output || y.kept < y.output {
            let margin = margin(options).repeat(width);
            for _ in 0..height {
                canvas.put(&margin);
            }
        }
        canvas.at = y.offset * row_step + x.offset * pixel_step;
        canvas.width = x.kept;
        canvas.given = given;
        for (source, _) in &mut canvas.channels {
            if given == 1 {
                *source = 0;
            } else if options.channels == Channels::Bgr {
                *source = 2 - *source;
            }
        }
        canvas
    }

    /// Writes the next row of pixels.
    pub(super) fn put(&mut self, row: &[u8]) {
        for &(source, distance) in &self.channels {
            let to = self
                .values
                .get_mut(self.at + distance..)
                .unwrap_or_default();
            let from = row.get(source..).unwrap_or_default();
            match (self.given, self.pixel_step) {
                // A constant step is what makes these fast.
                (3, 1) => each(to, 1, from, 3, self.width),
                (3, 3) => each(to, 3, from, 3, self.width),
                (given, step) => each(to, step, from, given, self.width),
            }
        }
        self.at += self.row_step;
    }
}

/// Copies `count` values from every `from_step`th to every `to_step`th place.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the steps become constants where they are"
)]
fn each(to: &mut [u8], to_step: usize, from: &[u8], from_step: usize, count: usize) {
    let places = to.iter_mut().step_by(to_step).take(count);
    for (to, from) in places.zip(from.iter().step_by(from_step)) {
        *to = *from;
    }
}

/// A pixel of the margin, in the order of the output's channels.
fn margin(options: &ImageOptions) -> Vec<u8> {
    let [red, green, blue] = options.margin();
    match options.channels {
        Channels::Rgb => vec![red, green, blue],
        Channels::Bgr => vec![blue, green, red],
        Channels::Gray => luma([red, green, blue]).to_vec(),
    }
}
