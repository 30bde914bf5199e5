//! Resizing: for each axis, which elements each new one is made of, and their weights.

use bytes::Bytes;

use super::{
    Lowered, Missing,
    call::{Call, axis, size},
    emit::Emitter,
    softmax::around,
    value::Value,
};
use crate::{engine::cuda::launch::conv::resample, graph::tensor::Element};

/// How new places become old ones, and what is taken around them.
#[derive(Debug)]
struct Way {
    mode: String,
    places: String,
    nearest: String,
    cubic: f32,
    exclude_outside: bool,
}

/// One axis: sizes, and the scale in between.
#[derive(Debug, Clone, Copy)]
struct Axis {
    from: usize,
    to: usize,
    scale: f32,
}

impl Way {
    fn of(call: &Call<'_>) -> Result<Self, Missing> {
        let policy = call.text("keep_aspect_ratio_policy", "stretch");
        if call.flag("antialias", false) || policy != "stretch" {
            return Err(Missing::new(
                "resizing with antialias or a kept aspect ratio",
            ));
        }
        // The first version knew one way only.
        let first = call.opset < 11;
        let (places, nearest) = if first {
            ("asymmetric", "floor")
        } else {
            ("half_pixel", "round_prefer_floor")
        };
        Ok(Self {
            mode: call.text("mode", "nearest"),
            places: call.text("coordinate_transformation_mode", places),
            nearest: call.text("nearest_mode", nearest),
            cubic: call.float("cubic_coeff_a", -0.75),
            exclude_outside: call.flag("exclude_outside", false),
        })
    }

    /// The old place of a new one. In single precision, as ONNX Runtime has it: ties depend on that.
    fn place(&self, axis: Axis, at: usize) -> Result<f32, Missing> {
        let (x, from, to) = (at as f32, axis.from as f32, axis.to as f32);
        let half = (x + 0.5) / axis.scale - 0.5;
        Ok(match self.places.as_str() {
            "half_pixel" => half,
            "pytorch_half_pixel" => {
                if axis.to > 1 {
                    half
                } else {
                    0.0
                }
            }
            "align_corners" => {
                if axis.to == 1 {
                    0.0
                } else {
                    x * (from - 1.0) / (to - 1.0)
                }
            }
            "asymmetric" => x / axis.scale,
            "half_pixel_symmetric" => {
                let adjustment = to / (axis.scale * from);
                from / 2.0 * (1.0 - adjustment) + half
            }
            other => return Err(Missing::new(format!("resizing by places {other}"))),
        })
    }

    /// What a new element is made of: places, not yet brought into range, and weights.
    fn taps(&self, axis: Axis, at: usize) -> Result<Vec<(i64, f32)>, Missing> {
        #[expect(clippy::cast_possible_truncation, reason = "places are small")]
        let whole = |value: f32| value as i64;
        let place = self.place(axis, at)?;
        let last = (axis.from as f32 - 1.0).max(0.0);
        Ok(match self.mode.as_str() {
            "nearest" => {
                let low = place.floor();
                let nearest = match self.nearest.as_str() {
                    "round_prefer_floor" => (place - 0.5).ceil(),
                    "round_prefer_ceil" => (place + 0.5).floor(),
                    "floor" => low,
                    "ceil" => place.ceil(),
                    other => return Err(Missing::new(format!("nearest by {other}"))),
                };
                vec![(whole(nearest), 1.0)]
            }
            "linear" => {
                let place = place.clamp(0.0, last);
                let low = place.floor();
                let part = place - low;
                vec![(whole(low), 1.0 - part), (whole(low) + 1, part)]
            }
            "cubic" => {
                let low = place.floor();
                let part = place - low;
                let a = self.cubic;
                let far = |x: f32| ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
                let near = |x: f32| ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
                let weights = [
                    far(part + 1.0),
                    near(part),
                    near(1.0 - part),
                    far(2.0 - part),
                ];
                let places = (whole(low) - 1)..;
                let mut taps: Vec<(i64, f32)> = places.zip(weights).collect();
                if self.exclude_outside {
                    for (place, weight) in &mut taps {
                        if *place < 0 || *place as f32 > last {
                            *weight = 0.0;
                        }
                    }
                    let sum: f32 = taps.iter().map(|(_, weight)| weight).sum();
                    for (_, weight) in &mut taps {
                        *weight /= sum;
                    }
                }
                taps
            }
            other => return Err(Missing::new(format!("resizing by {other}"))),
        })
    }
}

