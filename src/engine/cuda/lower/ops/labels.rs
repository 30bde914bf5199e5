//! Values looked up in a list: labels behind a model, and codes in front of it.

use bytes::Bytes;

use super::{
    Lowered, Missing,
    call::{Call, signed},
    emit::Emitter,
    features::{column, wide},
    texts::UNUSED,
    value::{Home, Value},
};
use crate::{
    engine::cuda::launch::{trees::Map, type_number},
    graph::tensor::{Element, Values},
};

/// From keys to values, both numbers.
pub(super) struct Table {
    /// Ascending; `i64` or `f32`.
    keys: Bytes,
    float: bool,
    entries: usize,
    values: Bytes,
    element: Element,
    fallback: u64,
}

impl Table {
    pub(super) fn ints(keys: &[i64], values: &[i64], fallback: i64) -> Result<Self, Missing> {
        let values = values
            .iter()
            .map(|value| value.to_le_bytes().to_vec())
            .collect();
        let fallback = fallback.cast_unsigned();
        Self::of_ints(keys, values, Element::Int64, fallback)
    }

    /// Values as bytes, beside their keys. Of equal keys the last counts.
    fn of_ints(
        keys: &[i64],
        values: Vec<Vec<u8>>,
        element: Element,
        fallback: u64,
    ) -> Result<Self, Missing> {
        let mut pairs: Vec<(i64, Vec<u8>)> = keys.iter().copied().zip(values).collect();
        pairs.reverse();
        pairs.sort_by_key(|(key, _)| *key);
        pairs.dedup_by_key(|(key, _)| *key);
        Self::checked(keys.len(), pairs.len())?;
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| (key.to_le_bytes(), value));
        Ok(Self::of_sorted(pairs.unzip(), false, element, fallback))
    }

    /// Of keys that rise, as bytes, and their values.
    fn of_sorted<K: AsRef<[u8]>>(
        (keys, values): (Vec<K>, Vec<Vec<u8>>),
        float: bool,
        element: Element,
        fallback: u64,
    ) -> Self {
        Self {
            entries: keys.len(),
            keys: keys.iter().flat_map(AsRef::as_ref).copied().collect(),
            float,
            values: values.concat().into(),
            element,
            fallback,
        }
    }

    fn of_floats(
        keys: &[f32],
        values: Vec<Vec<u8>>,
        element: Element,
        fallback: u64,
    ) -> Result<Self, Missing> {
        // NaN comes last, and minus zero is zero.
        let mut pairs: Vec<(f32, Vec<u8>)> = (keys.iter())
            .map(|key| if key.is_nan() { f32::NAN } else { *key + 0.0 })
            .zip(values)
            .collect();
        pairs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        pairs.dedup_by(|(one, _), (other, _)| one.total_cmp(other).is_eq());
        Self::checked(keys.len(), pairs.len())?;
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| (key.to_le_bytes(), value));
        Ok(Self::of_sorted(pairs.unzip(), true, element, fallback))
    }

    fn checked(keys: usize, distinct: usize) -> Result<(), Missing> {
        (keys == distinct)
            .then_some(())
            .ok_or_else(|| Missing::new("tables in which a key comes twice"))
    }
}

pub(super) fn mapped(emitter: &mut Emitter, x: &Value, table: &Table) -> Result<Value, Missing> {
    let made = emitter.make(table.element, &x.dims);
    let map = Map {
        from: emitter.dense_spot(x)?,
        to: emitter.view(&made)?.0,
        keys: emitter.upload(&table.keys),
        values: emitter.upload(&table.values),
        count: x.len(),
        entries: table.entries,
        from_type: type_number(x.element).ok_or_else(|| Missing::new("type"))?,
        to_type: type_number(table.element).ok_or_else(|| Missing::new("type"))?,
        fallback: table.fallback,
        float: table.float,
    };
    emitter.push(map.launch(), x.len())?;
    Ok(made)
}

/// `LabelEncoder` to strings: a place in the strings, behind which is the default.
fn text_labels(
    emitter: &mut Emitter,
    call: &Call<'_>,
    x: &Value,
    keys: Option<&[i64]>,
    values: &[Bytes],
) -> Lowered {
    let keys = keys.filter(|keys| x.element == Element::Int64 && keys.len() == values.len());
    let keys = keys.ok_or_else(|| Missing::new(format!("labels from {}", x.element.name())))?;
    let places: Vec<i64> = (0..signed(keys.len())).collect();
    let table = Table::ints(keys, &places, signed(keys.len()))?;
    let places = mapped(emitter, x, &table)?;
    let default = match call.tensor("default_tensor")?.map(|value| value.home) {
        Some(Home::Texts(texts)) => texts.first().cloned(),
        _ => None,
    };
    let mut texts = values.to_vec();
    texts.push(default.unwrap_or_else(|| call.text("default_string", UNUSED).into()));
    Ok(vec![places.labelled(&texts)])
}

