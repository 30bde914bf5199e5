//! `log1p`: the logarithm of what grows fast.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, numbers};
use crate::{
    contract::Dtype,
    graph::{GraphBuilder, Value},
};

/// The natural logarithm of one more: `ln(1 + x)`, as numpy's `log1p`. Below -1 it is NaN, at -1 minus infinity.
/// Whole numbers become `f32`. Counted in `f64`, so that small numbers keep their digits: the error is one unit in
/// the last place of an `f32`, or 3e-16. Example: 0 becomes 0, and 1.718281828 becomes 1.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log1p {}

impl TensorStep for Log1p {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = numbers(inputs)?;
        let dtype = match value.dtype {
            Dtype::F64 => Dtype::F64,
            _ => Dtype::F32,
        };
        let wide = graph.cast(value, Dtype::F64);
        let one = graph.number(Dtype::F64, 1.0);
        let more = graph.with_constant("Add", &wide, &one);
        let log = graph.map("Log", &more, Vec::new());
        Ok(Output::only(graph.cast(&log, dtype)))
    }
}
