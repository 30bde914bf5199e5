//! `argmax`: the class with the greatest score.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, class_labels, scores};
use crate::{
    contract::Dtype,
    graph::{Attr, GraphBuilder, Value},
};

/// The place of the greatest element of each vector (along the last dimension), from 0; the first of several. numpy's `argmax`.
/// Gives `i64`, or with `labels` the label at that place. Where a vector has a NaN, the result means nothing.
/// Example: [0.1, 0.7, 0.2] gives 1, and with `{ labels: [cat, dog, fox] }` it gives dog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Argmax {
    /// What each element stands for, one text for each; several may stand for the same.
    pub labels: Option<Vec<String>>,
}

impl TensorStep for Argmax {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = scores(inputs)?;
        let labels = class_labels(self.labels.as_deref(), value)?;
        let attributes = vec![("axis", Attr::Int(-1)), ("keepdims", Attr::Int(0))];
        let name = graph.node("ArgMax", &[&value.name], attributes);
        let mut shape = value.shape.clone();
        shape.pop();
        let index = Value::new(name, Dtype::I64, shape);
        Ok(Output::only(match labels {
            Some(labels) => graph.pick_texts(labels, &index),
            None => index,
        }))
    }
}
