//! A MessagePack value as JSON text, for the keys that are passed along.
//!
//! Binary data becomes an array of its bytes, NaN and infinities null, whole-number keys of maps
//! text. Extensions, and keys that are neither text nor whole numbers, have no JSON form.

use std::io::Write as _;

use super::{
    Fault,
    read::{Item, Reader},
};
use crate::message::{Reject, Stage};

/// Appends the value that begins here as JSON text.
pub(super) fn write(reader: &mut Reader<'_>, into: &mut Vec<u8>) -> Result<(), Fault> {
    let item = reader.item()?;
    match item {
        Item::Bool(value) => into.extend_from_slice(if value { b"true" } else { b"false" }),
        Item::Integer(value) => number(itoa::Buffer::new().format(value), into),
        Item::Large(value) => number(itoa::Buffer::new().format(value), into),
        Item::F32(value) if value.is_finite() => {
            number(zmij::Buffer::new().format_finite(value), into);
        }
        Item::F64(value) if value.is_finite() => {
            number(zmij::Buffer::new().format_finite(value), into);
        }
        Item::Nil | Item::F32(_) | Item::F64(_) => into.extend_from_slice(b"null"),
        Item::Text(value) => quoted(value, into)?,
        Item::Binary(bytes) => {
            into.push(b'[');
            for (index, byte) in bytes.iter().enumerate() {
                if index > 0 {
                    into.push(b',');
                }
                number(itoa::Buffer::new().format(*byte), into);
            }
            into.push(b']');
        }
        Item::Array(count) => {
            reader.enter()?;
            into.push(b'[');
            for index in 0..count {
                if index > 0 {
                    into.push(b',');
                }
                write(reader, into)?;
            }
            into.push(b']');
            reader.leave();
        }
        Item::Map(pairs) => map(reader, pairs, into)?,
        Item::Extension => return Err(formless("an extension value")),
    }
    Ok(())
}

fn map(reader: &mut Reader<'_>, pairs: usize, into: &mut Vec<u8>) -> Result<(), Fault> {
    reader.enter()?;
    into.push(b'{');
    for index in 0..pairs {
        if index > 0 {
            into.push(b',');
        }
        match reader.item()? {
            Item::Text(key) => quoted(key, into)?,
            Item::Integer(key) => write!(into, "\"{key}\"").map_err(broken)?,
            Item::Large(key) => write!(into, "\"{key}\"").map_err(broken)?,
            _ => {
                return Err(formless(
                    "a map key that is neither text nor a whole number",
                ));
            }
        }
        into.push(b':');
        write(reader, into)?;
    }
    into.push(b'}');
    reader.leave();
    Ok(())
}

fn number(text: &str, into: &mut Vec<u8>) {
    into.extend_from_slice(text.as_bytes());
}

fn quoted(text: &str, into: &mut Vec<u8>) -> Result<(), Fault> {
    serde_json::to_writer(into, text).map_err(|error| broken(error.into()))
}

/// Writing to memory does not fail; if it did, the row would be refused.
#[cold]
fn broken(error: std::io::Error) -> Fault {
    Reject::new(Stage::Decode, "type", error.to_string()).into()
}

#[cold]
fn formless(what: &str) -> Fault {
    let reason = format!("a passed key holds {what}, which has no JSON form");
    Reject::new(Stage::Decode, "type", reason).into()
}
