//! What should stand behind a model, judged by what comes out of it and by the files beside it.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use super::kind::{Kind, producer};
use crate::{contract::Dtype, engine::OutputInfo, graph::proto::Graph};

/// Files with the names of classes, a line each.
const LABELS: [&str; 2] = ["labels.txt", "classes.txt"];
/// Larger files list no classes.
const LABELS_MAX: u64 = 4 << 20;
/// Parts of names that authors give to vectors that are no scores.
const VECTORS: [&str; 4] = ["embed", "feature", "hidden", "pool"];

/// What an output is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// Something to hand out as it is.
    Plain,
    /// A score or a probability for each class, in the last dimension.
    Scores {
        /// They sum to 1 already.
        probabilities: bool,
        /// The names of the classes.
        labels: Labels,
    },
    /// A value from 0 to 1 for each class, on its own.
    Sigmoid,
    /// A vector.
    Vector,
    /// A vector for each token.
    Tokens,
    /// `[4 + classes, boxes]`.
    Boxes,
}

/// What a file beside the model says about its classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Labels {
    /// There is no such file.
    Unknown,
    /// It has a line for each class.
    Named {
        /// The file's name.
        file: String,
        /// The classes.
        names: Vec<String>,
    },
    /// It has another number of lines.
    Miscounted {
        /// The file's name.
        file: String,
        /// Its lines.
        lines: usize,
    },
}

/// What each output of a model of this kind is.
pub(super) fn heads(
    kind: &Kind,
    outputs: &[OutputInfo],
    graph: Option<&Graph>,
    model: &Path,
) -> Vec<Head> {
    let of = |output: &OutputInfo| match kind {
        Kind::Table => Head::Plain,
        _ if output.labels.is_some() || !matches!(output.dtype, Dtype::F32 | Dtype::F64) => {
            Head::Plain
        }
        kind => head(kind, output, graph, model),
    };
    outputs.iter().map(of).collect()
}

fn head(kind: &Kind, output: &OutputInfo, graph: Option<&Graph>, model: &Path) -> Head {
    let name = output.name.to_ascii_lowercase();
    let vector = VECTORS.iter().any(|part| name.contains(part));
    let end = graph.and_then(|graph| end(graph, &output.name));
    let scores = |classes: usize| match end {
        Some("Sigmoid") => Head::Sigmoid,
        end => Head::Scores {
            probabilities: end == Some("Softmax"),
            labels: labels(model, classes),
        },
    };
    match (kind, output.shape.as_slice()) {
        (_, [1]) => Head::Plain,
        (_, [_]) if vector => Head::Vector,
        (_, [classes]) => scores(*classes),
        // Classes of tokens are called logits by all exporters.
        (Kind::Text(text), [tokens, classes]) if *tokens == text.length => {
            if name.contains("logits") || end == Some("Softmax") {
                scores(*classes)
            } else {
                Head::Tokens
            }
        }
        (Kind::Image(_), [rows, boxes]) if *rows > 4 && boxes > rows => Head::Boxes,
        _ => Head::Plain,
    }
}

/// The operator that makes an output, apart from those that only bring it into another form.
fn end<'a>(graph: &'a Graph, output: &str) -> Option<&'a str> {
    let mut node = producer(graph, output)?;
    for _ in 0..graph.node.len() {
        match node.op_type.as_str() {
            "Identity" | "Cast" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => {
                node = producer(graph, node.input.first()?)?;
            }
            // Written out by exporters of old.
            "Div" => {
                let sum = producer(graph, node.input.get(1)?)?;
                return Some(if sum.op_type == "ReduceSum" {
                    "Softmax"
                } else {
                    "Div"
                });
            }
            operator => return Some(operator),
        }
    }
    None
}

fn labels(model: &Path, classes: usize) -> Labels {
    let folder = model.parent().unwrap_or(Path::new(""));
    let found = LABELS.into_iter().find_map(|file| {
        let path = folder.join(file);
        let size = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let mut text = String::new();
        if size.len() > LABELS_MAX {
            return None;
        }
        File::open(path)
            .and_then(|from| from.take(LABELS_MAX).read_to_string(&mut text))
            .ok()?;
        Some((file.to_owned(), text))
    });
    let Some((file, text)) = found else {
        return Labels::Unknown;
    };
    let text = text.trim_start_matches('\u{feff}').trim_end();
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    if names.len() == classes {
        Labels::Named { file, names }
    } else {
        Labels::Miscounted {
            file,
            lines: names.len(),
        }
    }
}
