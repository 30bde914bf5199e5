//! Operators whose results are known while the plan is made, or are one value many times.

use super::{
    Lowered, Missing,
    call::{Call, signed, size},
    emit::Emitter,
    value::{Home, Value},
};
use crate::{engine::cuda::launch::moves, graph::tensor::Element};

/// `Constant`.
pub(in super::super) fn constant(_: &mut Emitter, call: &Call<'_>) -> Lowered {
    if let Some(value) = call.tensor("value")? {
        return Ok(vec![value]);
    }
    let wide = |values: &[f32]| {
        values
            .iter()
            .map(|value| f64::from(*value))
            .collect::<Vec<_>>()
    };
    let value = if let Some(value) = call.attribute("value_float").and_then(|held| held.f) {
        Value::of_floats(&[value.into()], Vec::new(), Element::Float32)
    } else if let Some(value) = call.attribute("value_int").and_then(|held| held.i) {
        Value::of_ints(&[value], Vec::new())
    } else if let Some(values) = call.floats("value_floats") {
        Value::of_floats(&wide(values), vec![values.len()], Element::Float32)
    } else if let Some(values) = call.ints("value_ints") {
        Value::of_ints(values, vec![values.len()])
    } else {
        return Err(Missing::new("constants of this kind"));
    };
    Ok(vec![value])
}

/// The input, which may be text, but no list of a length that nobody knows.
fn sized<'c>(call: &'c Call<'_>) -> Result<&'c Value, Missing> {
    match call.given(0) {
        Some(x) if x.is_text() => Ok(x),
        _ => call.input(0),
    }
}

/// `Shape`, and a part of it.
pub(in super::super) fn shape(_: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = sized(call)?;
    let rank = signed(x.rank());
    let within = |at: i64| {
        let at = if at < 0 { at + rank } else { at };
        usize::try_from(at.clamp(0, rank)).unwrap_or(0)
    };
    let (start, end) = (within(call.int("start", 0)), within(call.int("end", rank)));
    let dims: Vec<i64> = (x.dims.get(start..end.max(start)).unwrap_or_default().iter())
        .map(|dim| signed(*dim))
        .collect();
    let count = dims.len();
    Ok(vec![Value::of_ints(&dims, vec![count])])
}

/// `Size`.
pub(in super::super) fn count(_: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = sized(call)?;
    Ok(vec![Value::of_ints(&[signed(x.len())], Vec::new())])
}

/// The bits of a known single value.
pub(super) fn pattern(value: &Value) -> Option<u64> {
    let Home::Known(bytes) = &value.home else {
        return None;
    };
    let one = bytes.get(..value.width())?;
    Some((one.iter().rev()).fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
}

/// A tensor full of one value.
pub(super) fn filled(
    emitter: &mut Emitter,
    value: &Value,
    dims: &[usize],
) -> Result<Value, Missing> {
    let bits =
        pattern(value).ok_or_else(|| Missing::new("way to fill with what the model computes"))?;
    let made = emitter.make(value.element, dims);
    let (to, _) = emitter.view(&made)?;
    emitter.push(moves::fill(to, made.len(), bits, value.width()), made.len())?;
    Ok(made)
}

/// `ConstantOfShape`.
pub(in super::super) fn constant_of_shape(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let shape = (call.known_ints(0, "shape")?).ok_or_else(|| Missing::new("shape"))?;
    let dims = (shape.iter().map(|dim| size(*dim))).collect::<Result<Vec<_>, _>>()?;
    let zero = Value::of_floats(&[0.0], vec![1], Element::Float32);
    let value = call.tensor("value")?.unwrap_or(zero);
    Ok(vec![filled(emitter, &value, &dims)?])
}
