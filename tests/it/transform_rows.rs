//! `forebay transform`: what becomes of rows that are bad, large, many or in odd company.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cli::{err, forebay, out},
    support::{
        examples::example,
        program::{self, Program},
    },
    transform_formats::{json_lines, parquet_rows, transform},
};

/// A pipeline of steps around a model that is not there; its broker is nowhere.
const STEPS: &str = "\
name: steps
source: { jetstream: { url: \"tls://nowhere.invalid:4222\", stream: S, consumer: c, auth: { credentials_file: missing.creds } } }
sink: { nats: { subject: \"{7}\" } }
fields:
  a: { dtype: f32, range: [0, 1e9] }
  b: { dtype: f32, nullable: true }
  v: { dtype: f32, shape: [2], default: 0 }
models: { m: { path: missing.onnx } }
batch: { max_rows: 7 }
steps:
  - scale: { center: 1, scale: 2 }
    input: [a, b]
    output: scaled
  - concat: {}
    input: [scaled, v]
    output: row
  - model: m
    inputs: { X: row }
  - softmax: {}
    input: logits
    output: probabilities
  - softmax: {}
    input: v
    output: soft
encode: { json: { pass: [id], outputs: { p: probabilities } } }
";

pub(crate) struct Place {
    folder: TempDir,
    pub(crate) pipeline: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let pipeline = folder.path().join("steps.yaml");
        std::fs::write(&pipeline, STEPS).expect("written");
        Self { folder, pipeline }
    }

    pub(crate) fn at(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.at(file);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    /// The files that are there, but for the pipeline.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("a folder");
        let names = entries.map(|entry| entry.expect("a file").file_name());
        let mut names: Vec<_> = names
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.retain(|name| name != "steps.yaml");
        names.sort();
        names
    }
}

fn features(place: &Place, input: &str, output: &str, more: &[&str]) -> String {
    let more: Vec<&str> = more.iter().copied().chain(["--without-models"]).collect();
    transform(&place.pipeline, input, &place.at(output), &more)
}

#[test]
fn without_models_the_features_are_written() {
    let place = Place::new();
    let input = place.write(
        "in.jsonl",
        "{\"id\":1,\"a\":3,\"b\":null,\"v\":[1,1]}\n{\"id\":\"x\",\"a\":1,\"b\":5}\n",
    );
    let said = features(&place, &input, "out.jsonl", &[]);
    assert!(
        said.contains("steps left out, for want of models: m, probabilities"),
        "{said}"
    );
    let expected = [
        json!({"id": 1, "a": 3.0, "b": null, "v": [1.0, 1.0], "scaled": [1.0, null], "row": [1.0, null, 1.0, 1.0], "soft": [0.5, 0.5]}),
        json!({"id": "x", "a": 1.0, "b": 5.0, "v": [0.0, 0.0], "scaled": [0.0, 2.0], "row": [0.0, 2.0, 0.0, 0.0], "soft": [0.5, 0.5]}),
    ];
    assert_eq!(json_lines(&place.at("out.jsonl")), expected);
    // What was written can be read again, and gives the same.
    features(&place, &input, "out.csv", &[]);
    features(
        &place,
        &place.at("out.csv").display().to_string(),
        "again.jsonl",
        &[],
    );
    assert_eq!(json_lines(&place.at("again.jsonl")), expected);
    features(&place, &input, "some.jsonl", &["--outputs", "row[0],a"]);
    let some = [
        json!({"id": 1, "row[0]": 1.0, "a": 3.0}),
        json!({"id": "x", "row[0]": 0.0, "a": 1.0}),
    ];
    assert_eq!(json_lines(&place.at("some.jsonl")), some);
}

#[test]
fn outputs_in_between_and_fields_can_be_written() {
    let place = Place::new();
    let sample = example("income/sample.jsonl").display().to_string();
    let pipeline = example("income/pipeline.yaml");
    let more = ["--outputs", "probabilities,AGEP", "-n", "3"];
    transform(&pipeline, &sample, &place.at("out.jsonl"), &more);
    let rows = json_lines(&place.at("out.jsonl"));
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["AGEP"], json!(46.0));
    assert_eq!(rows[0]["probabilities"].as_array().map(Vec::len), Some(2));
}

#[test]
fn rejected_rows_are_told_and_written() {
    let place = Place::new();
    let input = place.write(
        "in.jsonl",
        "{\"a\":1}\nno json\n\n{\"a\":-1,\n  \"b\":2}\n[{\"a\":2},{\"a\":\"x\"},{\"a\":3}]\n{\"b\":1}\n",
    );
    let rejects = place.at("bad.jsonl");
    let rejects = rejects.to_str().expect("UTF-8");
    let said = features(
        &place,
        &input,
        "out.jsonl",
        &["--rejects", rejects, "--json"],
    );
    assert_eq!(said, "");
    assert_eq!(json_lines(&place.at("out.jsonl")).len(), 3);
    let bad = std::fs::read_to_string(rejects).expect("written");
    insta::assert_snapshot!(bad);
    assert_eq!(place.files(), ["bad.jsonl", "in.jsonl", "out.jsonl"]);
}

#[test]
fn the_same_row_has_the_same_reason_in_every_form() {
    let place = Place::new();
    let json = place.write(
        "in.jsonl",
        "{\"a\":1}\n{\"a\":-5}\n{\"b\":1}\n{\"a\":\"x\"}\n{\"a\":1,\"v\":[1]}\n",
    );
    let csv = place.write("in.csv", "a,b,v\n1,,\n-5,,\n,1,\nx,,\n1,,[1]\n");
    let reasons = |input: &str| {
        let rejects = place.at("bad.jsonl");
        features(
            &place,
            input,
            "out.jsonl",
            &["--rejects", rejects.to_str().expect("UTF-8")],
        );
        let lines = json_lines(&rejects).into_iter();
        lines
            .map(|line| (line["row"].clone(), line["reason"].clone()))
            .collect::<Vec<_>>()
    };
    let of_json = reasons(&json);
    assert_eq!(of_json.len(), 4);
    assert_eq!(reasons(&csv), of_json);
}

#[test]
fn rows_stay_in_order_whatever_the_batches() {
    let place = Place::new();
    let mut text = String::from("id,a\n");
    for row in 0..20_000 {
        let a = if row % 97 == 0 { "bad" } else { "1" };
        writeln!(text, "{row},{a}").expect("memory");
    }
    let input = place.write("in.csv", text);
    features(&place, &input, "out.parquet", &["--outputs", "scaled"]);
    let ids: Vec<_> = parquet_rows(&place.at("out.parquet"))
        .iter()
        .map(|row| row["id"].as_u64())
        .collect();
    let expected: Vec<_> = (0..20_000).filter(|row| row % 97 != 0).map(Some).collect();
    assert_eq!(ids, expected);
}

#[test]
fn a_key_that_turns_out_to_be_text_is_text_in_every_row() {
    let place = Place::new();
    let rows = 70_000;
    let mut text = String::from("id,a\n");
    for row in 0..rows {
        let id = if row == rows - 1 {
            "last".to_owned()
        } else {
            row.to_string()
        };
        writeln!(text, "{id},1").expect("memory");
    }
    let input = place.write("in.csv", &text);
    features(&place, &input, "out.parquet", &["--outputs", "a"]);
    let found = parquet_rows(&place.at("out.parquet"));
    assert_eq!(found.len(), rows);
    assert_eq!(
        (&found[0]["id"], &found[rows - 1]["id"]),
        (&json!("0"), &json!("last"))
    );
    // From standard input there is no second look.
    let pipeline = place.pipeline.to_str().expect("UTF-8");
    let output = place.at("again.parquet");
    let output = output.to_str().expect("UTF-8");
    let mut command = forebay(&[
        "transform",
        pipeline,
        "-i",
        "-",
        "--input-format",
        "csv",
        "-o",
        output,
        "--without-models",
        "--outputs",
        "a",
    ]);
    let file = std::fs::File::open(input).expect("there");
    let ran = command.stdin(file).output().expect("it runs");
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        err(&ran).contains("put the rows into a file"),
        "{}",
        err(&ran)
    );
    assert_eq!(place.files(), ["in.csv", "out.parquet"]);
}

#[test]
fn huge_rows_harm_nobody() {
    let place = Place::new();
    let long = " ".repeat(20 << 20);
    let too_long = "x".repeat(65 << 20);
    let input = place.write(
        "in.jsonl",
        format!("{{\"a\":1}}\n{{\"a\":2,{long}\"b\":1}}\n{{\"t\":\"{too_long}\"}}\n{{\"a\":3}}\n"),
    );
    let rejects = place.at("bad.jsonl");
    let rejects_path = rejects.to_str().expect("UTF-8");
    features(
        &place,
        &input,
        "out.jsonl",
        &["--rejects", rejects_path, "--outputs", "a"],
    );
    let values: Vec<Value> = json_lines(&place.at("out.jsonl"))
        .iter()
        .map(|row| row["a"].clone())
        .collect();
    assert_eq!(values, [json!(1.0), json!(2.0), json!(3.0)]);
    let bad = json_lines(&rejects);
    assert_eq!((bad.len(), &bad[0]["row"]), (1, &json!(3)));
    assert_eq!(bad[0]["reason"], json!("the line is longer than 64 MiB"));
}

#[test]
fn standard_input_and_output_will_do() {
    let place = Place::new();
    let pipeline = place.pipeline.to_str().expect("UTF-8");
    let args = [
        "transform",
        pipeline,
        "-i",
        "-",
        "-o",
        "-",
        "--output-format",
        "csv",
        "--without-models",
        "--outputs",
        "a",
    ];
    let mut child = forebay(&args)
        .stdin(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all(b"{\"id\":\"a,b\",\"a\":1}\n{\"a\":2}\n")
        .expect("it reads");
    drop(stdin);
    let ran = child.wait_with_output().expect("it ends");
    assert_eq!(out(&ran), "id,a\n\"a,b\",1.0\n,2.0\n");
    assert!(
        err(&ran).starts_with("2 rows written to standard output"),
        "{}",
        err(&ran)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_no_half_file() {
    let place = Place::new();
    let output = place.write("out.jsonl", "as it was\n");
    let pipeline = place.pipeline.to_str().expect("UTF-8");
    let args = [
        "transform",
        pipeline,
        "-i",
        "-",
        "-o",
        &output,
        "--without-models",
    ];
    let mut command = program::forebay(&args);
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let program = Program::start(command.stdin(reader));
    // So many rows that some must have been written.
    for _ in 0..2000 {
        writer.write_all(b"{\"a\":1}\n").expect("it reads");
    }
    let begun = |place: &Path| {
        let part = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".part"))
        };
        std::fs::read_dir(place).expect("a folder").any(part)
    };
    crate::support::eventually("a file begun", async || begun(place.folder.path())).await;
    program.signal("INT");
    let ended = program.ended().await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("stopped before the end"),
        "{}",
        ended.stderr
    );
    assert_eq!(place.files(), ["out.jsonl"]);
    assert_eq!(
        std::fs::read_to_string(output).expect("there"),
        "as it was\n"
    );
}
