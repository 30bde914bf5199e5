//! Convolutions.

use super::{
    Lowered, Missing,
    call::{Call, signed, size},
    emit::{Emitter, Work},
    gemm::{activated, activation},
    value::Value,
};
use crate::{
    engine::cuda::{
        launch::{
            conv::{Conv, Pair, Window},
            gemm::Activation,
        },
        product::Math,
    },
    graph::tensor::Element,
};

/// Rows and columns of a value: 1-D signals are images of one row.
pub(super) fn image(value: &Value) -> Result<Pair, Missing> {
    match value.dims.get(2..) {
        Some(&[width]) => Ok([1, width]),
        Some(&[height, width]) => Ok([height, width]),
        _ => Err(Missing::new(format!(
            "windows over {} dimensions; there are kernels for one and two",
            value.rank().saturating_sub(2)
        ))),
    }
}

/// An attribute with a number for each dimension of the image; `ones` where it is left out.
fn pair(call: &Call<'_>, name: &str, ones: Pair, spatial: usize) -> Result<Pair, Missing> {
    let given = call.ints(name).filter(|held| !held.is_empty());
    let Some(given) = given else { return Ok(ones) };
    match (given, spatial) {
        (&[width], 1) => Ok([1, size(width)?]),
        (&[height, width], 2) => Ok([size(height)?, size(width)?]),
        _ => Err(Missing::new(format!("{name} of {given:?}"))),
    }
}

/// A window and what is added before and after; before `auto_pad` is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) window: Window,
    pub(super) after: [i64; 2],
}

/// The window that a node's attributes describe. `kernel` is what it is where they do not say.
pub(super) fn frame(
    call: &Call<'_>,
    spatial: usize,
    kernel: Option<Pair>,
) -> Result<Frame, Missing> {
    let kernel = match (call.ints("kernel_shape"), kernel) {
        (None, Some(kernel)) => kernel,
        _ => pair(call, "kernel_shape", [1, 1], spatial)?,
    };
    let pads = call.ints("pads").unwrap_or_default();
    let (before, after) = match (pads, spatial) {
        ([], _) => ([0, 0], [0, 0]),
        (&[left, right], 1) => ([0, left], [0, right]),
        (&[top, left, bottom, right], 2) => ([top, left], [bottom, right]),
        _ => return Err(Missing::new(format!("pads of {pads:?}"))),
    };
    Ok(Frame {
        window: Window {
            kernel,
            stride: pair(call, "strides", [1, 1], spatial)?,
            dilation: pair(call, "dilations", [1, 1], spatial)?,
            before,
        },
        after,
    })
}

impl Frame {
    /// Cells that the window spans along a dimension.
    fn span(&self, at: usize) -> i64 {
        let (kernel, dilation) = (self.window.kernel[at], self.window.dilation[at]);
        signed(dilation) * (signed(kernel) - 1) + 1
    }

    /// Settles `auto_pad` for an input of this size, and gives the size of the output.
    pub(super) fn output(&mut self, call: &Call<'_>, input: Pair) -> Result<Pair, Missing> {
        let auto = call.text("auto_pad", "NOTSET");
        let up = call.flag("ceil_mode", false);
        let mut out = [0; 2];
        for at in 0..2 {
            let (size_in, stride) = (signed(input[at]), signed(self.window.stride[at].max(1)));
            if matches!(auto.as_str(), "SAME_UPPER" | "SAME_LOWER") {
                let wanted = (size_in + stride - 1) / stride;
                let total = ((wanted - 1) * stride + self.span(at) - size_in).max(0);
                let (less, more) = (total / 2, total - total / 2);
                let lower = auto == "SAME_LOWER";
                (self.window.before[at], self.after[at]) =
                    if lower { (more, less) } else { (less, more) };
            } else if auto == "VALID" {
                (self.window.before[at], self.after[at]) = (0, 0);
            }
            let room = size_in + self.window.before[at] + self.after[at] - self.span(at);
            if room < 0 {
                return Err(Missing::new("windows larger than the image"));
            }
            let mut count = room / stride + 1;
            if up && room % stride != 0 {
                // A last window that begins within the image or the padding before it.
                count += i64::from(count * stride < size_in + self.window.before[at]);
            }
            out[at] = size(count)?;
        }
        Ok(out)
    }
}

/// The shape of an output with these channels.
pub(super) fn shaped(x: &Value, channels: usize, out: Pair) -> Vec<usize> {
    let mut dims = vec![x.dim(0), channels];
    if x.rank() == 4 {
        dims.push(out[0]);
    }
    dims.push(out[1]);
    dims
}

