//! `resize`: an image in another size.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, numbers};
use crate::graph::{
    GraphBuilder, Value,
    image::{Layout, Picture, height_width},
    params::OneOrMany,
    resample::{self, Filter},
};

/// Resizes an image. Pixels are areas, so the middle of the first is at 0.5 (the half-pixel convention). With antialiasing
/// it does what Pillow's `resize` and torchvision's `Resize` do: bytes stay bytes, at most one level from Pillow's; floats are within
/// 1e-5 of the largest pixel. Without, it does what PyTorch's `interpolate` and OpenCV's `resize` do. Other whole numbers become `f32`.
/// Example: `{ size: [1, 2], filter: box }` makes the row of four pixels 0, 2, 4, 6 into 1 and 5.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// `[height, width]`. One number is the length of the shorter side, and the other side keeps the ratio, rounded down
    /// (torchvision's `Resize(256)`).
    pub size: OneOrMany<usize>,
    /// How new pixels are made: `nearest`, `box`, `bilinear`, `bicubic` or `lanczos`.
    #[serde(default)]
    pub filter: Filter,
    /// Whether the filter is as wide as the new pixels where they are larger, so that nothing is skipped; true where left out.
    pub antialias: Option<bool>,
    /// How the image lies: `hwc`, `chw`, or `hwc_to_chw` to turn it as well.
    #[serde(default)]
    pub layout: Layout,
}

impl TensorStep for Resize {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = numbers(inputs)?;
        let picture = Picture::of(value, self.layout)?;
        let antialias = antialias(self.filter, self.antialias)?;
        let size = self.size(picture)?;
        let resized = resample::resize(graph, value, self.layout, size, self.filter, antialias);
        Ok(Output::only(resized))
    }
}

impl Resize {
    fn size(&self, picture: Picture) -> Result<[usize; 2], Fault> {
        let size = height_width("size", &self.size)?;
        let [one] = *self.size.0 else {
            return Ok(size);
        };
        let Picture { height, width, .. } = picture;
        let size = if height <= width {
            [one, one * width / height]
        } else {
            [one * height / width, one]
        };
        height_width("size", &OneOrMany(size.to_vec()))
    }
}

/// Whether to smooth; the filters that have one form only say so.
pub(super) fn antialias(filter: Filter, given: Option<bool>) -> Result<bool, Fault> {
    match (filter, given) {
        (Filter::Nearest, Some(true)) => Err(Fault::key(
            "antialias",
            "is true, and the filter `nearest` takes one pixel only",
        )
        .help("leave `antialias` out, or take the filter `box`")),
        (Filter::Box | Filter::Lanczos, Some(false)) => Err(Fault::key(
            "antialias",
            "is false, and the filters `box` and `lanczos` are only defined with antialiasing",
        )
        .help("leave `antialias` out, or take `nearest`, `bilinear` or `bicubic`")),
        (_, given) => Ok(given.unwrap_or(true)),
    }
}
