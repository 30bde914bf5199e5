//! `vote`: the class that most models say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, alike, model_weights, once};
use crate::{
    contract::Dtype,
    graph::{Attr, GraphBuilder, Value, build::signed},
};

/// The value that most of several models give, or that those of the greatest weight give together; of equal ones, what is listed first.
/// For classes as whole numbers, truth values or text; scikit-learn's `VotingClassifier(voting="hard")`, which takes the
/// least class of equal ones instead. Example: `input: [a.label, b.label, c.label]` with 2, 1 and 1 gives 1.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// How much each of the listed counts, none below 0; all the same where left out.
    pub weights: Option<Vec<f64>>,
    /// For text, all texts that models say; others count as one and the same.
    pub labels: Option<Vec<String>>,
}

impl TensorStep for Vote {
    fn takes_list(&self) -> bool {
        true
    }

    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let weights = model_weights(self.weights.as_deref(), inputs)?;
        let first = alike(inputs)?;
        if let Some(other) = inputs.iter().find(|input| input.dtype != first.dtype) {
            return Err(Fault::input(format!(
                "takes values of one type, and is fed with {} and {}",
                first.dtype, other.dtype
            )));
        }
        if matches!(first.dtype, Dtype::F32 | Dtype::F64 | Dtype::Bytes) {
            return Err(Fault::input(format!(
                "takes classes (whole numbers, truth values or text), and is fed with {}",
                first.dtype
            ))
            .help("for probabilities and numbers use `average`"));
        }
        let said = stack(graph, inputs);
        let classes = self.classes(graph, &said)?;
        let votes = count(graph, &classes, &weights);
        let attributes = vec![("axis", Attr::Int(-1)), ("keepdims", Attr::Int(1))];
        let most = graph.node("ArgMax", &[&votes.name], attributes);
        let axis = ("axis", Attr::Int(signed(said.shape.len())));
        let name = graph.node("GatherElements", &[&said.name, &most], vec![axis]);
        let mut shape = said.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = 1;
        }
        let won = Value::new(name, said.dtype, shape);
        Ok(Output::only(graph.reshape(&won, &first.shape)))
    }
}

impl Vote {
    /// What is said, as numbers that can be compared.
    fn classes(&self, graph: &mut GraphBuilder, said: &Value) -> Result<Value, Fault> {
        match (&self.labels, said.dtype) {
            (None, Dtype::String) => {
                Err(Fault::key("labels", "is left out, and the input is text")
                    .help("list all texts that the models may say"))
            }
            (Some(labels), Dtype::String) => {
                once(labels)?;
                let attributes = vec![
                    ("keys_strings", Attr::Texts(labels.clone())),
                    (
                        "values_int64s",
                        Attr::Ints((0..signed(labels.len())).collect()),
                    ),
                    ("default_int64", Attr::Int(-1)),
                ];
                let name = graph.ml_node("LabelEncoder", &[&said.name], attributes);
                Ok(Value::new(name, Dtype::I64, said.shape.clone()))
            }
            (Some(_), dtype) => Err(Fault::key(
                "labels",
                format!("is only for text, and the input is {dtype}"),
            )),
            (None, _) => Ok(graph.cast(said, Dtype::I64)),
        }
    }
}

/// The values along a new last dimension.
fn stack(graph: &mut GraphBuilder, inputs: &[Value]) -> Value {
    let spread: Vec<Value> = inputs.iter().map(|input| graph.unsqueeze(input)).collect();
    let names: Vec<&str> = spread.iter().map(|value| value.name.as_str()).collect();
    let rank = inputs.first().map_or(0, |input| input.shape.len());
    let name = graph.node(
        "Concat",
        &names,
        vec![("axis", Attr::Int(signed(rank + 1)))],
    );
    let mut shape = inputs
        .first()
        .map(|input| input.shape.clone())
        .unwrap_or_default();
    shape.push(inputs.len());
    let dtype = inputs.first().map_or(Dtype::I64, |input| input.dtype);
    Value::new(name, dtype, shape)
}

/// For each voter, the weight of all that say the same.
fn count(graph: &mut GraphBuilder, classes: &Value, weights: &[f64]) -> Value {
    let voters = weights.len();
    let outer = &classes.shape[..classes.shape.len() - 1];
    let column = graph.unsqueeze(classes);
    let row = graph.reshape(classes, &[outer, &[1, voters]].concat());
    let same = graph.node("Equal", &[&column.name, &row.name], Vec::new());
    let same = Value::new(same, Dtype::Bool, [outer, &[voters, voters]].concat());
    let same = graph.cast(&same, Dtype::F32);
    let weights = graph.numbers(Dtype::F32, &[voters], weights);
    let name = graph.node("MatMul", &[&same.name, &weights], Vec::new());
    Value::new(name, Dtype::F32, classes.shape.clone())
}
