//! All kinds of graphs put inside another, against themselves alone, in ONNX Runtime.
#![allow(clippy::unwrap_used, reason = "a test that panics has done its work")]

use std::path::Path;

use forebay::{
    contract::Dtype,
    graph::{
        self, GraphBuilder, Value,
        build::ML_DOMAIN,
        proto::{Attribute, Function, Kind, Model, Node, Opset, Size, TensorType, ValueInfo},
        raise,
    },
};
use ort::{session::Session, value::Tensor};

use crate::{
    engine::runtime,
    graph_raise::{models, run, same},
};

/// What a file declares of a tensor.
fn tensor(value: &ValueInfo) -> &TensorType {
    match value.r#type.as_ref().unwrap().value.as_ref().unwrap() {
        Kind::Tensor(tensor) => tensor,
        other => panic!("{other:?}"),
    }
}

/// An input of fixed sizes.
fn sizes(value: &ValueInfo) -> Vec<usize> {
    let dims = &tensor(value).shape.as_ref().unwrap().dim;
    dims.iter()
        .map(|dim| match dim.value.as_ref() {
            Some(Size::Value(size)) => usize::try_from(*size).unwrap(),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The model twice in one graph, both times fed with the same; the outputs are those of the second.
fn twice(model: &Model) -> Model {
    let graph = model.graph.as_ref().unwrap();
    let rows = sizes(&graph.input[0])[0];
    let mut builder = GraphBuilder::around(model).unwrap().with_rows(Some(rows));
    let mut feeds = Vec::new();
    for input in &graph.input {
        let dtype = match tensor(input).elem_type {
            1 => Dtype::F32,
            11 => Dtype::F64,
            other => panic!("{other}"),
        };
        let value = builder.input(&input.name, dtype, &sizes(input)[1..]);
        feeds.push((input.name.clone(), value));
    }
    builder.insert(model.clone(), "first", &feeds).unwrap();
    builder.insert(model.clone(), "a: ü/", &feeds).unwrap();
    let mut both = builder.finish(&[]);
    let outputs = graph.output.iter().map(|output| {
        let mut output = output.clone();
        output.name = format!("a: ü//{}", output.name);
        if let Some(Kind::Tensor(tensor)) = &mut output.r#type.as_mut().unwrap().value {
            tensor.shape = None;
        }
        output
    });
    both.graph.as_mut().unwrap().output = outputs.collect();
    both
}

/// Every model of the old operator sets (graphs in graphs among them), raised and put into a graph, does the same.
#[test]
fn a_model_inside_does_the_same() {
    runtime();
    let place = tempfile::tempdir().unwrap();
    let mut count = 0;
    for path in models() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name.starts_with("refused") {
            continue;
        }
        let mut model = graph::read(&path).unwrap();
        raise(&mut model).unwrap();
        let to = place.path().join("inside.onnx");
        graph::write(&twice(&model), &to).unwrap();
        let (alone, inside) = (run(&path).unwrap(), run(&to).unwrap());
        assert!(same(&alone, &inside), "{name}: {inside:?} is not {alone:?}");
        count += 1;
    }
    assert!(count > 200, "only {count} models");
}

fn import(domain: &str, version: i64) -> Opset {
    Opset {
        domain: domain.to_owned(),
        version,
    }
}

/// A model `x -> y` of one node in this domain.
fn one_node(domain: &str, operator: &str, dtype: Dtype) -> (Model, Value) {
    let mut builder = GraphBuilder::new(15);
    let x = builder.input("x", dtype, &[]);
    let name = builder
        .nodes(domain, operator, &[&x.name], Vec::new(), 1)
        .pop()
        .unwrap();
    let model = builder.finish(&[("y".to_owned(), Value { name, ..x.clone() })]);
    (model, x)
}

fn session(model: &Model, place: &Path) -> Session {
    let to = place.join("model.onnx");
    graph::write(model, &to).unwrap();
    let environment = forebay::engine::cpu::library::loaded().unwrap();
    let mut builder = Session::builder(&environment).unwrap();
    builder.commit_from_file(to).unwrap()
}

/// Two models with functions of one name that mean different things.
#[test]
fn each_model_keeps_its_functions() {
    runtime();
    let place = tempfile::tempdir().unwrap();
    let mut builder = GraphBuilder::new(15);
    let x = builder.input("x", Dtype::F32, &[]);
    let mut outputs = Vec::new();
    for operator in ["Add", "Mul"] {
        let (mut model, _) = one_node("mine", "Twice", Dtype::F32);
        model.opset_import.push(import("mine", 1));
        model.functions.push(Function {
            domain: "mine".to_owned(),
            name: "Twice".to_owned(),
            input: vec!["v".to_owned()],
            output: vec!["w".to_owned()],
            opset_import: vec![import("", 15)],
            node: vec![Node {
                op_type: operator.to_owned(),
                input: vec!["v".to_owned(), "v".to_owned()],
                output: vec!["w".to_owned()],
                ..Node::default()
            }],
            ..Function::default()
        });
        builder
            .insert(model, operator, &[("x".to_owned(), x.clone())])
            .unwrap();
        let value = Value::new(format!("{operator}/y"), Dtype::F32, Vec::new());
        outputs.push((operator.to_lowercase(), value));
    }
    let mut session = session(&builder.finish(&outputs), place.path());
    let input = Tensor::from_array(([2], vec![3f32, 5.0])).unwrap();
    let outputs = session.run(ort::inputs![input]).unwrap();
    let get = |name: &str| {
        outputs[name]
            .try_extract_tensor::<f32>()
            .unwrap()
            .1
            .to_vec()
    };
    assert_eq!(get("add"), [6.0, 10.0]);
    assert_eq!(get("mul"), [9.0, 25.0]);
}

/// A LabelEncoder of the first set of its domain, in a graph that has the second.
#[test]
fn an_old_label_encoder_gives_the_same() {
    runtime();
    let place = tempfile::tempdir().unwrap();
    let (mut model, _) = one_node(ML_DOMAIN, "LabelEncoder", Dtype::String);
    model.opset_import.push(import(ML_DOMAIN, 1));
    let graph = model.graph.as_mut().unwrap();
    let classes = ["a", "b"].map(|class| class.to_owned().into());
    graph.node[0].attribute.push(Attribute {
        name: "classes_strings".to_owned(),
        r#type: Some(8),
        strings: classes.to_vec(),
        ..Attribute::default()
    });
    let y = GraphBuilder::new(15).info(&Value::new("y", Dtype::I64, Vec::new()));
    graph.output[0] = y;
    let mut alone = session(&model, place.path());
    let mut builder = GraphBuilder::around(&model).unwrap();
    assert_eq!(builder.ml_version(), 2);
    let x = builder.input("x", Dtype::String, &[]);
    builder.insert(model, "m", &[("x".to_owned(), x)]).unwrap();
    let y = Value::new("m/y", Dtype::I64, Vec::new());
    let mut inside = session(&builder.finish(&[("y".to_owned(), y)]), place.path());
    let run = |session: &mut Session| {
        let input = Tensor::from_string_array(([3usize], ["b", "a", "c"].as_slice())).unwrap();
        let outputs = session.run(ort::inputs![input]).unwrap();
        outputs["y"].try_extract_tensor::<i64>().unwrap().1.to_vec()
    };
    assert_eq!(run(&mut alone), [1, 0, -1]);
    assert_eq!(run(&mut inside), [1, 0, -1]);
}
