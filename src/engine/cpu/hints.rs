//! What a graph gives away about its inputs beyond what it declares: how wide a matrix must be,
//! and which values an encoder will take.

use std::collections::HashMap;

use super::wire::{Graph, Node};

/// A value that one element of an input may have.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sample {
    Text(String),
    Number(i64),
}

/// One element of a row: which input, and which place in its row.
type Slot = (usize, usize);

/// For every element that goes into an encoder, a value that the encoder knows. Encoders that were
/// told to refuse what they do not know would refuse made-up zeros and empty strings.
///
/// `inputs` has the name and the width of each input's row.
pub(super) fn samples(file: &[u8], inputs: &[(&str, usize)]) -> HashMap<Slot, Sample> {
    let graph = Graph::read(file);
    let mut found = HashMap::new();
    // The elements that each tensor's row is made of, as far as that is known.
    let mut rows: HashMap<&str, Vec<Slot>> = HashMap::new();
    for (place, (name, width)) in inputs.iter().enumerate() {
        rows.insert(name, (0..*width).map(|element| (place, element)).collect());
    }
    for node in &graph.nodes {
        let row = |input: usize| {
            node.inputs
                .get(input)
                .and_then(|name| rows.get(name))
                .cloned()
        };
        let out = match node.operator {
            "Concat" | "FeatureVectorizer" => {
                let parts = (0..node.inputs.len()).map(|input| row(input).unwrap_or_default());
                Some(parts.flatten().collect())
            }
            "ArrayFeatureExtractor" | "Gather" => row(0).map(|row| {
                let places = node.inputs.get(1).and_then(|name| graph.constant(name));
                let places = places.map_or(&[][..], |constant| &constant.ints);
                let at = |place: &i64| {
                    usize::try_from(*place)
                        .ok()
                        .and_then(|place| row.get(place))
                        .copied()
                };
                places.iter().filter_map(at).collect()
            }),
            "OneHotEncoder" => {
                if let (Some(row), Some(sample)) = (row(0), category(node)) {
                    for slot in row {
                        found.entry(slot).or_insert_with(|| sample.clone());
                    }
                }
                None
            }
            // Filled in where missing, else as it came.
            "Where" => row(2).or_else(|| row(1)),
            "Cast" | "Identity" | "Imputer" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze"
            | "StringNormalizer" => row(0),
            _ => None,
        };
        if let (Some(out), Some(name)) = (out, node.outputs.first()) {
            rows.insert(name, out);
        }
    }
    found
}

fn category(node: &Node<'_>) -> Option<Sample> {
    let text = node
        .attribute("cats_strings")
        .and_then(|known| known.strings.first());
    let number = node
        .attribute("cats_int64s")
        .and_then(|known| known.ints.first());
    text.map(|text| Sample::Text((*text).to_owned()))
        .or(number.map(|number| Sample::Number(*number)))
}

/// How wide the rows of a matrix must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Some operator takes rows of this width only.
    Exactly(usize),
    /// A tree looks at a feature with this number (counted from 1); there may be more.
    AtLeast(usize),
}

/// How wide the rows of `input` must be, judged by what the graph does with them.
pub(super) fn width(file: &[u8], input: &str) -> Option<Width> {
    let graph = Graph::read(file);
    // Names that hold rows of the same width as the input.
    let mut same = vec![input];
    let mut least = None;
    for node in &graph.nodes {
        let Some(place) = node.inputs.iter().position(|name| same.contains(name)) else {
            continue;
        };
        match node.operator {
            "Cast" | "Identity" | "Normalizer" | "Scaler" | "Imputer" | "Sub" | "Div" | "Add"
            | "Mul" => {
                same.extend(node.outputs.first());
            }
            _ => {}
        }
        match demand(&graph, node, place) {
            Some(Width::Exactly(width)) => return Some(Width::Exactly(width)),
            Some(Width::AtLeast(width)) => least = least.max(Some(width)),
            None => {}
        }
    }
    least.map(Width::AtLeast)
}

/// What one node demands of the row at its input `place`.
fn demand(graph: &Graph<'_>, node: &Node<'_>, place: usize) -> Option<Width> {
    let floats = |name| node.attribute(name).map_or(0, |attribute| attribute.floats);
    let other = node
        .inputs
        .get(1 - place.min(1))
        .and_then(|name| graph.constant(name));
    let dim = |at: usize| other.and_then(|constant| usize::try_from(*constant.dims.get(at)?).ok());
    let exactly = |width: usize| (width > 1).then_some(Width::Exactly(width));
    match node.operator {
        "Scaler" => exactly(floats("offset").max(floats("scale"))),
        "Imputer" => exactly(floats("imputed_value_floats")),
        "LinearClassifier" => exactly(floats("coefficients") / floats("intercepts").max(1)),
        "LinearRegressor" => {
            let targets = node
                .attribute("targets")
                .map_or(1, |targets| targets.int.max(1));
            exactly(floats("coefficients") / usize::try_from(targets).unwrap_or(1))
        }
        "MatMul" if place == 0 => dim(0).and_then(exactly),
        "Gemm" if place == 0 => {
            let transposed = node
                .attribute("transB")
                .is_some_and(|attribute| attribute.int != 0);
            dim(usize::from(transposed)).and_then(exactly)
        }
        "Sub" | "Div" | "Add" | "Mul" => {
            let last = other.and_then(|constant| constant.dims.last()).copied();
            exactly(usize::try_from(last?).ok()?)
        }
        "TreeEnsembleClassifier" | "TreeEnsembleRegressor" | "TreeEnsemble" => {
            let highest = node
                .attribute("nodes_featureids")?
                .ints
                .iter()
                .max()
                .copied()?;
            usize::try_from(highest + 1).ok().map(Width::AtLeast)
        }
        _ => None,
    }
}
