//! `forebay compile`: what it writes gives in a bare ONNX Runtime what `forebay run` publishes.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use forebay::{
    contract::Dtype,
    engine::cpu::library,
    graph::{self, proto::Model},
};
use ort::session::{Session, SessionInputValue, SessionInputs};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cli::{err, out, run},
    engine::folder,
    steps::elements::Elements,
    support::examples::example,
};

/// How far off a number may be.
const NEAR: f64 = 1e-6;

/// A pipeline from file to file, and its rows.
struct Case {
    name: String,
    compiled: PathBuf,
    runs: PathBuf,
    rows: Vec<Value>,
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn made() -> Vec<Case> {
    let mut folders: Vec<PathBuf> = (fs::read_dir(folder("tests/data/compile")).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    (folders.into_iter())
        .map(|folder| Case {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            compiled: folder.join("pipeline.yaml"),
            runs: folder.join("pipeline.yaml"),
            rows: json_lines(&fs::read_to_string(folder.join("rows.jsonl")).unwrap()),
        })
        .collect()
}

/// The text without these keys of the file.
fn without(text: &str, keys: &[&str]) -> String {
    let mut dropped = false;
    let kept = text.lines().filter(|line| {
        if !line.starts_with([' ', '#']) && !line.is_empty() {
            dropped = keys.iter().any(|key| line.starts_with(&format!("{key}:")));
        }
        !dropped
    });
    kept.map(|line| format!("{line}\n")).collect()
}

/// The example, from file to file.
fn of_example(name: &str, place: &Path) -> Case {
    let compiled = example(&format!("{name}/pipeline.yaml"));
    let rows = compiled.with_file_name("sample.jsonl");
    let text = fs::read_to_string(&compiled).unwrap();
    let mut text = without(&text, &["source", "sink", "dead_letter", "http", "golden"]);
    if name == "digits" {
        // A line of a file is no tensor.
        text = without(&text, &["decode"]) + "fields: { pixels: { dtype: f32, shape: [64] } }\n";
        text = text.replace("  json:\n", "  json:\n    pass: [id]\n");
    }
    let model = compiled.with_file_name("model.onnx");
    text = text.replace("path: model.onnx", &format!("path: {}", model.display()));
    text += &format!(
        "source: {{ file: {{ path: {} }} }}\nsink: {{ file: {{ path: \"-\" }} }}\n",
        rows.display()
    );
    let runs = place.join(format!("{name}.yaml"));
    fs::write(&runs, text).unwrap();
    Case {
        name: name.to_owned(),
        rows: json_lines(&fs::read_to_string(rows).unwrap()),
        compiled,
        runs,
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn flat(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        Value::Object(values) => values.values().flat_map(flat).collect(),
        value => vec![value.clone()],
    }
}

/// As [`Elements`] are read.
fn written(elements: &Elements) -> Vec<Value> {
    match elements {
        Elements::Text(all) => all.iter().map(|text| json!(text)).collect(),
        Elements::Whole(all) => all.iter().map(|number| json!(number)).collect(),
        // What is not finite is published as null.
        Elements::Float(all) => all.iter().map(|number| json!(number)).collect(),
    }
}

/// Values by their names in the pipeline file, flat, row after row.
type Made = HashMap<String, Vec<Value>>;

/// One row of a column.
fn cell(column: &Value, row: usize, case: &Case, results: &[Value], made: &Made) -> Vec<Value> {
    if let Some(output) = column["output"].as_str() {
        let all = &made[output];
        let width = all.len() / case.rows.len();
        return all[row * width..(row + 1) * width].to_vec();
    }
    let name = column["field"].as_str().unwrap();
    // What a step on the host makes is published by these pipelines under its own name.
    let from = if column.get("made_of").is_some() {
        &results[row]
    } else {
        &case.rows[row]
    };
    match &from[name] {
        Value::Null => vec![column["default"].clone()],
        value => flat(value),
    }
}

/// Feeds all rows, a few at a time, and gives all outputs.
fn run_file(
    file: &Value,
    session: &mut Session,
    case: &Case,
    results: &[Value],
    made: &Made,
) -> HashMap<String, (Dtype, Vec<Value>)> {
    let at_once = usize::try_from(file["rows"].as_u64().unwrap_or(5)).unwrap();
    let mut all: HashMap<String, (Dtype, Vec<Value>)> = HashMap::new();
    for start in (0..case.rows.len()).step_by(at_once) {
        let end = (start + at_once).min(case.rows.len());
        let fed = if file["rows"].is_null() {
            end - start
        } else {
            at_once
        };
        let inputs = file["inputs"].as_array().unwrap();
        let feeds: Vec<(String, SessionInputValue<'static>)> = (inputs.iter())
            .map(|input| {
                let columns = input["columns"].as_array().unwrap();
                let values: Vec<Value> = (start..start + fed)
                    .map(|row| row.min(case.rows.len() - 1))
                    .flat_map(|row| {
                        let cells = columns.iter();
                        cells.flat_map(move |column| cell(column, row, case, results, made))
                    })
                    .collect();
                let dtype = Dtype::from_name(input["dtype"].as_str().unwrap()).unwrap();
                let sizes = input["shape"].as_array().unwrap().iter();
                let sizes = sizes.map(|size| usize::try_from(size.as_u64().unwrap()).unwrap());
                let shape: Vec<usize> = std::iter::once(fed).chain(sizes).collect();
                let tensor = Elements::read(dtype, &values).tensor(dtype, &shape);
                (input["name"].as_str().unwrap().to_owned(), tensor)
            })
            .collect();
        let ran = session.run(SessionInputs::from(feeds)).unwrap();
        for (name, value) in &ran {
            let (dtype, shape, elements) = Elements::of(&value);
            assert_eq!(shape[0], fed, "{name}");
            let elements = elements.rows(0, end - start, fed);
            let into = all.entry(name.to_owned()).or_insert((dtype, Vec::new()));
            into.1.extend(written(&elements));
        }
    }
    all
}

/// Whether the graph runs on this row.
fn runs_on(file: &Value, row: usize, made: &Made) -> bool {
    let conditions = file["when"]["all"].as_array();
    conditions.into_iter().flatten().all(|condition| {
        let value = &made[condition.as_str().unwrap()][row];
        value == &json!(true) || value == &json!(1)
    })
}

/// Checks one published key of one row.
fn check_key(what: &str, dtype: Dtype, found: &[Value], published: &Value, expected: &Value) {
    let found = match published["element"].as_u64() {
        Some(element) => &found[usize::try_from(element).unwrap()..][..1],
        None => found,
    };
    let expected = Elements::read(dtype, &flat(expected));
    let difference = Elements::read(dtype, found).differs(&expected, 0.0, NEAR);
    assert_eq!(difference, None, "{what}");
}

fn check(case: &Case) {
    let name = &case.name;
    let place = TempDir::new().unwrap();
    let output = run(&[
        "compile",
        text(&case.compiled),
        "-o",
        text(place.path()),
        "--json",
    ]);
    assert!(output.status.success(), "{name}: {}", err(&output));
    let listing: Value = serde_json::from_str(&out(&output)).unwrap();
    let output = run(&["run", text(&case.runs), "--log", "error"]);
    assert!(output.status.success(), "{name}: {}", err(&output));
    let mut by_id: HashMap<String, Value> = (json_lines(&out(&output)).into_iter())
        .map(|result| (result["id"].to_string(), result))
        .collect();
    let results: Vec<Value> = (case.rows.iter())
        .map(|row| by_id.remove(&row["id"].to_string()).expect("a result"))
        .collect();
    let mut made = Made::new();
    for file in listing["files"].as_array().unwrap() {
        // From memory, so that it finds nothing beside it.
        let bytes = fs::read(file["file"].as_str().unwrap()).unwrap();
        let environment = library::loaded().unwrap();
        let mut session = Session::builder(&environment)
            .unwrap()
            .commit_from_memory(&bytes)
            .unwrap();
        let found = run_file(file, &mut session, case, &results, &made);
        for about in file["outputs"].as_array().unwrap() {
            let (dtype, values) = &found[about["name"].as_str().unwrap()];
            assert_eq!(about["dtype"], dtype.name(), "{name}");
            let width = values.len() / case.rows.len();
            for (row, result) in results.iter().enumerate() {
                let mut values = values[row * width..(row + 1) * width].to_vec();
                if !runs_on(file, row, &made) {
                    values.fill(file["when"]["otherwise"].clone());
                }
                for published in about["published"].as_array().unwrap() {
                    let key = published["key"].as_str().unwrap();
                    let what = format!("{name}, row {row}, {key}");
                    check_key(&what, *dtype, &values, published, &result[key]);
                }
            }
            made.insert(about["output"].as_str().unwrap().to_owned(), values.clone());
        }
    }
}

#[test]
fn compiled_graphs_give_what_is_published() {
    let cases = made();
    assert!(cases.len() >= 12);
    cases.iter().for_each(check);
}

#[test]
fn compiled_examples_give_what_is_published() {
    let place = TempDir::new().unwrap();
    for name in ["income", "digits", "penguins"] {
        check(&of_example(name, place.path()));
    }
}

pub(crate) fn compile(pipeline: &str, into: &Path, more: &[&str]) -> (String, Option<i32>) {
    let output = run(&[&["compile", pipeline, "-o", text(into)], more].concat());
    let said = format!("{}{}", out(&output), err(&output));
    (said.replace(text(into), "DIR"), output.status.code())
}

#[test]
fn what_is_written_is_listed_with_lines_that_run_it() {
    let place = TempDir::new().unwrap();
    for name in [
        "tabular",
        "several",
        "when",
        "fixed",
        "zipmap_alone",
        "text",
    ] {
        let pipeline = format!("tests/data/compile/{name}/pipeline.yaml");
        let (said, code) = compile(&pipeline, &place.path().join(name), &[]);
        assert_eq!(code, Some(0), "{said}");
        // The digests hang on our version, which is in the graphs.
        let said: Vec<&str> = (said.lines())
            .map(|line| line.split("  sha256 ").next().unwrap())
            .collect();
        insta::assert_snapshot!(format!("listing_{name}"), said.join("\n"));
    }
}

#[test]
fn the_same_file_gives_the_same_bytes() {
    let place = TempDir::new().unwrap();
    for name in ["tabular", "several", "zipmap"] {
        let pipeline = format!("tests/data/compile/{name}/pipeline.yaml");
        let [one, other] = ["one", "other"].map(|folder| {
            let into = place.path().join(name).join(folder);
            assert_eq!(compile(&pipeline, &into, &[]).1, Some(0));
            let mut files: Vec<_> = (fs::read_dir(into).unwrap())
                .map(|entry| entry.unwrap().path())
                .map(|path| {
                    (
                        path.file_name().unwrap().to_owned(),
                        fs::read(path).unwrap(),
                    )
                })
                .collect();
            files.sort();
            files
        });
        assert!(one == other, "{name}");
    }
}

fn property(model: &Model, key: &str) -> String {
    let mut all = model.metadata_props.iter();
    let found = all.find(|property| property.key == key);
    found.expect("a property").value.clone()
}

#[test]
fn the_digest_follows_what_decides_the_result() {
    let place = TempDir::new().unwrap();
    let original = folder("tests/data/compile/tabular/pipeline.yaml");
    let original = fs::read_to_string(original).unwrap();
    let digest = |name: &str, before: &str, after: &str| {
        assert!(original.contains(before));
        let file = place.path().join("pipeline.yaml");
        fs::write(&file, original.replace(before, after)).unwrap();
        fs::write(place.path().join("rows.jsonl"), "").unwrap();
        let into = place.path().join(name);
        let (said, code) = compile(text(&file), &into, &[]);
        assert_eq!(code, Some(0), "{said}");
        let model = graph::read(&into.join("row.onnx")).unwrap();
        property(&model, "forebay.digest")
    };
    let first = digest("first", "name", "name");
    let rows = ("{ path: rows.jsonl }", "{ path: \"-\" }");
    assert_eq!(first, digest("rows", rows.0, rows.1));
    assert_ne!(first, digest("constant", "12,", "12.1,"));
    assert_ne!(first, digest("order", "[CA, NY, TX]", "[NY, CA, TX]"));
    assert_ne!(first, digest("columns", "hours, kids]", "kids, hours]"));
    assert_ne!(first, digest("unit", "unit: h }", "unit: min }"));
}
