//! `nms`: a detector's boxes without those that say the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep};
use crate::{
    contract::Dtype,
    graph::{Attr, GraphBuilder, Value, build::signed},
};

/// How a box is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Boxes {
    /// Two corners: left, top, right, bottom.
    #[default]
    Xyxy,
    /// The middle and the sizes: x, y, width, height.
    Cxcywh,
}

/// Non-maximum suppression. In each class the box with the best score stays, and boxes that overlap it by more than `iou` (area of the
/// overlap / area of both together) go; then the next best. The `max_detections` best of all classes come out in the order of their
/// scores: torchvision's `batched_nms`. Takes `boxes` [N, 4] and `scores` [C, N], or [N] for one class. Gives `boxes` [max_detections, 4] (as they
/// came in), `scores` and `classes` [max_detections], and `count`; behind the last detection boxes and scores are 0, and classes -1. All
/// is computed in `f32`. Example: with `{ iou: 0.5, max_detections: 2 }` the boxes [0, 0, 10, 10], [0, 0, 10, 9] and [20, 20, 30, 30] with
/// scores 0.9, 0.8, 0.7 leave the first and the third: the second covers 0.9 of the first.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nms {
    /// Boxes of a class that overlap a better one by more than this go: 0 to 1; 0.45 to 0.7 is usual.
    pub iou: f64,
    /// Only boxes with a score above this count; all where left out, which is slow with thousands of boxes.
    pub score: Option<f64>,
    /// How many come out at most, and how many places there are.
    pub max_detections: usize,
    /// How a box is written: `xyxy` or `cxcywh`.
    #[serde(default)]
    pub format: Boxes,
}

impl TensorStep for Nms {
    fn ports(&self) -> &'static [&'static str] {
        &["boxes", "scores"]
    }

    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let [boxes, scores] = inputs else {
            return Err(Fault::input("needs `boxes` and `scores`: this is a bug"));
        };
        let (classes, count) = self.check(boxes, scores)?;
        // The operator has no other type.
        let boxes = graph.cast(boxes, Dtype::F32);
        let scores = graph.cast(scores, Dtype::F32);
        let scores = graph.reshape(&scores, &[classes, count]);
        let selected = self.selected(graph, &boxes, &scores);
        let places = spread(graph, &scores, &selected);
        let best = graph.ints(&[signed(self.max_detections)]);
        let axis = vec![("axis", Attr::Int(1))];
        let sorted = graph.nodes("", "TopK", &[&places.name, &best], axis, 2);
        let [score, place] = sorted.as_slice() else {
            return Err(Fault::input("has no sorted scores: this is a bug"));
        };
        Ok(self.outputs(graph, score, place, &boxes, (classes, count)))
    }
}

impl Nms {
    /// How many classes and boxes there are.
    fn check(&self, boxes: &Value, scores: &Value) -> Result<(usize, usize), Fault> {
        for (port, value) in [("boxes", boxes), ("scores", scores)] {
            if matches!(value.dtype, Dtype::String | Dtype::Bool) {
                return Err(Fault::input(format!(
                    "takes numbers as `{port}`, and is fed with {}",
                    value.dtype
                )));
            }
        }
        let count = match *boxes.shape {
            [count, 4] if count > 0 => count,
            _ => {
                return Err(Fault::input(format!(
                    "takes `boxes` of shape [N, 4], and is fed with {:?}",
                    boxes.shape
                ))
                .help("turn [4, N] with `transpose: { axes: [1, 0] }`"));
            }
        };
        let classes = match *scores.shape {
            [each] if each == count => 1,
            [classes, each] if each == count && classes > 0 => classes,
            _ => {
                return Err(Fault::input(format!(
                    "takes `scores` of shape [classes, {count}] or [{count}], and is fed with {:?}",
                    scores.shape
                ))
                .help("turn [N, classes] with `transpose: { axes: [1, 0] }`"));
            }
        };
        if !(0.0..=1.0).contains(&self.iou) {
            return Err(
                Fault::key("iou", format!("is {}", self.iou)).help("write a number from 0 to 1")
            );
        }
        if self.score.is_some_and(|score| !score.is_finite()) {
            return Err(Fault::key("score", "is not a finite number"));
        }
        if self.max_detections == 0 || self.max_detections > classes * count {
            return Err(Fault::key(
                "max_detections",
                format!(
                    "is {}, and there are {count} boxes in {classes} {}",
                    self.max_detections,
                    if classes == 1 { "class" } else { "classes" }
                ),
            )
            .help(format!("write a number from 1 to {}", classes * count)));
        }
        Ok((classes, count))
    }

