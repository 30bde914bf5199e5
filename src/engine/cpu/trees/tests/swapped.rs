//! Whole models whose trees forebay walks, beside the same models as they are.

use std::{path::Path, sync::Arc};

use ort::{session::Session, value::TensorRef};

use super::super::{known::known, may_be_in, meaning::has_trees, swap};
use crate::{
    engine::{ModelSource, cpu::model},
    graph::{self, proto, zipmap},
};

fn folder(case: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/models")
        .join(case)
}

/// What comes out of the model, in words, for some rows of so many numbers.
fn outputs(session: &mut Session, width: usize, rows: usize) -> Vec<String> {
    let mut random = super::Random(11);
    let mut number = || match random.below(4) {
        0 => random.number() * 2000.0,
        1 => random.number() * 50.0,
        _ => random.number() * 3.0,
    };
    let x: Vec<f32> = (0..rows * width).map(|_| number()).collect();
    let names: Vec<String> = (session.outputs().iter())
        .map(|it| it.name().to_owned())
        .collect();
    let x = TensorRef::from_array_view(([rows, width], x.as_slice())).expect("rows");
    let came = session.run(ort::inputs![x]).expect("results");
    let said = names.iter().map(|name| {
        let value = &came[name.as_str()];
        if let Ok((shape, values)) = value.try_extract_tensor::<f32>() {
            let bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
            format!("{name} {shape} {bits:?}")
        } else if let Ok((shape, values)) = value.try_extract_tensor::<i64>() {
            format!("{name} {shape} {values:?}")
        } else {
            let (shape, values) = value.try_extract_strings().expect("texts");
            format!("{name} {shape} {values:?}")
        }
    });
    said.collect()
}

/// A model without maps, as forebay loads it and as it is.
fn both(mut file: proto::Model) -> [Session; 2] {
    crate::engine::cpu::library::init(None).expect("ONNX Runtime: run `make setup`");
    zipmap::unzip(&mut file);
    let bytes = graph::to_bytes(&file);
    assert!(may_be_in(&bytes));
    let swapped = swap(file).expect("trees that forebay walks");
    let ours = model::made(Path::new("."), Some(&swapped.file), Some(swapped.operators));
    let theirs = model::session(Path::new("."), Some(&bytes));
    [ours, theirs].map(|session| session.expect("a session"))
}

fn width(session: &Session) -> usize {
    let shape = session.inputs()[0].dtype().tensor_shape().expect("a shape");
    usize::try_from(shape[1]).expect("a width")
}

#[test]
fn whole_models_give_the_bits_of_onnx_runtime() {
    for case in [
        "lgbm_binary_zipmap",
        "lgbm_reg",
        "lgbm_three_classes_zipmap",
        "sk_forest_clf",
        "sk_forest_reg",
        "sk_gb_clf",
        "sk_hist_reg",
        "sk_tree_clf",
        "xgb_binary",
        "xgb_three_classes",
    ] {
        let file = graph::read(&folder(case).join("model.onnx")).expect("a model");
        let [mut ours, mut theirs] = both(file);
        let width = width(&theirs);
        for rows in [1, 5, 40] {
            assert_eq!(
                outputs(&mut ours, width, rows),
                outputs(&mut theirs, width, rows),
                "{case}"
            );
        }
    }
}

fn classifier(file: &mut proto::Model) -> &mut proto::Node {
    let nodes = &mut file.graph.as_mut().expect("a graph").node;
    let found = nodes
        .iter_mut()
        .find(|node| node.op_type == "TreeEnsembleClassifier");
    found.expect("a classifier")
}

#[test]
fn labels_may_be_texts() {
    let mut file = graph::read(&folder("xgb_three_classes").join("model.onnx")).expect("a model");
    let node = classifier(&mut file);
    node.attribute.retain(|it| it.name != "classlabels_int64s");
    let texts = ["setosa", "versicolor", "virginica"];
    node.attribute
        .push(super::strings("classlabels_strings", texts));
    let label = node.output[0].clone();
    let graph = file.graph.as_mut().expect("a graph");
    let output = graph.output.iter_mut().find(|it| it.name == label);
    let kind = output
        .and_then(|it| it.r#type.as_mut())
        .and_then(|it| it.value.as_mut());
    let Some(proto::Kind::Tensor(tensor)) = kind else {
        panic!("the label is no output");
    };
    tensor.elem_type = 8;
    let [mut ours, mut theirs] = both(file);
    let width = width(&theirs);
    let said = outputs(&mut ours, width, 200);
    assert_eq!(said, outputs(&mut theirs, width, 200));
    let all = |it: &String| texts.iter().all(|text| it.contains(text));
    assert!(said.iter().any(all), "{said:?}");
}

/// What the engine is asked for stays the file as it is: that is what is lowered for GPUs and compiled.
#[test]
fn the_source_of_a_model_stays_as_it_was() {
    crate::engine::cpu::library::init(None).expect("ONNX Runtime: run `make setup`");
    let source = ModelSource::file(folder("xgb_reg").join("model.onnx"));
    let loaded = model::Model::load(&source).expect("a model");
    assert_eq!(loaded.source, source);
}

/// Who holds the trees of a model's first such node, besides whoever asks: an operator and its kernel.
fn holders(case: &str) -> usize {
    let file = graph::read(&folder(case).join("model.onnx")).expect("a model");
    let nodes = &file.graph.as_ref().expect("a graph").node;
    let node = nodes.iter().find(|node| has_trees(node)).expect("trees");
    Arc::strong_count(&known(node, &file).expect("trees that forebay walks")) - 1
}

fn load(case: &str) -> model::Model {
    crate::engine::cpu::library::init(None).expect("ONNX Runtime: run `make setup`");
    model::Model::load(&ModelSource::file(folder(case).join("model.onnx"))).expect("a model")
}

#[test]
fn loaded_models_have_their_trees_walked_and_share_them() {
    let first = load("xgb_reg");
    assert_eq!(holders("xgb_reg"), 2);
    let second = load("xgb_reg");
    assert_eq!(holders("xgb_reg"), 4);
    drop((first, second));
    assert_eq!(holders("xgb_reg"), 0);
}

#[test]
fn trees_of_doubles_stay_with_onnx_runtime() {
    let mut file = graph::read(&folder("xgb_reg").join("model.onnx")).expect("a model");
    // Trees that no other test has.
    let graph = file.graph.as_mut().expect("a graph");
    graph.node[0].doc_string = "of doubles".to_owned();
    let node = graph.node[0].clone();
    let kind = graph.input[0]
        .r#type
        .as_mut()
        .and_then(|it| it.value.as_mut());
    let Some(proto::Kind::Tensor(tensor)) = kind else {
        panic!("the input is no tensor");
    };
    tensor.elem_type = 11;
    crate::engine::cpu::library::init(None).expect("ONNX Runtime: run `make setup`");
    let source = ModelSource::built(Path::new("doubles"), graph::to_bytes(&file));
    let loaded = model::Model::load(&source).expect("a model");
    assert_eq!(loaded.inputs[0].dtype, crate::contract::Dtype::F64);
    let held = known(&node, &file).expect("trees that forebay walks");
    assert_eq!(Arc::strong_count(&held), 1);
}
