//! What a session gives becomes values.

use std::hash::Hash;

use ort::value::{
    DynValue, DynValueTypeMarker, IntoTensorElementType, PrimitiveTensorElementType,
    TensorElementType, ValueType,
};

use super::made;
use crate::{
    engine::raw::{Key, Value},
    graph::tensor::{Element, Tensor, Values},
};

/// A value that came out.
///
/// # Errors
/// Says in words why it cannot be looked at.
pub(super) fn value(from: &DynValue) -> Result<Value<Tensor>, String> {
    match from.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            let shape = (shape.iter())
                .map(|dim| usize::try_from(*dim).unwrap_or(0))
                .collect();
            tensor(from, *ty, shape).map(Value::Tensor)
        }
        ValueType::Sequence(_) => (from.try_extract_sequence::<DynValueTypeMarker>())
            .map_err(|error| error.to_string())?
            .iter()
            .map(value)
            .collect::<Result<_, _>>()
            .map(Value::Sequence),
        ValueType::Map { key, value } => map(from, *key, *value),
        ValueType::Optional(_) => Err("an optional value in a value cannot be read".to_owned()),
    }
}

fn tensor(from: &DynValue, ty: TensorElementType, shape: Vec<usize>) -> Result<Tensor, String> {
    let element = element(ty)?;
    let words = |error: ort::Error| error.to_string();
    /// The elements, converted to the widest type of their kind.
    macro_rules! take {
        ($kind:ident, $type:ty) => {{
            let (_, elements) = from.try_extract_tensor::<$type>().map_err(words)?;
            Values::$kind(elements.iter().map(|one| (*one).into()).collect())
        }};
    }
    let values = match element {
        Element::Float32 => take!(Float, f32),
        Element::Float64 => take!(Float, f64),
        Element::Int8 => take!(Int, i8),
        Element::Int16 => take!(Int, i16),
        Element::Int32 => take!(Int, i32),
        Element::Int64 => take!(Int, i64),
        Element::Uint8 => take!(Uint, u8),
        Element::Uint16 => take!(Uint, u16),
        Element::Uint32 => take!(Uint, u32),
        Element::Uint64 => take!(Uint, u64),
        Element::Bool => take!(Bool, bool),
        Element::Text => {
            let (_, texts) = from.try_extract_strings().map_err(words)?;
            Values::Text(texts.into_iter().map(Into::into).collect())
        }
        other => {
            let floats = made::as_float(from, other)?;
            let (_, floats) = floats.try_extract_tensor::<f32>().map_err(words)?;
            whole(other, floats)
        }
    };
    Ok(Tensor {
        element,
        shape,
        values,
    })
}

/// Elements that were cast to float, as their own kind.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "integers of up to 4 bits"
)]
fn whole(element: Element, floats: &[f32]) -> Values {
    match element {
        Element::Int4 | Element::Int2 => {
            Values::Int(floats.iter().map(|one| *one as i64).collect())
        }
        Element::Uint4 | Element::Uint2 => {
            Values::Uint(floats.iter().map(|one| *one as u64).collect())
        }
        _ => Values::Float(floats.iter().map(|one| (*one).into()).collect()),
    }
}

fn map(
    from: &DynValue,
    key: TensorElementType,
    value: TensorElementType,
) -> Result<Value<Tensor>, String> {
    let (element, wrap): (Element, fn(f64) -> Values) = match value {
        TensorElementType::Float32 => (Element::Float32, |one| Values::Float(vec![one])),
        TensorElementType::Float64 => (Element::Float64, |one| Values::Float(vec![one])),
        TensorElementType::Int64 => {
            let entries = match key {
                TensorElementType::Int64 => entries::<i64, i64>(from, Key::Int)?,
                _ => entries::<String, i64>(from, Key::Text)?,
            };
            return Ok(single(entries, Element::Int64, |one| {
                Values::Int(vec![one])
            }));
        }
        other => return Err(format!("maps to {other} cannot be read")),
    };
    let entries: Vec<(Key, f64)> = match (key, element) {
        (TensorElementType::Int64, Element::Float64) => entries::<i64, f64>(from, Key::Int)?,
        (TensorElementType::Int64, _) => widened(entries::<i64, f32>(from, Key::Int)?),
        (_, Element::Float64) => entries::<String, f64>(from, Key::Text)?,
        _ => widened(entries::<String, f32>(from, Key::Text)?),
    };
    Ok(single(entries, element, wrap))
}

fn entries<K, V>(from: &DynValue, wrap: fn(K) -> Key) -> Result<Vec<(Key, V)>, String>
where
    K: IntoTensorElementType + Clone + Hash + Eq,
    V: PrimitiveTensorElementType + Clone,
{
    let entries = (from.try_extract_key_values::<K, V>()).map_err(|error| error.to_string())?;
    let wrapped = entries.into_iter().map(|(key, value)| (wrap(key), value));
    Ok(wrapped.collect())
}

fn widened(entries: Vec<(Key, f32)>) -> Vec<(Key, f64)> {
    let wide = entries.into_iter().map(|(key, value)| (key, value.into()));
    wide.collect()
}

/// A map to single numbers.
fn single<V>(entries: Vec<(Key, V)>, element: Element, wrap: fn(V) -> Values) -> Value<Tensor> {
    let entries = entries.into_iter().map(|(key, value)| {
        let tensor = Tensor {
            element,
            shape: Vec::new(),
            values: wrap(value),
        };
        (key, Value::Tensor(tensor))
    });
    Value::Map(entries.collect())
}

/// The same type as files name it.
///
/// # Errors
/// It is one that no file has.
pub(super) fn element(ty: TensorElementType) -> Result<Element, String> {
    Ok(match ty {
        TensorElementType::Float32 => Element::Float32,
        TensorElementType::Uint8 => Element::Uint8,
        TensorElementType::Int8 => Element::Int8,
        TensorElementType::Uint16 => Element::Uint16,
        TensorElementType::Int16 => Element::Int16,
        TensorElementType::Int32 => Element::Int32,
        TensorElementType::Int64 => Element::Int64,
        TensorElementType::String => Element::Text,
        TensorElementType::Bool => Element::Bool,
        TensorElementType::Float16 => Element::Float16,
        TensorElementType::Float64 => Element::Float64,
        TensorElementType::Uint32 => Element::Uint32,
        TensorElementType::Uint64 => Element::Uint64,
        TensorElementType::Bfloat16 => Element::Bfloat16,
        TensorElementType::Float8E4M3FN => Element::Float8E4M3FN,
        TensorElementType::Float8E4M3FNUZ => Element::Float8E4M3FNUZ,
        TensorElementType::Float8E5M2 => Element::Float8E5M2,
        TensorElementType::Float8E5M2FNUZ => Element::Float8E5M2FNUZ,
        TensorElementType::Uint4 => Element::Uint4,
        TensorElementType::Int4 => Element::Int4,
        TensorElementType::Float4E2M1 => Element::Float4E2M1,
        TensorElementType::Float8E8M0 => Element::Float8E8M0,
        TensorElementType::Uint2 => Element::Uint2,
        TensorElementType::Int2 => Element::Int2,
        other => return Err(format!("elements of type {other} cannot be read")),
    })
}
