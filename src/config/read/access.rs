//! What serde walks along: lists, mappings, places and variants, without what is marked.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
    value::{BorrowedStrDeserializer, StrDeserializer},
};

use super::{AT, Fault, Reader};
use crate::config::{
    node::{Entry, Node},
    report::listed,
};

/// The elements of a list that are not marked.
pub(super) struct List<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) items: std::slice::Iter<'a, Node>,
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
pub(super) struct One<'a>(pub(super) Option<Reader<'a>>);

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
pub(super) struct Placed<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) stage: u8,
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
pub(super) struct Map<'a> {
    pub(super) reader: Reader<'a>,
    entries: std::slice::Iter<'a, Entry>,
    current: Option<&'a Entry>,
}

impl<'a> Map<'a> {
    pub(super) fn new(reader: Reader<'a>, entries: &'a [Entry]) -> Self {
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
pub(super) struct Variant<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) entry: &'a Entry,
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

/// The name of a variant alone, which is enough for one that has nothing in it.
pub(super) struct Word<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) text: &'a str,
    pub(super) variants: &'static [&'static str],
}

impl Word<'_> {
    fn not_enough(self) -> Fault {
        let help = format!("write `{}: {{ {}: {{}} }}`", self.reader.what, self.text);
        let expected = listed(self.variants.iter().copied());
        let expected = format!("a mapping with one of {expected}");
        self.reader.mismatch(&expected).help(help)
    }
}

impl<'de> EnumAccess<'de> for Word<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let name = StrDeserializer::<Fault>::new(self.text);
        seed.deserialize(name).map(|value| (value, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, Fault> {
        Err(self.not_enough())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(self.not_enough())
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(self.not_enough())
    }
}
