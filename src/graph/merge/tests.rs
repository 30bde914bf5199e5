#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has done its work"
)]

use super::*;
use crate::graph::{
    build::{ML_DOMAIN, ints_tensor},
    proto::{Attribute, Function, Opset, Tensor, TensorAnnotation},
};

/// A tensor of one whole number.
pub(super) fn number(name: &str, value: i64) -> Tensor {
    Tensor {
        name: name.to_owned(),
        ..ints_tensor(&[], &[value])
    }
}

pub(super) fn value(name: &str) -> ValueInfo {
    let builder = GraphBuilder::new(13);
    builder.info(&Value::new(name, Dtype::I64, Vec::new()))
}

pub(super) fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    Node {
        op_type: operator.to_owned(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: outputs.iter().map(|&name| name.to_owned()).collect(),
        name: format!("{operator} {}", outputs.join(" ")),
        ..Node::default()
    }
}

pub(super) fn with_graph(mut node: Node, key: &str, graph: Graph) -> Node {
    node.attribute.push(Attribute {
        name: key.to_owned(),
        g: Some(Box::new(graph)),
        ..Attribute::default()
    });
    node
}

pub(super) fn model(graph: Graph) -> Model {
    Model {
        ir_version: 8,
        opset_import: vec![Opset {
            domain: String::new(),
            version: 13,
        }],
        graph: Some(graph),
        ..Model::default()
    }
}

/// A graph that has `x` and `m/a`, and the feed of an input `x` by it.
pub(super) fn host() -> (GraphBuilder, Vec<(String, Value)>) {
    let mut builder = GraphBuilder::new(13);
    let x = builder.input("x", Dtype::I64, &[]);
    builder.begin_step("m");
    builder.fresh("m/a");
    (builder, vec![("x".to_owned(), x)])
}

/// x -> Add(x, b) -> y, with `b` a constant.
fn simple() -> Graph {
    Graph {
        node: vec![node("Add", &["x", "b"], &["y"])],
        initializer: vec![number("b", 2)],
        input: vec![value("x")],
        output: vec![value("y")],
        ..Graph::default()
    }
}

fn insert(model: Model) -> Result<Graph, String> {
    let (mut builder, feeds) = host();
    builder
        .insert(model, "m", &feeds)
        .map_err(|error| error.to_string())?;
    Ok(builder.finish(&[]).graph.unwrap())
}

#[test]
fn everything_that_has_a_name_gets_the_prefix() {
    let mut graph = simple();
    graph.value_info.push(value("y"));
    graph.input.push(value("b"));
    graph.quantization_annotation.push(TensorAnnotation {
        tensor_name: "y".to_owned(),
        quant_parameter_tensor_names: vec![crate::graph::proto::Property {
            key: "SCALE_TENSOR".to_owned(),
            value: "b".to_owned(),
        }],
    });
    graph
        .sparse_initializer
        .push(crate::graph::proto::SparseTensor {
            values: Some(number("s", 1)),
            ..crate::graph::proto::SparseTensor::default()
        });
    let merged = insert(model(graph)).unwrap();
    assert_eq!(merged.node[0].input, ["x", "m/b"]);
    assert_eq!(merged.node[0].output, ["m/y"]);
    assert_eq!(merged.node[0].name, "m/Add y");
    assert_eq!(merged.initializer[0].name, "m/b");
    let annotation = &merged.quantization_annotation[0];
    assert_eq!(annotation.tensor_name, "m/y");
    assert_eq!(annotation.quant_parameter_tensor_names[0].value, "m/b");
    let sparse = merged.sparse_initializer[0].values.as_ref().unwrap();
    assert_eq!(sparse.name, "m/s");
    let info = &merged.value_info[0];
    assert_eq!(info.name, "m/y");
    let Some(Kind::Tensor(tensor)) = &info.r#type.as_ref().unwrap().value else {
        panic!("a tensor")
    };
    let rows = tensor.shape.as_ref().unwrap().dim[0].value.clone();
    assert_eq!(rows, Some(Size::Param("m/rows".to_owned())));
    // The model's `b` was an input with a value, and is a constant now.
    assert_eq!(merged.input.len(), 1);
}

#[test]
fn an_input_that_is_handed_through_is_an_output() {
    let mut graph = simple();
    graph.output.push(value("x"));
    let merged = insert(model(graph)).unwrap();
    let through = merged.node.last().unwrap();
    assert_eq!((&*through.input[0], &*through.output[0]), ("x", "m/x"));
}

#[test]
fn graphs_of_other_domains_keep_the_names_of_what_goes_in_and_out() {
    let mut graph = simple();
    let body = Graph {
        node: vec![
            node("Add", &["input_ids", "b"], &["inner"]),
            node("Neg", &["inner"], &["logits"]),
        ],
        input: vec![value("input_ids")],
        output: vec![value("logits")],
        ..Graph::default()
    };
    let mut search = with_graph(node("BeamSearch", &["x"], &["found"]), "decoder", body);
    search.domain = "com.microsoft".to_owned();
    graph.node.push(search);
    let merged = insert(model(graph)).unwrap();
    let body = merged.node[1].attribute[0].g.as_ref().unwrap();
    assert_eq!(body.input[0].name, "input_ids");
    assert_eq!(body.node[0].input, ["input_ids", "m/b"]);
    assert_eq!(body.node[1].input, ["m/inner"]);
    assert_eq!(body.node[1].output, ["logits"]);
    assert_eq!(body.output[0].name, "logits");
}

