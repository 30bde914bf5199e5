//! Golden rows in files: a line is a message in JSON's words, or its result.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::{compare, once::Once};
use crate::{
    config::plan::{DecodePlan, Plan},
    contract::Dtype,
    encode::{
        msgpack::json_as_msgpack,
        tensor::{DTYPE_HEADER, SHAPE_HEADER, put_json},
    },
    message::Headers,
};

/// A message.
pub(super) struct Line {
    /// Where it stands: `file:line`.
    pub(super) place: String,
    /// As the decoder reads it.
    pub(super) payload: Bytes,
    /// As it is written, where it is JSON with keys.
    value: Option<Value>,
}

impl Line {
    /// Whether every record has the keys that are carried into its result, but for those that must be rejected.
    /// A message may lack them; a golden row that does would only show that nothing is carried.
    ///
    /// # Errors
    /// One has not; in words, with the line.
    pub(super) fn check_passed(&self, passed: &[String], expected: &Value) -> Result<(), String> {
        let lacking = |record: &Value, expected: Option<&Value>| {
            let keys = record.as_object()?;
            let rejected = expected.is_some_and(|expected| compare::error(expected).is_some());
            let mut lacking = passed.iter().filter(|key| !keys.contains_key(*key));
            lacking.next().filter(|_| !rejected)
        };
        let lacking = match &self.value {
            Some(Value::Array(records)) => (records.iter().enumerate())
                .find_map(|(place, record)| lacking(record, expected.get(place))),
            Some(record) => lacking(record, Some(expected)),
            None => None,
        };
        match lacking {
            None => Ok(()),
            Some(key) => Err(format!(
                "{}: there is no `{key}`, which `pass` carries into the result; add it, or write null",
                self.place
            )),
        }
    }
}

/// The messages in the file.
///
/// # Errors
/// The file cannot be read, is empty, or a line is no message; in words, with the line.
pub(super) fn messages(plan: &Plan, file: &Path) -> Result<Vec<Line>, String> {
    let folder = file.parent().unwrap_or(Path::new(""));
    each_line(file, |place, line| {
        let payload = payload(plan, line, folder)?;
        let value = match &plan.decode {
            DecodePlan::Json | DecodePlan::Msgpack => keyed(line)?,
            DecodePlan::Tensor { .. } | DecodePlan::Bytes => None,
        };
        Ok(Line {
            place,
            payload,
            value,
        })
    })
}

/// A message as the decoder reads it, of a line in JSON's words. Files that it names are in `folder`.
///
/// # Errors
/// The line is no message; in words.
pub(super) fn payload(plan: &Plan, line: &str, folder: &Path) -> Result<Bytes, String> {
    match &plan.decode {
        // What is no JSON is the decoder's to reject.
        DecodePlan::Json => Ok(Bytes::copy_from_slice(line.as_bytes())),
        DecodePlan::Msgpack => {
            let mut packed = BytesMut::new();
            json_as_msgpack(line, &mut packed).map_err(|reject| reject.reason)?;
            Ok(packed.freeze())
        }
        DecodePlan::Tensor { dtype } => {
            let name = plan.fields.first().map_or("", |field| field.name.as_str());
            elements(&parsed(line)?, name, *dtype)
        }
        DecodePlan::Bytes => whole(&parsed(line)?, folder),
    }
}

/// The results in the file.
///
/// # Errors
/// The file cannot be read, is empty, or a line is no JSON; in words, with the line.
pub(super) fn results(file: &Path) -> Result<Vec<Value>, String> {
    each_line(file, |_, line| parsed(line))
}

fn each_line<T>(
    file: &Path,
    mut read: impl FnMut(String, &str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let shown = file.display();
    let text =
        fs::read_to_string(file).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let read: Vec<T> = lines
        .map(|(number, line)| {
            let place = format!("{shown}:{}", number + 1);
            read(place.clone(), line).map_err(|why| format!("{place}: {why}"))
        })
        .collect::<Result<_, _>>()?;
    if read.is_empty() {
        return Err(format!("{shown} has no rows"));
    }
    Ok(read)
}

/// The line, where it is JSON.
///
/// # Errors
/// An object has a key twice.
fn keyed(line: &str) -> Result<Option<Value>, String> {
    match serde_json::from_str(line) {
        Ok(Once(value)) => Ok(Some(value)),
        Err(error) if error.is_data() => Err(without_place(&error)),
        Err(_) => Ok(None),
    }
}

/// What is wrong, without the line, which is always the first.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) => what.to_owned(),
        None => text,
    }
}

