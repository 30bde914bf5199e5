//! `forebay bench`: finds what a small model carries, in memory and over a real server, and touches
//! nothing else.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cli::{err, forebay, out},
    support::server::NatsServer,
};

/// A pipeline with a small model, whose source and sink are files that must stay as they are.
fn pipeline(dir: &Path, fields: &str) -> String {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/mlp30/model.onnx");
    let text = format!(
        "name: small\nsource:\n  file: {{ path: in.jsonl }}\n{fields}models:\n  mlp: {{ path: \"{}\", device: cpu }}\nsink:\n  file: {{ path: out.jsonl }}\n",
        model.display()
    );
    fs::write(dir.join("in.jsonl"), "{}\n").unwrap();
    let file = dir.join("pipeline.yaml");
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

fn report(args: &[&str]) -> Value {
    let output = forebay(args).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    serde_json::from_str(&out(&output)).unwrap()
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

/// What must hold of every report.
fn check(report: &Value, seconds: f64) {
    let maximum = number(&report["maximum_per_second"]);
    assert!(maximum > 100.0, "{report:#}");
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 9);
    for (place, step) in steps.iter().enumerate() {
        let offered = number(&step["offered_per_second"]);
        let load = (place + 1) as f64 / 10.0;
        assert!((offered / (load * maximum) - 1.0).abs() < 0.01, "{step:#}");
        // All that is due is sent and answered, however long that takes.
        let due = offered * 0.045 * seconds;
        assert!(
            (number(&step["messages"]) - due).abs() <= 1.0,
            "{step:#} of {due}"
        );
        let percentiles = ["p50_ms", "p90_ms", "p99_ms", "p999_ms", "longest_ms"];
        let values = percentiles.map(|name| number(&step[name]));
        assert!(values.is_sorted() && values[0] > 0.0, "{step:#}");
    }
    assert!(number(&report["alone"]["p50_ms"]) > 0.0);
    let stages = &report["stages"];
    for name in ["decode", "engine", "encode"] {
        assert!(number(&stages[name]) > 0.0, "{stages:#}");
    }
    assert!(number(&stages["rows_in_a_batch"]) >= 1.0);
}

#[test]
fn a_small_model_in_memory() {
    let dir = TempDir::new().unwrap();
    let file = pipeline(dir.path(), "");
    let html = dir.path().join("bench.html");
    let args = [
        "bench",
        &file,
        "--time",
        "3s",
        "--json",
        "--html",
        html.to_str().unwrap(),
    ];
    let target = ["--target", "1M/s", "--p99", "10s"];
    // `1M/s` is no rate, and says so.
    let output = forebay(&[&args[..], &target[..]].concat())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    let target = ["--target", "1000k/s", "--p99", "10s"];
    let report = report(&[&args[..], &target[..]].concat());
    check(&report, 3.0);
    assert_eq!(report["through"], "in process");
    assert_eq!(report["sample"]["rows_a_message"], 1.0);
    assert_eq!(report["sample"]["rejected_percent"], 0.0);
    // As many as it takes at 90 % of the most that one carries.
    let replicas = number(&report["replicas"]["machines"]);
    let one = 0.9 * number(&report["maximum_per_second"]);
    assert!(
        (replicas - 1e6 / one).abs() <= 1.0,
        "{replicas} of {one} rows/s"
    );
    let page = fs::read_to_string(&html).unwrap();
    assert!(page.contains("<svg") && page.contains("forebay bench: small"));
    let mut left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["bench.html", "in.jsonl", "pipeline.yaml"]);
}

#[test]
fn over_a_server_with_rows_of_a_file() {
    let server = NatsServer::start(&[]);
    let dir = TempDir::new().unwrap();
    let file = pipeline(dir.path(), "");
    let rows = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/mlp30/rows.jsonl");
    let nats = format!("--nats={}", server.url());
    let rows = rows.to_str().unwrap();
    let report = report(&[
        "bench", &file, "--time", "3s", "--json", "--rows", rows, &nats,
    ]);
    check(&report, 3.0);
    assert!(
        report["through"]
            .as_str()
            .unwrap()
            .starts_with("over NATS at ")
    );
    assert_eq!(report["sample"]["messages"], 16);
}

#[test]
fn rejected_rows_are_told_of() {
    let dir = TempDir::new().unwrap();
    let file = pipeline(
        dir.path(),
        "fields:\n  X: { dtype: f32, shape: [30], range: [-100, 1] }\n",
    );
    let row = |first: f64| {
        let mut values = vec![0.5; 30];
        values[0] = first;
        format!("{{\"X\":{values:?}}}\n")
    };
    let rows = dir.path().join("rows.jsonl");
    fs::write(&rows, [row(0.5), row(0.25), row(0.75), row(2.0)].concat()).unwrap();
    let rows_arg = rows.to_str().unwrap();
    let good = report(&["bench", &file, "--time", "2s", "--json", "--rows", rows_arg]);
    let rejected = number(&good["sample"]["rejected_percent"]);
    assert!((rejected - 25.0).abs() < 1.0, "{rejected}");
    let first = good["sample"]["first_reject"].as_str().unwrap();
    assert!(first.contains("`X`"), "{first}");

    fs::write(&rows, row(2.0)).unwrap();
    let output = forebay(&["bench", &file, "--time", "2s", "--rows", rows_arg])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = err(&output);
    assert!(
        said.contains("every message is rejected; the first: "),
        "{said}"
    );
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let dir = TempDir::new().unwrap();
    let file = pipeline(dir.path(), "");
    for (args, code, says) in [
        (["--time", "1s"], 2, "--time is too short"),
        (
            ["--rows", "nowhere.jsonl"],
            66,
            "nowhere.jsonl cannot be read",
        ),
        (["--p99", "5ms"], 2, "--target"),
        (["--nats", "--json"], 2, "names no NATS server"),
    ] {
        let output = forebay(&[&["bench", &file], &args[..]].concat())
            .output()
            .unwrap();
        let said = err(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(says), "{said}");
    }
}
