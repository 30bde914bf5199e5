//! What cannot be served says so, before the first message is taken.
#![allow(clippy::unwrap_used, reason = "a test that panics has done its work")]

use std::{fs, path::Path};

use forebay::{
    block::{Column, Strings, Table},
    contract::{Dtype, Field},
    engine::{
        Dim, Engine as _, EngineError, EngineSpec, ModelError,
        cpu::{CpuEngine, catalog::CpuCatalog},
    },
};

use super::{
    engine::{Case, folder, runtime},
    engine_onnx::{
        COMPLEX64, FLOAT, FLOAT16, Proto, UINT64, model, model_of_version, node, number, tensor,
        value,
    },
};

/// Everything that `check` asks of a model: its inputs, then what comes out of rows of 30 numbers.
fn refusal(path: &Path) -> Option<ModelError> {
    runtime();
    let mut catalog = CpuCatalog::new();
    let inputs = match catalog.inputs(path) {
        Ok(inputs) => inputs,
        Err(error) => return Some(error),
    };
    let shapes: Vec<Vec<usize>> = (inputs.iter())
        .map(|input| {
            (input.row_dims().iter())
                .map(|dim| match dim {
                    Dim::Fixed(size) => *size,
                    Dim::Free(_) => 30,
                })
                .collect()
        })
        .collect();
    catalog.outputs(path, &shapes).err()
}

fn words(error: &ModelError, path: &Path) -> String {
    error.message.replace(&path.display().to_string(), "MODEL")
}

