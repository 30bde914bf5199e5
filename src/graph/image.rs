//! Images as tensors: how their elements lie, and how sizes are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GraphBuilder, Value, params::OneOrMany, steps::Fault};

/// How the elements of an image lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `[height, width, channels]`, as decoders, Pillow, OpenCV and TensorFlow have them; also `[height, width]`.
    #[default]
    Hwc,
    /// `[channels, height, width]`, as PyTorch has them; also `[height, width]`.
    Chw,
    /// Comes in as `hwc` and goes out as `chw`.
    HwcToChw,
}

/// The sizes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Elements of a pixel; 1 where the image has no axis of channels.
    pub channels: usize,
}

impl Picture {
    /// The image that a value holds.
    ///
    /// # Errors
    /// It is no image, is empty, or lies in the other way as far as one can tell.
    pub fn of(value: &Value, layout: Layout) -> Result<Self, Fault> {
        let shape = &value.shape;
        let (height, width, channels) = match (shape.as_slice(), layout) {
            ([height, width], _) => (*height, *width, 1),
            ([height, width, channels], Layout::Hwc | Layout::HwcToChw)
            | ([channels, height, width], Layout::Chw) => (*height, *width, *channels),
            _ => {
                return Err(Fault::input(format!(
                    "takes images, and is fed with rows of shape {shape:?}"
                ))
                .help(
                    "an image is [height, width, channels], [channels, height, width] or [height, width]",
                ));
            }
        };
        if height == 0 || width == 0 || channels == 0 {
            return Err(Fault::input(format!(
                "is fed with images of shape {shape:?}, which have no pixels"
            )));
        }
        // Pictures have at most four channels nearly always: what has many there and few at the other end is turned round.
        let (other, right) = match layout {
            Layout::Chw => (shape.last(), "hwc"),
            Layout::Hwc | Layout::HwcToChw => (shape.first(), "chw"),
        };
        if shape.len() == 3 && channels > 4 && other.is_some_and(|size| *size <= 4) {
            return Err(Fault::key(
                "layout",
                format!(
                    "is `{}`, so the images of shape {shape:?} would have {channels} channels",
                    layout.name()
                ),
            )
            .help(format!("write `layout: {right}`")));
        }
        Ok(Self {
            height,
            width,
            channels,
        })
    }
}

impl Layout {
    fn name(self) -> &'static str {
        match self {
            Self::Hwc => "hwc",
            Self::Chw => "chw",
            Self::HwcToChw => "hwc_to_chw",
        }
    }

    /// The axes of height and width in an image that comes in.
    pub fn axes(self, value: &Value) -> [usize; 2] {
        match self {
            Self::Chw if value.shape.len() == 3 => [1, 2],
            _ => [0, 1],
        }
    }

    /// The letters of the axes as the image comes in and as it goes out.
    pub fn orders(self, flat: bool) -> (&'static str, &'static str) {
        match self {
            _ if flat => ("hw", "hw"),
            Self::Hwc => ("hwc", "hwc"),
            Self::Chw => ("chw", "chw"),
            Self::HwcToChw => ("hwc", "chw"),
        }
    }

    /// The image turned to how it goes out.
    pub fn turn(self, graph: &mut GraphBuilder, value: &Value) -> Value {
        if self == Self::HwcToChw && value.shape.len() == 3 {
            graph.transpose(value, &[2, 0, 1])
        } else {
            value.clone()
        }
    }
}

/// `[height, width]` as a parameter gives it; one number is both.
///
/// # Errors
/// More than two numbers, or a 0.
pub fn height_width(key: &'static str, given: &OneOrMany<usize>) -> Result<[usize; 2], Fault> {
    let size = match given.0.as_slice() {
        [one] => [*one, *one],
        [height, width] => [*height, *width],
        all => {
            return Err(
                Fault::key(key, format!("has {} numbers", all.len())).help("write [height, width]")
            );
        }
    };
    // A side of 32,768 is beyond what any model takes; sizes up to it cannot overflow.
    if size.iter().any(|side| *side == 0 || *side > 32_768) {
        return Err(Fault::key(key, format!("is {size:?}")).help("sides are 1 to 32768 pixels"));
    }
    Ok(size)
}
