//! Models that are made up on the spot: constants as outputs, a Cast, and changes to a model whose optional
//! inputs or outputs have no value.

use std::path::Path;

use ort::{session::SessionInputValue, value::DynValue};
use prost::Message as _;

use crate::{
    engine::cpu::{explain, model},
    graph::{
        proto::{Attribute, Graph, Kind, Model, Node, Opset, TensorType, Type, ValueInfo},
        tensor::{Element, Raw},
    },
};

/// `AttributeProto.INT` and `AttributeProto.TYPE_PROTO`.
const INT: i32 = 2;
const TYPE: i32 = 13;

/// A tensor of any type, out of a model that has it as its output.
///
/// # Errors
/// The runtime does not know the type.
pub(super) fn constant(raw: &Raw) -> Result<DynValue, String> {
    let graph = Graph {
        name: "constant".to_owned(),
        initializer: vec![raw.to_proto("c")],
        output: vec![tensor_info("c", raw.element)],
        ..Graph::default()
    };
    only_output(graph, raw.element, None)
}

/// A list of no tensors.
///
/// # Errors
/// The runtime does not know the type.
pub(super) fn empty_sequence(element: Element) -> Result<DynValue, String> {
    let kind = Type {
        value: Some(Kind::Sequence(Box::new(
            crate::graph::proto::SequenceType {
                elem_type: Some(Box::new(tensor_type(element))),
            },
        ))),
        ..Type::default()
    };
    let graph = Graph {
        name: "empty".to_owned(),
        node: vec![Node {
            attribute: vec![int("dtype", element.number().into())],
            ..node("SequenceEmpty", &[], "c")
        }],
        output: vec![info("c", kind)],
        ..Graph::default()
    };
    only_output(graph, element, None)
}

/// The same tensor with elements of type float.
///
/// # Errors
/// The runtime cannot cast this type.
pub(super) fn as_float(value: &DynValue, element: Element) -> Result<DynValue, String> {
    let graph = Graph {
        name: "cast".to_owned(),
        node: vec![Node {
            attribute: vec![int("to", Element::Float32.number().into())],
            ..node("Cast", &["x"], "c")
        }],
        input: vec![tensor_info("x", element)],
        output: vec![tensor_info("c", Element::Float32)],
        ..Graph::default()
    };
    only_output(graph, element, Some(value))
}

/// Runs a graph for its output `c`; what it takes is named `x`.
fn only_output(graph: Graph, element: Element, x: Option<&DynValue>) -> Result<DynValue, String> {
    let model = Model {
        ir_version: 10,
        opset_import: vec![Opset {
            version: opset(element),
            ..Opset::default()
        }],
        graph: Some(graph),
        ..Model::default()
    };
    let refused = |error: ort::Error| {
        let words = explain::clean(error.message());
        format!("{} tensors: {words}", element.name())
    };
    let mut session = match model::session(Path::new("."), Some(&model.encode_to_vec())) {
        Ok(session) => session,
        Err(model::NotOpened::Refused(error)) => return Err(refused(error)),
        Err(model::NotOpened::NoRuntime(error)) => return Err(error.to_string()),
        Err(model::NotOpened::UnknownKind) => {
            return Err(format!("{} tensors are not known", element.name()));
        }
    };
    let inputs: Vec<(&str, SessionInputValue<'_>)> =
        x.map(|value| ("x", value.into())).into_iter().collect();
    let mut outputs = session.run(inputs).map_err(refused)?;
    (outputs.remove("c")).ok_or_else(|| format!("{} tensors do not come out", element.name()))
}

/// The first operator set whose Cast knows the type.
fn opset(element: Element) -> i64 {
    match element {
        Element::Uint2 | Element::Int2 => 25,
        Element::Float8E8M0 => 24,
        Element::Float4E2M1 => 23,
        _ => 21,
    }
}

/// The name of the output that says whether `output` has a value.
pub(super) fn asks(output: &str) -> String {
    format!("{output}/forebay_has_value")
}

/// The model with its optional inputs `missing` made without a value by the graph itself, and with an output
/// for each of `optional` that says whether it has a value ([`asks`]).
///
/// # Errors
/// The file cannot be read as a model, or has no such inputs.
pub(super) fn asked(file: &[u8], missing: &[&str], optional: &[&str]) -> Result<Vec<u8>, String> {
    let mut model = Model::decode(file).map_err(|error| format!("it is damaged: {error}"))?;
    let graph = model.graph.as_mut().ok_or("it has no graph")?;
    for (at, name) in missing.iter().enumerate() {
        let place = (graph.input.iter().position(|input| input.name == *name))
            .ok_or_else(|| format!("it has no input `{name}`"))?;
        let declared = graph.input.remove(place).r#type.and_then(|kind| kind.value);
        let Some(Kind::Optional(optional)) = declared else {
            return Err(format!(
                "its input `{name}` is not optional, so it needs a value"
            ));
        };
        let held = Attribute {
            name: "type".to_owned(),
            r#type: Some(TYPE),
            tp: optional.elem_type,
            ..Attribute::default()
        };
        let nothing = Node {
            attribute: vec![held],
            ..node("Optional", &[], name)
        };
        // Before all that may read it.
        graph.node.insert(at, nothing);
    }
    for name in optional {
        let answer = asks(name);
        graph
            .node
            .push(node("OptionalHasElement", &[name], &answer));
        graph.output.push(tensor_info(&answer, Element::Bool));
    }
    Ok(model.encode_to_vec())
}

fn node(operator: &str, inputs: &[&str], output: &str) -> Node {
    Node {
        op_type: operator.to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..Node::default()
    }
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        r#type: Some(INT),
        i: Some(value),
        ..Attribute::default()
    }
}

fn tensor_type(element: Element) -> Type {
    Type {
        value: Some(Kind::Tensor(TensorType {
            elem_type: element.number(),
            shape: None,
        })),
        ..Type::default()
    }
}

fn info(name: &str, kind: Type) -> ValueInfo {
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(kind),
        ..ValueInfo::default()
    }
}

fn tensor_info(name: &str, element: Element) -> ValueInfo {
    info(name, tensor_type(element))
}