fn parsed(line: &str) -> Result<Value, String> {
    let read = serde_json::from_str(line).map(|Once(value)| value);
    read.map_err(|error| {
        if error.is_data() {
            return without_place(&error);
        }
        let nan = ["NaN", "Infinity"].iter().any(|word| line.contains(word));
        let help = if nan {
            "; a number that is not finite is written null"
        } else {
            ""
        };
        format!("not JSON: {error}{help}")
    })
}

/// A list of numbers as the bytes of a tensor.
fn elements(line: &Value, field: &str, dtype: Dtype) -> Result<Bytes, String> {
    let list = match line {
        Value::Object(keys) => keys
            .get(field)
            .ok_or_else(|| format!("there is no `{field}`, the field that the tensor is"))?,
        list => list,
    };
    let mut bytes = BytesMut::new();
    push(list, dtype, &mut bytes)?;
    Ok(bytes.freeze())
}

fn push(value: &Value, dtype: Dtype, into: &mut BytesMut) -> Result<(), String> {
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| push(value, dtype, into)),
        // How a tensor says null.
        Value::Null if dtype == Dtype::F32 => {
            into.extend_from_slice(&f32::NAN.to_le_bytes());
            Ok(())
        }
        Value::Null if dtype == Dtype::F64 => {
            into.extend_from_slice(&f64::NAN.to_le_bytes());
            Ok(())
        }
        value => put_json(value, dtype, into).ok_or_else(|| format!("{value} is no {dtype}")),
    }
}

/// A whole payload.
fn whole(line: &Value, folder: &Path) -> Result<Bytes, String> {
    let one = |key: &str| match line.as_object() {
        Some(keys) if keys.len() == 1 => keys.get(key).and_then(Value::as_str),
        _ => None,
    };
    if let Some(text) = line.as_str() {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    }
    if let Some(text) = one("base64") {
        let bytes = STANDARD.decode(text);
        return bytes
            .map(Bytes::from)
            .map_err(|error| format!("not base64: {error}"));
    }
    if let Some(name) = one("file") {
        let path = folder.join(name);
        let bytes = fs::read(&path);
        return bytes
            .map(Bytes::from)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()));
    }
    Err("a message of bytes is written as a text, as {\"base64\": \"...\"} or as {\"file\": \"...\"}".to_owned())
}

/// The elements of a tensor, nested as its headers say.
///
/// # Errors
/// The headers do not fit the bytes.
pub(super) fn tensor(bytes: &[u8], headers: &Headers) -> Result<Value, String> {
    let get = |name: &str| {
        headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let Some((dtype, shape)) = get(DTYPE_HEADER).zip(get(SHAPE_HEADER)) else {
        return Ok(Value::Array(Vec::new()));
    };
    let dtype = Dtype::from_name(dtype).ok_or_else(|| format!("no type `{dtype}`"))?;
    let shape: Vec<usize> = shape
        .split(',')
        .map(|size| size.parse().map_err(|_| format!("no shape `{shape}`")))
        .collect::<Result<_, _>>()?;
    /// The elements of one type.
    macro_rules! all {
        ($type:ty, $size:literal) => {
            bytes
                .as_chunks::<$size>()
                .0
                .iter()
                .map(|raw| Value::from(<$type>::from_le_bytes(*raw)))
                .collect()
        };
    }
    let values: Vec<Value> = match dtype {
        Dtype::F32 => bytes
            .as_chunks::<4>()
            .0
            .iter()
            // The shortest decimal fraction, as JSON results have it.
            .map(|raw| {
                let text = f32::from_le_bytes(*raw).to_string();
                text.parse::<f64>().map_or(Value::Null, Value::from)
            })
            .collect(),
        Dtype::F64 => all!(f64, 8),
        Dtype::I32 => all!(i32, 4),
        Dtype::I64 => all!(i64, 8),
        Dtype::U8 => bytes.iter().map(|byte| Value::from(*byte)).collect(),
        Dtype::Bool => bytes.iter().map(|byte| Value::from(*byte != 0)).collect(),
        Dtype::String | Dtype::Bytes => return Err(format!("a tensor of {dtype}")),
    };
    Ok(nested(&mut values.into_iter(), &shape))
}

fn nested(values: &mut impl Iterator<Item = Value>, shape: &[usize]) -> Value {
    match shape.split_first() {
        None => values.next().unwrap_or(Value::Null),
        Some((size, inner)) => (0..*size).map(|_| nested(values, inner)).collect(),
    }
}
