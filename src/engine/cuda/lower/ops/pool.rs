//! Pooling.

use super::{
    Lowered, Missing,
    call::Call,
    conv::{Frame, frame, image, shaped},
    emit::Emitter,
    reduce,
    value::Value,
};
use crate::{
    engine::cuda::launch::{conv::Pool, reduce::Kind},
    graph::tensor::Element,
};

/// `MaxPool` and `AveragePool`.
pub(in super::super) fn pool(emitter: &mut Emitter, call: &Call<'_>, average: bool) -> Lowered {
    let x = call.input(0)?;
    if x.element != Element::Float32 {
        return Err(Missing::new(format!(
            "kernel for images of {}",
            x.element.name()
        )));
    }
    if call.int("storage_order", 0) != 0 && call.wants(1) {
        return Err(Missing::new("indices in column-major order"));
    }
    let input = image(x)?;
    let mut frame: Frame = frame(call, x.rank() - 2, None)?;
    let out = frame.output(call, input)?;
    let dims = shaped(x, x.dim(1), out);
    let made = emitter.make(Element::Float32, &dims);
    let indices = emitter.make(Element::Int64, &dims);
    let work = Pool {
        x: emitter.dense_spot(x)?,
        y: emitter.view(&made)?.0,
        indices: (call.wants(1)).then_some(emitter.view(&indices)?.0),
        planes: x.dim(0) * x.dim(1),
        image: input,
        out,
        window: frame.window,
        after: frame.after,
        average,
        count_pad: call.flag("count_include_pad", false),
    };
    emitter.push(work.launch(), made.len())?;
    Ok(vec![made, indices])
}

/// `GlobalAveragePool` and `GlobalMaxPool`: reductions of each plane.
pub(in super::super) fn global(emitter: &mut Emitter, call: &Call<'_>, kind: Kind) -> Lowered {
    let x: &Value = call.input(0)?;
    let planes: Vec<usize> = (2..x.rank()).collect();
    Ok(vec![reduce::over(emitter, x, &planes, true, kind)?])
}
