//! Operators that look at the same elements in another way: nothing moves.

use super::{
    Lowered, Missing,
    call::{Call, axis, signed, size},
    emit::Emitter,
    value::{Home, Value, broadcast},
};

fn cannot() -> Missing {
    Missing::new("views of constants")
}

/// The value with its dimensions in this order.
pub(super) fn permuted(
    emitter: &mut Emitter,
    value: &Value,
    order: &[usize],
) -> Result<Value, Missing> {
    let located = emitter.located(value)?;
    let Home::At(spot, strides) = &located.home else {
        return Err(cannot());
    };
    let pick = |at: &usize| Some((*value.dims.get(*at)?, *strides.get(*at)?));
    let picked = order.iter().map(pick).collect::<Option<Vec<_>>>();
    let (dims, strides) = picked
        .filter(|held| held.len() == value.rank())
        .ok_or_else(|| Missing::new("order of dimensions like this"))?
        .into_iter()
        .unzip();
    Ok(Value {
        dims,
        home: Home::At(*spot, strides),
        ..value.clone()
    })
}

/// `count` positions of an axis, from `first` on.
pub(super) fn cut(
    emitter: &mut Emitter,
    value: &Value,
    axis: usize,
    first: usize,
    count: usize,
) -> Result<Value, Missing> {
    if first + count > value.dim(axis) {
        return Err(Missing::new("as many positions as are asked for"));
    }
    stepped(emitter, value, axis, signed(first), 1, count)
}

/// `count` positions of an axis, every `step`-th from `first` on.
fn stepped(
    emitter: &mut Emitter,
    value: &Value,
    axis: usize,
    first: i64,
    step: i64,
    count: usize,
) -> Result<Value, Missing> {
    let mut made = emitter.located(value)?;
    let width = made.width();
    let Home::At(spot, strides) = &mut made.home else {
        return Err(cannot());
    };
    let (Some(dim), Some(stride)) = (made.dims.get_mut(axis), strides.get_mut(axis)) else {
        return Err(Missing::new("axis like this"));
    };
    *dim = count;
    if count > 0 {
        *spot = Emitter::further(*spot, first * *stride, width);
    }
    *stride *= step;
    Ok(made)
}

/// The value in another shape; its elements are brought side by side where they must.
pub(super) fn reshaped(
    emitter: &mut Emitter,
    value: &Value,
    dims: &[usize],
) -> Result<Value, Missing> {
    if dims.iter().product::<usize>() != value.len() {
        return Err(Missing::new(format!(
            "way from shape {:?} to {dims:?}",
            value.dims
        )));
    }
    if let Some(made) = value.reshaped(dims) {
        return Ok(made);
    }
    let dense = emitter.dense(value)?;
    dense
        .reshaped(dims)
        .ok_or_else(|| Missing::new("shape like this"))
}

fn first<'c>(call: &'c Call<'_>) -> Result<&'c Value, Missing> {
    // Labels and strings may be seen in another way.
    call.given(0)
        .ok_or_else(|| Missing::new("way to do without input 1"))
}

/// `Identity`.
pub(in super::super) fn identity(_: &mut Emitter, call: &Call<'_>) -> Lowered {
    Ok(vec![first(call)?.clone()])
}

/// `Dropout`, which leaves its input as it is unless the model is in training.
pub(in super::super) fn dropout(_: &mut Emitter, call: &Call<'_>) -> Lowered {
    let training = call.known_ints(2, "training mode")?;
    if training.is_some_and(|held| held.iter().any(|value| *value != 0)) || call.wants(1) {
        return Err(Missing::new("training, and no masks as outputs"));
    }
    Ok(vec![first(call)?.clone()])
}

/// `Reshape`.
pub(in super::super) fn reshape(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = first(call)?;
    let wanted = match call.ints("shape") {
        Some(shape) => shape.to_vec(),
        None => (call.known_ints(1, "shape")?).ok_or_else(|| Missing::new("shape"))?,
    };
    let zero_is_zero = call.flag("allowzero", false);
    let mut free = None;
    let mut dims = Vec::with_capacity(wanted.len());
    for (at, dim) in wanted.iter().enumerate() {
        dims.push(match dim {
            0 if !zero_is_zero => x.dim(at),
            -1 => {
                free = Some(at);
                1
            }
            other => size(*other)?,
        });
    }
    if let Some(place) = free.and_then(|at| dims.get_mut(at)) {
        *place = 0;
        let rest: usize = (dims.iter().enumerate())
            .filter(|(at, _)| Some(*at) != free)
            .map(|(_, dim)| *dim)
            .product();
        let filled = x.len().checked_div(rest).unwrap_or(0);
        if let Some(place) = free.and_then(|at| dims.get_mut(at)) {
            *place = filled;
        }
    }
    Ok(vec![reshaped(emitter, x, &dims)?])
}

