//! `normalize`: pixels centred and stretched for each channel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, numbers};
use crate::{
    contract::Dtype,
    graph::{
        GraphBuilder, Value,
        image::{Layout, Picture},
        params::OneOrMany,
    },
};

/// Moves and stretches the channels of an image: `(x / scale - mean) / std`, torchvision's `Normalize` behind `ToTensor`
/// (`scale: 255`). Whole numbers become `f32`. Example: `{ scale: 255, mean: 0.5, std: 0.5 }` makes the pixel 255 into 1,
/// and 0 into -1; ImageNet models take `{ scale: 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], layout: hwc_to_chw }`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Normalize {
    /// The value of full brightness, which `mean` and `std` take as 1: 255 for bytes, 1 where `mean` and `std` count in the
    /// input's own numbers. Needed for whole numbers; 1 for floats where left out.
    pub scale: Option<f64>,
    /// What is taken away: one number for all channels, or one for each; 0 where left out.
    pub mean: Option<OneOrMany<f64>>,
    /// What it is divided by then: one number for all channels, or one for each, none of them 0; 1 where left out.
    pub std: Option<OneOrMany<f64>>,
    /// How the image lies: `hwc`, `chw`, or `hwc_to_chw` to turn it as well.
    #[serde(default)]
    pub layout: Layout,
}

impl TensorStep for Normalize {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = numbers(inputs)?;
        let picture = Picture::of(value, self.layout)?;
        let scale = self.scale(value)?;
        let mean = per_channel("mean", self.mean.as_ref(), 0.0, picture)?;
        let std = per_channel("std", self.std.as_ref(), 1.0, picture)?;
        if std.contains(&0.0) {
            return Err(
                Fault::key("std", "has a 0").help("write 1 for a channel that stays as wide")
            );
        }
        // (x / scale - mean) / std = x * factor + term.
        let factor: Vec<f64> = std.iter().map(|std| 1.0 / (scale * std)).collect();
        let term: Vec<f64> = (mean.iter().zip(&std))
            .map(|(mean, std)| (0.0 - mean) / std)
            .collect();
        // Bytes are turned before they become floats: a quarter of the memory.
        let turned = self.layout.turn(graph, value);
        let mut value = graph.float(&turned);
        for (operator, numbers, nothing) in [("Mul", factor, 1.0), ("Add", term, 0.0)] {
            let same = |number: &f64| number.total_cmp(&nothing).is_eq();
            if !numbers.iter().all(same) {
                let constant = self.constant(graph, &value, &numbers, picture);
                value = graph.with_constant(operator, &value, &constant);
            }
        }
        Ok(Output::only(value))
    }
}

impl Normalize {
    fn scale(&self, value: &Value) -> Result<f64, Fault> {
        match self.scale {
            Some(scale) if scale.is_finite() && scale > 0.0 => Ok(scale),
            Some(scale) => Err(Fault::key("scale", format!("is {scale}"))
                .help("it is the value of full brightness: 255 for bytes")),
            None if matches!(value.dtype, Dtype::F32 | Dtype::F64) => Ok(1.0),
            None => Err(Fault::key(
                "scale",
                format!("is not given, and the pixels are {}", value.dtype),
            )
            .help("write `scale: 255` where `mean` and `std` are for pixels from 0 to 1, `scale: 1` where they are for 0 to 255")),
        }
    }

    /// A number for each channel, in dimensions that fit an image.
    fn constant(
        &self,
        graph: &mut GraphBuilder,
        value: &Value,
        numbers: &[f64],
        picture: Picture,
    ) -> String {
        match (numbers, self.layout) {
            ([one, rest @ ..], _) if rest.iter().all(|number| number.total_cmp(one).is_eq()) => {
                graph.number(value.dtype, *one)
            }
            // A whole row of pixels: kernels go along stretches of equal shape, and three numbers are a short one.
            (all, Layout::Hwc) => {
                let row = all.repeat(picture.width);
                graph.numbers(value.dtype, &[picture.width, picture.channels], &row)
            }
            (all, _) => graph.numbers(value.dtype, &[picture.channels, 1, 1], all),
        }
    }
}

fn per_channel(
    key: &'static str,
    given: Option<&OneOrMany<f64>>,
    nothing: f64,
    picture: Picture,
) -> Result<Vec<f64>, Fault> {
    let nothing = [nothing];
    let given = given.map_or(&nothing[..], |given| given.0.as_slice());
    if given.iter().any(|number| !number.is_finite()) {
        return Err(Fault::key(key, "has a number that is not finite"));
    }
    match given {
        [one] => Ok(vec![*one; picture.channels]),
        all if all.len() == picture.channels => Ok(all.to_vec()),
        all => Err(Fault::key(
            key,
            format!(
                "has {} numbers, and the image has {} channels",
                all.len(),
                picture.channels
            ),
        )
        .help("write one number for all channels, or one for each")),
    }
}
