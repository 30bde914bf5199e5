//! `scale`: centre and spread of each column.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, column_dims, numbers, per_column};
use crate::{
    contract::Dtype,
    graph::{GraphBuilder, Value, params::OneOrMany},
};

/// Moves and stretches each column: `(x - center) / scale`. scikit-learn's `StandardScaler` has the two as `mean_` and
/// `scale_`, `RobustScaler` as `center_` and `scale_`, `MaxAbsScaler` has only `scale_`; for `MinMaxScaler` to 0..1 write
/// `data_min_` and `data_range_`, and to another range use the step `denormalize`. Whole numbers become `f32`.
/// Example: `{ center: 40, scale: 10 }` makes 55 into 1.5.
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
        let columns = Columns::read(self.center.as_ref(), self.scale.as_ref(), &value)?;
        if let Some(center) = columns.center(graph, &value) {
            value = graph.with_constant("Sub", &value, &center);
        }
        // Not times the inverse: that would be off by a digit.
        if let Some(scale) = columns.scale(graph, &value) {
            value = graph.with_constant("Div", &value, &scale);
        }
        Ok(Output::only(value))
    }
}

/// Centre and spread, checked. Empty where there is nothing to do.
pub(super) struct Columns {
    center: Vec<f64>,
    scale: Vec<f64>,
}

impl Columns {
    /// As many as the columns of `value`.
    ///
    /// # Errors
    /// Neither is given; there are too few or too many; a number is not finite, or a spread is 0.
    pub(super) fn read(
        center: Option<&OneOrMany<f64>>,
        scale: Option<&OneOrMany<f64>>,
        value: &Value,
    ) -> Result<Self, Fault> {
        if center.is_none() && scale.is_none() {
            return Err(Fault::key("center", "is left out, and `scale` too")
                .help("write `center`, `scale`, or both"));
        }
        // In the type in which it is computed: 1e39 is infinite there, and 1e-60 is 0.
        #[expect(clippy::cast_possible_truncation, reason = "that is what is asked")]
        let held = |number: f64| match value.dtype {
            Dtype::F64 => number,
            _ => f64::from(number as f32),
        };
        let wrong =
            |number: &f64, zero: bool| !held(*number).is_finite() || zero && held(*number) == 0.0;
        let list = |key, given: Option<&OneOrMany<f64>>, neutral: f64, zero: bool| {
            let Some(OneOrMany(given)) = given else {
                return Ok(Vec::new());
            };
            if let Some(number) = given.iter().find(|number| wrong(number, zero)) {
                let fault = Fault::key(key, format!("has {number}"));
                return Err(if *number == 0.0 {
                    fault.help("write 1 for a column that never changes, as StandardScaler does")
                } else {
                    fault.help("write finite numbers that the type of the column can hold")
                });
            }
            let all = per_column(key, given, value)?;
            // What changes nothing costs nothing.
            let idle = all.iter().all(|number| (number - neutral).abs() == 0.0);
            Ok(if idle { Vec::new() } else { all })
        };
        Ok(Self {
            center: list("center", center, 0.0, false)?,
            scale: list("scale", scale, 1.0, true)?,
        })
    }

    /// The constant to add or to take away.
    pub(super) fn center(&self, graph: &mut GraphBuilder, value: &Value) -> Option<String> {
        constant(graph, value, &self.center)
    }

    /// The constant to multiply with or to divide by.
    pub(super) fn scale(&self, graph: &mut GraphBuilder, value: &Value) -> Option<String> {
        constant(graph, value, &self.scale)
    }
}

fn constant(graph: &mut GraphBuilder, value: &Value, columns: &[f64]) -> Option<String> {
    let (first, rest) = columns.split_first()?;
    // One number spreads faster than a list of the same.
    Some(if rest.iter().all(|number| (number - first).abs() == 0.0) {
        graph.number(value.dtype, *first)
    } else {
        graph.numbers(value.dtype, &column_dims(value), columns)
    })
}