fn single(values: &[Option<&Value>]) -> Result<(), Missing> {
    match values
        .iter()
        .flatten()
        .find(|value| value.element != Element::Float32)
    {
        Some(value) => Err(Missing::new(format!(
            "kernel for images of {}",
            value.element.name()
        ))),
        None => Ok(()),
    }
}

/// `Conv` and `FusedConv`.
pub(in super::super) fn conv(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (x, w, bias) = (call.input(0)?, call.input(1)?, call.optional(2)?);
    let add = call.optional(3)?;
    single(&[Some(x), Some(w), bias, add])?;
    let input = image(x)?;
    let mut frame = frame(call, x.rank() - 2, Some(image(w)?))?;
    let out = frame.output(call, input)?;
    let groups = size(call.int("group", 1))?.max(1);
    let filters = w.dim(0);
    if w.dim(1) * groups != x.dim(1) || filters % groups != 0 {
        return Err(Missing::new("filters for another number of channels"));
    }
    let made = emitter.make(Element::Float32, &shaped(x, filters, out));
    let work = Conv {
        x: emitter.dense_spot(x)?,
        w: emitter.dense_spot(w)?,
        bias: bias.map(|bias| emitter.dense_spot(bias)).transpose()?,
        add: add.map(|add| emitter.dense_spot(add)).transpose()?,
        y: emitter.view(&made)?.0,
        n: x.dim(0),
        channels: x.dim(1),
        image: input,
        filters,
        out,
        window: frame.window,
        groups,
        activation: Activation::None,
        transposed: false,
    };
    finished(emitter, call, work, made)
}

/// `ConvTranspose`.
pub(in super::super) fn transposed(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (x, w, bias) = (call.input(0)?, call.input(1)?, call.optional(2)?);
    single(&[Some(x), Some(w), bias])?;
    let (input, spatial) = (image(x)?, x.rank() - 2);
    let mut frame = frame(call, spatial, Some(image(w)?))?;
    let extra = pair(call, "output_padding", [0, 0], spatial)?;
    let wanted = call.ints("output_shape").filter(|held| !held.is_empty());
    let auto = call.text("auto_pad", "NOTSET");
    let mut out = [0; 2];
    for at in 0..2 {
        let stride = signed(frame.window.stride[at]);
        let full = stride * (signed(input[at]) - 1) + signed(extra[at]) + frame.span(at);
        let named = wanted
            .and_then(|held| held.get((at + spatial).checked_sub(2)?))
            .copied();
        let same = matches!(auto.as_str(), "SAME_UPPER" | "SAME_LOWER");
        let named = named.or((same && at + spatial >= 2).then(|| signed(input[at]) * stride));
        if let Some(named) = named {
            let total = (full - named).max(0);
            let (less, more) = (total / 2, total - total / 2);
            (frame.window.before[at], frame.after[at]) = if auto == "SAME_UPPER" {
                (less, more)
            } else {
                (more, less)
            };
        }
        out[at] = size(named.unwrap_or(full - frame.window.before[at] - frame.after[at]))?;
    }
    let groups = size(call.int("group", 1))?.max(1);
    let filters = w.dim(1) * groups;
    if w.dim(0) != x.dim(1) || x.dim(1) % groups != 0 {
        return Err(Missing::new("filters for another number of channels"));
    }
    let made = emitter.make(Element::Float32, &shaped(x, filters, out));
    let work = Conv {
        x: emitter.dense_spot(x)?,
        w: emitter.dense_spot(w)?,
        bias: bias.map(|bias| emitter.dense_spot(bias)).transpose()?,
        add: None,
        y: emitter.view(&made)?.0,
        n: x.dim(0),
        channels: x.dim(1),
        image: input,
        filters,
        out,
        window: frame.window,
        groups,
        activation: Activation::None,
        transposed: true,
    };
    finished(emitter, call, work, made)
}

fn finished(emitter: &mut Emitter, call: &Call<'_>, work: Conv, made: Value) -> Lowered {
    work.launch(Math::Single)?;
    if made.len() > 0 {
        emitter.push_work(Work::Conv(work), Some(&made));
    }
    match activation(call)? {
        Some(activation) => {
            emitter.used_once(&made);
            Ok(vec![activated(emitter, &made, activation)?])
        }
        None => Ok(vec![made]),
    }
}
