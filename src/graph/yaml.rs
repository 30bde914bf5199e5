//! Values as YAML in one line, such that they are read back as the same: also what JSON cannot say, which is NaN and
//! the infinities.

use std::fmt::{self, Display};

use serde::{Serialize, Serializer, ser};

/// The value in YAML's flow style. What is `None` in a struct is left out. In the place of what cannot be written (a path
/// that is not UTF-8) stands why.
pub fn flow<T: Serialize + ?Sized>(value: &T) -> String {
    let written = value.serialize(Flow);
    written.unwrap_or_else(|error| text(&error.to_string()))
}

/// Text: plain where nothing can be misread, else as JSON, which YAML reads too.
pub fn text(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    // `${` would be filled in when it is read again.
    let text = text.replace("${", "$${");
    serde_json::to_string(&text).expect("text is JSON: this is a bug")
}

/// A number; with a point or an exponent, so that it stays a float.
pub fn float(value: impl Into<f64> + fmt::Debug + Copy) -> String {
    let wide: f64 = value.into();
    if wide.is_nan() {
        ".nan".to_owned()
    } else if wide.is_infinite() {
        if wide > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else {
        // In its own type: as many digits as that needs.
        format!("{value:?}")
    }
}

/// A list of what is YAML already.
pub fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

fn map(entries: &[(String, String)]) -> String {
    let entries = entries.iter().map(|(key, value)| format!("{key}: {value}"));
    match entries.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "{}".to_owned(),
        entries => format!("{{ {entries} }}"),
    }
}

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct Unwritable(String);

impl ser::Error for Unwritable {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Written = Result<String, Unwritable>;

#[derive(Clone, Copy)]
struct Flow;

macro_rules! displayed {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method(self, value: $type) -> Written {
            Ok(value.to_string())
        }
    )*};
}

impl Serializer for Flow {
    type Ok = String;
    type Error = Unwritable;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Map;
    type SerializeStruct = Map;
    type SerializeStructVariant = Map;

    displayed! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
    }

    fn serialize_f32(self, value: f32) -> Written {
        Ok(float(value))
    }

    fn serialize_f64(self, value: f64) -> Written {
        Ok(float(value))
    }

    fn serialize_char(self, value: char) -> Written {
        Ok(text(value.encode_utf8(&mut [0; 4])))
    }

    fn serialize_str(self, value: &str) -> Written {
        Ok(text(value))
    }

    fn serialize_bytes(self, _: &[u8]) -> Written {
        Err(ser::Error::custom("bytes are not written: this is a bug"))
    }

    fn serialize_none(self) -> Written {
        Ok(NOTHING.to_owned())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        Ok(NOTHING.to_owned())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        Ok(map(&[]))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        Ok(text(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        Ok(map(&[(text(variant), value.serialize(self)?)]))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List, Unwritable> {
        Ok(List::default())
    }

    fn serialize_tuple(self, _: usize) -> Result<List, Unwritable> {
        Ok(List::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List, Unwritable> {
        Ok(List::default())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List, Unwritable> {
        Ok(List {
            variant: Some(variant),
            ..List::default()
        })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Map, Unwritable> {
        Ok(Map::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Map, Unwritable> {
        Ok(Map::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Map, Unwritable> {
        Ok(Map {
            variant: Some(variant),
            ..Map::default()
        })
    }
}

const NOTHING: &str = "null";

fn in_variant(variant: Option<&'static str>, value: String) -> String {
    match variant {
        Some(variant) => map(&[(text(variant), value)]),
        None => value,
    }
}

/// A list in the making.
#[derive(Default)]
struct List {
    variant: Option<&'static str>,
    items: Vec<String>,
}

macro_rules! lists {
    ($($trait:ident: $method:ident,)*) => {$(
        impl ser::$trait for List {
            type Ok = String;
            type Error = Unwritable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
                self.items.push(value.serialize(Flow)?);
                Ok(())
            }

            fn end(self) -> Written {
                Ok(in_variant(self.variant, list(self.items)))
            }
        }
    )*};
}
lists! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

/// A mapping in the making.
#[derive(Default)]
struct Map {
    variant: Option<&'static str>,
    key: String,
    entries: Vec<(String, String)>,
}

impl ser::SerializeMap for Map {
    type Ok = String;
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        self.key = key.serialize(Flow)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.entries
            .push((std::mem::take(&mut self.key), value.serialize(Flow)?));
        Ok(())
    }

    fn end(self) -> Written {
        Ok(in_variant(self.variant, map(&self.entries)))
    }
}

macro_rules! structs {
    ($($trait:ident,)*) => {$(
        impl ser::$trait for Map {
            type Ok = String;
            type Error = Unwritable;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Unwritable> {
                let value = value.serialize(Flow)?;
                if value != NOTHING {
                    self.entries.push((text(key), value));
                }
                Ok(())
            }

            fn end(self) -> Written {
                Ok(in_variant(self.variant, map(&self.entries)))
            }
        }
    )*};
}
structs! {
    SerializeStruct,
    SerializeStructVariant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Step {
        low: Vec<f64>,
        none: Option<f64>,
        at: Option<f32>,
        text: &'static str,
        list: (i32, bool),
    }

    #[test]
    fn what_json_cannot_say_is_said() {
        let step = Step {
            low: vec![f64::NEG_INFINITY, 1.0, f64::NAN],
            none: None,
            at: Some(0.1),
            text: "null",
            list: (-3, true),
        };
        insta::assert_snapshot!(
            flow(&step),
            @r#"{ low: [-.inf, 1.0, .nan], at: 0.1, text: "null", list: [-3, true] }"#
        );
    }

    #[test]
    fn nothing_in_a_struct_is_a_map() {
        assert_eq!(flow(&std::collections::BTreeMap::<String, u8>::new()), "{}");
        assert_eq!(flow(&[Some(1), None]), "[1, null]");
    }

    #[test]
    fn a_variable_is_not_filled_in() {
        assert_eq!(flow("${HOME}"), "\"$${HOME}\"");
    }
}
