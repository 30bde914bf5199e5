//! `average`: the mean over several models.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, alike, model_weights};
use crate::{
    contract::Dtype,
    graph::{GraphBuilder, Value},
};

/// The mean of several values of one shape, element by element: `sum(w_i x_i) / sum(w_i)`. Over the probabilities of several models that is
/// scikit-learn's `VotingClassifier(voting="soft")`, over their numbers `VotingRegressor`. Whole numbers become `f32`.
/// Example: `input: [a.probabilities, b.probabilities]` with [0.2, 0.8] and [0.4, 0.6] gives [0.3, 0.7].
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Average {
    /// How much each of the listed counts, none below 0; all the same where left out.
    pub weights: Option<Vec<f64>>,
}

impl TensorStep for Average {
    fn takes_list(&self) -> bool {
        true
    }

    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let weights = model_weights(self.weights.as_deref(), inputs)?;
        let first = alike(inputs)?;
        if let Some(text) = (inputs.iter())
            .find(|input| matches!(input.dtype, Dtype::String | Dtype::Bytes | Dtype::Bool))
        {
            let what = format!("takes numbers, and is fed with {}", text.dtype);
            return Err(Fault::input(what).help("for classes and truth values use `vote`"));
        }
        let wide = inputs.iter().any(|input| input.dtype == Dtype::F64);
        let dtype = if wide { Dtype::F64 } else { Dtype::F32 };
        let total: f64 = weights.iter().sum();
        let even = weights.windows(2).all(|pair| pair.first() == pair.last());
        let mut parts = Vec::with_capacity(inputs.len());
        for (input, weight) in inputs.iter().zip(&weights) {
            let value = graph.cast(input, dtype);
            parts.push(if even {
                value
            } else {
                let weight = graph.number(dtype, weight / total);
                graph.with_constant("Mul", &value, &weight)
            });
        }
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let name = graph.node("Sum", &names, Vec::new());
        let sum = Value {
            name,
            dtype,
            ..first.clone()
        };
        if !even {
            return Ok(Output::only(sum));
        }
        let count = graph.number(dtype, inputs.len() as f64);
        Ok(Output::only(graph.with_constant("Div", &sum, &count)))
    }
}
