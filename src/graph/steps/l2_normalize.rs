//! `l2_normalize`: vectors of length 1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, numbers};
use crate::graph::{Attr, GraphBuilder, Value};

/// Makes each vector (along the last dimension) one of length 1: `x / sqrt(sum(x_i^2))`; a vector of zeros stays one. That is
/// scikit-learn's `Normalizer()`, and torch's `functional.normalize(dim=-1)` for all that is longer than its `eps` of 1e-12.
/// Whole numbers become `f32`. Example: [3, 4] becomes [0.6, 0.8].
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct L2Normalize {
    /// Shorter vectors are divided by this instead of their length, as torch's `eps`. No such bound where left out.
    pub epsilon: Option<f64>,
}

impl TensorStep for L2Normalize {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = numbers(inputs)?;
        let Some(last) = value.shape.len().checked_sub(1) else {
            return Err(Fault::input(
                "takes a vector for each row, and is fed with single numbers",
            )
            .help("list the columns: `input: [a, b, c]`"));
        };
        let value = graph.float(value);
        let Some(epsilon) = self.epsilon else {
            let attributes = vec![("axis", Attr::Int(-1)), ("p", Attr::Int(2))];
            return Ok(Output::only(graph.map(
                "LpNormalization",
                &value,
                attributes,
            )));
        };
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(Fault::key(
                "epsilon",
                format!("is {epsilon}, and must be above 0"),
            ));
        }
        let length = graph.reduce("ReduceL2", &value, &[last], true);
        let epsilon = graph.number(value.dtype, epsilon);
        let length = graph.with_constant("Max", &length, &epsilon);
        Ok(Output::only(graph.with_constant(
            "Div",
            &value,
            &length.name,
        )))
    }
}
