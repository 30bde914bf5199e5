//! What the optimiser is given, and what it gives.

use std::{collections::BTreeMap, path::Path};

use forebay::{
    engine::{
        ModelSource,
        cpu::{library, optimized::optimized},
    },
    graph::{
        self,
        proto::{self, Model},
        tensor::Raw,
    },
};
use ort::session::{Session, builder::GraphOptimizationLevel};

use super::well_known::shapes::{self, Encoder};

const MODELS: &str = "tests/data/models";

fn source(name: &str) -> ModelSource {
    ModelSource::file(Path::new(MODELS).join(name).join("model.onnx"))
}

#[test]
fn shapes_are_fixed_and_layers_become_one_operator() {
    let made = optimized(&source("mlp30"), &[vec![24, 30]]).unwrap();
    let graph = made.model.graph.unwrap();
    let nodes: Vec<&str> = graph.node.iter().map(|node| &*node.op_type).collect();
    assert_eq!(nodes, ["FusedGemm"; 3]);
    let kind = graph.input[0].r#type.as_ref().unwrap().value.as_ref();
    let Some(proto::Kind::Tensor(tensor)) = kind else {
        panic!("the input is no tensor")
    };
    let dims = &tensor.shape.as_ref().unwrap().dim;
    let sizes: Vec<_> = dims.iter().map(|dim| dim.value.clone().unwrap()).collect();
    assert_eq!(sizes, [24, 30].map(proto::Size::Value));
}

#[test]
fn maps_become_tensors_and_their_keys_are_kept() {
    let made = optimized(&source("lgbm_binary_zipmap"), &[vec![5, 30]]).unwrap();
    assert_eq!(made.labels.len(), 1);
    assert_eq!(made.labels.values().next().unwrap(), &["0", "1"]);
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let refused = |source: &ModelSource, dims: &[Vec<usize>]| {
        let made = optimized(source, dims);
        made.map(drop).unwrap_err().to_string()
    };
    let mlp = source("mlp30");
    let said = refused(&mlp, &[]);
    assert!(said.contains("shapes for 0 were given"), "{said}");
    let said = refused(&mlp, &[vec![4, 30, 1]]);
    assert!(said.contains("has 2 dimensions, not the 3"), "{said}");
    let said = refused(&source("missing"), &[vec![4, 30]]);
    assert!(said.contains("missing"), "{said}");
    let damaged = ModelSource::built("steps.onnx", &b"no model"[..]);
    let said = refused(&damaged, &[vec![4, 30]]);
    assert!(said.contains("steps.onnx"), "{said}");
}

/// Large weights are not in what the optimiser reads and writes; what it makes of the model is the same.
#[test]
fn weights_beside_the_model_change_nothing() {
    let sizes = Encoder {
        layers: 2,
        hidden: 96,
        heads: 4,
        inner: 128,
        words: 100,
        tokens: 12,
    };
    let folder = tempfile::tempdir().unwrap();
    for mut model in [shapes::encoder_of_any_length(sizes), shapes::encoder(sizes)] {
        let source = ModelSource::built("encoder.onnx", graph::to_bytes(&model));
        let made = optimized(&source, &[vec![5, 12], vec![5, 12]])
            .unwrap()
            .model;
        for input in &mut model.graph.as_mut().unwrap().input {
            let kind = input.r#type.as_mut().unwrap().value.as_mut();
            let Some(proto::Kind::Tensor(tensor)) = kind else {
                panic!("the input is no tensor")
            };
            let dims = &mut tensor.shape.as_mut().unwrap().dim;
            for (dim, size) in dims.iter_mut().zip([5, 12]) {
                dim.value = Some(proto::Size::Value(size));
            }
        }
        let path = folder.path().join("whole.onnx");
        Session::builder(&library::loaded().unwrap())
            .unwrap()
            .with_optimization_level(GraphOptimizationLevel::Level2)
            .unwrap()
            .with_optimized_model_path(&path)
            .unwrap()
            .commit_from_memory(&graph::to_bytes(&model))
            .unwrap();
        let whole = graph::read(&path).unwrap();
        let constants = |model: &Model| -> BTreeMap<String, Raw> {
            let all = model.graph.as_ref().unwrap().initializer.iter();
            all.map(|it| (it.name.clone(), Raw::of(it).unwrap()))
                .collect()
        };
        assert_eq!(constants(&made), constants(&whole));
        let nodes = |model: &Model| model.graph.as_ref().unwrap().node.clone();
        assert_eq!(nodes(&made), nodes(&whole));
        assert!(
            nodes(&made)
                .iter()
                .any(|node| node.domain == "com.microsoft")
        );
    }
}
