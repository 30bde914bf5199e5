//! What a graph gives away about its inputs beyond what it declares: how wide a matrix must be,
//! and which values an encoder will take.

use std::collections::HashMap;

use super::{
    proto::{Attribute, Graph, Model, Node, Tensor},
    walk::any_node,
};

/// A value that one element of an input may have.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
}

/// One element of a row: which input, and which place in its row.
type Slot = (usize, usize);

/// Whether it makes whole numbers of what comes in by the range of the whole batch: then a row's results change a little with
/// the rows beside it.
pub fn quantizes_batches(model: &Model) -> bool {
    let by_range = |node: &Node| node.op_type.starts_with("DynamicQuantize");
    let graph = model.graph.as_ref();
    graph.is_some_and(|graph| any_node(&graph.node, &by_range))
}

/// For every element that goes into an encoder, a value that the encoder knows. Encoders that were
/// told to refuse what they do not know would refuse made-up zeros and empty strings.
///
/// `inputs` has the name and the width of each input's row.
pub fn samples(model: &Model, inputs: &[(&str, usize)]) -> HashMap<Slot, Sample> {
    let mut found = HashMap::new();
    let Some(graph) = &model.graph else {
        return found;
    };
    // The elements that each tensor's row is made of, as far as that is known.
    let mut rows: HashMap<&str, Vec<Slot>> = HashMap::new();
    for (place, (name, width)) in inputs.iter().enumerate() {
        rows.insert(name, (0..*width).map(|element| (place, element)).collect());
    }
    for node in &graph.node {
        let row = |input: usize| {
            node.input
                .get(input)
                .and_then(|name| rows.get(name.as_str()))
                .cloned()
        };
        let out = match node.op_type.as_str() {
            "Concat" | "FeatureVectorizer" => {
                let parts = (0..node.input.len()).map(|input| row(input).unwrap_or_default());
                Some(parts.flatten().collect())
            }
            "ArrayFeatureExtractor" | "Gather" => row(0).map(|row| {
                let places = node.input.get(1).and_then(|name| constant(graph, name));
                let places = places.map(whole_numbers).unwrap_or_default();
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
        if let (Some(out), Some(name)) = (out, node.output.first()) {
            rows.insert(name, out);
        }
    }
    found
}

/// How many rows the table has that this input's values are places in: the first dimension of what a
/// `Gather` looks them up in, the least where there are several. `None` where none is found.
pub fn embeddings(model: &Model, input: &str) -> Option<usize> {
    let graph = model.graph.as_ref()?;
    let mut places = vec![input];
    // What a constant table is called behind nodes that keep its rows.
    let mut tables: HashMap<&str, usize> = HashMap::new();
    for tensor in &graph.initializer {
        let rows = tensor
            .dims
            .first()
            .and_then(|rows| usize::try_from(*rows).ok());
        tables.extend(rows.map(|rows| (tensor.name.as_str(), rows)));
    }
    let mut least: Option<usize> = None;
    for node in &graph.node {
        let reads = |at: usize| node.input.get(at).map(String::as_str);
        let output = node.output.first().map(String::as_str);
        match node.op_type.as_str() {
            "Gather" if reads(1).is_some_and(|name| places.contains(&name)) => {
                let first_axis =
                    attribute(node, "axis").is_none_or(|axis| axis.i.unwrap_or(0) == 0);
                let rows = reads(0).and_then(|name| tables.get(name)).copied();
                let rows = rows.filter(|_| first_axis);
                least = match (least, rows) {
                    (Some(least), Some(rows)) => Some(least.min(rows)),
                    (least, rows) => least.or(rows),
                };
            }
            "Cast" | "Identity" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze"
                if reads(0).is_some_and(|name| places.contains(&name)) =>
            {
                places.extend(output);
            }
            "Cast" | "Identity" | "DequantizeLinear" => {
                let rows = reads(0).and_then(|name| tables.get(name)).copied();
                tables.extend(output.zip(rows));
            }
            "Constant" => {
                let table = attribute(node, "value").and_then(|value| value.t.as_ref());
                let rows = table.and_then(|table| usize::try_from(*table.dims.first()?).ok());
                tables.extend(output.zip(rows));
            }
            _ => {}
        }
    }
    least
}

fn category(node: &Node) -> Option<Sample> {
    let text = attribute(node, "cats_strings")
        .and_then(|known| known.texts().first().copied().map(str::to_owned));
    let number = attribute(node, "cats_int64s").and_then(|known| known.ints.first());
    text.map(Sample::Text)
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
pub fn width(model: &Model, input: &str) -> Option<Width> {
    let graph = model.graph.as_ref()?;
    // Names that hold rows of the same width as the input.
    let mut same = vec![input];
    let mut least = None;
    for node in &graph.node {
        let Some(place) = node
            .input
            .iter()
            .position(|name| same.contains(&name.as_str()))
        else {
            continue;
        };
        match node.op_type.as_str() {
            "Cast" | "Identity" | "Normalizer" | "Scaler" | "Imputer" | "Sub" | "Div" | "Add"
            | "Mul" => {
                same.extend(node.output.first().map(String::as_str));
            }
            _ => {}
        }
        match demand(graph, node, place) {
            Some(Width::Exactly(width)) => return Some(Width::Exactly(width)),
            Some(Width::AtLeast(width)) => least = least.max(Some(width)),
            None => {}
        }
    }
    least.map(Width::AtLeast)
}

/// What one node demands of the row at its input `place`.
fn demand(graph: &Graph, node: &Node, place: usize) -> Option<Width> {
    let floats = |name| attribute(node, name).map_or(0, |attribute| attribute.floats.len());
    let other = node
        .input
        .get(1 - place.min(1))
        .and_then(|name| constant(graph, name));
    let dim = |at: usize| other.and_then(|constant| usize::try_from(*constant.dims.get(at)?).ok());
    let exactly = |width: usize| (width > 1).then_some(Width::Exactly(width));
    match node.op_type.as_str() {
        "Scaler" => exactly(floats("offset").max(floats("scale"))),
        "Imputer" => exactly(floats("imputed_value_floats")),
        "LinearClassifier" => exactly(floats("coefficients") / floats("intercepts").max(1)),
        "LinearRegressor" => {
            let targets = attribute(node, "targets")
                .map_or(1, |targets| targets.i.unwrap_or_default().max(1));
            exactly(floats("coefficients") / usize::try_from(targets).unwrap_or(1))
        }
        "MatMul" if place == 0 => dim(0).and_then(exactly),
        "Gemm" if place == 0 => {
            let transposed = attribute(node, "transB")
                .is_some_and(|attribute| attribute.i.is_some_and(|it| it != 0));
            dim(usize::from(transposed)).and_then(exactly)
        }
        "Sub" | "Div" | "Add" | "Mul" => {
            let last = other.and_then(|constant| constant.dims.last()).copied();
            exactly(usize::try_from(last?).ok()?)
        }
        "TreeEnsembleClassifier" | "TreeEnsembleRegressor" | "TreeEnsemble" => {
            let highest = attribute(node, "nodes_featureids")?
                .ints
                .iter()
                .max()
                .copied()?;
            usize::try_from(highest.checked_add(1)?)
                .ok()
                .map(Width::AtLeast)
        }
        _ => None,
    }
}

fn attribute<'a>(node: &'a Node, name: &str) -> Option<&'a Attribute> {
    node.attribute.iter().find(|it| it.name == name)
}

fn constant<'a>(graph: &'a Graph, name: &str) -> Option<&'a Tensor> {
    graph.initializer.iter().find(|it| it.name == name)
}

/// The elements of a constant of `i64`; none of others.
fn whole_numbers(tensor: &Tensor) -> Vec<i64> {
    const INT64: i32 = 7;
    let raw = tensor.raw_data.as_deref().unwrap_or_default();
    let raw = if tensor.data_type == INT64 { raw } else { &[] };
    let raw = raw.as_chunks().0.iter();
    let raw = raw.map(|bytes| i64::from_le_bytes(*bytes));
    tensor.int64_data.iter().copied().chain(raw).collect()
}
