//! The files that `forebay compile` writes, and those that it leaves.

use std::fs;

use forebay::graph::{self, proto::Graph};
use tempfile::TempDir;

use crate::{
    compile::{compile, text},
    config_steps::load_at,
    engine::folder,
};

#[test]
fn only_our_own_files_are_written_over() {
    let place = TempDir::new().unwrap();
    let tabular = "tests/data/compile/tabular/pipeline.yaml";
    assert_eq!(compile(tabular, place.path(), &[]).1, Some(0));
    // Again is fine.
    assert_eq!(compile(tabular, place.path(), &[]).1, Some(0));
    let file = place.path().join("row.onnx");
    let ours = fs::read(&file).unwrap();
    let mut said = Vec::new();
    fs::write(&file, "somebody's").unwrap();
    said.push(compile(tabular, place.path(), &[]));
    assert_eq!(fs::read_to_string(&file).unwrap(), "somebody's");
    assert_eq!(compile(tabular, place.path(), &["--force"]).1, Some(0));
    assert!(fs::read(&file).unwrap() == ours);
    // Another pipeline's.
    let other = fs::read_to_string(folder(tabular)).unwrap();
    let other = other.replace("name: compile-tabular", "name: other");
    let renamed = place.path().join("other.yaml");
    fs::write(&renamed, other).unwrap();
    fs::write(place.path().join("rows.jsonl"), "").unwrap();
    said.push(compile(text(&renamed), place.path(), &[]));
    // The model of the pipeline itself.
    let model = place.path().join("mlp.onnx");
    fs::copy(folder("tests/data/models/mlp30/model.onnx"), &model).unwrap();
    let own = fs::read_to_string(folder("tests/data/compile/scaled/pipeline.yaml")).unwrap();
    let own = own.replace("../../models/mlp30/model.onnx", "mlp.onnx");
    fs::write(&renamed, own).unwrap();
    said.push(compile(text(&renamed), place.path(), &["--force"]));
    // No folder.
    said.push(compile(tabular, &file, &[]));
    let words: Vec<&str> = said.iter().map(|(words, _)| words.as_str()).collect();
    assert!(said.iter().all(|(_, code)| *code == Some(1)), "{said:?}");
    insta::assert_snapshot!(words.join(""));
}

#[test]
fn other_files_are_left_as_they_are_and_named() {
    let place = TempDir::new().unwrap();
    let tabular = "tests/data/compile/tabular/pipeline.yaml";
    let (said, _) = compile(tabular, place.path(), &[]);
    assert!(!said.contains("left as they are"), "{said}");
    fs::rename(place.path().join("row.onnx"), place.path().join("old.onnx")).unwrap();
    fs::write(place.path().join("notes.txt"), "somebody's").unwrap();
    fs::write(place.path().join("other.onnx"), "no model").unwrap();
    let (said, code) = compile(tabular, place.path(), &[]);
    assert_eq!(code, Some(0), "{said}");
    let line = said
        .lines()
        .find(|line| line.starts_with("left as they are"))
        .unwrap();
    assert_eq!(
        line,
        "left as they are: notes.txt, old.onnx (compiled from this pipeline before), other.onnx"
    );
    assert_eq!(
        fs::read_to_string(place.path().join("notes.txt")).unwrap(),
        "somebody's"
    );
    for file in 0..20 {
        fs::write(place.path().join(format!("{file}.txt")), "").unwrap();
    }
    let (said, _) = compile(tabular, place.path(), &[]);
    assert!(said.contains(" and 15 more\n"), "{said}");
}

/// The format asks for nodes behind those that they take from.
#[test]
fn graphs_are_built_in_order() {
    let mut built = 0;
    for entry in fs::read_dir(folder("tests/data/compile")).unwrap() {
        let file = entry.unwrap().path().join("pipeline.yaml");
        let Ok(yaml) = fs::read_to_string(&file) else {
            continue;
        };
        let plan = load_at(text(&file), &yaml).unwrap_or_else(|errors| panic!("{errors}"));
        let graphs = plan
            .engine
            .steps
            .iter()
            .filter_map(|step| step.source.graph.clone());
        for graph in graphs {
            let graph = graph::parse(graph).unwrap().graph.unwrap();
            let mut sorted = graph.clone();
            graph::sort(&mut sorted);
            let order = |graph: &Graph| -> Vec<Vec<String>> {
                let nodes = graph.node.iter();
                nodes.map(|node| node.output.clone()).collect()
            };
            assert_eq!(order(&graph), order(&sorted), "{}", file.display());
            built += 1;
        }
    }
    assert!(built >= 8, "{built}");
}
