//! The tensor steps: a file for each. What may be written in a pipeline file (the doc comments become the
//! reference), and the nodes that it becomes.

mod argmax;
mod average;
mod bucketize;
mod categories;
mod center_crop;
mod clip;
mod concat;
mod ctc;
mod cyclic;
mod denormalize;
mod impute;
mod l2_normalize;
mod letterbox;
mod log1p;
mod mean_pool;
mod nms;
mod normalize;
mod one_hot;
mod ordinal;
mod reshape;
mod resize;
mod scale;
mod select;
mod sigmoid;
mod softmax;
mod spectrogram;
mod threshold;
mod top_k;
mod transpose;
mod vote;

use std::{collections::HashSet, fmt};

use super::{
    build::{GraphBuilder, Value},
    yaml,
};
use crate::contract::Dtype;

pub use self::{
    argmax::Argmax, average::Average, bucketize::Bucketize, categories::Categories,
    center_crop::CenterCrop, clip::Clip, concat::Concat, ctc::Ctc, cyclic::Cyclic,
    denormalize::Denormalize, impute::Impute, l2_normalize::L2Normalize, letterbox::Letterbox,
    log1p::Log1p, mean_pool::MeanPool, nms::Nms, normalize::Normalize, one_hot::OneHot,
    ordinal::Ordinal, reshape::Reshape, resize::Resize, scale::Scale, select::Select,
    sigmoid::Sigmoid, softmax::Softmax, spectrogram::Spectrogram, threshold::Threshold,
    top_k::TopK, transpose::Transpose, vote::Vote,
};

