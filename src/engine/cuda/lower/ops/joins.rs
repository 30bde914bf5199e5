//! Operators that put elements together in memory anew.

use super::{
    Lowered, Missing,
    call::{Call, axis, signed, size},
    emit::Emitter,
    shape::filled,
    value::{Home, Value},
    views::{cut, permuted, reshaped},
};
use crate::{engine::cuda::launch::moves, graph::tensor::Element};

/// Values side by side along an axis.
pub(super) fn side_by_side(
    emitter: &mut Emitter,
    parts: &[Value],
    at: usize,
) -> Result<Value, Missing> {
    let first = parts
        .first()
        .ok_or_else(|| Missing::new("nothing to put together"))?;
    let mut dims = first.dims.clone();
    if let Some(dim) = dims.get_mut(at) {
        *dim = parts.iter().map(|part| part.dim(at)).sum();
    }
    let made = emitter.make(first.element, &dims);
    let mut before = 0;
    for part in parts {
        let same = |(place, dim): (usize, &usize)| place == at || first.dim(place) == *dim;
        if part.rank() != first.rank()
            || part.element != first.element
            || !part.dims.iter().enumerate().all(same)
        {
            return Err(Missing::new("way to put these shapes together"));
        }
        let to = cut(emitter, &made, at, before, part.dim(at))?;
        emitter.copy_into(part, &to)?;
        before += part.dim(at);
    }
    Ok(made)
}

/// `Concat`.
pub(in super::super) fn concat(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let parts: Vec<Value> = (0..call.inputs.len())
        .map(|at| call.input(at).cloned())
        .collect::<Result<_, _>>()?;
    let at = axis(call.int("axis", 1), call.input(0)?.rank())?;
    let ints: Option<Vec<Vec<i64>>> = parts.iter().map(Value::ints).collect();
    let whole = parts
        .iter()
        .all(|part| part.element == Element::Int64 && part.rank() == 1);
    if let (Some(ints), true) = (ints, whole) {
        let all = ints.concat();
        return Ok(vec![Value::of_ints(&all, vec![all.len()])]);
    }
    Ok(vec![side_by_side(emitter, &parts, at)?])
}

/// `Tile`: a dimension of its own for the copies, which do not move.
pub(in super::super) fn tile(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let repeats = (call.known_ints(1, "repeats")?).ok_or_else(|| Missing::new("repeats"))?;
    let located = emitter.located(x)?;
    let Home::At(spot, own) = &located.home else {
        return Err(Missing::new("repeats"));
    };
    if repeats.len() != x.rank() {
        return Err(Missing::new("repeats for some dimensions only"));
    }
    let (mut dims, mut strides, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for ((dim, stride), repeat) in x.dims.iter().zip(own).zip(&repeats) {
        let repeat = size(*repeat)?;
        dims.extend([repeat, *dim]);
        strides.extend([0, *stride]);
        together.push(repeat * dim);
    }
    let spread = Value {
        dims,
        home: Home::At(*spot, strides),
        ..located.clone()
    };
    Ok(vec![reshaped(emitter, &spread, &together)?])
}

/// `DepthToSpace` (`back`) and `SpaceToDepth`.
#[expect(
    clippy::many_single_char_names,
    reason = "images have had these names for ever"
)]
pub(in super::super) fn depth(emitter: &mut Emitter, call: &Call<'_>, back: bool) -> Lowered {
    let x = call.input(0)?;
    let block = size(call.int("blocksize", 1))?.max(1);
    let &[n, c, h, w] = x.dims.as_slice() else {
        return Err(Missing::new("images of other than four dimensions"));
    };
    let (split, order, together) = if back {
        let depth = c / (block * block);
        let together = [n, depth, h * block, w * block];
        if call.text("mode", "DCR") == "DCR" {
            ([n, block, block, depth, h, w], [0, 3, 4, 1, 5, 2], together)
        } else {
            ([n, depth, block, block, h, w], [0, 1, 4, 2, 5, 3], together)
        }
    } else {
        let (rows, columns) = (h / block, w / block);
        (
            [n, c, rows, block, columns, block],
            [0, 3, 5, 1, 2, 4],
            [n, c * block * block, rows, columns],
        )
    };
    let split = reshaped(emitter, x, &split)?;
    let moved = permuted(emitter, &split, &order)?;
    Ok(vec![reshaped(emitter, &moved, &together)?])
}

/// `Pad`.
pub(in super::super) fn pad(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let given = match call.ints("pads") {
        Some(pads) => pads.to_vec(),
        None => (call.known_ints(1, "pads")?).ok_or_else(|| Missing::new("pads"))?,
    };
    let axes = match call.known_ints(3, "axes")? {
        Some(axes) => (axes.iter().map(|at| axis(*at, x.rank()))).collect::<Result<Vec<_>, _>>()?,
        None => (0..x.rank()).collect(),
    };
    let (mut before, mut after) = (vec![0i64; x.rank()], vec![0i64; x.rank()]);
    let (first, second) = given
        .split_at_checked(axes.len())
        .ok_or_else(|| Missing::new("pads for each dimension"))?;
    for ((at, one), other) in axes.iter().zip(first).zip(second) {
        if let (Some(before), Some(after)) = (before.get_mut(*at), after.get_mut(*at)) {
            (*before, *after) = (*one, *other);
        }
    }
    let dims = (x.dims.iter().zip(before.iter().zip(&after)))
        .map(|(dim, (before, after))| size(signed(*dim) + before + after))
        .collect::<Result<Vec<_>, _>>()?;
    let mode = match call.text("mode", "constant").as_str() {
        "constant" => return Ok(vec![constant_pad(emitter, call, &dims, &before)?]),
        "edge" => 1,
        "reflect" => 2,
        "wrap" => 3,
        other => return Err(Missing::new(format!("padding of kind {other}"))),
    };
    if x.len() == 0 {
        return Err(Missing::new("padding of nothing"));
    }
    let from = emitter.dense_spot(x)?;
    let made = emitter.make(x.element, &dims);
    let (to, _) = emitter.view(&made)?;
    let launch = moves::pad(from, to, x.width(), mode, [&x.dims, &dims], &before);
    emitter.push(launch, made.len())?;
    Ok(vec![made])
}

fn constant_pad(
    emitter: &mut Emitter,
    call: &Call<'_>,
    dims: &[usize],
    before: &[i64],
) -> Result<Value, Missing> {
    let x = call.input(0)?;
    let zeros = Value {
        home: Home::Known(vec![0; 8].into()),
        dims: Vec::new(),
        ..x.clone()
    };
    let value = match call.optional(2)?.filter(|value| value.len() > 0) {
        Some(value) => value.clone(),
        None => match call.attribute("value").and_then(|held| held.f) {
            Some(value) => Value::of_floats(&[value.into()], Vec::new(), x.element),
            None => zeros,
        },
    };
    if value.element != x.element {
        return Err(Missing::new("padding of another type"));
    }
    let made = filled(emitter, &value, dims)?;
    // What is kept of the input, and where it goes.
    let (mut from, mut to) = (x.clone(), made.clone());
    for (at, before) in before.iter().enumerate() {
        let skipped = usize::try_from(-before).unwrap_or(0);
        let offset = usize::try_from(*before).unwrap_or(0);
        let there = to.dim(at).saturating_sub(offset);
        let kept = x.dim(at).saturating_sub(skipped).min(there);
        from = cut(emitter, &from, at, skipped.min(x.dim(at)), kept)?;
        to = cut(emitter, &to, at, offset.min(to.dim(at)), kept)?;
    }
    emitter.copy_into(&from, &to)?;
    Ok(made)
}
