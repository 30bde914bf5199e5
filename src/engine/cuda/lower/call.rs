//! A node as an operator's lowering sees it: its inputs, and its attributes by name.

use super::{
    Missing,
    value::{Home, LISTS, Value},
};
use crate::graph::{
    proto::{Attribute, Node},
    tensor::Raw,
};

/// A node whose inputs were looked up.
#[derive(Debug)]
pub(super) struct Call<'n> {
    pub(super) node: &'n Node,
    /// In the node's order; `None` where an optional one is left out.
    pub(super) inputs: Vec<Option<Value>>,
    /// For each output, whether anything asks for it.
    pub(super) asked: Vec<bool>,
    /// Version of the operator's domain that the model is written in.
    pub(super) opset: i64,
}

impl<'n> Call<'n> {
    /// An input that must be there, and be one of numbers.
    pub(super) fn input(&self, at: usize) -> Result<&Value, Missing> {
        let value = (self.given(at))
            .ok_or_else(|| Missing::new(format!("way to do without input {}", at + 1)))?;
        if value.is_text() {
            return Err(Missing::new("strings as inputs"));
        }
        if matches!(value.home, Home::Boxes { .. }) {
            return Err(Missing::new(LISTS));
        }
        Ok(value)
    }

    /// An input that may be left out.
    pub(super) fn given(&self, at: usize) -> Option<&Value> {
        self.inputs.get(at).and_then(Option::as_ref)
    }

    /// An input that may be left out, and is of numbers.
    pub(super) fn optional(&self, at: usize) -> Result<Option<&Value>, Missing> {
        self.given(at).map(|_| self.input(at)).transpose()
    }

    /// Known integers of an input that may be left out.
    pub(super) fn known_ints(&self, at: usize, what: &str) -> Result<Option<Vec<i64>>, Missing> {
        self.given(at)
            .map(|value| {
                (value.ints()).ok_or_else(|| {
                    Missing::new(format!("way to use {what} that the model computes"))
                })
            })
            .transpose()
    }

    /// Whether anything is asked of this output.
    pub(super) fn wants(&self, at: usize) -> bool {
        self.asked.get(at) == Some(&true)
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&'n Attribute> {
        self.node.attribute(name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.node.int(name, default)
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.int(name, default.into()) != 0
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name)
            .and_then(|held| held.f)
            .unwrap_or(default)
    }

    pub(super) fn ints(&self, name: &str) -> Option<&'n [i64]> {
        self.node.ints(name)
    }

    pub(super) fn floats(&self, name: &str) -> Option<&'n [f32]> {
        self.node.floats(name)
    }

    pub(super) fn text(&self, name: &str, default: &str) -> String {
        self.node.text(name, default)
    }

    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        self.node.texts(name)
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<Value>, Missing> {
        (self.attribute(name).and_then(|held| held.t.as_deref()))
            .map(|tensor| Raw::of(tensor).map(|raw| Value::known(&raw)))
            .transpose()
            .map_err(Missing::new)
    }

    /// Axes from the attribute or, in newer operators, the input of that place.
    pub(super) fn axes(&self, place: usize, rank: usize) -> Result<Option<Vec<usize>>, Missing> {
        let axes = match self.ints("axes") {
            Some(axes) => Some(axes.to_vec()),
            None => self.known_ints(place, "axes")?,
        };
        axes.map(|axes| axes.into_iter().map(|at| axis(at, rank)).collect())
            .transpose()
    }
}

/// An axis counted from the front; negative ones count from the end.
pub(super) fn axis(at: i64, rank: usize) -> Result<usize, Missing> {
    let signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let from_front = if at < 0 { at + signed } else { at };
    usize::try_from(from_front)
        .ok()
        .filter(|found| *found < rank)
        .ok_or_else(|| Missing::new(format!("axis {at} of a tensor with {rank} dimensions")))
}

/// A size that the model names.
pub(super) fn size(value: i64) -> Result<usize, Missing> {
    usize::try_from(value).map_err(|_| Missing::new(format!("a size of {value}")))
}

/// A size as strides are counted.
pub(super) fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