#[test]
fn functions_of_one_name_are_kept_apart() {
    let function = |operator: &str| Function {
        domain: "mine".to_owned(),
        name: "Twice".to_owned(),
        input: vec!["v".to_owned()],
        output: vec!["w".to_owned()],
        node: vec![node(operator, &["v", "v"], &["w"])],
        ..Function::default()
    };
    let with = |operator: &str| {
        let mut graph = simple();
        let mut call = node("Twice", &["x"], &["twice"]);
        call.domain = "mine".to_owned();
        graph.node.push(call);
        let mut model = model(graph);
        model.functions = vec![function(operator)];
        model
    };
    let (mut builder, feeds) = host();
    for (prefix, operator) in [("m", "Add"), ("n", "Add"), ("o", "Mul")] {
        builder.insert(with(operator), prefix, &feeds).unwrap();
    }
    let merged = builder.finish(&[]);
    let names: Vec<_> = merged.functions.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["Twice", "Twice_2"]);
    let nodes = merged.graph.unwrap().node;
    let calls: Vec<_> = (nodes.iter().filter(|node| node.domain == "mine"))
        .map(|node| node.op_type.as_str())
        .collect();
    assert_eq!(calls, ["Twice", "Twice", "Twice_2"]);
}

#[test]
fn sets_of_operators_are_united() {
    let import = |domain: &str, version| Opset {
        domain: domain.to_owned(),
        version,
    };
    let mut one = model(simple());
    one.ir_version = 10;
    one.opset_import[0].domain = "ai.onnx".to_owned();
    one.opset_import.push(import(ML_DOMAIN, 3));
    one.opset_import.push(import("com.microsoft", 1));
    let mut builder = GraphBuilder::around(&one).unwrap();
    assert_eq!((builder.opset(), builder.ml_version()), (13, 3));
    let x = builder.input("x", Dtype::I64, &[]);
    let feeds = [("x".to_owned(), x)];
    builder.insert(one.clone(), "one", &feeds).unwrap();
    one.opset_import[1].version = 1;
    builder.insert(one, "two", &feeds).unwrap();
    let merged = builder.finish(&[]);
    assert_eq!(merged.ir_version, 10);
    let expected = [
        import("", 13),
        import(ML_DOMAIN, 3),
        import("com.microsoft", 1),
    ];
    assert_eq!(merged.opset_import, expected);
}

#[test]
fn what_does_not_fit_is_said() {
    let mut said = Vec::new();
    let mut fault = |what: &str, change: &dyn Fn(&mut Model)| {
        let mut model = model(simple());
        change(&mut model);
        said.push(format!("{what}: {}", insert(model).unwrap_err()));
    };
    let graph = |model: &mut Model| model.graph.clone().unwrap();
    fault("no graph", &|model| model.graph = None);
    fault("another opset", &|model| model.opset_import[0].version = 17);
    fault("not fed", &|model| {
        model.graph.as_mut().unwrap().input.push(value("z"));
    });
    fault("no such input", &|model| {
        model.graph.as_mut().unwrap().input.clear();
    });
    fault("no such output", &|model| {
        model.graph.as_mut().unwrap().output[0].name = "z".to_owned();
    });
    fault("taken", &|model| {
        let inner = model.graph.as_mut().unwrap();
        inner.output[0].name = "a".to_owned();
        inner.node[0].output[0] = "a".to_owned();
    });
    fault("type", &|model| {
        let info = GraphBuilder::new(13).info(&Value::new("x", Dtype::F32, Vec::new()));
        model.graph.as_mut().unwrap().input[0] = info;
    });
    fault("shape", &|model| {
        let info = GraphBuilder::new(13).info(&Value::new("x", Dtype::I64, vec![3]));
        model.graph.as_mut().unwrap().input[0] = info;
    });
    fault("rows", &|model| {
        let builder = GraphBuilder::new(13).with_rows(Some(8));
        let info = builder.info(&Value::new("x", Dtype::I64, Vec::new()));
        model.graph.as_mut().unwrap().input[0] = info;
    });
    fault("label encoder", &|model| {
        let mut encoder = node("LabelEncoder", &["u"], &["v"]);
        ML_DOMAIN.clone_into(&mut encoder.domain);
        model.graph.as_mut().unwrap().node.push(encoder);
        let import = Opset {
            domain: ML_DOMAIN.to_owned(),
            version: 1,
        };
        model.opset_import.push(import);
        assert!(!graph(model).node.is_empty());
    });
    let old = Model {
        opset_import: vec![Opset {
            domain: String::new(),
            version: 9,
        }],
        ..model(simple())
    };
    said.push(format!("old: {}", GraphBuilder::around(&old).unwrap_err()));
    insta::assert_snapshot!(said.join("\n"));
}
