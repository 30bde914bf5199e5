//! `ctc`: the best path of a recogniser.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, numbers};
use crate::{
    contract::Dtype,
    graph::{Attr, GraphBuilder, Value},
};

/// Greedy decoding of CTC (Graves and others, 2006): at each step the most likely class; the blank is dropped, and a class that comes
/// again at once counts as one. Takes `[T, C]`, probabilities for each step (put `softmax` before it where the model gives scores). Gives
/// `indices` [T] (classes from the front on, then -1), `length` (how many there are) and `score`, the mean of the
/// probabilities at the steps that were kept, 0 where there are none (all as PaddleOCR); with labels also `texts` [T], those of
/// the classes, then "". Example: with `{ blank: 0 }` the
/// best classes 0, 3, 3, 0, 3, 5 become [3, 3, 5, -1, -1, -1], of length 3.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ctc {
    /// The class that stands for nothing: 0 in PaddleOCR and PyTorch's `CTCLoss`, the last one in TensorFlow.
    pub blank: usize,
    /// Whether a class that comes again at once counts as one; true where left out.
    pub merge_repeats: Option<bool>,
    /// The text of each class, the blank's too.
    pub labels: Option<Vec<String>>,
}

impl TensorStep for Ctc {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = numbers(inputs)?;
        let (steps, classes) = match *value.shape {
            [steps, classes] if steps > 0 && classes > 0 => (steps, classes),
            _ => {
                return Err(Fault::input(format!(
                    "takes [steps, classes], and is fed with rows of shape {:?}",
                    value.shape
                )));
            }
        };
        self.check(classes)?;
        let value = graph.float(value);
        let attributes = vec![("axis", Attr::Int(2)), ("keepdims", Attr::Int(0))];
        let best = graph.node("ArgMax", &[&value.name], attributes);
        let kept = self.kept(graph, &best);
        let indices = packed(graph, &best, &kept, steps);
        let kept = Value::new(kept, Dtype::Bool, vec![steps]);
        let ones = graph.cast(&kept, Dtype::I64);
        let length = graph.reduce("ReduceSum", &ones, &[0], false);
        let score = graph.reduce("ReduceMax", &value, &[1], false);
        let weights = graph.cast(&kept, value.dtype);
        let score = graph.with_constant("Mul", &score, &weights.name);
        let score = graph.reduce("ReduceSum", &score, &[0], false);
        let count = graph.cast(&length, value.dtype);
        // The mean of none is 0.
        let one = graph.number(value.dtype, 1.0);
        let count = graph.with_constant("Max", &count, &one);
        let score = graph.with_constant("Div", &score, &count.name);
        let indices = Value::new(indices, Dtype::I64, vec![steps]);
        let labels = self.labels.as_ref().or(value.labels.as_ref());
        let texts = labels.map(|labels| {
            // What is -1 gets the last one.
            let labels: Vec<&str> = labels.iter().map(String::as_str).chain([""]).collect();
            ("texts", graph.pick_texts(&labels, &indices))
        });
        Ok([("indices", indices), ("length", length), ("score", score)]
            .into_iter()
            .chain(texts)
            .map(|(part, value)| Output { part, value })
            .collect())
    }
}

impl Ctc {
    fn check(&self, classes: usize) -> Result<(), Fault> {
        if self.blank >= classes {
            return Err(Fault::key(
                "blank",
                format!("is {}, and there are {classes} classes", self.blank),
            )
            .help("classes are counted from 0"));
        }
        match &self.labels {
            Some(labels) if labels.len() != classes => Err(Fault::key(
                "labels",
                format!("has {}, and there are {classes} classes", labels.len()),
            )
            .help(format!(
                "write one for each, with one (\"\", say) for the blank at place {}",
                self.blank
            ))),
            _ => Ok(()),
        }
    }

    /// Whether each step counts.
    fn kept(&self, graph: &mut GraphBuilder, best: &str) -> String {
        let blank = graph.number(Dtype::I64, super::super::build::signed(self.blank) as f64);
        let is_blank = graph.node("Equal", &[best, &blank], Vec::new());
        let kept = graph.node("Not", &[&is_blank], Vec::new());
        if self.merge_repeats == Some(false) {
            return kept;
        }
        // One step later: -1 in front, the last one off.
        let pads = graph.ints(&[0, 1, 0, -1]);
        let none = graph.number(Dtype::I64, -1.0);
        let before = graph.node("Pad", &[best, &pads, &none], Vec::new());
        let same = graph.node("Equal", &[best, &before], Vec::new());
        let changed = graph.node("Not", &[&same], Vec::new());
        graph.node("And", &[&kept, &changed], Vec::new())
    }
}

/// What is kept moves to the front, in its order; -1 behind it.
fn packed(graph: &mut GraphBuilder, best: &str, kept: &str, steps: usize) -> String {
    // Sorted by keys: what is kept has the high ones, and all fall with time.
    let count = super::super::build::signed(steps);
    let high: Vec<i64> = (0..count).map(|step| 2 * count - step).collect();
    let low: Vec<i64> = (0..count).map(|step| count - step).collect();
    let (high, low) = (graph.ints(&high), graph.ints(&low));
    let keys = graph.node("Where", &[kept, &high, &low], Vec::new());
    let all = graph.ints(&[count]);
    let attributes = vec![("axis", Attr::Int(1))];
    let sorted = graph.nodes("", "TopK", &[&keys, &all], attributes, 2);
    let order = sorted.last().map_or("", String::as_str);
    let none = graph.number(Dtype::I64, -1.0);
    let classes = graph.node("Where", &[kept, best, &none], Vec::new());
    graph.node(
        "GatherElements",
        &[&classes, order],
        vec![("axis", Attr::Int(1))],
    )
}
