//! `softmax`: scores become probabilities.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, numbers};
use crate::graph::{Attr, GraphBuilder, Value};

/// Turns scores into probabilities that sum to 1 over the last dimension: `exp(x_i) / sum(exp(x_j))`.
/// Example: [0, 0] becomes [0.5, 0.5].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Softmax {}

impl TensorStep for Softmax {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = numbers(inputs)?;
        if value.shape.is_empty() {
            return Err(Fault::input(
                "takes a vector for each row, and is fed with single numbers",
            )
            .help("list the columns: `input: [a, b, c]`"));
        }
        let value = graph.float(value);
        Ok(Output::only(graph.map(
            "Softmax",
            &value,
            vec![("axis", Attr::Int(-1))],
        )))
    }
}
