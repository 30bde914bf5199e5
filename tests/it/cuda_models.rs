//! Models on a GPU, by the driver that stands for one: the whole program, equal to Python's onnxruntime.

use std::path::Path;

use crate::{
    cli::{err, forebay, out},
    engine::lines,
    new_runs::{Sample, of_examples, quarter_of_all, serve_with},
    support::fake_cuda,
};

/// Serves the models on the GPU, and says where each of them ran.
fn on_gpu(samples: &[Sample]) -> String {
    let [library, compiler] = [fake_cuda::NO_LIBRARY, fake_cuda::NO_COMPILER]
        .map(|(variable, nowhere)| (variable, Path::new(nowhere)));
    let environment = [("FOREBAY_LIBCUDA", fake_cuda::library()), library, compiler];
    let checked = serve_with(samples, &environment);
    let lines = checked.lines().filter(|line| line.contains(" runs on "));
    lines.map(|line| format!("{}\n", line.trim())).collect()
}

#[test]
fn a_first_quarter_of_all_models() {
    insta::assert_snapshot!(on_gpu(&quarter_of_all(0)));
}

#[test]
fn a_second_quarter_of_all_models() {
    insta::assert_snapshot!(on_gpu(&quarter_of_all(1)));
}

#[test]
fn a_third_quarter_of_all_models() {
    insta::assert_snapshot!(on_gpu(&quarter_of_all(2)));
}

#[test]
fn a_last_quarter_of_all_models() {
    insta::assert_snapshot!(on_gpu(&quarter_of_all(3)));
}

#[test]
fn the_examples_models() {
    insta::assert_snapshot!(on_gpu(&of_examples()));
}

/// What a command says about the mlp30 model where the file demands a device, without temporary paths.
fn demanded(device: &str, command: &str, environment: &[(&str, &Path)]) -> String {
    let place = tempfile::tempdir().expect("a folder");
    let model = crate::engine::folder("tests/data/models/mlp30/model.onnx");
    let text = format!(
        "name: mlp\nsource: {{ file: {{ path: rows.jsonl }} }}\nsink: {{ file: {{ path: out.jsonl }} }}\n\
         models: {{ m: {{ path: {}, device: \"{device}\" }} }}\n",
        model.display()
    );
    let file = place.path().join("pipeline.yaml");
    std::fs::write(&file, text).expect("written");
    std::fs::write(place.path().join("rows.jsonl"), "").expect("written");
    let ran = forebay(&[command, file.to_str().expect("UTF-8")])
        .envs([fake_cuda::NO_LIBRARY, fake_cuda::NO_COMPILER])
        .envs(environment.iter().copied())
        .output()
        .expect("it runs");
    let said = format!("{}{}", out(&ran), err(&ran));
    let said = said.replace(&*model.to_string_lossy(), "model.onnx");
    let said = said.replace(&*place.path().to_string_lossy(), "DIR");
    // Log lines begin with the time.
    let said: String = (said.lines())
        .filter(|line| !line.starts_with(|first: char| first == '{' || first.is_ascii_digit()))
        .map(|line| format!("{line}\n"))
        .collect();
    format!("exit {}\n{said}", ran.status.code().unwrap_or(-1))
}

#[test]
fn a_gpu_that_is_demanded_and_not_there_is_an_error() {
    let none = Path::new("/nowhere/libcuda.so.1");
    for command in ["check", "run"] {
        let said = demanded("cuda", command, &[("FOREBAY_LIBCUDA", none)]);
        insta::assert_snapshot!(format!("no_driver_{command}"), said);
    }
    let fake = [("FOREBAY_LIBCUDA", fake_cuda::library())];
    insta::assert_snapshot!("no_such_device", demanded("cuda:9", "check", &fake));
    // As a number of 32 bits it would be another.
    let beyond = demanded("cuda:4294967296", "check", &fake);
    let words = "there is no device cuda:4294967296; the last is cuda:0";
    assert!(beyond.contains(words), "{beyond}");
    insta::assert_snapshot!("demanded", demanded("cuda:0", "check", &fake));
    insta::assert_snapshot!("cpu", demanded("cpu", "check", &fake));
}

/// Runs 16 rows through mlp30 one by one, on a device that is lost with the sixth launch: the exit code, how many right
/// results came out, and the log.
fn on_a_device_that_dies(device: &str) -> (Option<i32>, usize, String) {
    let place = tempfile::tempdir().expect("a folder");
    let case = crate::engine::folder("tests/data/models/mlp30");
    let text = format!(
        "name: mlp\nsource: {{ file: {{ path: rows.jsonl }} }}\nsink: {{ file: {{ path: out.jsonl }} }}\n\
         models: {{ m: {{ path: {}, device: \"{device}\", precision: fp32, workers: 1 }} }}\nbatch: {{ max_rows: 1 }}\n",
        case.join("model.onnx").display()
    );
    let file = place.path().join("pipeline.yaml");
    std::fs::write(&file, text).expect("written");
    let rows = std::fs::copy(case.join("rows.jsonl"), place.path().join("rows.jsonl"));
    rows.expect("copied");
    let ran = forebay(&["run", file.to_str().expect("UTF-8")])
        .env("FOREBAY_LIBCUDA", fake_cuda::library())
        .envs([fake_cuda::NO_LIBRARY, fake_cuda::NO_COMPILER])
        .env("FAKE_FAIL", "cuGraphLaunch:6:700")
        .output()
        .expect("it runs");
    let score = |line: &serde_json::Value| line["score"].as_f64().expect("a number");
    let expected: Vec<f64> = lines(&case.join("expected.jsonl"))
        .iter()
        .map(score)
        .collect();
    let results = place.path().join("out.jsonl");
    let results = if results.exists() {
        lines(&results)
    } else {
        Vec::new()
    };
    let right = |found: &f64| expected.iter().any(|one| (one - found).abs() < 1e-5);
    let right = results.iter().map(score).filter(right).count();
    assert_eq!(right, results.len(), "{results:?}");
    (ran.status.code(), right, err(&ran))
}

#[test]
fn a_device_that_is_lost_leaves_its_batch_to_the_cpu() {
    let (code, results, said) = on_a_device_that_dies("auto");
    assert_eq!((code, results), (Some(0), 16), "{said}");
    assert!(
        said.contains("from now on the CPU runs the model"),
        "{said}"
    );
}

#[test]
fn a_device_that_is_lost_and_demanded_stops_the_pipeline() {
    let (code, results, said) = on_a_device_that_dies("cuda");
    assert_eq!(code, Some(1), "{said}");
    // Two launches were before the first row.
    assert!((1..5).contains(&results), "{results}: {said}");
    assert!(said.contains("the device is lost"), "{said}");
}
