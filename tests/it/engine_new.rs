//! `forebay new`: a pipeline file from a model.
#![allow(clippy::unwrap_used, reason = "a test that panics has done its work")]

use std::{fmt::Write as _, fs};

use forebay::{
    cli::new::{Draft, pipeline_yaml},
    engine::{Dim, cpu::catalog::CpuCatalog},
};

use super::{
    engine::{folder, runtime},
    engine_onnx::{FLOAT, model, node, tensor, value},
};

fn yaml(case: &str) -> String {
    runtime();
    let base = folder("tests/data/models").join(case);
    let draft = Draft::of(
        &mut CpuCatalog::new(),
        &base.join("model.onnx"),
        &base.join("pipeline.yaml"),
    )
    .unwrap();
    let yaml = pipeline_yaml(&draft);
    let read: serde_json::Value =
        serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    assert_eq!(read["steps"][0]["model"], read["name"]);
    yaml
}

#[test]
fn one_matrix() {
    insta::assert_snapshot!(yaml("mlp30"));
}

#[test]
fn a_column_for_each_input_and_a_map_out() {
    insta::assert_snapshot!(yaml("sk_columns_zipmap"));
}

#[test]
fn a_matrix_in_and_a_map_out() {
    insta::assert_snapshot!(yaml("lgbm_binary_zipmap"));
}

#[test]
fn every_type() {
    insta::assert_snapshot!(yaml("all_types"));
}

#[test]
fn a_fixed_batch() {
    insta::assert_snapshot!(yaml("sk_batch8"));
}

#[test]
fn a_file_for_every_model() {
    for entry in fs::read_dir(folder("tests/data/models")).unwrap() {
        yaml(&entry.unwrap().file_name().to_string_lossy());
    }
}

#[test]
fn what_is_left_open_becomes_a_question() {
    runtime();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("open ends.onnx");
    let input = |name: &str, dims: &[&str]| value(name, &tensor(FLOAT, dims));
    let nodes = [
        node("Identity", "", &["true"], &["y"], &[]),
        node("Identity", "", &["pixels"], &["z"], &[]),
    ];
    let inputs = [
        input("true", &["n", "width"]),
        input("pixels", &["n", "3", "h", "w"]),
    ];
    let outputs = [
        input("y", &["n", "width"]),
        input("z", &["n", "3", "h", "w"]),
    ];
    fs::write(&path, model(&nodes, &inputs, &outputs)).unwrap();
    let draft = Draft::of(
        &mut CpuCatalog::new(),
        &path,
        &place.path().join("pipeline.yaml"),
    )
    .unwrap();
    insta::assert_snapshot!(pipeline_yaml(&draft));
}

#[test]
fn the_width_of_a_matrix_can_be_read_off_the_graph() {
    runtime();
    let mut all = String::new();
    let mut cases: Vec<_> = fs::read_dir(folder("tests/data/models"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    for case in cases {
        let mut catalog = CpuCatalog::new();
        let path = case.join("model.onnx");
        let inputs = catalog.inputs(&path).unwrap();
        let [input] = inputs.as_slice() else { continue };
        let [Dim::Fixed(width)] = input.row_dims() else {
            continue;
        };
        let read = catalog.width(&path, 0).unwrap();
        writeln!(
            all,
            "{}: {width}, read {read:?}",
            case.file_name().unwrap().display()
        )
        .unwrap();
    }
    insta::assert_snapshot!(all);
}