    /// Triples (row, class, box), for all rows one behind the other.
    fn selected(&self, graph: &mut GraphBuilder, boxes: &Value, scores: &Value) -> String {
        let most = graph.ints(&[signed(self.max_detections)]);
        let iou = graph.numbers(Dtype::F32, &[1], &[self.iou]);
        let score = (self.score).map(|score| graph.numbers(Dtype::F32, &[1], &[score]));
        let mut inputs = vec![&*boxes.name, &scores.name, &most, &iou];
        inputs.extend(score.as_deref());
        let center = Attr::Int(i64::from(self.format == Boxes::Cxcywh));
        graph.node(
            "NonMaxSuppression",
            &inputs,
            vec![("center_point_box", center)],
        )
    }

    /// The four outputs, from sorted scores and their places among `classes * count`.
    fn outputs(
        &self,
        graph: &mut GraphBuilder,
        score: &str,
        place: &str,
        boxes: &Value,
        (classes, count): (usize, usize),
    ) -> Vec<Output> {
        let most = self.max_detections;
        let none = graph.number(Dtype::F32, f64::NEG_INFINITY);
        let found = graph.node("Greater", &[score, &none], Vec::new());
        let zero = graph.number(Dtype::F32, 0.0);
        let scores = graph.node("Where", &[&found, score, &zero], Vec::new());
        let (mut class, mut index) = (graph.number(Dtype::I64, 0.0), place.to_owned());
        if classes > 1 {
            let boxes = graph.ints(&[signed(count)]);
            class = graph.node("Div", &[place, &boxes], Vec::new());
            index = graph.node("Mod", &[place, &boxes], Vec::new());
        }
        let nothing = graph.number(Dtype::I64, -1.0);
        let class = graph.node("Where", &[&found, &class, &nothing], Vec::new());
        let index = graph.reshape(&Value::new(index, Dtype::I64, vec![most]), &[most, 1]);
        let one_row = vec![("batch_dims", Attr::Int(1))];
        let corners = graph.node("GatherND", &[&boxes.name, &index.name], one_row);
        let found = Value::new(found, Dtype::Bool, vec![most]);
        let column = graph.reshape(&found, &[most, 1]);
        let corners = graph.node("Where", &[&column.name, &corners, &zero], Vec::new());
        let ones = graph.cast(&found, Dtype::I64);
        let count = graph.reduce("ReduceSum", &ones, &[0], false);
        [
            ("boxes", Value::new(corners, Dtype::F32, vec![most, 4])),
            ("scores", Value::new(scores, Dtype::F32, vec![most])),
            ("classes", Value::new(class, Dtype::I64, vec![most])),
            ("count", count),
        ]
        .into_iter()
        .map(|(part, value)| Output { part, value })
        .collect()
    }
}

/// `[rows, classes * boxes]`: the scores of what was selected, -inf elsewhere. So a list over all rows becomes rows again.
fn spread(graph: &mut GraphBuilder, scores: &Value, selected: &str) -> Value {
    let kept = graph.node("GatherND", &[&scores.name, selected], Vec::new());
    let shape = graph.node("Shape", &[&scores.name], Vec::new());
    let none = graph.number(Dtype::F32, f64::NEG_INFINITY);
    let empty = graph.node("Expand", &[&none, &shape], Vec::new());
    let name = graph.node("ScatterND", &[&empty, selected, &kept], Vec::new());
    graph.flatten(&Value::new(name, Dtype::F32, scores.shape.clone()))
}
