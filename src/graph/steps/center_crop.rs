//! `center_crop`: the middle of an image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, only};
use crate::graph::{
    GraphBuilder, Value,
    image::{Layout, Picture, height_width},
    params::OneOrMany,
};

/// Cuts out the middle of an image, torchvision's `CenterCrop`. Where as many pixels cannot go on both sides, the first row or
/// column that stays is `(old - new) / 2`, a half rounded to the even number. Example: `{ size: [2, 2] }` takes the pixels
/// in rows 1 and 2 and columns 2 and 3 out of 4 rows of 5.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CenterCrop {
    /// `[height, width]`; one number is both.
    pub size: OneOrMany<usize>,
    /// How the image lies: `hwc`, `chw`, or `hwc_to_chw` to turn it as well.
    #[serde(default)]
    pub layout: Layout,
}

impl TensorStep for CenterCrop {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = only(inputs)?;
        let picture = Picture::of(value, self.layout)?;
        let size = height_width("size", &self.size)?;
        let old = [picture.height, picture.width];
        if size[0] > old[0] || size[1] > old[1] {
            return Err(Fault::key(
                "size",
                format!("is {size:?}, and the images are only {old:?}"),
            )
            .help("resize them first, or pad them with `letterbox`"));
        }
        let start = [0, 1].map(|axis| half_to_even(old[axis] - size[axis]));
        let axes = self.layout.axes(value);
        let cut = graph.crop(value, &axes, &start, &size);
        Ok(Output::only(self.layout.turn(graph, &cut)))
    }
}

/// Python's `round(number / 2)`.
fn half_to_even(number: usize) -> usize {
    let half = number / 2;
    half + (number % 2) * (half % 2)
}

#[cfg(test)]
mod tests {
    use super::half_to_even;

    #[test]
    fn halves_round_as_in_python() {
        let halves: Vec<usize> = (0..9).map(half_to_even).collect();
        assert_eq!(halves, [0, 0, 1, 2, 2, 2, 3, 4, 4]);
    }
}
