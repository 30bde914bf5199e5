//! Trees as LightGBM, XGBoost and scikit-learn export them.

use std::path::Path;

use super::{super::meaning::has_trees, Random, model, ours, theirs};
use crate::graph;

/// Whether forebay walks the trees of a model of the tests' data.
fn walked(case: &str) -> Vec<Result<(), String>> {
    crate::engine::cpu::library::init(None).expect("ONNX Runtime: run `make setup`");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/models")
        .join(case)
        .join("model.onnx");
    let file = graph::read(&path).expect("a model");
    let ml = file
        .opset_import
        .iter()
        .find(|it| it.domain == "ai.onnx.ml");
    let ml = ml.expect("the domain of trees").version;
    let nodes = &file.graph.as_ref().expect("a graph").node;
    let mut found = Vec::new();
    for node in nodes.iter().filter(|node| has_trees(node)) {
        let largest = node
            .ints("nodes_featureids")
            .unwrap_or_default()
            .iter()
            .max();
        let width = usize::try_from(largest.copied().unwrap_or(0)).expect("a column") + 1;
        let mut random = Random(3);
        let thresholds = node.floats("nodes_values").unwrap_or_default();
        let x: Vec<f32> = (0..width * 50)
            .map(|at| match random.below(10) {
                0 if at % 3 == 0 => f32::NAN,
                1..=7 => thresholds[random.below(thresholds.len())],
                _ => random.number() * 100.0,
            })
            .collect();
        found.push(ours(node, &x, width, 50).map(|ours| {
            assert_eq!(ours, theirs(node, ml, &x, width, 50), "{case}");
            assert_eq!(model(ml).opset_import.len(), 2);
        }));
    }
    found
}

#[test]
fn exported_trees_give_the_bits_of_onnx_runtime() {
    for case in [
        "lgbm_binary",
        "lgbm_binary_zipmap",
        "lgbm_reg",
        "lgbm_three_classes",
        "sk_forest_clf",
        "sk_forest_reg",
        "sk_gb_clf",
        "sk_gb_reg",
        "sk_hist_clf",
        "sk_hist_reg",
        "sk_tree_clf",
        "xgb_binary",
        "xgb_reg",
        "xgb_three_classes",
    ] {
        let walked = walked(case);
        assert!(!walked.is_empty(), "{case} has no trees");
        for one in walked {
            assert_eq!(one, Ok(()), "{case}");
        }
    }
}
