//! `bucketize`: between which boundaries a number lies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, comparable, numbers};
use crate::{
    contract::Dtype,
    graph::{GraphBuilder, Value},
};

/// The number of boundaries that a value reaches: 0 below the first, 1 from the first on and below the second, and so
/// on. That is numpy's `digitize(x, boundaries)`, Keras' `Discretization(bin_boundaries=...)`, and scikit-learn's
/// `KBinsDiscretizer(encode="ordinal")` with the inner `bin_edges_` (without the first and the last). NaN falls into
/// the last bucket, as in numpy. Values are compared in their own type (an `f32` with the boundary as `f32`). Gives
/// `i64`. Example: `{ boundaries: [0, 10] }` makes -1, 0, 9.5 and 10 into 0, 1, 1 and 2.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bucketize {
    /// Rising numbers, the same for all columns.
    pub boundaries: Vec<f64>,
}

impl TensorStep for Bucketize {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        if self.boundaries.is_empty() {
            return Err(Fault::key("boundaries", "is empty").help("write one number at least"));
        }
        let rising = (self.boundaries.windows(2)).all(|pair| pair.first() < pair.last());
        if !rising || self.boundaries.iter().any(|number| !number.is_finite()) {
            return Err(Fault::key(
                "boundaries",
                "must be finite numbers, each greater than the one before",
            )
            .help("leave out minus infinity and infinity: the outer buckets are open"));
        }
        let value = numbers(inputs)?;
        let (value, boundaries) = comparable(graph, value, &self.boundaries);
        let count = boundaries.len();
        let boundaries = graph.numbers(value.dtype, &[count], &boundaries);
        let spread = graph.unsqueeze(&value);
        let below = graph.node("Less", &[&spread.name, &boundaries], Vec::new());
        // What is not below counts, and so does NaN.
        let [none, one] = [0.0, 1.0].map(|number| graph.number(Dtype::I64, number));
        let reached = graph.node("Where", &[&below, &none, &one], Vec::new());
        let mut shape = value.shape.clone();
        shape.push(count);
        let axis = value.shape.len();
        let reached = Value::new(reached, Dtype::I64, shape);
        Ok(Output::only(graph.reduce(
            "ReduceSum",
            &reached,
            &[axis],
            false,
        )))
    }
}
