//! Softmax and its logarithm.

use super::{
    Lowered, Missing,
    call::{Call, axis},
    emit::Emitter,
    value::Value,
};
use crate::{
    engine::cuda::launch::{reduce, type_number},
    graph::tensor::Element,
};

/// Dimensions before an axis as one, the axis, and those behind it as one.
pub(super) fn around(dims: &[usize], axis: usize) -> [usize; 3] {
    let product = |part: Option<&[usize]>| part.unwrap_or_default().iter().product::<usize>();
    [
        product(dims.get(..axis)),
        dims.get(axis).copied().unwrap_or(1),
        product(dims.get(axis + 1..)),
    ]
}

/// The number of a type that is one of these.
pub(super) fn one_of(value: &Value, types: &[Element]) -> Result<i32, Missing> {
    type_number(value.element)
        .filter(|_| types.contains(&value.element))
        .ok_or_else(|| Missing::new(format!("kernel for {}", value.element.name())))
}

/// Floating-point types that kernels take.
pub(super) const FLOATS: &[Element] = &[
    Element::Float32,
    Element::Float16,
    Element::Bfloat16,
    Element::Float64,
];

/// Softmax; before operator set 13 over all dimensions from the axis on.
pub(in super::super) fn softmax(emitter: &mut Emitter, call: &Call<'_>, log: bool) -> Lowered {
    let x = call.input(0)?;
    if x.rank() == 0 {
        return Err(Missing::new("softmax of a single number"));
    }
    let shape = if call.opset < 13 {
        let at = axis(call.int("axis", 1), x.rank() + 1)?;
        let [outer, _, _] = around(&x.dims, at);
        [outer, x.len() / outer.max(1), 1]
    } else {
        around(&x.dims, axis(call.int("axis", -1), x.rank())?)
    };
    Ok(vec![over(emitter, x, shape, log)?])
}

/// Softmax along the middle of these three dimensions.
pub(super) fn over(
    emitter: &mut Emitter,
    x: &Value,
    shape: [usize; 3],
    log: bool,
) -> Result<Value, Missing> {
    let element = one_of(x, FLOATS)?;
    let from = emitter.dense_spot(x)?;
    let made = emitter.make(x.element, &x.dims);
    let (to, _) = emitter.view(&made)?;
    let launch = reduce::Softmax {
        from,
        to,
        shape,
        element,
        log,
    };
    emitter.push(launch.launch(), x.len())?;
    Ok(made)
}
