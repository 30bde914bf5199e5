//! Why options cannot be, and why a file cannot be read.

use std::fmt;

/// Options that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionFault {
    /// A side of `size` is 0 or too long.
    #[error(
        "`size` is [{height}, {width}] (height, width); each side must be from 1 to 4096 pixels"
    )]
    Size {
        /// Height asked for, in pixels.
        height: usize,
        /// Width asked for, in pixels.
        width: usize,
    },
    /// `resize` with another fit.
    #[error(
        "`resize` is the length of the shorter side before `fit: crop` cuts out the centre; with \
         another `fit` nothing is cut. Take `resize` away, or say `fit: crop`"
    )]
    ResizeWithoutCrop,
    /// `resize` is shorter than what is cut out, or too long.
    #[error(
        "`resize` is {resize}, but [{height}, {width}] (height, width) is cut out of the picture \
         after it; it must be from {least} to 4096", least = height.max(width)
    )]
    Resize {
        /// Length of the shorter side, in pixels.
        resize: usize,
        /// Height that is cut out, in pixels.
        height: usize,
        /// Width that is cut out, in pixels.
        width: usize,
    },
    /// `fill` with another fit.
    #[error(
        "`fill` is the colour of the margin that `fit: letterbox` leaves; with another `fit` there \
         is no margin. Take `fill` away, or say `fit: letterbox`"
    )]
    FillWithoutLetterbox,
    /// `align` without a letterbox.
    #[error(
        "`align` says where a picture lies in the margin that `fit: letterbox` leaves; with another \
         `fit` there is no margin. Take `align` away, or say `fit: letterbox`"
    )]
    AlignWithoutLetterbox,
    /// `max_pixels: 0`.
    #[error("`max_pixels` is 0: no picture would be read. Leave it out for 25000000")]
    NoPixels,
    /// `max_bytes: 0`.
    #[error("`max_bytes` is 0: no file would be read. Leave it out for 16000000")]
    NoBytes,
}

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// ISO/IEC 10918-1, baseline and progressive.
    Jpeg,
    /// The Portable Network Graphics format, with the first frame of an animated one.
    Png,
    /// WebP, lossy and lossless, with the first frame of an animated one.
    Webp,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Webp => "WebP",
        })
    }
}

/// Why a file cannot be read. The sentence names no field: whoever rejects the message does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageFault {
    /// More bytes than `max_bytes`.
    #[error("the image file has {bytes} bytes, more than `max_bytes: {max}`")]
    TooManyBytes {
        /// Bytes of the file.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Nothing there.
    #[error("the image file is empty")]
    Empty,
    /// Another format; the file's name does not matter, its first bytes do.
    #[error("{looks}; the formats that are read are JPEG, PNG and WebP")]
    OtherFormat {
        /// A sentence on what the bytes look like.
        looks: String,
    },
    /// Width or height is 0.
    #[error("the {format} header says {width} × {height} pixels: there is no picture")]
    NoPixels {
        /// Format of the file.
        format: Format,
        /// Width in the header.
        width: u32,
        /// Height in the header.
        height: u32,
    },
    /// More pixels than `max_pixels`.
    #[error("the {format} header says {width} × {height} pixels, more than `max_pixels: {max}`")]
    TooManyPixels {
        /// Format of the file.
        format: Format,
        /// Width in the header.
        width: u32,
        /// Height in the header.
        height: u32,
        /// The limit on width × height.
        max: u64,
    },
    /// One side is longer than any that is read.
    #[error("the {format} header says {width} × {height} pixels; no side may be longer than 65535")]
    TooLong {
        /// Format of the file.
        format: Format,
        /// Width in the header.
        width: u32,
        /// Height in the header.
        height: u32,
    },
    /// The file ends before the picture does.
    #[error("the {format} file is truncated: it ends before the picture does")]
    Truncated {
        /// Format of the file.
        format: Format,
    },
    /// A kind of this format that is not read.
    #[error("the {format} file is {what}")]
    Unsupported {
        /// Format of the file.
        format: Format,
        /// What it is, and what to do.
        what: &'static str,
    },
    /// The bytes are not what the format asks for.
    #[error("the {format} file is corrupt: {why}")]
    Corrupt {
        /// Format of the file.
        format: Format,
        /// What the decoder says.
        why: String,
    },
}

impl ImageFault {
    /// A short fixed word for the metric label.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooManyBytes { .. } | Self::TooManyPixels { .. } | Self::TooLong { .. } => {
                "image_too_large"
            }
            Self::Empty | Self::OtherFormat { .. } | Self::Unsupported { .. } => "image_format",
            Self::NoPixels { .. } | Self::Truncated { .. } | Self::Corrupt { .. } => {
                "image_corrupt"
            }
        }
    }
}