/// Calls a macro with the key and the type of every tensor step.
macro_rules! each_tensor_step {
    ($then:ident) => {
        $then! {
            argmax: Argmax,
            average: Average,
            bucketize: Bucketize,
            clip: Clip,
            concat: Concat,
            cyclic: Cyclic,
            denormalize: Denormalize,
            impute: Impute,
            l2_normalize: L2Normalize,
            log1p: Log1p,
            one_hot: OneHot,
            ordinal: Ordinal,
            center_crop: CenterCrop,
            ctc: Ctc,
            letterbox: Letterbox,
            mean_pool: MeanPool,
            nms: Nms,
            normalize: Normalize,
            reshape: Reshape,
            resize: Resize,
            scale: Scale,
            select: Select,
            sigmoid: Sigmoid,
            softmax: Softmax,
            threshold: Threshold,
            top_k: TopK,
            vote: Vote,
            spectrogram: Spectrogram,
            transpose: Transpose,
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

/// What is written under the step's key.
pub trait Parameters {
    /// The parameters as YAML in one line.
    fn parameters(&self) -> String;
}

impl<T: serde::Serialize> Parameters for T {
    fn parameters(&self) -> String {
        yaml::flow(self)
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
    let value = only(inputs)?;
    match value.dtype {
        Dtype::String | Dtype::Bytes | Dtype::Bool => Err(Fault::input(format!(
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

/// Whether a type of numbers can hold this one; floats hold all, rounded.
fn holds(dtype: Dtype, number: f64) -> bool {
    let [low, high] = match dtype {
        Dtype::U8 => [0.0, f64::from(u8::MAX)],
        Dtype::I32 => [f64::from(i32::MIN), f64::from(i32::MAX)],
        // The greatest that stays exact.
        Dtype::I64 => [-9_007_199_254_740_992.0, 9_007_199_254_740_992.0],
        Dtype::F32 | Dtype::F64 => return true,
        Dtype::Bool | Dtype::String | Dtype::Bytes => return false,
    };
    number.fract() == 0.0 && (low..=high).contains(&number)
}

/// A value and limits such that `x < limit` and `x >= limit` mean what they say: whole numbers are compared as whole
/// numbers, with the next one above a limit that is none.
fn comparable(graph: &mut GraphBuilder, value: &Value, limits: &[f64]) -> (Value, Vec<f64>) {
    match value.dtype {
        Dtype::F32 | Dtype::F64 => (value.clone(), limits.to_vec()),
        _ => {
            let limits = limits.iter().map(|limit| limit.ceil()).collect();
            (graph.cast(value, Dtype::I64), limits)
        }
    }
}

/// The scores of classes: a vector of numbers for each row.
///
/// # Errors
/// It is text, truth values or a single number.
fn scores(inputs: &[Value]) -> Result<&Value, Fault> {
    let value = numbers(inputs)?;
    if value.shape.is_empty() {
        return Err(
            Fault::input("takes a vector for each row, and is fed with single numbers")
                .help("list the columns: `input: [a, b, c]`"),
        );
    }
    Ok(value)
}

/// One label for each element of the last dimension, where there are labels. Several may be the same: classes that go by
/// one name.
///
/// # Errors
/// There are too few or too many.
fn class_labels<'a>(
    labels: Option<&'a [String]>,
    value: &Value,
) -> Result<Option<&'a [String]>, Fault> {
    let size = value.shape.last().copied().unwrap_or(1);
    match labels {
        Some(labels) if labels.len() != size => Err(Fault::key(
            "labels",
            format!(
                "has {} texts, and the input has {size} elements",
                labels.len()
            ),
        )
        .help("write one for each, in the order of the model's classes")),
        labels => Ok(labels),
    }
}

/// Each label stands for one thing.
///
/// # Errors
/// One is there twice.
fn once(labels: &[String]) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    match labels.iter().find(|label| !seen.insert(*label)) {
        Some(label) => Err(Fault::key("labels", format!("has `{label}` twice"))
            .help("so nobody could tell what it stands for: give each its own")),
        None => Ok(()),
    }
}

/// The first of several values that have one shape.
///
/// # Errors
/// There is only one, or they have several shapes, or labels that are not the same.
fn alike(inputs: &[Value]) -> Result<&Value, Fault> {
    let first = inputs.first().filter(|_| inputs.len() > 1).ok_or_else(|| {
        Fault::input("takes several values, and is fed with one")
            .help("list the outputs of several models: `input: [a.label, b.label]`")
    })?;
    if let Some(other) = inputs.iter().find(|input| input.shape != first.shape) {
        return Err(Fault::input(format!(
            "takes values of one shape, and is fed with {:?} and {:?}",
            first.shape, other.shape
        )));
    }
    let mut labels = inputs.iter().filter_map(|input| input.labels.as_ref());
    let known = labels.next();
    match labels.find(|other| Some(*other) != known) {
        None => Ok(first),
        Some(_) => Err(Fault::input(
            "is fed with classes in differing order: their labels are not the same",
        )
        .help("bring them into one order with `select: { columns: [LABEL, ...] }`")),
    }
}

/// One weight for each of the values.
///
/// # Errors
/// There are too few or too many, or one is no weight.
fn model_weights(weights: Option<&[f64]>, inputs: &[Value]) -> Result<Vec<f64>, Fault> {
    let Some(weights) = weights else {
        return Ok(vec![1.0; inputs.len()]);
    };
    if weights.len() != inputs.len() {
        let (given, listed) = (weights.len(), inputs.len());
        return Err(Fault::key(
            "weights",
            format!("has {given} numbers, and `input` lists {listed} values"),
        )
        .help("write one for each"));
    }
    let bad = |weight: &&f64| !weight.is_finite() || **weight < 0.0;
    if let Some(weight) = weights.iter().find(bad) {
        return Err(Fault::key("weights", format!("has {weight}")).help("write numbers from 0"));
    }
    if weights.iter().sum::<f64>() == 0.0 {
        return Err(Fault::key("weights", "are all 0").help("write one above 0 at least"));
    }
    Ok(weights.to_vec())
}
#[cfg(test)]
mod tensor_tests;
