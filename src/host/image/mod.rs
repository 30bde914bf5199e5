//! The bytes of an image file become pixels of a fixed size.
//!
//! An [`ImageStep`] decodes JPEG, PNG and WebP, converts to the asked channels and resamples to the
//! asked size, as Pillow and torchvision do: lossless formats and resampling give Pillow's pixels
//! exactly, JPEG and lossy WebP differ by a few levels at most, as two decoders of them do. Each
//! decode thread owns one step.
//!
//! Files come from outside. Sizes are read from the header and compared with the limits before
//! memory is taken; memory is at most 16 bytes a pixel of the picture (progressive JPEG and lossy
//! WebP with transparency take most), and some 20 bytes for each value of the output.

mod canvas;
mod exif;
mod fault;
mod frame;
mod geometry;
mod jpeg;
mod options;
mod png;
mod resample;
mod sniff;
mod webp;
mod weights;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use fault::{Format, ImageFault, OptionFault};
pub use options::{
    Align, AxisOrder, Channels, Filter, Fit, ImageOptions, LONGEST_SIDE, Orientation,
};

use canvas::Canvas;
use frame::{Frame, Limits};
use geometry::axes;
use resample::Resampler;

/// Decodes and resizes one image file after another.
#[derive(Debug)]
pub struct ImageStep {
    options: ImageOptions,
    frame: Frame,
    resampler: Resampler,
}

impl Clone for ImageStep {
    /// The same step; what it keeps between images is not copied.
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
            frame: Frame::default(),
            resampler: Resampler::default(),
        }
    }
}

impl ImageStep {
    /// A step for `options`.
    ///
    /// # Errors
    /// The options are out of range or contradict each other.
    pub fn new(options: ImageOptions) -> Result<Self, OptionFault> {
        options.check()?;
        Ok(Self {
            options,
            frame: Frame::default(),
            resampler: Resampler::default(),
        })
    }

    /// The shape of a row: channels, height, width, in the order of `layout`. All values are bytes
    /// from 0 to 255.
    pub fn row_shape(&self) -> Vec<usize> {
        let [height, width] = self.options.size;
        let channels = self.options.channels.count();
        match self.options.layout {
            AxisOrder::Chw => vec![channels, height, width],
            AxisOrder::Hwc => vec![height, width, channels],
        }
    }

    /// Appends the pixels of the image file `bytes` to `out`: as many bytes as the product of
    /// [`row_shape`](Self::row_shape). Never panics, whatever the bytes.
    ///
    /// # Errors
    /// The file cannot be read; `out` is as it was.
    pub fn run(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ImageFault> {
        let max = self.options.max_bytes;
        if bytes.len() > max {
            return Err(ImageFault::TooManyBytes {
                bytes: bytes.len(),
                max,
            });
        }
        let format = sniff::sniff(bytes)?;
        let limits = Limits {
            pixels: self.options.max_pixels,
        };
        let frame = &mut self.frame;
        // The decoders index slices by what files say. Should one slip, that file alone is lost.
        let decoded = catch_unwind(AssertUnwindSafe(|| match format {
            Format::Jpeg => jpeg::decode(bytes, limits, frame),
            Format::Png => png::decode(bytes, limits, frame),
            Format::Webp => webp::decode(bytes, limits, frame),
        }));
        decoded.unwrap_or_else(|_| {
            Err(ImageFault::Corrupt {
                format,
                why: "the decoder gave up on it".to_owned(),
            })
        })?;
        self.frame.convert(self.options.channels);
        if self.options.orientation == Orientation::Exif {
            self.frame.turn();
        }
        self.resize(out);
        self.frame.relax();
        Ok(())
    }

    /// Resamples the frame and appends it to `out`.
    fn resize(&mut self, out: &mut Vec<u8>) {
        let (width, height) = self.frame.size();
        let (x, y) = axes(&self.options, width, height);
        let picture = self.frame.picture();
        let mut canvas = Canvas::new(&self.options, &x, &y, picture.channels, out);
        self.resampler
            .run(self.options.filter, &picture, &x, &y, |row| canvas.put(row));
    }
}

#[cfg(test)]
mod tests;
