//! A decoded picture, in memory that is used again.

use super::{
    exif,
    fault::{Format, ImageFault},
    options::{Channels, LONGEST_SIDE},
    resample::Picture,
};

/// Scratch memory above this many bytes is given back after a picture: most are far smaller, and a
/// few large ones must not stay in every thread.
const KEPT: usize = 16 << 20;

/// What a header may say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Width × height.
    pub(super) pixels: u64,
}

impl Limits {
    /// Checks what a header says, before memory is taken for the picture.
    pub(super) fn check(self, format: Format, width: u32, height: u32) -> Result<(), ImageFault> {
        if width == 0 || height == 0 {
            return Err(ImageFault::NoPixels {
                format,
                width,
                height,
            });
        }
        if u64::from(width) * u64::from(height) > self.pixels {
            return Err(ImageFault::TooManyPixels {
                format,
                width,
                height,
                max: self.pixels,
            });
        }
        if width.max(height) > LONGEST_SIDE {
            return Err(ImageFault::TooLong {
                format,
                width,
                height,
            });
        }
        Ok(())
    }
}

/// A decoded picture: bytes, the channels of a pixel side by side.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pixels: Vec<u8>,
    width: usize,
    height: usize,
    /// 1: gray; 2: gray and alpha; 3: red, green, blue; 4: with alpha.
    channels: usize,
    /// How the file says it is to be turned, from 1 (as it is) to 8.
    pub(super) orientation: u8,
}

impl Frame {
    /// Zeroed memory for a picture: nothing of another message's picture is ever left in it.
    pub(super) fn take(&mut self, width: usize, height: usize, channels: usize) -> &mut [u8] {
        self.width = width;
        self.height = height;
        self.channels = channels;
        self.orientation = 1;
        self.pixels.clear();
        self.pixels.resize(width * height * channels, 0);
        &mut self.pixels
    }

    /// Leaves out alpha and makes the channels what is asked for, as Pillow's `convert` does.
    pub(super) fn convert(&mut self, channels: Channels) {
        let wanted = channels.count();
        match (self.channels, wanted) {
            (2, 1) => self.each::<2, 1>(|[gray, _]| [gray]),
            (3, 1) => self.each::<3, 1>(luma),
            (4, 1) => self.each::<4, 1>(|[red, green, blue, _]| luma([red, green, blue])),
            (4, 3) => self.each::<4, 3>(|[red, green, blue, _]| [red, green, blue]),
            // Gray stays one channel until the output is written: resampling is the same for all.
            (2, 3) => self.each::<2, 1>(|[gray, _]| [gray]),
            _ => {}
        }
    }

    fn each<const FROM: usize, const TO: usize>(
        &mut self,
        change: impl Fn([u8; FROM]) -> [u8; TO],
    ) {
        let pixels = self.width * self.height;
        for pixel in 0..pixels {
            let from = self
                .pixels
                .get(pixel * FROM..)
                .and_then(<[u8]>::first_chunk)
                .copied();
            let to = self
                .pixels
                .get_mut(pixel * TO..)
                .and_then(<[u8]>::first_chunk_mut);
            if let (Some(from), Some(to)) = (from, to) {
                *to = change(from);
            }
        }
        self.pixels.truncate(pixels * TO);
        self.channels = TO;
    }

    /// Turns the picture as the file says.
    pub(super) fn turn(&mut self) {
        (self.width, self.height) = exif::turn(
            &mut self.pixels,
            (self.width, self.height),
            self.channels,
            self.orientation,
        );
    }

    /// The picture, after `convert`.
    pub(super) fn picture(&self) -> Picture<'_> {
        Picture {
            pixels: &self.pixels,
            width: self.width,
            channels: self.channels,
        }
    }

    /// Width and height in pixels.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Gives memory back that most pictures do not need.
    pub(super) fn relax(&mut self) {
        if self.pixels.capacity() > KEPT {
            self.pixels = Vec::new();
        }
    }
}

/// Luma as Pillow's `convert("L")`: ITU-R 601-2 weights with 16 bits after the binary point.
pub(super) fn luma([red, green, blue]: [u8; 3]) -> [u8; 1] {
    let sum = u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471;
    [u8::try_from((sum + 0x8000) >> 16).unwrap_or(u8::MAX)]
}
