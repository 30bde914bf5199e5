//! `denormalize`: what `scale` did, undone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, numbers, scale::Columns};
use crate::graph::{GraphBuilder, Value, params::OneOrMany};

/// Stretches and moves each column: `x * scale + center`, the inverse of `scale`: scikit-learn's `inverse_transform` with the
/// same numbers, for a model that was trained on a scaled target. It is also `MinMaxScaler` to any range, forwards, with
/// its `scale_` and, as `center`, its `min_`. Whole numbers become `f32`. Example: `{ center: 40, scale: 10 }` makes 1.5 into 55.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Denormalize {
    /// What is added: one number for all columns, or one for each; 0 where left out.
    pub center: Option<OneOrMany<f64>>,
    /// What it is multiplied with: one number for all columns, or one for each; 1 where left out.
    pub scale: Option<OneOrMany<f64>>,
}

impl TensorStep for Denormalize {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let mut value = graph.float(numbers(inputs)?);
        let columns = Columns::read(self.center.as_ref(), self.scale.as_ref(), &value)?;
        if let Some(scale) = columns.scale(graph, &value) {
            value = graph.with_constant("Mul", &value, &scale);
        }
        if let Some(center) = columns.center(graph, &value) {
            value = graph.with_constant("Add", &value, &center);
        }
        Ok(Output::only(value))
    }
}
