//! The tensor steps: a file for each. What may be written in a pipeline file (the doc comments become the
//! reference), and the nodes that it becomes.

mod concat;
mod scale;
mod softmax;

use std::fmt;

use super::build::{GraphBuilder, Value};

pub use self::{concat::Concat, scale::Scale, softmax::Softmax};

/// Calls a macro with the key and the type of every tensor step.
macro_rules! each_tensor_step {
    ($then:ident) => {
        $then! {
            concat: Concat,
            scale: Scale,
            softmax: Softmax,
        }
    };
}

pub(crate) use each_tensor_step;

macro_rules! by_name {
    ($($key:ident: $step:ident,)*) => {
        /// The keys of all steps.
        pub const NAMES: &[&str] = &[$(stringify!($key)),*];

        /// The step of this key with these parameters; `None` where there is no such key.
        ///
        /// # Errors
        /// The parameters are wrong.
        pub fn read<'de, D: serde::Deserializer<'de>>(
            key: &str,
            parameters: D,
        ) -> Option<Result<Box<dyn TensorStep>, D::Error>> {
            use serde::Deserialize;
            match key {
                $(stringify!($key) => Some(
                    $step::deserialize(parameters).map(|step| Box::new(step) as Box<dyn TensorStep>)
                ),)*
                _ => None,
            }
        }
    };
}
each_tensor_step!(by_name);

/// A step that becomes nodes of a graph.
pub trait TensorStep: fmt::Debug + Parameters {
    /// What it takes. One port is fed by `input`, several by `inputs`, under these names.
    fn ports(&self) -> &'static [&'static str] {
        &["input"]
    }

    /// Adds the nodes. There is one value for each port, in that order; what `input` lists was put side by side.
    ///
    /// # Errors
    /// A type or a shape that the step cannot take, or parameters that do not fit it.
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault>;
}

/// What is written under the step's key.
pub trait Parameters {
    /// The parameters as they can be written again.
    fn parameters(&self) -> serde_json::Value;
}

impl<T: serde::Serialize> Parameters for T {
    fn parameters(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let serde_json::Value::Object(keys) = &mut value {
            keys.retain(|_, value| !value.is_null());
        }
        value
    }
}

/// One thing that a step gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// What it is called behind the step's name: `top.indices`. Empty for a step's only output.
    pub part: &'static str,
    /// The value.
    pub value: Value,
}

impl Output {
    /// The only output of a step.
    pub fn only(value: Value) -> Vec<Self> {
        vec![Self { part: "", value }]
    }
}

/// Why a step cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The parameter that is wrong; `None` where it is the input.
    pub key: Option<&'static str>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: Option<String>,
}

impl Fault {
    /// Something is wrong with what the step is fed with.
    pub fn input(what: impl Into<String>) -> Self {
        Self {
            key: None,
            what: what.into(),
            help: None,
        }
    }

    /// Something is wrong with a parameter.
    pub fn key(key: &'static str, what: impl Into<String>) -> Self {
        Self {
            key: Some(key),
            what: what.into(),
            help: None,
        }
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The only input.
///
/// # Errors
/// There is none: the caller feeds every port, so this is a bug, said as such.
fn only(inputs: &[Value]) -> Result<&Value, Fault> {
    inputs
        .first()
        .ok_or_else(|| Fault::input("nothing is fed: this is a bug"))
}

/// The only input, of numbers.
///
/// # Errors
/// It is text, or truth values.
fn numbers(inputs: &[Value]) -> Result<&Value, Fault> {
    use crate::contract::Dtype;
    let value = only(inputs)?;
    match value.dtype {
        Dtype::String | Dtype::Bool => Err(Fault::input(format!(
            "takes numbers, and is fed with {}",
            value.dtype
        ))),
        _ => Ok(value),
    }
}

/// One number for all columns, or one for each: as many as a row's last dimension has.
///
/// # Errors
/// Another number of them.
fn per_column(key: &'static str, given: &[f64], value: &Value) -> Result<Vec<f64>, Fault> {
    let columns = value.shape.last().copied().unwrap_or(1);
    match given {
        [one] => Ok(vec![*one; if value.shape.is_empty() { 1 } else { columns }]),
        all if all.len() == columns => Ok(all.to_vec()),
        all => Err(Fault::key(
            key,
            format!(
                "has {} numbers, and the input has {columns} columns",
                all.len()
            ),
        )
        .help("write one number for all columns, or one for each")),
    }
}

/// The dimensions of a constant that has one number for each column: none beside single values.
fn column_dims(value: &Value) -> Vec<usize> {
    value
        .shape
        .last()
        .map(|size| vec![*size])
        .unwrap_or_default()
}
