//! `mean_pool`: one vector for a sequence of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep};
use crate::{
    contract::Dtype,
    graph::{GraphBuilder, Value},
};

/// The mean of the vectors `values` [T, D] over those places where `mask` [T] is 1:
/// `sum(values * mask) / max(sum(mask), 1e-9)`, the mean pooling of sentence-transformers. Whole numbers become `f32`.
/// Example: of [[1, 2], [3, 4], [9, 9]] with the mask [1, 1, 0] it makes [2, 3].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeanPool {}

impl TensorStep for MeanPool {
    fn ports(&self) -> &'static [&'static str] {
        &["values", "mask"]
    }

    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let [values, mask] = inputs else {
            return Err(Fault::input("needs `values` and `mask`: this is a bug"));
        };
        if values.dtype == Dtype::String || values.dtype == Dtype::Bool {
            return Err(Fault::input(format!(
                "takes numbers as `values`, and is fed with {}",
                values.dtype
            )));
        }
        if mask.dtype == Dtype::String {
            return Err(Fault::input(
                "takes 0 and 1 as `mask`, and is fed with string",
            ));
        }
        let [steps, width] = *values.shape else {
            return Err(Fault::input(format!(
                "takes a list of vectors as `values`, and is fed with rows of shape {:?}",
                values.shape
            )));
        };
        if *mask.shape != [steps] {
            return Err(Fault::input(format!(
                "takes a `mask` of shape [{steps}], one for each vector, and is fed with {:?}",
                mask.shape
            )));
        }
        let values = graph.float(values);
        let mask = graph.cast(mask, values.dtype);
        // Not by its size: an engine may leave out padding that no row of a batch needs.
        let first = graph.ints(&[1]);
        let name = graph.node("Unsqueeze", &[&mask.name, &first], Vec::new());
        let mask = Value::new(name, mask.dtype, vec![1, steps]);
        // [1, T] x [T, D] sums without a product of all elements in memory.
        let name = graph.node("MatMul", &[&mask.name, &values.name], Vec::new());
        let sum = Value::new(name, values.dtype, vec![1, width]);
        let count = graph.reduce("ReduceSum", &mask, &[1], true);
        let least = graph.number(values.dtype, 1e-9);
        let count = graph.with_constant("Max", &count, &least);
        let mean = graph.with_constant("Div", &sum, &count.name);
        Ok(Output::only(graph.reshape(&mean, &[width])))
    }
}
