//! Files of values: read, and told which input or output they are.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use prost::Message;

use super::counted;
use crate::{
    engine::raw::{Key, Kind, Port, RawError, Value},
    graph::{
        data::{Held, Map, Optional, Sequence},
        proto,
        tensor::{Element, Raw, Tensor},
    },
};

/// The values of a data set's files, each with the name of the input or output that it is: the one that the
/// file names, or else the one whose number the file's name has.
///
/// # Errors
/// A file cannot be read, is not what the model declares, or there are too many of them.
pub(super) fn assigned(
    files: &[(usize, PathBuf)],
    ports: &[Port],
    word: &str,
) -> Result<Vec<(String, Value<Raw>)>, RawError> {
    let mut assigned: Vec<(String, Value<Raw>)> = Vec::with_capacity(files.len());
    for (number, path) in files {
        let bad = |why: &str| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            RawError::Failed(format!("{name}: {why}"))
        };
        let bytes = Bytes::from(fs::read(path).map_err(|error| bad(&error.to_string()))?);
        let port = named(&bytes, ports).or_else(|| ports.get(*number));
        let port = port.ok_or_else(|| {
            let has = counted(ports.len(), word);
            bad(&format!("the model has only {has}"))
        })?;
        if assigned.iter().any(|(name, _)| *name == port.name) {
            return Err(bad(&format!(
                "another file is for {word} `{}` already",
                port.name
            )));
        }
        if bytes.is_empty() && port.kind != Kind::Optional {
            return Err(bad("the file is empty"));
        }
        let value = value(bytes, port.kind).map_err(|why| bad(&why))?;
        assigned.push((port.name.clone(), value));
    }
    Ok(assigned)
}

/// The port that a file names. The name has one number in tensors, and another in all other files.
fn named<'a>(bytes: &Bytes, ports: &'a [Port]) -> Option<&'a Port> {
    (ports.iter()).find(|port| {
        let name = match port.kind {
            Kind::Tensor => decode::<proto::Tensor>(bytes.clone()).map(|value| value.name),
            Kind::Sequence => decode::<Sequence>(bytes.clone()).map(|value| value.name),
            Kind::Map => decode::<Map>(bytes.clone()).map(|value| value.name),
            Kind::Optional => decode::<Optional>(bytes.clone()).map(|value| value.name),
        };
        name.is_ok_and(|name| name == port.name)
    })
}

fn decode<T: Message + Default>(bytes: Bytes) -> Result<T, String> {
    T::decode(bytes).map_err(|error| format!("the file is damaged: {error}"))
}

/// A file's value, of the kind that the model declares.
fn value(bytes: Bytes, kind: Kind) -> Result<Value<Raw>, String> {
    match kind {
        Kind::Tensor => tensor(&decode(bytes)?),
        Kind::Sequence => sequence(&decode(bytes)?),
        Kind::Map => map(&decode(bytes)?),
        Kind::Optional => optional(&decode(bytes)?),
    }
}

fn tensor(from: &proto::Tensor) -> Result<Value<Raw>, String> {
    Raw::of(from).map(Value::Tensor)
}

fn sequence(from: &Sequence) -> Result<Value<Raw>, String> {
    let values: Result<Vec<_>, String> = match Held::try_from(from.elem_type) {
        Ok(Held::Tensor) => from.tensor_values.iter().map(tensor).collect(),
        Ok(Held::Sequence) => from.sequence_values.iter().map(sequence).collect(),
        Ok(Held::Map) => from.map_values.iter().map(map).collect(),
        Ok(Held::Optional) => from.optional_values.iter().map(optional).collect(),
        Ok(Held::SparseTensor) => Err("sparse tensors are not known here".to_owned()),
        Ok(Held::Undefined) | Err(_) => {
            Err("it does not say what it holds, so it is no list".to_owned())
        }
    };
    values.map(Value::Sequence)
}

fn optional(from: &Optional) -> Result<Value<Raw>, String> {
    let lacks = || "it says that it has a value, and there is none".to_owned();
    match Held::try_from(from.elem_type) {
        Ok(Held::Undefined) => Ok(Value::Nothing),
        Ok(Held::Tensor) => tensor(from.tensor_value.as_ref().ok_or_else(lacks)?),
        Ok(Held::Sequence) => sequence(from.sequence_value.as_ref().ok_or_else(lacks)?),
        Ok(Held::Map) => map(from.map_value.as_ref().ok_or_else(lacks)?),
        Ok(Held::Optional) => optional(from.optional_value.as_ref().ok_or_else(lacks)?),
        Ok(Held::SparseTensor) => Err("sparse tensors are not known here".to_owned()),
        Err(_) => Err("it does not say what it holds, so it is no optional value".to_owned()),
    }
}

fn map(from: &Map) -> Result<Value<Raw>, String> {
    let keys: Vec<Key> = if from.key_type == Element::Text.number() {
        (from.string_keys.iter())
            .map(|key| String::from_utf8(key.to_vec()).map(Key::Text))
            .collect::<Result<_, _>>()
            .map_err(|_| "a key is not UTF-8 text".to_owned())?
    } else {
        from.keys.iter().copied().map(Key::Int).collect()
    };
    let Some(held) = &from.values else {
        return Err("it has no values, so it is no map".to_owned());
    };
    let Value::Sequence(values) = sequence(held)? else {
        return Err("its values are no list".to_owned());
    };
    if keys.len() != values.len() {
        return Err(format!(
            "it has {} keys and {} values",
            keys.len(),
            values.len()
        ));
    }
    Ok(Value::Map(keys.into_iter().zip(values).collect()))
}

/// The same value, with elements to be looked at.
pub(super) fn decoded(value: &Value<Raw>) -> Value<Tensor> {
    match value {
        Value::Tensor(raw) => Value::Tensor(raw.decode()),
        Value::Sequence(values) => Value::Sequence(values.iter().map(decoded).collect()),
        Value::Map(entries) => Value::Map(
            (entries.iter())
                .map(|(key, value)| (key.clone(), decoded(value)))
                .collect(),
        ),
        Value::Nothing => Value::Nothing,
    }
}