/// A list of texts, as an attribute or as a tensor.
fn texts_of(call: &Call<'_>, attribute: &str, tensor: &str) -> Result<Option<Vec<Bytes>>, Missing> {
    if let Some(held) = call.attribute(attribute) {
        return Ok(Some(held.strings.clone()));
    }
    Ok(match call.tensor(tensor)?.map(|value| value.home) {
        Some(Home::Texts(texts)) => Some(texts.to_vec()),
        _ => None,
    })
}

/// `LabelEncoder`; texts are looked up by their numbers, and come out as places among the values.
pub(in super::super) fn label_encoder(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (x, of_texts) = column(emitter, call)?;
    let texts = texts_of(call, "keys_strings", "keys_tensor")?;
    if texts.is_some() != of_texts {
        return Err(Missing::new("keys of another type than the input"));
    }
    let codes = texts.map(|texts| emitter.codes_of(&texts)).transpose()?;
    if let Some(values) = texts_of(call, "values_strings", "values_tensor")? {
        let whole = codes.as_deref().or_else(|| call.ints("keys_int64s"));
        return text_labels(emitter, call, &x, whole, &values);
    }
    let tensor = |name: &str| call.tensor(name);
    let floats = |name: &str| {
        (call.floats(name).filter(|held| !held.is_empty()))
            .map(|held| Value::of_floats(&wide(held), vec![held.len()], Element::Float32))
    };
    let ints = |name: &str| {
        (call.ints(name).filter(|held| !held.is_empty()))
            .map(|held| Value::of_ints(held, vec![held.len()]))
    };
    let keys = match codes {
        Some(codes) => Some(Value::of_ints(&codes, vec![codes.len()])),
        None => tensor("keys_tensor")?
            .or_else(|| floats("keys_floats"))
            .or_else(|| ints("keys_int64s")),
    };
    let values = match tensor("values_tensor")? {
        Some(values) => Some(values),
        None => floats("values_floats").or_else(|| ints("values_int64s")),
    };
    let (Some(keys), Some(values)) = (keys, values) else {
        return Err(Missing::new("labels of this kind"));
    };
    table(call, &x, &keys, &values).and_then(|table| Ok(vec![mapped(emitter, &x, &table)?]))
}

/// The table of a `LabelEncoder` whose values are numbers.
fn table(call: &Call<'_>, x: &Value, keys: &Value, values: &Value) -> Result<Table, Missing> {
    let default = match call.tensor("default_tensor")? {
        Some(default) => default,
        None if values.element == Element::Float32 => {
            let default = call.float("default_float", -0.0);
            Value::of_floats(&[default.into()], Vec::new(), Element::Float32)
        }
        None => Value::of_ints(&[call.int("default_int64", -1)], Vec::new()),
    };
    let fallback = super::shape::pattern(&default)
        .filter(|_| default.element == values.element)
        .ok_or_else(|| Missing::new("default of another type"))?;
    let Home::Known(bytes) = &values.home else {
        return Err(Missing::new("labels of this kind"));
    };
    let each: Vec<Vec<u8>> = bytes
        .chunks(values.width().max(1))
        .map(<[u8]>::to_vec)
        .collect();
    match keys.values() {
        Some(Values::Int(held)) if x.element == keys.element => {
            Table::of_ints(&held, each, values.element, fallback)
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "they were single precision"
        )]
        Some(Values::Float(held)) if x.element == Element::Float32 && keys.element == x.element => {
            // Before the fourth set of operators a NaN was equal to none, not even as a key.
            let (held, each): (Vec<f32>, Vec<Vec<u8>>) = (held.into_iter().zip(each))
                .filter(|(key, _)| call.opset >= 4 || !key.is_nan())
                .map(|(key, value)| (key as f32, value))
                .unzip();
            Table::of_floats(&held, each, values.element, fallback)
        }
        _ => Err(Missing::new(format!("labels from {}", x.element.name()))),
    }
}
