//! `reshape`: the elements of a row in another shape.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, only};
use crate::graph::{GraphBuilder, Value, params::OneOrMany};

/// Gives a row another shape of as many elements, in the same order (numpy's `reshape`). The rows of a batch stay apart.
/// Example: `{ shape: [2, 3] }`, or `[2, -1]`, makes [1, 2, 3, 4, 5, 6] into [[1, 2, 3], [4, 5, 6]].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The new shape of a row; one size may be -1, for whatever is left.
    pub shape: OneOrMany<i64>,
}

impl TensorStep for Reshape {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = only(inputs)?;
        let shape = self.shape(value)?;
        let mut reshaped = graph.reshape(value, &shape);
        reshaped.labels = None;
        Ok(Output::only(reshaped))
    }
}

impl Reshape {
    fn shape(&self, value: &Value) -> Result<Vec<usize>, Fault> {
        let given = &self.shape.0;
        let open = given.iter().filter(|size| **size == -1).count();
        if open > 1 || given.iter().any(|size| *size == 0 || *size < -1) {
            return Err(Fault::key("shape", format!("is {given:?}"))
                .help("sizes are 1 or more; one of them may be -1, for whatever is left"));
        }
        let width = value.width();
        let known = given
            .iter()
            .filter_map(|size| usize::try_from(*size).ok())
            .try_fold(1_usize, usize::checked_mul);
        let rest = match known {
            Some(known) if open == 0 && known == width => 1,
            Some(known) if open == 1 && width.is_multiple_of(known) && width > 0 => width / known,
            _ => {
                return Err(Fault::key(
                    "shape",
                    format!(
                        "is {given:?}, and a row has {width} elements: its shape is {:?}",
                        value.shape
                    ),
                )
                .help("the sizes multiplied are the number of elements"));
            }
        };
        Ok(given
            .iter()
            .map(|size| usize::try_from(*size).unwrap_or(rest))
            .collect())
    }
}
