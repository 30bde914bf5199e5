//! Operators that make one of many, order, or add up along an axis.

use super::{
    Lowered, Missing,
    call::{Call, axis, size},
    elementwise::class,
    emit::Emitter,
    fuse::Expression,
    softmax::{around, one_of},
    value::Value,
};
use crate::{
    engine::cuda::launch::{
        pointwise::{Class, Op, joined},
        reduce::{self, Dims, Kind},
        type_number,
    },
    graph::tensor::Element,
};

/// `Reduce*`.
pub(in super::super) fn reduce(emitter: &mut Emitter, call: &Call<'_>, kind: Kind) -> Lowered {
    let x = call.input(0)?;
    let axes = call.axes(1, x.rank())?.filter(|axes| !axes.is_empty());
    if axes.is_none() && call.flag("noop_with_empty_axes", false) {
        return unreduced(emitter, x, kind);
    }
    let axes = axes.unwrap_or_else(|| (0..x.rank()).collect());
    Ok(vec![over(
        emitter,
        x,
        &axes,
        call.flag("keepdims", true),
        kind,
    )?])
}

/// No axis at all: what the reduction makes of each number by itself.
fn unreduced(emitter: &mut Emitter, x: &Value, kind: Kind) -> Lowered {
    let mut program = Expression::new(class(&[x])?);
    let arg = program.input(x);
    let result = match kind {
        Kind::SumSquare => program.op(Op::Mul, &[arg, arg]),
        Kind::L1 | Kind::L2 => program.op(Op::Abs, &[arg]),
        Kind::LogSum => program.op(Op::Log, &[arg]),
        _ => return Ok(vec![x.clone()]),
    };
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

/// The value reduced over these axes.
pub(super) fn over(
    emitter: &mut Emitter,
    x: &Value,
    axes: &[usize],
    keep: bool,
    kind: Kind,
) -> Result<Value, Missing> {
    let kernel = match class(&[x])? {
        Class::F32 => "reduce_f32",
        Class::F64 => "reduce_f64",
        Class::I64 => "reduce_i64",
    };
    let element = type_number(x.element).ok_or_else(|| Missing::new("type"))?;
    let (at, strides) = emitter.view(x)?;
    let part = |reduced: bool| {
        let chosen = (0..x.rank()).filter(|place| axes.contains(place) == reduced);
        let (dims, strides): (Vec<usize>, Vec<i64>) = chosen
            .map(|place| (x.dim(place), strides.get(place).copied().unwrap_or(0)))
            .unzip();
        let (size, mut stride) = joined(&dims, &[&strides]);
        // A dimension of nothing must stay one.
        Dims {
            size,
            stride: stride.pop().unwrap_or_default(),
        }
    };
    let (kept, reduced) = (part(false), part(true));
    if reduced.size.contains(&0) {
        return Err(Missing::new("reductions of nothing"));
    }
    let whole: Vec<usize> = (x.dims.iter().enumerate())
        .map(|(place, dim)| if axes.contains(&place) { 1 } else { *dim })
        .collect();
    let made = emitter.make(x.element, &whole);
    let (to, _) = emitter.view(&made)?;
    let launch = reduce::reduce(kernel, at, to, element, kind, &kept, &reduced);
    emitter.push(launch, made.len())?;
    if keep {
        return Ok(made);
    }
    let dims: Vec<usize> = (whole.iter().enumerate())
        .filter(|(place, _)| !axes.contains(place))
        .map(|(_, dim)| *dim)
        .collect();
    made.reshaped(&dims)
        .ok_or_else(|| Missing::new("shape like this"))
}

/// `ArgMax` and `ArgMin`.
pub(in super::super) fn arg(emitter: &mut Emitter, call: &Call<'_>, min: bool) -> Lowered {
    let x = call.input(0)?;
    let at = axis(call.int("axis", 0), x.rank())?;
    let last = call.flag("select_last_index", false);
    let made = arg_over(emitter, x, at, [min, last])?;
    if call.flag("keepdims", true) {
        return Ok(vec![made]);
    }
    let mut dims = made.dims.clone();
    dims.remove(at);
    Ok(vec![
        made.reshaped(&dims)
            .ok_or_else(|| Missing::new("shape like this"))?,
    ])
}

/// Indices of the largest (or smallest) along an axis, which stays with a size of 1.
pub(super) fn arg_over(
    emitter: &mut Emitter,
    x: &Value,
    at: usize,
    which: [bool; 2],
) -> Result<Value, Missing> {
    let element = type_number(x.element).ok_or_else(|| Missing::new("type"))?;
    if x.dim(at) == 0 {
        return Err(Missing::new("largest of nothing"));
    }
    let from = emitter.dense_spot(x)?;
    let mut dims = x.dims.clone();
    if let Some(dim) = dims.get_mut(at) {
        *dim = 1;
    }
    let made = emitter.make(Element::Int64, &dims);
    let (to, _) = emitter.view(&made)?;
    let launch = reduce::arg(from, to, around(&x.dims, at), element, which);
    emitter.push(launch, made.len())?;
    Ok(made)
}

/// `TopK`.
pub(in super::super) fn top_k(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let at = axis(call.int("axis", -1), x.rank())?;
    let k = match call.attribute("k").and_then(|held| held.i) {
        Some(k) => k,
        None => (call.known_ints(1, "k")?)
            .and_then(|held| held.first().copied())
            .ok_or_else(|| Missing::new("k"))?,
    };
    let (k, length) = (size(k)?, x.dim(at));
    if k > length || length > reduce::TOP_K_MOST {
        return Err(Missing::new(format!(
            "TopK of {k} among {length}; up to {} can be sorted",
            reduce::TOP_K_MOST
        )));
    }
    let element = type_number(x.element).ok_or_else(|| Missing::new("type"))?;
    let from = emitter.dense_spot(x)?;
    let mut dims = x.dims.clone();
    if let Some(dim) = dims.get_mut(at) {
        *dim = k;
    }
    let values = emitter.make(x.element, &dims);
    let indices = emitter.make(Element::Int64, &dims);
    let to = [
        call.wants(0).then_some(emitter.view(&values)?.0),
        call.wants(1).then_some(emitter.view(&indices)?.0),
    ];
    let smallest = !call.flag("largest", true);
    let shape = around(&x.dims, at);
    let launch = reduce::top_k(from, to, shape, k, element, smallest);
    emitter.push(launch, values.len())?;
    Ok(vec![values, indices])
}

/// `CumSum` along a known axis.
pub(in super::super) fn cum_sum(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let at = (call.known_ints(1, "axis")?)
        .and_then(|held| held.first().copied())
        .ok_or_else(|| Missing::new("axis"))?;
    let at = axis(at, x.rank())?;
    let types = [
        Element::Float32,
        Element::Float64,
        Element::Float16,
        Element::Int32,
        Element::Int64,
    ];
    let element = one_of(x, &types)?;
    let from = emitter.dense_spot(x)?;
    let made = emitter.make(x.element, &x.dims);
    let (to, _) = emitter.view(&made)?;
    let how = [call.flag("exclusive", false), call.flag("reverse", false)];
    let launch = reduce::cum_sum(from, to, around(&x.dims, at), element, how);
    emitter.push(launch, x.len())?;
    Ok(vec![made])
}
