//! Reads the tree into the raw types, through serde, without stopping at the first mistake.
//!
//! serde ends at the first error. So what is wrong is reported and marked, and the tree is read
//! again without it, until nothing new is found: each reading marks at least one node.

mod access;
mod fault;

use std::cell::RefCell;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Visitor};

use self::{
    access::{List, Map, One, Placed, Variant, Word},
    fault::{Fault, quoted, unknown},
};
use super::{
    node::{Entry, Node, Value, parse_float},
    report::{Report, clipped, listed, nearest_of},
};
use crate::graph::params::ONE_OR_MANY;

/// Name of the struct by which [`super::raw::At`] asks for a position.
pub(super) const AT: &str = "$forebay::At";

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

/// Name of the newtype by which [`super::raw::Count`] asks for a number from 1.
pub(super) const COUNT: &str = "$forebay::Count";

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

    fn no_mapping(&self, keys: &[&str]) -> Fault {
        let what = quoted(self.what);
        let title = match &self.node.value {
            Value::Null => format!("{what} is empty"),
            _ => format!("{what} must be a mapping, not {}", self.shown()),
        };
        let label = match keys {
            [] => "expected `{}`".to_owned(),
            keys => format!("expected the keys {}", listed(keys.iter().copied())),
        };
        let report = Report::new(title).at(&self.node.span, label);
        Fault::Wrong(Box::new(report.maybe_help(self.hint("a mapping"))))
    }

    fn hint(&self, expected: &str) -> Option<String> {
        match &self.node.value {
            _ if matches!(self.what, "password" | "token") => {
                Some("write `${NAME}` and set the environment variable".to_owned())
            }
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) if expected == "text" => {
                Some("put it in quotes".to_owned())
            }
            // Without quotes, `{2}` is a mapping.
            Value::Map(_) if expected == "text" && matches!(self.what, "order_by" | "subject") => {
                Some("put it in quotes: `\"{2}\"`".to_owned())
            }
            // And so is the unit `[degF]` a list.
            Value::List(_) if expected == "text" && self.what == "unit" => {
                Some("put it in quotes: `\"[degF]\"`".to_owned())
            }
            Value::Null if expected.starts_with("a mapping") && self.what != "the file" => Some(
                format!("write `{}: {{}}` where there is nothing to set", self.what),
            ),
            _ => None,
        }
    }

    /// What stands there, in words; never a secret, nor what came from the environment.
    fn shown(&self) -> String {
        match &self.node.value {
            _ if matches!(self.what, "auth" | "password" | "token") => {
                "what stands there".to_owned()
            }
            _ if self.node.from_env => "what the environment gives".to_owned(),
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Integer(value) => format!("the number `{value}`"),
            Value::Float(value) => format!("the number `{value}`"),
            Value::Text(text) => format!("`{}`", clipped(text)),
            Value::List(items) => format!("a list of {}", items.len()),
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

    fn whole(&self, least: u64) -> Result<u64, Fault> {
        let value = self.int().and_then(|value| u64::try_from(value).ok());
        value
            .filter(|value| *value >= least)
            .ok_or_else(|| self.mismatch(&format!("a whole number from {least}")))
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
            Value::Text(text) if self.node.from_env && self.node.plain => visit(text, visitor),
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
        visitor.visit_u64(self.whole(0)?)
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
        if name == COUNT {
            return visitor.visit_u64(self.whole(1)?);
        }
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

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(items) if items.len() == length => self.deserialize_seq(visitor),
            _ => Err(self.mismatch(&format!("a list of {length}"))),
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
            return Err(self.no_mapping(fields));
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
                // It is there but wrong, or there under a name that is reported.
                Fault::Missing(key)
                    if entries
                        .iter()
                        .any(|entry| entry.key == key || meant(entry, fields) == Some(key)) =>
                {
                    Fault::Lost
                }

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
                return visitor.visit_enum(Word {
                    reader: self,
                    text,
                    variants,
                });
            }
            Value::Text(_) => {
                let expected = format!("one of {}", listed(variants.iter().copied()));
                return Err(self.mismatch(&expected));
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
        i8 i16 i32 i128 u8 u16 u32 u128 f32 char bytes byte_buf unit unit_struct
        tuple_struct identifier ignored_any
    }
}

/// Gives text from the environment as what it looks like. Only where anything may stand: a key
/// that wants text gets it as it is (a password may be `0123`).
fn visit<'de, V: Visitor<'de>>(text: &'de str, visitor: V) -> Result<V::Value, Fault> {
    if let "true" | "false" = text {
        visitor.visit_bool(text == "true")
    } else if let Ok(value) = text.parse() {
        visitor.visit_i64(value)
    } else if let Some(value) = parse_float(text) {
        visitor.visit_f64(value)
    } else {
        visitor.visit_borrowed_str(text)
    }
}

/// The key that an unknown one was meant to be.
fn meant(entry: &Entry, known: &[&'static str]) -> Option<&'static str> {
    let unknown = !known.contains(&entry.key.as_str());
    unknown
        .then(|| nearest_of(&entry.key, known.iter().copied()))
        .flatten()
}
