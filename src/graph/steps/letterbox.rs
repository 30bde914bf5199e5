//! `letterbox`: an image in another size that keeps its ratio, with bars.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, numbers, resize::antialias};
use crate::graph::{
    GraphBuilder, Value,
    image::{Layout, Picture, height_width},
    params::OneOrMany,
    resample::{self, Filter},
};

/// Where the image lies between the bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Align {
    /// In the middle; where that is between two pixels, one nearer to the top and to the left.
    #[default]
    Center,
    /// At the top and at the left.
    TopLeft,
}

/// Resizes an image by `r = min(height / old height, width / old width)`, so that its ratio stays, and fills the rest with bars:
/// Ultralytics' `LetterBox` (with `fill: 114, antialias: false`), Pillow's `ImageOps.pad`. Filters are those of `resize`. A place x in
/// the new image was at `(x - left) / r` in the old one. Example: `{ size: [640, 640], fill: 114 }` makes an image of 480 rows and 1280 columns into 240 rows of
/// 640 (r = 0.5), with 200 rows of 114 above and below.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Letterbox {
    /// `[height, width]`; one number is both.
    pub size: OneOrMany<usize>,
    /// What the bars are made of, in the input's own numbers: 114 and 0 are usual for bytes.
    pub fill: f64,
    /// Where the image lies: `center` or `top_left`.
    #[serde(default)]
    pub align: Align,
    /// How new pixels are made: `nearest`, `box`, `bilinear`, `bicubic` or `lanczos`.
    #[serde(default)]
    pub filter: Filter,
    /// Whether the filter is as wide as the new pixels where they are larger, so that nothing is skipped; true where left out.
    pub antialias: Option<bool>,
    /// How the image lies in memory: `hwc`, `chw`, or `hwc_to_chw` to turn it as well.
    #[serde(default)]
    pub layout: Layout,
}

impl TensorStep for Letterbox {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        use crate::contract::Dtype;
        let value = numbers(inputs)?;
        let picture = Picture::of(value, self.layout)?;
        let antialias = antialias(self.filter, self.antialias)?;
        let size = height_width("size", &self.size)?;
        let byte = (0.0..=255.0).contains(&self.fill) && self.fill.fract() == 0.0;
        if !self.fill.is_finite() || (value.dtype == Dtype::U8 && !byte) {
            return Err(Fault::key(
                "fill",
                format!("is {}, and the pixels are {}", self.fill, value.dtype),
            )
            .help("write a value that a pixel can have"));
        }
        let inner = fitted([picture.height, picture.width], size);
        let resized = resample::resize(graph, value, self.layout, inner, self.filter, antialias);
        let space = [size[0] - inner[0], size[1] - inner[1]];
        let before = match self.align {
            Align::Center => space.map(|space| space / 2),
            Align::TopLeft => [0, 0],
        };
        let after = [space[0] - before[0], space[1] - before[1]];
        let (_, order) = self.layout.orders(resized.shape.len() == 2);
        let by_axis = |[rows, columns]: [usize; 2]| -> Vec<usize> {
            let side = |axis| match axis {
                'h' => rows,
                'w' => columns,
                _ => 0,
            };
            order.chars().map(side).collect()
        };
        let padded = graph.pad(&resized, &by_axis(before), &by_axis(after), Some(self.fill));
        Ok(Output::only(padded))
    }
}

/// The largest size of the old one's ratio that fits: sides rounded to whole pixels, a half to the even number.
fn fitted([height, width]: [usize; 2], new: [usize; 2]) -> [usize; 2] {
    // r = new / old of the side that is scaled down most; whole numbers, so that nothing is lost.
    let (above, below) = if new[0] * width <= new[1] * height {
        (new[0], height)
    } else {
        (new[1], width)
    };
    let side = |old: usize| {
        let (whole, twice) = (old * above / below, 2 * (old * above % below));
        let up = twice > below || (twice == below && whole % 2 == 1);
        (whole + usize::from(up)).max(1)
    };
    [side(height).min(new[0]), side(width).min(new[1])]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fitted;

    #[test]
    fn the_worked_example() {
        assert_eq!(fitted([480, 1280], [640, 640]), [240, 640]);
    }

    proptest! {
        #[test]
        fn one_side_fills_and_none_runs_over(old in [1_usize..5000, 1..5000], new in [1_usize..5000, 1..5000]) {
            let inner = fitted(old, new);
            prop_assert!(inner[0] <= new[0] && inner[1] <= new[1]);
            prop_assert!(inner[0] == new[0] || inner[1] == new[1]);
            prop_assert!(inner[0] > 0 && inner[1] > 0);
        }
    }
}
