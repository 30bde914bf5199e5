//! Running a model file as it is: any tensors in, whatever comes out, without the demands that serving
//! makes (rows, types that messages carry). For checking models and devices, not for serving.

use crate::graph::tensor::{Raw, Tensor};

/// What a model can take or give; `T` is its tensors.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<T> {
    /// A tensor, or an optional value that is there.
    Tensor(T),
    /// A list.
    Sequence(Vec<Value<T>>),
    /// Keys and values; no key comes twice.
    Map(Vec<(Key, Value<T>)>),
    /// An optional value that is not there.
    Nothing,
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Of any integer type.
    Int(i64),
    /// Of type string.
    Text(String),
}

/// The kind of value that a model declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A tensor.
    Tensor,
    /// A list.
    Sequence,
    /// A map.
    Map,
    /// A value or none.
    Optional,
}

/// An input or an output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The graph's name for it.
    pub name: String,
    /// What it declares.
    pub kind: Kind,
}

/// Why a model did not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RawError {
    /// The runtime has no such operator, type or version.
    #[error("{0}")]
    NotSupported(String),
    /// The runtime may well be able to, but there is no way to hand it such a value or to take it back.
    #[error("{0}")]
    CannotBeFed(String),
    /// Anything else: the file is broken, or running it failed.
    #[error("{0}")]
    Failed(String),
}

/// A loaded model of any kind, on some device.
pub trait RawModel {
    /// What the model must be given, in the graph's order.
    fn inputs(&self) -> &[Port];

    /// What the model gives, in the graph's order.
    fn outputs(&self) -> &[Port];

    /// Runs the model once. `inputs` are named after [`RawModel::inputs`] (or after a constant of the graph
    /// that may be overridden); the result has one value for each of [`RawModel::outputs`], in that order.
    ///
    /// # Errors
    /// See [`RawError`].
    fn run(&mut self, inputs: &[(String, Value<Raw>)]) -> Result<Vec<Value<Tensor>>, RawError>;
}
