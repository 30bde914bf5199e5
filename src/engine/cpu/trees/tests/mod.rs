//! Trees that forebay walks against those that ONNX Runtime walks, bit for bit.

mod exported;
mod hostile;
mod random;
mod swapped;
mod tables;

use std::sync::Arc;

use ort::value::TensorRef;

use super::{
    meaning::Meaning,
    tried::alone,
    walker::{Results, Walker},
};
use crate::graph::proto::{Attribute, Model, Node, Opset};

/// What one of both gave.
#[derive(Debug, PartialEq)]
struct Given {
    /// As bits, so that nothing is equal that looks so; all that is no number is one.
    scores: Vec<u32>,
    labels: Vec<String>,
}

fn bits(values: &[f32]) -> Vec<u32> {
    (values.iter())
        .map(|value| if value.is_nan() { f32::NAN } else { *value }.to_bits())
        .collect()
}

/// A model of nothing that says which operators there are.
fn model(ml: i64) -> Model {
    let import = |domain: &str, version| Opset {
        domain: domain.to_owned(),
        version,
    };
    Model {
        ir_version: 8,
        opset_import: vec![import("", 18), import("ai.onnx.ml", ml)],
        ..Model::default()
    }
}

fn texts(node: &Node) -> Option<Vec<String>> {
    node.texts("classlabels_strings")
        .filter(|texts| !texts.is_empty())
}

/// By a session of ONNX Runtime's alone, in runs of so many rows.
fn theirs(node: &Node, ml: i64, x: &[f32], width: usize, batch: usize) -> Given {
    let mut session = alone(node, &model(ml)).expect("a session");
    let classifier = node.op_type == "TreeEnsembleClassifier";
    let (mut scores, mut labels) = (Vec::new(), Vec::new());
    for x in x.chunks(batch * width) {
        let x = TensorRef::from_array_view(([x.len() / width, width], x)).expect("rows");
        let came = session.run(ort::inputs![x]).expect("results");
        let (_, values) = came[usize::from(classifier)]
            .try_extract_tensor::<f32>()
            .expect("scores");
        scores.extend(bits(values));
        if texts(node).is_some() {
            labels.extend(came[0].try_extract_strings().expect("labels").1);
        } else if classifier {
            let (_, values) = came[0].try_extract_tensor::<i64>().expect("labels");
            labels.extend(values.iter().map(i64::to_string));
        }
    }
    Given { scores, labels }
}

/// By forebay.
fn ours(node: &Node, x: &[f32], width: usize, batch: usize) -> Result<Given, String> {
    let meaning = Arc::new(Meaning::of(node)?);
    let (targets, classes) = (meaning.targets, meaning.finish.classes.is_some());
    let mut walker = Walker::new(meaning);
    let texts = texts(node);
    let (mut scores, mut labels) = (Vec::new(), Vec::new());
    for x in x.chunks(batch * width) {
        let rows = x.len() / width;
        let mut given = vec![0.0; rows * targets];
        let mut places = vec![0; if classes { rows } else { 0 }];
        let results = Results {
            scores: &mut given,
            labels: &mut places,
        };
        walker.run((x, width), rows, results)?;
        scores.extend(bits(&given));
        labels.extend(places.iter().map(|label| match &texts {
            Some(texts) => texts[usize::try_from(*label).expect("a place")].clone(),
            None => label.to_string(),
        }));
    }
    Ok(Given { scores, labels })
}

fn ints(name: &str, values: impl IntoIterator<Item = i64>) -> Attribute {
    Attribute {
        name: name.to_owned(),
        r#type: Some(7),
        ints: values.into_iter().collect(),
        ..Attribute::default()
    }
}

fn floats(name: &str, values: impl IntoIterator<Item = f32>) -> Attribute {
    Attribute {
        name: name.to_owned(),
        r#type: Some(6),
        floats: values.into_iter().collect(),
        ..Attribute::default()
    }
}

fn strings<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Attribute {
    Attribute {
        name: name.to_owned(),
        r#type: Some(8),
        strings: values
            .into_iter()
            .map(|value| value.to_owned().into())
            .collect(),
        ..Attribute::default()
    }
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        r#type: Some(2),
        i: Some(value),
        ..Attribute::default()
    }
}

fn string(name: &str, value: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        r#type: Some(3),
        s: Some(value.to_owned().into()),
        ..Attribute::default()
    }
}

/// Numbers that look random and are the same each time (splitmix64, Vigna 2015).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most.max(1)).expect("a size")).expect("a size")
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// From -1 to 1.
    #[expect(clippy::cast_possible_truncation, reason = "a random number")]
    fn number(&mut self) -> f32 {
        ((self.next() >> 40) as f64 / f64::from(1u32 << 23) - 1.0) as f32
    }
}
