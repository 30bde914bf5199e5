//! `scale`: centre and spread of each column.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, column_dims, numbers, per_column};
use crate::graph::{GraphBuilder, Value, params::OneOrMany};

/// Moves and stretches each column: `(x - center) / scale`. scikit-learn's `StandardScaler` has them as
/// `mean_` and `scale_`, `RobustScaler` as `center_` and `scale_`; for `MinMaxScaler` to 0..1 write
/// `data_min_` and `data_range_`. Whole numbers become `f32`. Example: `{ center: 40, scale: 10 }` makes 55 into 1.5.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// What is taken away: one number for all columns, or one for each; 0 where left out.
    pub center: Option<OneOrMany<f64>>,
    /// What it is divided by: one number for all columns, or one for each, none of them 0; 1 where left out.
    pub scale: Option<OneOrMany<f64>>,
}

impl TensorStep for Scale {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let mut value = graph.float(numbers(inputs)?);
        if self.center.is_none() && self.scale.is_none() {
            return Err(Fault::key("scale", "says neither `center` nor `scale`"));
        }
        if let Some(center) = &self.center {
            let center = per_column("center", &center.0, &value)?;
            let center = graph.numbers(value.dtype, &column_dims(&value), &center);
            value = graph.with_constant("Sub", &value, &center);
        }
        if let Some(scale) = &self.scale {
            if scale
                .0
                .iter()
                .any(|scale| *scale == 0.0 || !scale.is_finite())
            {
                return Err(
                    Fault::key("scale", "has a 0, or a number that is not finite")
                        .help("scikit-learn writes 1 for a column that never changes"),
                );
            }
            let scale = per_column("scale", &scale.0, &value)?;
            let scale = graph.numbers(value.dtype, &column_dims(&value), &scale);
            value = graph.with_constant("Div", &value, &scale);
        }
        Ok(Output::only(value))
    }
}