#[test]
fn every_bad_model_is_refused_in_words() {
    let mut all = Vec::new();
    let mut files: Vec<_> = fs::read_dir(folder("tests/data/bad_models"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 7, "{files:?}");
    for path in files {
        let error = refusal(&path).unwrap_or_else(|| panic!("{} was taken", path.display()));
        all.push(format!(
            "{}\n  {}",
            path.file_name().unwrap().display(),
            words(&error, &path)
        ));
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn files_that_are_no_model_are_refused_in_words() {
    let place = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    let mut ask = |name: &str, bytes: Option<&[u8]>| {
        let path = place.path().join(name);
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None if name.ends_with('/') => fs::create_dir(&path).unwrap(),
            None => {}
        }
        let error = refusal(&path).unwrap_or_else(|| panic!("{name} was taken"));
        all.push(format!("{name}\n  {}", words(&error, &path)));
    };
    ask("missing.onnx", None);
    ask("folder/", None);
    ask("model.pkl", Some(b"\x80\x04\x95\x10\0\0\0\0\0\0\0"));
    ask("model.pt", Some(b"PK\x03\x04\0\0\0\0"));
    ask("model.h5", Some(b"\x89HDF\r\n\x1a\n"));
    ask(
        "pointer.onnx",
        Some(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
    );
    ask("noise.onnx", Some(b"\x07\x01\x02\xff\xfe\0\0\x03"));
    insta::assert_snapshot!(all.join("\n"));
}

/// What is said of each of these files.
fn refusals(files: &[(&str, Vec<u8>)]) -> String {
    let place = tempfile::tempdir().unwrap();
    let said = files.iter().map(|(name, bytes)| {
        let path = place.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = refusal(&path).unwrap_or_else(|| panic!("{name} was taken"));
        format!("{name}\n  {}", words(&error, &path))
    });
    said.collect::<Vec<_>>().join("\n")
}

/// A model with one node from `x` to `y`.
fn one(node: Proto, from: &Proto, to: &Proto) -> Vec<u8> {
    model(&[node], &[value("x", from)], &[value("y", to)])
}

#[test]
fn types_that_cannot_be_fed_or_served_are_refused_in_words() {
    let same = |of: &Proto| one(node("Identity", "", &["x"], &["y"], &[]), of, of);
    let of = |element| tensor(element, &["n", "30"]);
    let wrapped = |field, inner: &Proto| Proto::new().inner(field, &Proto::new().inner(1, inner));
    let half = node("Cast", "", &["x"], &["y"], &[number("to", FLOAT16)]);
    let said = refusals(&[
        ("half floats", same(&of(FLOAT16))),
        ("wide unsigned", same(&of(UINT64))),
        ("complex numbers", same(&of(COMPLEX64))),
        ("a sequence", same(&wrapped(4, &of(FLOAT)))),
        ("optional", same(&wrapped(9, &of(FLOAT)))),
        (
            "a sequence of sequences",
            same(&wrapped(4, &wrapped(4, &of(FLOAT)))),
        ),
        ("half floats out", one(half, &of(FLOAT), &of(FLOAT16))),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn graphs_that_cannot_be_served_are_refused_in_words() {
    let floats = |dims: &[&str]| tensor(FLOAT, dims);
    let copy = |from: &str, to: &str| node("Identity", "", &[from], &[to], &[]);
    let ends = |name: &str, rows| value(name, &floats(&[rows, "3"]));
    let pairs = node("MatMul", "", &["x", "t"], &["y"], &[]);
    let transposed = |to: &str| node("Transpose", "", &["x"], &[to], &[]);
    let rows = floats(&["n", "3"]);
    let said = refusals(&[
        (
            "a single value",
            one(copy("x", "y"), &floats(&[]), &floats(&[])),
        ),
        (
            "no rows",
            one(copy("x", "y"), &floats(&["0", "3"]), &floats(&["0", "3"])),
        ),
        (
            "an operator of one's own",
            one(node("Gizmo", "made.up", &["x"], &["y"], &[]), &rows, &rows),
        ),
        (
            "a new format",
            model_of_version(
                99,
                &[copy("x", "y")],
                &[value("x", &rows)],
                &[value("y", &rows)],
            ),
        ),
        (
            "two batch sizes",
            model(
                &[copy("a", "y"), copy("b", "z")],
                &[ends("a", "2"), ends("b", "4")],
                &[ends("y", "2"), ends("z", "4")],
            ),
        ),
        (
            "rows go across",
            one(transposed("y"), &rows, &floats(&["3", "n"])),
        ),
        (
            "rows depend on the batch",
            model(
                &[transposed("t"), pairs],
                &[value("x", &rows)],
                &[value("y", &floats(&["n", "n"]))],
            ),
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn what_does_not_fit_the_model_is_refused_when_it_is_loaded() {
    let case = Case::read(&folder("tests/data/models/rank3"));
    let path = &case.model;
    let mut all = Vec::new();
    let mut ask = |change: &dyn Fn(&mut EngineSpec, &mut Vec<Field>)| {
        let (mut spec, mut fields) = (case.spec(8), case.fields());
        change(&mut spec, &mut fields);
        let error = CpuEngine::load(&spec, &fields).unwrap_err();
        all.push(words(&error, path));
    };
    ask(&|spec, _| spec.steps[0].inputs[0].shape = vec![4, 6]);
    ask(&|spec, _| spec.steps[0].inputs.clear());
    ask(&|_, fields| fields[0].dtype = Dtype::String);
    ask(&|spec, _| spec.outputs[0].output = 7);
    ask(&|spec, _| spec.outputs[0].step = 1);
    ask(&|spec, _| spec.steps[0].source.path = "tests/data/models/missing.onnx".into());
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn text_that_the_runtime_cannot_take_is_refused_in_words() {
    let case = Case::read(&folder("tests/data/models/sk_columns"));
    let mut engine = CpuEngine::load(&case.spec(8), &case.fields()).unwrap();
    let mut table = case.table().slice(0..1);
    let Column::String(text) = &mut table.series[2].values else {
        panic!("text")
    };
    *text = Strings::default();
    text.push("N\0Y");
    let error = engine.run(&table, &mut Table::default()).unwrap_err();
    assert!(matches!(error, EngineError::Batch(_)));
    insta::assert_snapshot!(error, @"a text has a NUL character in it, which ONNX Runtime cannot take");
    // The engine goes on.
    let table = case.table();
    let mut output = Table::default();
    engine.run(&table, &mut output).unwrap();
    case.check(&output, 0, "after an error");
}
