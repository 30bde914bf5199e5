//! `top_k`: the classes with the greatest scores.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, class_labels, scores};
use crate::{
    contract::Dtype,
    graph::{Attr, GraphBuilder, Value, build::signed},
};

/// The `k` greatest elements of each vector (along the last dimension), the greatest first, as torch's `topk`; of equal ones, the
/// first comes first. Gives `NAME.values`, `NAME.indices` (their places from 0, `i64`) and, with `labels`, `NAME.labels`.
/// Where a vector has a NaN, the result means nothing. Example: `{ k: 2 }` of [0.1, 0.7, 0.2] gives values
/// [0.7, 0.2] and indices [1, 2].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopK {
    /// How many; not more than there are elements.
    pub k: usize,
    /// What each element stands for, one text for each.
    pub labels: Option<Vec<String>>,
}

impl TensorStep for TopK {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = match scores(inputs)? {
            // There is no kernel for bytes.
            value if value.dtype == Dtype::U8 => graph.cast(value, Dtype::I32),
            value => value.clone(),
        };
        let size = value.shape.last().copied().unwrap_or_default();
        if self.k == 0 || self.k > size {
            let what = format!("is {}, and the input has {size} elements", self.k);
            return Err(Fault::key("k", what).help(format!("write a number from 1 to {size}")));
        }
        let labels = class_labels(self.labels.as_deref(), &value)?;
        let k = graph.ints(&[signed(self.k)]);
        let inputs = [value.name.as_str(), &k];
        let names = graph.nodes("", "TopK", &inputs, vec![("axis", Attr::Int(-1))], 2);
        let mut shape = value.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = self.k;
        }
        let mut outputs: Vec<Output> = (names.into_iter())
            .zip([("values", value.dtype), ("indices", Dtype::I64)])
            .map(|(name, (part, dtype))| Output {
                part,
                value: Value::new(name, dtype, shape.clone()),
            })
            .collect();
        if let (Some(labels), Some(indices)) = (labels, outputs.last()) {
            let value = graph.pick_texts(labels, &indices.value);
            outputs.push(Output {
                part: "labels",
                value,
            });
        }
        Ok(outputs)
    }
}
