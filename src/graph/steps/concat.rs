//! `concat`: columns side by side.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, only};
use crate::graph::{GraphBuilder, Value};

/// Puts columns side by side, in the order of `input`: numbers and vectors become one vector. Types widen to the
/// widest of them (`i64` and `f32` make `f32`). Example: `input: [age, state_one_hot]`, with 3 and [0, 1], gives [3, 0, 1].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concat {}

impl TensorStep for Concat {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        // Feeding the step did the work; a single value becomes a vector of one.
        let value = only(inputs)?;
        let value = if value.shape.is_empty() {
            graph.reshape(value, &[1])
        } else {
            value.clone()
        };
        Ok(Output::only(value))
    }
}
