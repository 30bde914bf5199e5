//! Trees on the CPU, walked by forebay: several times as fast as ONNX Runtime does it, with the same bits.
//!
//! Before a session is made, each node with trees that forebay can walk becomes a node of forebay's own operator; all else
//! of the graph stays, and so does the graph that is compiled, hashed or lowered for a GPU. What cannot be read or gives
//! something else for made-up rows stays with ONNX Runtime.
//!
//! - `meaning` reads a node, [`crate::graph::trees`] its trees
//! - `forest` and `plant` are how trees lie in memory, `walk` how rows go through them, `finish` what becomes of the weights
//! - `walker` runs rows, `operator` is that for ONNX Runtime
//! - `known` makes each operator's trees once, `tried` compares them with ONNX Runtime's

mod finish;
mod forest;
mod known;
mod meaning;
mod operator;
mod plant;
#[cfg(test)]
mod tests;
mod tried;
mod walk;
mod walker;

use ort::operator::OperatorDomain;

use self::{meaning::has_trees, operator::Trees};
use crate::graph::{
    build::OPSET,
    proto::{Attribute, Model, Node, Opset, Tensor},
    to_bytes,
};

/// What forebay's operators are called in graphs.
const DOMAIN: &str = "forebay";

/// A model whose trees forebay walks.
pub(super) struct Swapped {
    pub(super) file: Vec<u8>,
    pub(super) operators: OperatorDomain,
}

/// Whether a file may have trees: where it has none, it need not be read for them.
pub(super) fn may_be_in(file: &[u8]) -> bool {
    file.windows(12).any(|window| window == b"TreeEnsemble")
}

/// The most branches on a way to a leaf: ONNX Runtime goes down them one by one while it loads them, on a stack that ends
/// ([`crate::threads::STACK`]) somewhere behind twice as many, and the process with it.
const DEEPEST: usize = 32_768;

/// Why the model cannot be loaded for the depth of its trees.
pub(super) fn too_deep(model: &Model) -> Option<String> {
    let trees =
        (model.graph.iter()).flat_map(|graph| graph.node.iter().filter(|node| has_trees(node)));
    let deepest = trees.map(crate::graph::trees::deepest).max()?;
    (deepest > DEEPEST).then(|| {
        format!(
            "a tree of it is {deepest} branches deep, and {DEEPEST} are the most; limit the depth when it is trained (`max_depth`)"
        )
    })
}

/// The model with forebay's operators in place of those that have trees; `None` where it has none that forebay walks.
pub(super) fn swap(mut model: Model) -> Option<Swapped> {
    let own = |it: &Opset| it.domain == DOMAIN;
    let hidden = (model.functions.iter()).any(|it| it.name.starts_with("TreeEnsemble"));
    if hidden || model.opset_import.iter().any(own) {
        return None;
    }
    let nodes = std::mem::take(&mut model.graph.as_mut()?.node);
    let (mut made, mut operators) = (Vec::with_capacity(nodes.len()), Vec::new());
    for node in nodes {
        let known = if has_trees(&node) {
            known::known(&node, &model)
        } else {
            None
        };
        match known {
            Some(meaning) => {
                let name = format!("Trees{}", operators.len() + 1);
                made.extend(replaced(node, &name));
                operators.push(Trees { name, meaning });
            }
            None => made.push(node),
        }
    }
    model.graph.as_mut()?.node = made;
    if operators.is_empty() {
        return None;
    }
    let mut import = |domain: &str, version| {
        if !(model.opset_import.iter()).any(|it| it.domain == domain) {
            model.opset_import.push(Opset {
                domain: domain.to_owned(),
                version,
            });
        }
    };
    import(DOMAIN, 1);
    import("", OPSET);
    let domain = (operators.into_iter())
        .try_fold(OperatorDomain::new(DOMAIN).ok()?, OperatorDomain::add)
        .ok()?;
    Some(Swapped {
        file: to_bytes(&model),
        operators: domain,
    })
}

/// The node with forebay's operator of this name, and behind it what makes texts of labels.
fn replaced(mut node: Node, name: &str) -> Vec<Node> {
    let made = |what: &str| format!("{DOMAIN}/{name}/{what}");
    let classifier = node.op_type == "TreeEnsembleClassifier";
    let mut outputs: Vec<String> = if classifier {
        vec![made("label"), made("scores")]
    } else {
        vec![made("scores")]
    };
    for (own, named) in outputs.iter_mut().zip(&node.output) {
        if !named.is_empty() {
            own.clone_from(named);
        }
    }
    let texts = (node.attribute.iter_mut())
        .find(|it| it.name == "classlabels_strings")
        .map(|it| std::mem::take(&mut it.strings))
        .unwrap_or_default();
    let mut behind = Vec::new();
    if let (Some(label), false) = (outputs.first_mut(), texts.is_empty()) {
        let text = std::mem::replace(label, made("place"));
        let tensor = Tensor {
            dims: vec![i64::try_from(texts.len()).unwrap_or(i64::MAX)],
            data_type: TEXT,
            string_data: texts,
            ..Tensor::default()
        };
        let value = Attribute {
            name: "value".to_owned(),
            r#type: Some(TENSOR),
            t: Some(Box::new(tensor)),
            ..Attribute::default()
        };
        behind.push(Node {
            output: vec![made("texts")],
            op_type: "Constant".to_owned(),
            attribute: vec![value],
            ..Node::default()
        });
        behind.push(Node {
            input: vec![made("texts"), label.clone()],
            output: vec![text],
            op_type: "Gather".to_owned(),
            ..Node::default()
        });
    }
    let own = Node {
        input: node.input,
        output: outputs,
        name: node.name,
        op_type: name.to_owned(),
        domain: DOMAIN.to_owned(),
        ..Node::default()
    };
    std::iter::once(own).chain(behind).collect()
}

/// Numbers of the format: an element type, and a kind of attribute.
const TEXT: i32 = 8;
const TENSOR: i32 = 4;
