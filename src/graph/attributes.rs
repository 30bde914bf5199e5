//! Attributes of nodes, by name.

use super::proto::{Attribute, Node};

impl Node {
    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attribute.iter().find(|held| held.name == name)
    }

    /// An integer; `default` where there is none.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name)
            .and_then(|held| held.i)
            .unwrap_or(default)
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|held| held.ints.as_slice())
    }

    /// A list of floats.
    pub fn floats(&self, name: &str) -> Option<&[f32]> {
        self.attribute(name).map(|held| held.floats.as_slice())
    }

    /// A text; `default` where there is none.
    pub fn text(&self, name: &str, default: &str) -> String {
        (self.attribute(name).and_then(|held| held.s.as_ref())).map_or_else(
            || default.to_owned(),
            |text| String::from_utf8_lossy(text).into_owned(),
        )
    }

    /// A list of texts.
    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        self.attribute(name).map(|held| {
            (held.strings.iter())
                .map(|text| String::from_utf8_lossy(text).into_owned())
                .collect()
        })
    }
}
