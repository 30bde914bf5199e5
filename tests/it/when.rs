//! Steps that run on some of the rows: gathered, run, and put back to their places.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{engine::runtime, support::program::forebay};

const FIELDS: &str =
    "fields: { x: { dtype: f32 }, y: { dtype: f32, shape: [30] }, k: { dtype: string } }";

/// Runs a pipeline over lines of a file, and gives the lines that come out.
fn run(steps: &str, encode: &str, rows: &[Value]) -> Vec<Value> {
    runtime();
    let folder = tempfile::tempdir().unwrap();
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    fs::write(folder.path().join("rows.jsonl"), lines).unwrap();
    let file = folder.path().join("pipeline.yaml");
    let text = format!(
        "name: test\nsource: {{ file: {{ path: rows.jsonl }} }}\n{FIELDS}\nbatch: {{ max_rows: 7 }}\nsteps:\n{steps}\nencode: {encode}\nsink: {{ file: {{ path: out.jsonl }} }}\n"
    );
    fs::write(&file, text).unwrap();
    let output = forebay(&["run"]).arg(&file).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    read(&folder.path().join("out.jsonl"))
}

fn read(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn rows(count: i32) -> Vec<Value> {
    (0..count)
        .map(|row| json!({ "x": row % 5, "y": vec![row; 30], "k": if row % 2 == 0 { "a" } else { "b" } }))
        .collect()
}

fn by_x(out: &[Value], key: &str) -> Vec<(f64, Value)> {
    let mut pairs: Vec<(f64, Value)> = (out.iter())
        .map(|row| (row["x"].as_f64().unwrap(), row[key].clone()))
        .collect();
    pairs.sort_by(|a, b| {
        a.0.total_cmp(&b.0)
            .then(a.1.to_string().cmp(&b.1.to_string()))
    });
    pairs
}

#[test]
fn rows_that_do_not_pass_are_null_and_the_others_are_right() {
    let steps = "  - formula: \"x * 10\"\n    output: ten\n    when: \"x > 2\"";
    let out = run(
        steps,
        "{ json: { pass: [x, y, k], outputs: { ten: ten } } }",
        &rows(40),
    );
    assert_eq!(out.len(), 40);
    for (x, ten) in by_x(&out, "ten") {
        let expected = if x > 2.0 {
            json!(x * 10.0)
        } else {
            Value::Null
        };
        assert_eq!(ten, expected, "x {x}");
    }
}

#[test]
fn otherwise_says_what_stands_in_the_other_rows() {
    let steps = "  - formula: \"x * 10\"\n    output: ten\n    when: \"x > 2\"\n    otherwise: -1\n  - formula: \"ten + 1\"\n    output: eleven";
    let out = run(
        steps,
        "{ json: { pass: [x, y, k], outputs: { ten: ten, eleven: eleven } } }",
        &rows(40),
    );
    for (x, eleven) in by_x(&out, "eleven") {
        let expected = if x > 2.0 { x * 10.0 + 1.0 } else { 0.0 };
        assert_eq!(eleven.as_f64(), Some(expected), "x {x}");
    }
}

#[test]
fn what_takes_such_a_result_runs_on_the_same_rows() {
    let steps = "  - formula: \"x * 10\"\n    output: ten\n    when: \"k == 'a'\"\n  - formula: \"ten + x\"\n    output: sum\n  - formula: \"ten + x\"\n    output: both\n    when: \"x >= 3\"\n  - scale: { scale: 2 }\n    input: y\n    output: half";
    let rows = rows(40);
    let out = run(
        steps,
        "{ json: { pass: [x, y, k], outputs: { sum: sum, both: both, half: half } } }",
        &rows,
    );
    let mut seen = [0; 4];
    for row in &out {
        let (x, a) = (row["x"].as_f64().unwrap(), row["k"] == "a");
        let sum = if a { json!(x * 11.0) } else { Value::Null };
        assert_eq!(row["sum"], sum);
        let both = if a && x >= 3.0 {
            json!(x * 11.0)
        } else {
            Value::Null
        };
        assert_eq!(row["both"], both);
        assert!(row["half"].is_array());
        seen[usize::from(a) * 2 + usize::from(x >= 3.0)] += 1;
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn a_batch_in_which_no_row_passes_is_all_null() {
    let steps = "  - scale: { scale: 2 }\n    input: y\n    output: half\n    when: \"x > 100\"";
    let out = run(
        steps,
        "{ json: { pass: [x, y, k], outputs: { half: half } } }",
        &rows(10),
    );
    assert_eq!(out.len(), 10);
    assert!(out.iter().all(|row| row["half"].is_null()));
}

#[test]
fn a_model_runs_on_some_rows_only() {
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/sk_logreg/model.onnx");
    let steps = format!(
        "  - formula: \"x\"\n    output: one\n  - model: m\n    inputs: {{ X: y }}\n    when: \"x < 3\"\nmodels: {{ m: {{ path: {} }} }}",
        model.display()
    );
    let plain = format!(
        "  - formula: \"x\"\n    output: one\n  - model: m\n    inputs: {{ X: y }}\nmodels: {{ m: {{ path: {} }} }}",
        model.display()
    );
    let encode = "{ json: { pass: [x, y, k], outputs: { one: one, p: probabilities } } }";
    let rows = rows(33);
    let all = run(&plain, encode, &rows);
    let some = run(&steps, encode, &rows);
    for row in &some {
        let same = all
            .iter()
            .find(|other| other["y"] == row["y"] && other["x"] == row["x"])
            .unwrap();
        let expected = if row["x"].as_f64().unwrap() < 3.0 {
            &same["p"]
        } else {
            &Value::Null
        };
        assert_eq!(&row["p"], expected);
        assert_eq!(row["one"], same["one"]);
    }
}
