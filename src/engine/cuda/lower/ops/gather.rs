//! Operators that choose by indices.

use super::{
    Lowered, Missing,
    call::{Call, axis, signed, size},
    emit::Emitter,
    softmax::around,
    value::{Home, Value, dense_strides},
    views,
};
use crate::{
    engine::cuda::launch::{
        gather::{self, Spots},
        type_number,
    },
    graph::tensor::Element,
};

/// The number of the indices' type.
fn index_type(index: &Value) -> Result<i32, Missing> {
    type_number(index.element)
        .filter(|_| matches!(index.element, Element::Int32 | Element::Int64))
        .ok_or_else(|| Missing::new(format!("indices of type {}", index.element.name())))
}

fn spots(emitter: &mut Emitter, from: &Value, index: &Value, to: &Value) -> Result<Spots, Missing> {
    Ok(Spots {
        index_type: index_type(index)?,
        from: emitter.dense_spot(from)?,
        index: emitter.dense_spot(index)?,
        to: emitter.view(to)?.0,
        bytes: from.width(),
    })
}

/// Positions of an axis by known or computed indices.
fn along(emitter: &mut Emitter, x: &Value, index: &Value, at: usize) -> Result<Value, Missing> {
    let shape = around(&x.dims, at);
    if let (Some([one]), true) = (index.ints().as_deref(), index.rank() == 0) {
        // One known position is a view.
        let first = size(if *one < 0 {
            one + signed(x.dim(at))
        } else {
            *one
        })?;
        let kept = views::cut(emitter, x, at, first, 1)?;
        let mut dims = kept.dims.clone();
        dims.remove(at);
        return views::reshaped(emitter, &kept, &dims);
    }
    let mut dims = x.dims.get(..at).unwrap_or_default().to_vec();
    dims.extend(&index.dims);
    dims.extend(x.dims.get(at + 1..).unwrap_or_default());
    let made = emitter.make(x.element, &dims);
    let spots = spots(emitter, x, index, &made)?;
    let [outer, axis, inner] = shape;
    let launch = gather::gather(spots, [outer, axis, index.len(), inner]);
    emitter.push(launch, made.len())?;
    Ok(made)
}

/// Computed indices into a list of known strings: the strings are looked up on the host, negative ones from the end.
fn labels(call: &Call<'_>) -> Result<Option<Value>, Missing> {
    let texts = call.given(0).filter(|x| x.rank() == 1).map(|x| &x.home);
    let Some(Home::Texts(texts)) = texts else {
        return Ok(None);
    };
    let index = call.input(1)?;
    match (&index.home, index.element) {
        (Home::At(..), Element::Int64) => Ok(Some(index.labelled(texts))),
        _ => Err(Missing::new(
            "strings chosen by known indices, or by others than int64",
        )),
    }
}

/// `Gather`.
pub(in super::super) fn gather(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    if let Some(labels) = labels(call)? {
        return Ok(vec![labels]);
    }
    let (x, index) = (call.input(0)?, call.input(1)?);
    let at = axis(call.int("axis", 0), x.rank())?;
    if let (Some(held), Some(chosen), 1, true) = (
        x.ints(),
        index.ints(),
        x.rank(),
        x.element == Element::Int64,
    ) {
        let pick = |at: &i64| {
            let at = if *at < 0 {
                at + signed(held.len())
            } else {
                *at
            };
            usize::try_from(at)
                .ok()
                .and_then(|at| held.get(at).copied())
        };
        let picked: Option<Vec<i64>> = chosen.iter().map(pick).collect();
        let picked = picked.ok_or_else(|| Missing::new("indices beyond the end"))?;
        return Ok(vec![Value::of_ints(&picked, index.dims.clone())]);
    }
    Ok(vec![along(emitter, x, index, at)?])
}

/// Rows of a table, by computed indices.
pub(in super::super) fn rows(
    emitter: &mut Emitter,
    table: &Value,
    index: &Value,
) -> Result<Value, Missing> {
    along(emitter, table, index, 0)
}

