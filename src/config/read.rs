//! Reads the tree into the raw types, through serde, without stopping at the first mistake.
//!
//! serde ends at the first error. So what is wrong is reported and marked, and the tree is read
//! again without it, until nothing new is found: each reading marks at least one node.

use std::{cell::RefCell, fmt};

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
    value::{BorrowedStrDeserializer, StrDeserializer},
};

use super::{
    node::{Entry, Node, Value, parse_float},
    report::{Report, clipped, listed, nearest},
};

/// Name of the struct by which [`super::raw::At`] asks for a position.
pub(super) const AT: &str = "$forebay::At";
/// Name of the newtype by which [`super::raw::OneOrMany`] asks for a list, or one element as such.
pub(super) const ONE_OR_MANY: &str = "$forebay::OneOrMany";

/// Reads the whole tree. `None` where anything was wrong; then there is at least one report.
pub(super) fn read<T: DeserializeOwned>(root: &Node, reports: &mut Vec<Report>) -> Option<T> {
    let found = RefCell::new(Vec::new());
    let value = loop {
        let reader = Reader {
            node: root,
            what: "the file",
            part: false,
            found: &found,
        };
        match T::deserialize(reader) {
            Ok(value) => break Some(value),
            Err(Fault::Said) => {}
            Err(fault) => {
                reports.extend(fault.report("the file", root));
                break None;
            }
        }
    };
    reports.extend(found.into_inner());
    value.filter(|_| reports.is_empty())
}

/// Why a value could not be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// A part of it was reported and marked just now: read again.
    Said,
    /// It cannot do without a part that was marked before.
    Lost,
    /// A required key is not there.
    Missing(&'static str),
    /// Something else; placed or not yet.
    Wrong(Box<Report>),
}

impl Fault {
    fn help(self, help: String) -> Self {
        match self {
            Self::Wrong(report) => Self::Wrong(Box::new(report.help(help))),
            fault => fault,
        }
    }

