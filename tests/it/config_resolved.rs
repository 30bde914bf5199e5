//! `check --resolved` writes a pipeline file that means the same: read again, it is written the same.

use std::{fs, path::Path};

use crate::{config_steps::load_at, support::examples::example};

/// Written out, read again, and written out: both texts.
fn twice(path: &str, yaml: &str) -> [String; 2] {
    let plan = load_at(path, yaml).unwrap_or_else(|errors| panic!("{path}: {errors}"));
    let once = forebay::config::resolved(&plan);
    // Its paths are relative to this folder.
    let again = load_at("resolved.yaml", &once).unwrap_or_else(|errors| panic!("{path}: {errors}"));
    [once, forebay::config::resolved(&again)]
}

fn assert_stays(path: &str, yaml: &str) -> String {
    let [once, again] = twice(path, yaml);
    assert_eq!(once, again, "{path}");
    once
}

#[test]
fn every_pipeline_in_the_repository() {
    let mut seen = 0;
    for folder in ["pipelines", "tests/data/compile"] {
        for pipeline in fs::read_dir(folder).expect(folder) {
            let files = fs::read_dir(pipeline.expect("an entry").path());
            for file in files.into_iter().flatten() {
                let path = file.expect("a file").path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "yaml")
                {
                    let text = fs::read_to_string(&path).expect("readable");
                    assert_stays(&path.display().to_string(), &text);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 20, "{seen}");
    assert!(example("income/pipeline.yaml").is_file());
}

fn assert_says(steps: &str, said: &[&str]) {
    let yaml = format!(
        "name: x
source: {{ file: {{ path: \"-\" }} }}
fields: {{ x: {{ nullable: true, range: [-.inf, 1e300] }}, n: {{ dtype: f64, default: 1e300 }}, v: {{ shape: [2] }}, s: {{ dtype: string }} }}
steps:
{steps}
encode: {{ json: {{ pass: [x, n, v, s] }} }}
sink: {{ file: {{ path: \"-\" }} }}"
    );
    let once = assert_stays(Path::new("x.yaml").to_str().expect("UTF-8"), &yaml);
    for said in said {
        assert!(once.contains(said), "no `{said}` in {once}");
    }
}

#[test]
fn numbers_that_json_cannot_hold() {
    for number in ["1e300", "0.1", "3"] {
        assert_says(
            &format!("  - {{ formula: n + 1, output: more, when: n > 0, otherwise: {number} }}"),
            &[&format!("otherwise: {number}")],
        );
    }
    assert_says(
        "  - { clip: { low: [-.inf, 0], high: .inf }, input: v, output: w }",
        &["low: [-.inf, 0.0], high: [.inf]"],
    );
    assert_says(
        "  - { impute: { value: 0, missing: .inf }, input: x, output: w }",
        &["missing: .inf"],
    );
}

#[test]
fn texts_that_look_like_something_else() {
    assert_says(
        "  - { one_hot: { categories: [\"null\", \"true\", \"1\", \".nan\", \"$${HOME}\", \"a: b\", \"\\u00e9\\n\"] }, input: s, output: hot }",
        &[r#"["null", "true", "1", ".nan", "$${HOME}", "a: b", "#],
    );
}

#[test]
fn a_model_that_runs_twice() {
    let once = assert_stays(
        "pipelines/x.yaml",
        "name: x
source: { file: { path: \"-\" } }
fields: { a: {}, b: {} }
models: { m: { path: ../tests/data/step_faults/pair.onnx } }
steps:
  - { model: m, inputs: { X: [a, b] } }
  - { model: m, name: back, inputs: { X: [b, a] }, when: m.label > 0, otherwise: 7 }
encode: { json: { outputs: { first: m.label, second: back.label } } }
sink: { file: { path: \"-\" } }",
    );
    assert!(once.contains("second: back.label"), "{once}");
}
