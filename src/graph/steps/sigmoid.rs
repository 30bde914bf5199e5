//! `sigmoid`: a score becomes a probability.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, numbers};
use crate::graph::{GraphBuilder, Value};

/// Turns each score into a probability: `1 / (1 + exp(-x))`, SciPy's `expit`. For models that give logits of a yes or a
/// no, or of several labels at once. Whole numbers become `f32`. Example: 0 becomes 0.5, and 2 becomes 0.880797.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sigmoid {}

impl TensorStep for Sigmoid {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = graph.float(numbers(inputs)?);
        Ok(Output::only(graph.map("Sigmoid", &value, Vec::new())))
    }
}