    fn report(self, what: &str, node: &Node) -> Option<Report> {
        match self {
            Self::Said | Self::Lost => None,
            Self::Missing(key) => Some(
                Report::new(format!("`{key}` is missing"))
                    .at(&node.span, format!("{} needs `{key}`", quoted(what))),
            ),
            Self::Wrong(report) if report.is_placed() => Some(*report),
            Self::Wrong(report) => Some(report.at(&node.span, "")),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    /// The first line of `message` is the title, each further line a help.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let mut lines = message.lines();
        let title = Report::new(lines.next().unwrap_or_default());
        Self::Wrong(Box::new(lines.fold(title, Report::help)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

/// `the file`, or a key in backquotes.
fn quoted(what: &str) -> String {
    if what.contains(' ') {
        what.to_owned()
    } else {
        format!("`{what}`")
    }
}

/// One node, being read.
#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    /// The key it stands under.
    what: &'a str,
    /// It is one of the key's elements, not its whole value.
    part: bool,
    found: &'a RefCell<Vec<Report>>,
}

impl<'a> Reader<'a> {
    fn mismatch(&self, expected: &str) -> Fault {
        let what = quoted(self.what);
        let what = if self.part {
            format!("each element of {what}")
        } else {
            what
        };
        Fault::Wrong(Box::new(
            Report::new(format!("{what} must be {expected}, not {}", self.shown()))
                .at(&self.node.span, format!("expected {expected}"))
                .maybe_help(self.hint(expected)),
        ))
    }

    fn hint(&self, expected: &str) -> Option<String> {
        match &self.node.value {
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) if expected == "text" => {
                Some("put it in quotes".to_owned())
            }
            Value::Null if expected.starts_with("a mapping") && self.what != "the file" => {
                Some(format!("write `{}: {{}}` to take every default", self.what))
            }
            _ => None,
        }
    }

    /// What stands there, in words; never what came from the environment.
    fn shown(&self) -> String {
        match &self.node.value {
            _ if self.node.from_env => "what the environment gives".to_owned(),
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Integer(value) => format!("the number `{value}`"),
            Value::Float(value) => format!("the number `{value}`"),
            Value::Text(text) => format!("`{}`", clipped(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// Reads a part of this node; a mistake in it is reported and the part is marked.
    fn child<S: DeserializeSeed<'a>>(
        &self,
        what: &'a str,
        node: &'a Node,
        part: bool,
        seed: S,
    ) -> Result<S::Value, Fault> {
        let reader = Reader {
            node,
            what,
            part,
            found: self.found,
        };
        seed.deserialize(reader).map_err(|fault| {
            if !matches!(fault, Fault::Said) {
                node.broken.set(true);
                self.found.borrow_mut().extend(fault.report(what, node));
            }
            Fault::Said
        })
    }

    fn int(&self) -> Option<i64> {
        match &self.node.value {
            Value::Integer(value) => Some(*value),
            // In `{ }` a `${NAME}` must be in quotes, and still be good for a number.
            Value::Text(text) if self.node.from_env => text.parse().ok(),
            _ => None,
        }
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(List {
                reader: self,
                items: items.iter(),
            }),
            Value::Map(entries) => visitor.visit_map(Map::new(self, entries)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Text(text) if self.node.from_env && text == "true" => visitor.visit_bool(true),
            Value::Text(text) if self.node.from_env && text == "false" => visitor.visit_bool(false),
            _ => Err(self.mismatch("`true` or `false`")),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = self.int().ok_or_else(|| self.mismatch("a whole number"))?;
        visitor.visit_i64(value)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = self.int().and_then(|value| u64::try_from(value).ok());
        let value = value.filter(|value| *value > 0);
        visitor.visit_u64(value.ok_or_else(|| self.mismatch("a whole number from 1"))?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Integer(value) => visitor.visit_f64(*value as f64),
            Value::Text(text) if self.node.from_env => match parse_float(text) {
                Some(value) => visitor.visit_f64(value),
                None => Err(self.mismatch("a number")),
            },
            _ => Err(self.mismatch("a number")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Integer(value) if self.node.from_env => visitor.visit_string(value.to_string()),
            _ => Err(self.mismatch("text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name != ONE_OR_MANY {
            return visitor.visit_newtype_struct(self);
        }
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(List {
                reader: self,
                items: items.iter(),
            }),
            _ => visitor.visit_seq(One(Some(self))),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(List {
                reader: self,
                items: items.iter(),
            }),
            _ => Err(self.mismatch("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Map::new(self, entries)),
            _ => Err(self.mismatch("a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == AT {
            return visitor.visit_seq(Placed {
                reader: self,
                stage: 0,
            });
        }
        let Value::Map(entries) = &self.node.value else {
            return Err(self.mismatch(&format!(
                "a mapping with {}",
                listed(fields.iter().copied())
            )));
        };
        for entry in entries.iter().filter(|entry| !entry.value.broken.get()) {
            if !fields.contains(&entry.key.as_str()) {
                entry.value.broken.set(true);
                let report = unknown("key", self.what, entry, fields);
                self.found.borrow_mut().push(report);
            }
        }
        visitor
            .visit_map(Map::new(self, entries))
            .map_err(|fault| match fault {
                Fault::Missing(key) if entries.iter().any(|entry| entry.key == key) => Fault::Lost,
                fault => fault,
            })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let expected = format!("a mapping with one of {}", listed(variants.iter().copied()));
        let entries = match &self.node.value {
            Value::Map(entries) if !entries.is_empty() => entries,
            Value::Text(text) if variants.contains(&text.as_str()) => {
                let help = format!("write `{}: {{ {text}: {{}} }}`", self.what);
                return Err(self.mismatch(&expected).help(help));
            }
            _ => return Err(self.mismatch(&expected)),
        };
        let mut known = None;
        for entry in entries {
            if !variants.contains(&entry.key.as_str()) {
                let report = unknown("kind", self.what, entry, variants);
                return Err(Fault::Wrong(Box::new(report)));
            }
            if let Some(first) = known.replace(entry) {
                let title = format!("`{}` can be only one thing", self.what);
                return Err(Fault::Wrong(Box::new(
                    Report::new(title)
                        .at(&entry.key_span, "remove this")
                        .also(&first.key_span, "or this"),
                )));
            }
        }
        match known {
            Some(entry) if !entry.value.broken.get() => visitor.visit_enum(Variant {
                reader: self,
                entry,
            }),
            _ => Err(Fault::Lost),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u128 f32 char bytes byte_buf unit unit_struct tuple
        tuple_struct identifier ignored_any
    }
}

fn unknown(noun: &str, what: &str, entry: &Entry, known: &[&'static str]) -> Report {
    let key = &entry.key;
    Report::new(format!("{} has no {noun} `{}`", quoted(what), clipped(key)))
        .at(
            &entry.key_span,
            format!("expected {}", listed(known.iter().copied())),
        )
        .maybe_help(nearest(key, known.iter().copied()))
}

/// The elements of a list that are not marked.
struct List<'a> {
    reader: Reader<'a>,
    items: std::slice::Iter<'a, Node>,
}

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        match self.items.find(|item| !item.broken.get()) {
            Some(item) => self
                .reader
                .child(self.reader.what, item, true, seed)
                .map(Some),
            None => Ok(None),
        }
    }
}

/// A value that stands for a list of one.
struct One<'a>(Option<Reader<'a>>);

impl<'de> SeqAccess<'de> for One<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        self.0
            .take()
            .map(|reader| seed.deserialize(reader))
            .transpose()
    }
}

/// A value with its range in front: start, end, value.
struct Placed<'a> {
    reader: Reader<'a>,
    stage: u8,
}

impl<'de> SeqAccess<'de> for Placed<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        self.stage += 1;
        let span = &self.reader.node.span;
        match self.stage {
            1 => seed.deserialize(span.start.into_deserializer()).map(Some),
            2 => seed.deserialize(span.end.into_deserializer()).map(Some),
            3 => seed
                .deserialize(self.reader.node.from_env.into_deserializer())
                .map(Some),
            4 => seed.deserialize(self.reader).map(Some),
            _ => Ok(None),
        }
    }
}

/// The entries of a mapping that are not marked.
struct Map<'a> {
    reader: Reader<'a>,
    entries: std::slice::Iter<'a, Entry>,
    current: Option<&'a Entry>,
}

impl<'a> Map<'a> {
    fn new(reader: Reader<'a>, entries: &'a [Entry]) -> Self {
        Self {
            reader,
            entries: entries.iter(),
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Map<'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        self.current = self.entries.find(|entry| !entry.value.broken.get());
        self.current
            .map(|entry| seed.deserialize(Key(entry)))
            .transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let entry = self
            .current
            .take()
            .expect("a key was read before its value: this is a bug");
        self.reader.child(&entry.key, &entry.value, false, seed)
    }
}

/// The key of an entry.
struct Key<'a>(&'a Entry);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(&self.0.key)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == AT {
            visitor.visit_seq(PlacedKey {
                entry: self.0,
                stage: 0,
            })
        } else {
            self.deserialize_any(visitor)
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct PlacedKey<'a> {
    entry: &'a Entry,
    stage: u8,
}

impl<'de> SeqAccess<'de> for PlacedKey<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        self.stage += 1;
        let span = &self.entry.key_span;
        match self.stage {
            1 => seed.deserialize(span.start.into_deserializer()).map(Some),
            2 => seed.deserialize(span.end.into_deserializer()).map(Some),
            3 => seed.deserialize(false.into_deserializer()).map(Some),
            4 => seed
                .deserialize(BorrowedStrDeserializer::new(&self.entry.key))
                .map(Some),
            _ => Ok(None),
        }
    }
}

/// The one entry of a one-key mapping.
struct Variant<'a> {
    reader: Reader<'a>,
    entry: &'a Entry,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let name = StrDeserializer::<Fault>::new(&self.entry.key);
        seed.deserialize(name).map(|value| (value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        self.newtype_variant_seed(std::marker::PhantomData)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        self.reader
            .child(&self.entry.key, &self.entry.value, false, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        let _ = visitor;
        Err(self.reader.mismatch("a mapping"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let _ = visitor;
        Err(self.reader.mismatch("a mapping"))
    }
}
