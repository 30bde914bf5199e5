//! Models whose rows depend on each other are refused, where made-up rows or golden rows show it.

use std::{fs, path::Path};

use forebay::{
    contract::Dtype,
    engine::{Dim, cpu::catalog::CpuCatalog},
    graph::{self, Attr, GraphBuilder, Value, build::OPSET},
};
use tempfile::TempDir;

use crate::{
    cli::{err, out, run},
    engine::{folder, runtime},
};

type Make = fn(&mut GraphBuilder, &Value) -> String;

/// A model of a vector of two that these nodes make into `Y`.
fn write(at: &Path, make: Make) {
    let mut graph = GraphBuilder::new(OPSET);
    let x = graph.input("X", Dtype::F32, &[2]);
    let name = make(&mut graph, &x);
    let y = Value::new(name, Dtype::F32, vec![2]);
    let model = graph.finish(&[("Y".to_owned(), y)]);
    graph::write(&model, at).expect("written");
}

fn mean_of_the_batch(graph: &mut GraphBuilder, x: &Value) -> String {
    let axes = graph.ints(&[0]);
    let keep = vec![("keepdims", Attr::Int(1))];
    graph.node("ReduceMean", &[&x.name, &axes], keep)
}

fn softmax(graph: &mut GraphBuilder, x: &Value) -> String {
    graph.node("Softmax", &[&x.name], vec![("axis", Attr::Int(0))])
}

fn centred(graph: &mut GraphBuilder, x: &Value) -> String {
    let mean = mean_of_the_batch(graph, x);
    graph.node("Sub", &[&x.name, &mean], Vec::new())
}

fn summed_up(graph: &mut GraphBuilder, x: &Value) -> String {
    let axis = graph.number(Dtype::I64, 0.0);
    graph.node("CumSum", &[&x.name, &axis], vec![("reverse", Attr::Int(1))])
}

/// Every row takes part in every other: as attention does whose first dimension is not the batch.
fn attention(graph: &mut GraphBuilder, x: &Value) -> String {
    let turned = graph.node(
        "Transpose",
        &[&x.name],
        vec![("perm", Attr::Ints(vec![1, 0]))],
    );
    let alike = graph.node("MatMul", &[&x.name, &turned], Vec::new());
    let one = graph.number(Dtype::F32, 1.0);
    let shares = graph.node("Softmax", &[&alike], vec![("axis", Attr::Int(1))]);
    let more = graph.node("Add", &[&x.name, &one], Vec::new());
    graph.node("MatMul", &[&shares, &more], Vec::new())
}

/// Only where numbers are far from those that are made up.
fn far_off(graph: &mut GraphBuilder, x: &Value) -> String {
    let mean = mean_of_the_batch(graph, x);
    let far = graph.number(Dtype::F32, 1e6);
    let beyond = graph.node("Sub", &[&mean, &far], Vec::new());
    let beyond = graph.node("Relu", &[&beyond], Vec::new());
    graph.node("Sub", &[&x.name, &beyond], Vec::new())
}

fn apart(graph: &mut GraphBuilder, x: &Value) -> String {
    let weights = graph.numbers(Dtype::F32, &[2, 2], &[0.3, -1.7, 2.1, 0.9]);
    let hidden = graph.node("MatMul", &[&x.name, &weights], Vec::new());
    graph.node("Softmax", &[&hidden], vec![("axis", Attr::Int(1))])
}

fn random(graph: &mut GraphBuilder, x: &Value) -> String {
    graph.node("RandomNormalLike", &[&x.name], Vec::new())
}

fn found(make: Make) -> Option<String> {
    runtime();
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("model.onnx");
    write(&file, make);
    CpuCatalog::new()
        .mixes_rows(&file, &[vec![2]])
        .expect("it loads")
}

