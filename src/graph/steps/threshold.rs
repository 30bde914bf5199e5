//! `threshold`: yes or no.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, column_dims, comparable, numbers, once, per_column};
use crate::{
    contract::Dtype,
    graph::{GraphBuilder, Value, params::OneOrMany},
};

/// Whether each element reaches a threshold: `x >= at`, as scikit-learn's `FixedThresholdClassifier`. With one threshold for each
/// class this is the mask of a multi-label classifier. NaN reaches nothing. Gives `bool`, or one of two `labels`; the labels
/// of the input stay on the mask. Example: `{ at: 0.5 }` makes [0.2, 0.5] into [false, true], and
/// `{ at: 0.5, labels: [ham, spam] }` makes 0.9 into spam.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// One number for all elements, or one for each.
    pub at: OneOrMany<f64>,
    /// Two texts: for what stays below, and for what reaches it.
    pub labels: Option<Vec<String>>,
}

impl TensorStep for Threshold {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = numbers(inputs)?;
        if let Some(number) = self.at.0.iter().find(|number| !number.is_finite()) {
            return Err(Fault::key("at", format!("has {number}")).help("write finite numbers"));
        }
        let at = match self.at.0.as_slice() {
            [one] => vec![*one],
            given => per_column("at", given, value)?,
        };
        let (value, at) = comparable(graph, value, &at);
        let dims = if at.len() == 1 {
            Vec::new()
        } else {
            column_dims(&value)
        };
        let at = graph.numbers(value.dtype, &dims, &at);
        let name = graph.node("GreaterOrEqual", &[&value.name, &at], Vec::new());
        let mask = Value {
            name,
            dtype: Dtype::Bool,
            ..value
        };
        let Some(labels) = &self.labels else {
            return Ok(Output::only(mask));
        };
        once(labels)?;
        let [below, reached] = labels.as_slice() else {
            let what = format!("has {} texts, and must have two", labels.len());
            return Err(Fault::key("labels", what)
                .help("write what stays below first: `labels: [ham, spam]`"));
        };
        let [below, reached] = [below, reached].map(|label| graph.texts(&[], &[label]));
        let name = graph.node("Where", &[&mask.name, &reached, &below], Vec::new());
        Ok(Output::only(Value {
            name,
            dtype: Dtype::String,
            ..mask
        }))
    }
}