/// `GatherElements`.
pub(in super::super) fn elements(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (x, index) = (call.input(0)?, call.input(1)?);
    let at = axis(call.int("axis", 0), x.rank())?;
    if index.rank() != x.rank() {
        return Err(Missing::new("indices with another number of dimensions"));
    }
    let mut from = x.clone();
    for place in (0..x.rank()).filter(|place| *place != at) {
        if index.dim(place) < x.dim(place) {
            from = views::cut(emitter, &from, place, 0, index.dim(place))?;
        }
    }
    let made = emitter.make(x.element, &index.dims);
    let spots = spots(emitter, &from, index, &made)?;
    let [outer, to_axis, inner] = around(&index.dims, at);
    let launch = gather::elements(spots, [outer, from.dim(at), to_axis, inner]);
    emitter.push(launch, made.len())?;
    Ok(vec![made])
}

/// `GatherND`.
pub(in super::super) fn nd(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (x, index) = (call.input(0)?, call.input(1)?);
    let batch = size(call.int("batch_dims", 0))?;
    let depth = index.dims.last().copied().unwrap_or(1);
    let Some(outer) = index
        .dims
        .len()
        .checked_sub(1)
        .filter(|outer| batch <= *outer)
    else {
        return Err(Missing::new("indices without dimensions"));
    };
    if batch + depth > x.rank() {
        return Err(Missing::new(
            "indices with more numbers than there are dimensions",
        ));
    }
    let part =
        |dims: &[usize], from: usize, to: usize| dims.get(from..to).unwrap_or_default().to_vec();
    let slice = part(&x.dims, batch + depth, x.rank());
    let mut dims = part(&index.dims, 0, outer);
    let tuples = dims.iter().skip(batch).product::<usize>();
    let batches = dims.iter().take(batch).product::<usize>();
    dims.extend(&slice);
    let made = emitter.make(x.element, &dims);
    let spots = spots(emitter, x, index, &made)?;
    let strides = dense_strides(&x.dims);
    let launch = gather::nd(
        spots,
        [
            batches,
            tuples,
            slice.iter().product(),
            x.dims.iter().skip(batch).product(),
        ],
        &part(&x.dims, batch, batch + depth),
        strides.get(batch..batch + depth).unwrap_or_default(),
    );
    emitter.push(launch, made.len())?;
    Ok(vec![made])
}

/// `OneHot` with a known depth.
pub(in super::super) fn one_hot(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (index, values) = (call.input(0)?, call.input(2)?);
    let depth = call.input(1)?;
    let depth = (depth.ints())
        .or_else(|| {
            #[expect(clippy::cast_possible_truncation, reason = "a depth is a whole number")]
            let whole = |held: Vec<f64>| held.into_iter().map(|value| value as i64).collect();
            depth.floats().map(whole)
        })
        .and_then(|held| held.first().copied())
        .ok_or_else(|| Missing::new("way to use a depth that the model computes"))?;
    let depth = size(depth)?;
    let at = axis(call.int("axis", -1), index.rank() + 1)?;
    let index_type = type_number(index.element)
        .filter(|_| {
            matches!(
                index.element,
                Element::Int32 | Element::Int64 | Element::Float32
            )
        })
        .ok_or_else(|| Missing::new(format!("indices of type {}", index.element.name())))?;
    let mut dims = index.dims.clone();
    dims.insert(at, depth);
    let made = emitter.make(values.element, &dims);
    let spots = Spots {
        from: emitter.dense_spot(values)?,
        index: emitter.dense_spot(index)?,
        to: emitter.view(&made)?.0,
        bytes: values.width(),
        index_type,
    };
    let [outer, depth, inner] = around(&dims, at);
    emitter.push(gather::one_hot(spots, [outer, depth, inner]), made.len())?;
    Ok(vec![made])
}

/// `ArrayFeatureExtractor`: columns of the last dimension.
pub(in super::super) fn columns(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    if let Some(labels) = labels(call)? {
        let dims = [1, labels.len()];
        return Ok(vec![views::reshaped(emitter, &labels, &dims)?]);
    }
    let (x, index) = (call.input(0)?, call.input(1)?);
    let last = x
        .rank()
        .checked_sub(1)
        .ok_or_else(|| Missing::new("columns of a single number"))?;
    let flat = index.reshaped(&[index.len()]);
    let flat = flat.ok_or_else(|| Missing::new("indices that do not lie side by side"))?;
    let made = along(emitter, x, &flat, last)?;
    if x.rank() == 1 {
        return Ok(vec![views::reshaped(emitter, &made, &[1, flat.len()])?]);
    }
    Ok(vec![made])
}