/// The scale of each dimension, and its new size.
fn sizes(call: &Call<'_>, x: &Value) -> Result<Vec<Axis>, Missing> {
    let place = if call.opset < 11 { 1 } else { 2 };
    let scales = match call.given(place).filter(|value| value.len() > 0) {
        Some(value) => {
            let held = value.floats();
            Some(held.ok_or_else(|| Missing::new("way to use scales that the model computes"))?)
        }
        None => call
            .floats("scales")
            .map(|held| held.iter().map(|value| f64::from(*value)).collect()),
    };
    let wanted = call.known_ints(3, "sizes")?.filter(|held| !held.is_empty());
    let axes = match call.ints("axes") {
        Some(axes) => (axes.iter().map(|at| axis(*at, x.rank()))).collect::<Result<Vec<_>, _>>()?,
        None => (0..x.rank()).collect(),
    };
    let mut made: Vec<Axis> = (x.dims.iter())
        .map(|dim| Axis {
            from: *dim,
            to: *dim,
            scale: 1.0,
        })
        .collect();
    for (order, at) in axes.iter().enumerate() {
        let Some(axis) = made.get_mut(*at) else {
            continue;
        };
        let from = axis.from as f32;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a scale comes in single precision, and a size is no negative number"
        )]
        match (&wanted, &scales) {
            (Some(wanted), _) => {
                axis.to = size(wanted.get(order).copied().unwrap_or(0))?;
                axis.scale = axis.to as f32 / from;
            }
            (None, Some(scales)) => {
                axis.scale = scales.get(order).copied().unwrap_or(1.0) as f32;
                axis.to = (from * axis.scale).floor() as usize;
            }
            (None, None) => return Err(Missing::new("sizes or scales")),
        }
    }
    Ok(made)
}

/// `Resize` and `Upsample`.
pub(in super::super) fn resize(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    if x.element != Element::Float32 {
        return Err(Missing::new(format!("resizing of {}", x.element.name())));
    }
    let way = Way::of(call)?;
    let mut made = emitter.dense(x)?;
    #[expect(clippy::float_cmp, reason = "a scale of one changes nothing")]
    let changes = |axis: &Axis| axis.from != axis.to || axis.scale != 1.0;
    for (at, axis) in sizes(call, x)?.into_iter().enumerate() {
        if changes(&axis) {
            made = along(emitter, &made, at, axis, &way)?;
        }
    }
    Ok(vec![made])
}

fn along(
    emitter: &mut Emitter,
    x: &Value,
    at: usize,
    axis: Axis,
    way: &Way,
) -> Result<Value, Missing> {
    if axis.from == 0 {
        return Err(Missing::new("resizing of nothing"));
    }
    let (mut index, mut weight, mut taps) = (Vec::new(), Vec::new(), 1);
    for to in 0..axis.to {
        let own = way.taps(axis, to)?;
        taps = own.len();
        for (place, part) in own {
            let last = i64::try_from(axis.from - 1).unwrap_or(i64::MAX);
            let place = i32::try_from(place.clamp(0, last)).unwrap_or(0);
            index.extend(place.to_le_bytes());
            weight.extend(part.to_le_bytes());
        }
    }
    let mut dims = x.dims.clone();
    if let Some(dim) = dims.get_mut(at) {
        *dim = axis.to;
    }
    let made = emitter.make(Element::Float32, &dims);
    let spots = [
        emitter.view(x)?.0,
        emitter.view(&made)?.0,
        emitter.upload(&Bytes::from(index)),
        emitter.upload(&Bytes::from(weight)),
    ];
    let [outer, from, inner] = around(&x.dims, at);
    let launch = resample(spots, [outer, from, axis.to, inner], taps);
    emitter.push(launch, made.len())?;
    Ok(made)
}
