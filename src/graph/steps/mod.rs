//! The tensor steps: a file for each. What may be written in a pipeline file (the doc comments become the
//! reference), and the nodes that it becomes.

mod center_crop;
mod concat;
mod ctc;
mod letterbox;
mod mean_pool;
mod nms;
mod normalize;
mod reshape;
mod resize;
mod scale;
mod softmax;
mod spectrogram;
mod transpose;

use std::fmt;

use super::build::{GraphBuilder, Value};

pub use self::{
    center_crop::CenterCrop, concat::Concat, ctc::Ctc, letterbox::Letterbox, mean_pool::MeanPool,
    nms::Nms, normalize::Normalize, reshape::Reshape, resize::Resize, scale::Scale,
    softmax::Softmax, spectrogram::Spectrogram, transpose::Transpose,
};

/// Calls a macro with the key and the type of every tensor step.
macro_rules! each_tensor_step {
    ($then:ident) => {
        $then! {
            center_crop: CenterCrop,
            concat: Concat,
            ctc: Ctc,
            letterbox: Letterbox,
            mean_pool: MeanPool,
            nms: Nms,
            normalize: Normalize,
            reshape: Reshape,
            resize: Resize,
            scale: Scale,
            softmax: Softmax,
            spectrogram: Spectrogram,
            transpose: Transpose,
        }
    };
}

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
pub trait TensorStep: fmt::Debug {
    /// What it takes. One port is fed by `input`, several by `inputs`, under these names.
    fn ports(&self) -> &'static [&'static str] {
        &["input"]
    }

    /// Whether each of the values that `input` lists is given by itself, where others get them side by side.
    fn takes_list(&self) -> bool {
        false
    }

    /// Adds the nodes. There is one value for each port, in that order; what `input` lists was put side by side,
    /// but for a step that [takes a list](TensorStep::takes_list).
    ///
    /// # Errors
    /// A type or a shape that the step cannot take, or parameters that do not fit it.
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault>;
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

#[cfg(test)]
mod tensor_tests;
