//! Whether trees give what ONNX Runtime gives, tried with made-up rows: whatever another version of it does otherwise, no
//! result depends on who walks.

use std::{path::Path, sync::Arc};

use ort::value::TensorRef;

use super::{
    forest::{Forest, LANES},
    meaning::Meaning,
    walker::{Results, Walker},
};
use crate::{
    contract::Dtype,
    engine::cpu::model::{self, NotOpened},
    graph::{
        build::element_type,
        proto::{Dimension, Graph, Kind, Model, Node, Shape, TensorType, Type, ValueInfo},
        to_bytes,
    },
};

/// Two groups of rows, and some that are left over.
const ROWS: usize = 2 * LANES + 7;

/// Runs made-up rows through both.
///
/// # Errors
/// What differs, or why ONNX Runtime does not run the node, in words.
pub(super) fn tried(node: &Node, model: &Model, meaning: &Arc<Meaning>) -> Result<(), String> {
    let mut session = alone(node, model)?;
    let mut walker = Walker::new(Arc::clone(meaning));
    let width = meaning.forest.largest + 1;
    let rows = made(&meaning.forest, ROWS);
    let texts = node.attribute("classlabels_strings");
    let texts = texts.map_or(&[][..], |held| held.strings.as_slice());
    // One row goes another way than many.
    for rows in [rows.as_slice(), rows.get(..width).unwrap_or_default()] {
        let count = rows.len() / width;
        let mut scores = vec![0.0; count * meaning.targets];
        let classes = meaning.finish.classes.is_some();
        let mut labels = vec![0; if classes { count } else { 0 }];
        let results = Results {
            scores: &mut scores,
            labels: &mut labels,
        };
        walker.run((rows, width), count, results)?;
        let said = |error: ort::Error| format!("ONNX Runtime says: {error}");
        let x = TensorRef::from_array_view(([count, width], rows)).map_err(said)?;
        let theirs = session.run(ort::inputs![x]).map_err(said)?;
        let place = usize::from(classes);
        let (_, expected) = theirs[place].try_extract_tensor::<f32>().map_err(said)?;
        same(expected, &scores, |one, other| {
            one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan())
        })?;
        if classes && texts.is_empty() {
            let (_, expected) = theirs[0].try_extract_tensor::<i64>().map_err(said)?;
            same(expected, &labels, |one, other| one == other)?;
        } else if classes {
            let (_, expected) = theirs[0].try_extract_strings().map_err(said)?;
            let ours = labels.iter().map(|label| usize::try_from(*label).ok());
            let ours: Vec<&[u8]> = ours
                .map(|label| label.and_then(|label| texts.get(label)))
                .map(|text| text.map_or(&[][..], |text| &text[..]))
                .collect();
            same(&expected, &ours, |one, other| one.as_bytes() == *other)?;
        }
    }
    Ok(())
}

fn same<T: std::fmt::Debug, O: std::fmt::Debug>(
    expected: &[T],
    ours: &[O],
    equal: impl Fn(&T, &O) -> bool,
) -> Result<(), String> {
    if expected.len() != ours.len() {
        return Err(format!(
            "it gives {} values, not {}",
            expected.len(),
            ours.len()
        ));
    }
    let differs = (expected.iter().zip(ours)).find(|(expected, ours)| !equal(expected, ours));
    match differs {
        Some((expected, ours)) => Err(format!("it gives {expected:?}, not {ours:?}")),
        None => Ok(()),
    }
}

/// A session that has nothing but this node.
pub(super) fn alone(node: &Node, model: &Model) -> Result<ort::session::Session, String> {
    let classifier = node.op_type == "TreeEnsembleClassifier";
    let texts = (node.attribute("classlabels_strings")).is_some_and(|it| !it.strings.is_empty());
    let label = if texts { Dtype::String } else { Dtype::I64 };
    let mut outputs = vec![tensor("scores", Dtype::F32, 2)];
    if classifier {
        outputs.insert(0, tensor("label", label, 1));
    }
    let node = Node {
        input: vec!["x".to_owned()],
        output: outputs.iter().map(|output| output.name.clone()).collect(),
        ..node.clone()
    };
    let graph = Graph {
        name: "trees".to_owned(),
        node: vec![node],
        input: vec![tensor("x", Dtype::F32, 2)],
        output: outputs,
        ..Graph::default()
    };
    let model = Model {
        ir_version: model.ir_version,
        opset_import: model.opset_import.clone(),
        graph: Some(graph),
        ..Model::default()
    };
    model::session(Path::new(""), Some(&to_bytes(&model))).map_err(|why| match why {
        NotOpened::NoRuntime(error) => error.to_string(),
        NotOpened::Refused(error) => format!("ONNX Runtime refuses them: {error}"),
        NotOpened::UnknownKind => "ONNX Runtime takes them for something else".to_owned(),
    })
}

/// Of any size.
fn tensor(name: &str, dtype: Dtype, rank: usize) -> ValueInfo {
    let any = Dimension {
        denotation: None,
        value: None,
    };
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(Type {
            value: Some(Kind::Tensor(TensorType {
                elem_type: element_type(dtype),
                shape: Some(Shape {
                    dim: vec![any; rank],
                }),
            })),
            ..Type::default()
        }),
        ..ValueInfo::default()
    }
}

/// Numbers that look random and are the same each time (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % most.max(1)
    }
}

/// Rows near what the trees compare with: thresholds, what is next to them, and all else that a number can be.
pub(super) fn made(forest: &Forest, rows: usize) -> Vec<f32> {
    let mut thresholds: Vec<Vec<f32>> = vec![Vec::new(); forest.features.len()];
    for chunk in &forest.chunks {
        for node in chunk.nodes.iter().filter(|node| node.column > 0) {
            let column = usize::from(node.column) / LANES - 1;
            if let Some(known) = thresholds.get_mut(column) {
                known.push(node.threshold);
            }
        }
    }
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let width = forest.largest + 1;
    let mut made = vec![0.0; rows * width];
    for (at, row) in made.chunks_mut(width).enumerate() {
        for (known, feature) in thresholds.iter().zip(&forest.features) {
            let near = known.get(random.below(known.len())).copied().unwrap_or(0.0);
            let value = match random.below(16) {
                0 => near,
                1 => near.next_down(),
                2 => near.next_up(),
                3 => -near,
                // Numbers are missing from every other row.
                4 if at % 2 == 1 => f32::NAN,
                5 if at % 4 == 1 => f32::INFINITY,
                6 if at % 4 == 1 => f32::NEG_INFINITY,
                7 => 0.0,
                _ => {
                    let other = known.get(random.below(known.len())).copied();
                    f32::midpoint(near, other.unwrap_or(0.0))
                }
            };
            if let Some(to) = row.get_mut(*feature) {
                *to = value;
            }
        }
    }
    made
}