#[test]
fn made_up_rows_show_what_is_mixed() {
    for (name, make) in [
        ("softmax", softmax as Make),
        ("centred", centred),
        ("summed_up", summed_up),
        ("attention", attention),
    ] {
        let what = found(make).unwrap_or_else(|| panic!("{name} was not found out"));
        assert!(what.starts_with("`Y[") && what.contains("alone"), "{what}");
    }
}

#[test]
fn rows_that_stand_apart_are_left_alone() {
    for make in [apart as Make, random, far_off] {
        assert_eq!(found(make), None);
    }
}

/// Every model that was exported for the tests keeps its rows apart, but for one that takes a fixed batch.
#[test]
fn exported_models_keep_their_rows_apart() {
    runtime();
    let mut seen = 0;
    for case in fs::read_dir(folder("tests/data/models")).expect("the models") {
        let file = case.expect("an entry").path().join("model.onnx");
        let mut catalog = CpuCatalog::new();
        let Ok(inputs) = catalog.inputs(&file) else {
            continue;
        };
        let shapes: Vec<Vec<usize>> = (inputs.iter())
            .map(|input| {
                let dims = input.row_dims().iter();
                dims.map(|dim| match dim {
                    Dim::Fixed(size) => *size,
                    Dim::Free(_) => 2,
                })
                .collect()
            })
            .collect();
        let found = catalog.mixes_rows(&file, &shapes).expect("it loads");
        assert_eq!(found, None, "{}", file.display());
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

/// A pipeline with such a model, and golden rows that it would pass as they are.
fn checked(make: Make, batch: &str, rows: &[[f32; 2]], expected: &[[f32; 2]]) -> (String, i32) {
    let folder = TempDir::new().expect("a folder");
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write(&folder.path().join("model.onnx"), make);
    let lines = |rows: &[[f32; 2]], key: &str| -> String {
        rows.iter()
            .map(|row| format!("{{\"{key}\": {row:?}}}\n"))
            .collect()
    };
    put("rows.jsonl", &lines(rows, "X"));
    put("expected.jsonl", &lines(expected, "Y"));
    put(
        "pipeline.yaml",
        &format!(
            "name: mixing\nsource: {{ file: {{ path: \"-\" }} }}\nmodels: {{ m: {{ path: model.onnx }} }}\nbatch: {{ max_rows: {batch} }}\nsink: {{ file: {{ path: \"-\" }} }}\ngolden: {{ input: rows.jsonl, expected: expected.jsonl }}\n"
        ),
    );
    let file = folder.path().join("pipeline.yaml");
    let output = run(&["check", file.to_str().expect("UTF-8")]);
    let said = format!("{}{}", out(&output), err(&output));
    let shown = folder.path().to_string_lossy().into_owned();
    (
        said.replace(&shown, "DIR"),
        output.status.code().unwrap_or(-1),
    )
}

#[test]
fn a_model_that_mixes_rows_is_refused() {
    let (said, code) = checked(
        centred,
        "256",
        &[[1.0, 2.0], [3.0, 4.0]],
        &[[-1.0, -1.0], [1.0, 1.0]],
    );
    assert_eq!(code, 78, "{said}");
    insta::assert_snapshot!(said);
}

#[test]
fn row_by_row_nothing_is_mixed() {
    let (said, code) = checked(
        centred,
        "1",
        &[[1.0, 2.0], [3.0, 4.0]],
        &[[0.0, 0.0], [0.0, 0.0]],
    );
    assert_eq!(code, 0, "{said}");
}

#[test]
fn golden_rows_show_what_made_up_rows_do_not() {
    let rows = [[1e7, 2e7], [3e7, 4e7]];
    let (said, code) = checked(far_off, "256", &rows, &[[-9e6, -9e6], [1.1e7, 1.1e7]]);
    assert_eq!(code, 78, "{said}");
    insta::assert_snapshot!(said);
    let alone = [[1e6, 1e6], [1e6, 1e6]];
    let (said, code) = checked(far_off, "1", &rows, &alone);
    assert_eq!(code, 0, "{said}");
}
