//! Values become what a session takes.

use std::{fmt::Debug, hash::Hash};

use bytes::Bytes;
use ort::value::{
    DynTensorValueType, DynValue, IntoTensorElementType, Map, PrimitiveTensorElementType, Sequence,
    Tensor,
};

use super::made;
use crate::{
    engine::raw::{Key, Value},
    graph::tensor::{Data, Element, Raw},
};

/// A value for a session. `held` is the type of the elements of a list of tensors, as the model declares it.
///
/// # Errors
/// Says in words why there is no way to make it.
pub(super) fn value(value: &Value<Raw>, held: Option<Element>) -> Result<DynValue, String> {
    match value {
        Value::Tensor(raw) => tensor(raw),
        Value::Sequence(values) => sequence(values, held),
        Value::Map(entries) => map(entries),
        Value::Nothing => Err("a list cannot hold a missing value".to_owned()),
    }
}

fn tensor(raw: &Raw) -> Result<DynValue, String> {
    match &raw.data {
        Data::Packed(bytes) => packed(raw, bytes),
        Data::Texts(texts) => match utf8(texts) {
            Some(texts) => Tensor::from_string_array((dims(raw), texts.as_slice()))
                .map(Tensor::into_dyn)
                .map_err(|error| error.to_string()),
            None => made::constant(raw),
        },
    }
}

fn packed(raw: &Raw, bytes: &Bytes) -> Result<DynValue, String> {
    /// The elements as a Rust type.
    macro_rules! of {
        ($type:ty) => {{
            let (elements, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
            let elements = elements.iter().map(|bytes| <$type>::from_le_bytes(*bytes));
            from(raw, elements.collect())
        }};
    }
    match raw.element {
        Element::Float32 => of!(f32),
        Element::Float64 => of!(f64),
        Element::Int8 => of!(i8),
        Element::Int16 => of!(i16),
        Element::Int32 => of!(i32),
        Element::Int64 => of!(i64),
        Element::Uint8 => of!(u8),
        Element::Uint16 => of!(u16),
        Element::Uint32 => of!(u32),
        Element::Uint64 => of!(u64),
        Element::Bool => from(raw, bytes.iter().map(|byte| *byte != 0).collect()),
        _ => made::constant(raw),
    }
}

fn from<T: PrimitiveTensorElementType + Clone + Debug + 'static>(
    raw: &Raw,
    elements: Vec<T>,
) -> Result<DynValue, String> {
    Tensor::from_array((dims(raw), elements))
        .map(Tensor::into_dyn)
        .map_err(|error| error.to_string())
}

fn dims(raw: &Raw) -> Vec<usize> {
    raw.shape.clone()
}

/// The strings, where ONNX Runtime's C interface takes them: it ends strings at a zero.
fn utf8(texts: &[Bytes]) -> Option<Vec<String>> {
    (texts.iter())
        .map(|text| String::from_utf8(text.to_vec()).ok())
        .map(|text| text.filter(|text| !text.contains('\0')))
        .collect()
}

fn sequence(values: &[Value<Raw>], held: Option<Element>) -> Result<DynValue, String> {
    let refused = |error: ort::Error| error.to_string();
    match values.first() {
        None => made::empty_sequence(
            held.ok_or("an empty list can be fed only where it is one of tensors")?,
        ),
        Some(Value::Tensor(_)) => {
            let tensors = (values.iter())
                .map(|one| {
                    value(one, None)?
                        .downcast::<DynTensorValueType>()
                        .map_err(refused)
                })
                .collect::<Result<Vec<_>, String>>()?;
            Sequence::new(tensors)
                .map(Sequence::into_dyn)
                .map_err(refused)
        }
        Some(_) => Err("only lists of tensors can be fed".to_owned()),
    }
}

fn map(entries: &[(Key, Value<Raw>)]) -> Result<DynValue, String> {
    let mut tensors = Vec::with_capacity(entries.len());
    for (key, held) in entries {
        match held {
            Value::Tensor(raw) if raw.len() == 1 => tensors.push((key, raw)),
            _ => return Err("only maps to single numbers can be fed".to_owned()),
        }
    }
    match tensors.first().map(|(_, raw)| raw.element) {
        Some(Element::Float32) => keyed(&tensors, f32::from_le_bytes),
        Some(Element::Float64) => keyed(&tensors, f64::from_le_bytes),
        Some(Element::Int64) => keyed(&tensors, i64::from_le_bytes),
        Some(other) => Err(format!("maps to {} cannot be fed", other.name())),
        None => Err("an empty map cannot be fed".to_owned()),
    }
}

fn keyed<V, const N: usize>(
    entries: &[(&Key, &Raw)],
    decode: fn([u8; N]) -> V,
) -> Result<DynValue, String>
where
    V: PrimitiveTensorElementType + IntoTensorElementType + Debug + Clone + 'static,
{
    let mixed = || "its keys, or its values, are of more than one type".to_owned();
    let mut numbers: Vec<(i64, V)> = Vec::new();
    let mut texts: Vec<(String, V)> = Vec::new();
    for (key, raw) in entries {
        let bytes = match &raw.data {
            Data::Packed(bytes) => <[u8; N]>::try_from(&bytes[..]).ok(),
            Data::Texts(_) => None,
        };
        let value = decode(bytes.ok_or_else(mixed)?);
        match key {
            Key::Int(key) => numbers.push((*key, value)),
            Key::Text(key) => texts.push((key.clone(), value)),
        }
    }
    match (numbers.is_empty(), texts.is_empty()) {
        (false, true) => finished(Map::<i64, V>::new(numbers)),
        (true, false) => finished(Map::<String, V>::new(texts)),
        _ => Err(mixed()),
    }
}

fn finished<K, V>(map: ort::Result<Map<K, V>>) -> Result<DynValue, String>
where
    K: IntoTensorElementType + Debug + Clone + Hash + Eq,
    V: IntoTensorElementType + Debug,
{
    map.map(Map::into_dyn).map_err(|error| error.to_string())
}
