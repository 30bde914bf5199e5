//! `transpose`: the axes of a row in another order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, only};
use crate::graph::{GraphBuilder, Value};

/// Puts the axes of a row in another order (numpy's `transpose`, PyTorch's `permute`). The rows of a batch stay apart, so
/// axis 0 is the first behind them. Example: `{ axes: [1, 0] }` makes [[1, 2, 3], [4, 5, 6]] into [[1, 4], [2, 5], [3, 6]].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transpose {
    /// For each place, the axis that comes there; every axis once.
    pub axes: Vec<usize>,
}

impl TensorStep for Transpose {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = only(inputs)?;
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..value.shape.len()) {
            return Err(Fault::key(
                "axes",
                format!(
                    "is {:?}, and a row of shape {:?} has {} axes",
                    self.axes,
                    value.shape,
                    value.shape.len()
                ),
            )
            .help("name every axis once, counted from 0"));
        }
        Ok(Output::only(graph.transpose(value, &self.axes)))
    }
}