/// `Squeeze`.
pub(in super::super) fn squeeze(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = first(call)?;
    let axes = call.axes(1, x.rank())?;
    let goes = |at: usize, dim: usize| match &axes {
        Some(axes) => axes.contains(&at),
        None => dim == 1,
    };
    let dims: Vec<usize> = (x.dims.iter().enumerate())
        .filter(|(at, dim)| !goes(*at, **dim))
        .map(|(_, dim)| *dim)
        .collect();
    Ok(vec![reshaped(emitter, x, &dims)?])
}

/// `Unsqueeze`.
pub(in super::super) fn unsqueeze(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = first(call)?;
    let count = match call.ints("axes") {
        Some(axes) => axes.len(),
        None => call.known_ints(1, "axes")?.map_or(0, |axes| axes.len()),
    };
    let rank = x.rank() + count;
    let axes = call.axes(1, rank)?.unwrap_or_default();
    let mut own = x.dims.iter();
    let dims: Vec<usize> = (0..rank)
        .map(|at| {
            if axes.contains(&at) {
                1
            } else {
                own.next().copied().unwrap_or(1)
            }
        })
        .collect();
    Ok(vec![reshaped(emitter, x, &dims)?])
}

/// `Flatten`.
pub(in super::super) fn flatten(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = first(call)?;
    let given = call.int("axis", 1);
    let from_front = if given < 0 {
        given + signed(x.rank())
    } else {
        given
    };
    let at = axis(from_front, x.rank() + 1)?;
    let outer: usize = x.dims.iter().take(at).product();
    let inner: usize = x.dims.iter().skip(at).product();
    Ok(vec![reshaped(emitter, x, &[outer, inner])?])
}

/// `Transpose`.
pub(in super::super) fn transpose(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let order = match call.ints("perm") {
        Some(order) => (order.iter().map(|at| size(*at))).collect::<Result<Vec<_>, _>>()?,
        None => (0..x.rank()).rev().collect(),
    };
    Ok(vec![permuted(emitter, x, &order)?])
}

/// `Expand`.
pub(in super::super) fn expand(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let shape = (call.known_ints(1, "shape")?).ok_or_else(|| Missing::new("shape"))?;
    let shape = (shape.iter().map(|dim| size(*dim))).collect::<Result<Vec<_>, _>>()?;
    let dims = broadcast([x.dims.as_slice(), shape.as_slice()])?;
    let mut made = emitter.located(x)?;
    if let Home::At(_, strides) = &mut made.home {
        *strides = super::fuse::spread(&dims, &x.dims, strides);
    }
    made.dims = dims;
    Ok(vec![made])
}

/// `Slice`, with bounds that are attributes or known.
pub(in super::super) fn slice(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let given = |at: usize, name: &str| match call.ints(name) {
        Some(held) => Ok(Some(held.to_vec())),
        None => call.known_ints(at, "bounds of a slice"),
    };
    let bounds = || Missing::new("slice without its bounds");
    let starts = given(1, "starts")?.ok_or_else(bounds)?;
    let ends = given(2, "ends")?.ok_or_else(bounds)?;
    let axes = given(3, "axes")?.unwrap_or_else(|| (0..signed(starts.len())).collect());
    let steps = given(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    let mut made = x.clone();
    for (((start, end), at), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let at = axis(*at, x.rank())?;
        let dim = signed(x.dim(at));
        if *step == 0 {
            return Err(Missing::new("slice in steps of 0"));
        }
        // As in Python: counted from the end where negative, then brought into range.
        let within = |bound: i64, low: i64, high: i64| {
            let bound = if bound < 0 {
                bound.saturating_add(dim)
            } else {
                bound
            };
            bound.clamp(low, high.max(low))
        };
        let (first, count) = if *step > 0 {
            let (first, last) = (within(*start, 0, dim), within(*end, 0, dim));
            (
                first,
                (last - first)
                    .max(0)
                    .unsigned_abs()
                    .div_ceil(step.unsigned_abs()),
            )
        } else {
            let (first, last) = (within(*start, -1, dim - 1), within(*end, -1, dim - 1));
            (
                first,
                (first - last)
                    .max(0)
                    .unsigned_abs()
                    .div_ceil(step.unsigned_abs()),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        made = stepped(emitter, &made, at, first.max(0), *step, count)?;
    }
    Ok(vec![made])
}

/// `Split`.
pub(in super::super) fn split(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let at = axis(call.int("axis", 0), x.rank())?;
    let parts = call.node.output.len();
    let sizes = match call.ints("split") {
        Some(sizes) => Some(sizes.to_vec()),
        None => call.known_ints(1, "sizes of a split")?,
    };
    let sizes = if let Some(sizes) = sizes {
        (sizes.iter().map(|dim| size(*dim))).collect::<Result<Vec<_>, _>>()?
    } else {
        let each = x.dim(at).div_ceil(parts.max(1));
        let left = |part: usize| x.dim(at).saturating_sub(part * each);
        (0..parts).map(|part| left(part).min(each)).collect()
    };
    let mut before = 0;
    let mut made = Vec::with_capacity(sizes.len());
    for count in sizes {
        made.push(cut(emitter, x, at, before, count)?);
        before += count;
    }
    Ok(made)
}
