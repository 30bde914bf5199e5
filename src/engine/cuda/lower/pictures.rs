//! Convolutions as they are done: by forebay's kernels, or by cuDNN; with the pictures as ONNX has them, or with the channels of
//! each pixel side by side.
//!
//! The latter is what tensor cores read, and what `beside` makes.

use super::{
    Missing, Uncovered,
    beside::{Beside, is_aligned, zeros},
    emit::{Draft, Emitter, Work},
    finish::about,
};
use crate::{
    engine::cuda::{
        convolution::{Convolution, Operands, Order},
        launch::{Spot, conv::Conv, convolved::in_place},
        product::Math,
    },
    graph::tensor::Element,
};

/// Every convolution as it is done; all else as it is. `given` says which buffers are outputs of the plan.
///
/// # Errors
/// One that no kernel can do.
pub(super) fn convolved(
    emitter: &mut Emitter,
    drafts: Vec<Option<Draft>>,
    given: impl Fn(usize) -> bool,
) -> Result<Vec<Option<Draft>>, Uncovered> {
    let drafts: Vec<Draft> = drafts.into_iter().flatten().collect();
    let mut beside = match emitter.products.cudnn {
        Some(Order::Channels) => Beside::of(emitter, &drafts, given),
        Some(Order::Planes) | None => Beside::default(),
    };
    let mut done = Vec::with_capacity(drafts.len());
    for (at, Draft { work, node }) in drafts.into_iter().enumerate() {
        let works = done_so(emitter, &mut beside, work, at);
        let works = works.map_err(|missing| about(&node, missing))?;
        let node = |work| {
            let node = node.clone();
            Some(Draft { work, node })
        };
        done.extend(works.into_iter().map(node));
    }
    Ok(done)
}

/// A step as it is done; `at` is its place among the drafts.
fn done_so(
    emitter: &mut Emitter,
    beside: &mut Beside,
    work: Work,
    at: usize,
) -> Result<Vec<Work>, Missing> {
    let conv = match work {
        Work::Conv(conv) if beside.takes(at) => return beside.convolution(emitter, &conv),
        Work::Program(program, _) if beside.takes(at) => return beside.program(emitter, &program),
        Work::Conv(conv) => conv,
        work => return Ok(vec![work]),
    };
    if emitter.products.cudnn == Some(Order::Planes)
        && let Some(convolution) = by_planes(emitter, &conv)?
    {
        return Ok(vec![Work::Convolution(Box::new(convolution))]);
    }
    let (conv, math) = emitter.convolved_as(conv);
    Ok(vec![Work::Launch(conv.launch(math)?)])
}

/// The convolution by the library where everything lies; with forebay's kernel beside it. None where it cannot be asked so. In
/// sixteen bits it could not: pictures are in single precision where they lie, and forebay's kernels round them as they read.
fn by_planes(emitter: &mut Emitter, conv: &Conv) -> Result<Option<Convolution<Spot>>, Missing> {
    let math = emitter.products.math;
    let aligned = conv.spots().all(is_aligned);
    let by = conv.by_cudnn(math, Order::Planes);
    let Some(by) = by.filter(|_| aligned && math.element() == Element::Float32) else {
        return Ok(None);
    };
    let own = if conv.fits_tensor_cores() {
        math
    } else {
        Math::Single
    };
    let missing = |emitter: &mut Emitter| zeros(emitter, conv.filters, Element::Float32);
    let bias = conv
        .bias
        .or_else(|| by.shape.bias.then(|| missing(emitter)));
    let count = by.shape.y().unwrap_or(0);
    let rest = by
        .rest
        .map(|op| in_place(op, conv.y, Element::Float32, count));
    Ok(Some(Convolution {
        shape: by.shape,
        operands: Operands {
            x: conv.x,
            w: conv.w,
            bias,
            add: conv.add,
            y: conv.y,
        },
        rest: rest.map(|rest| rest.launch()).transpose()?,
        instead: Some(conv.launch(own)?),
        node: String::new(),
    }))
}
