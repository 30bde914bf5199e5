//! The example pipelines: their files, their rows, and what Python's onnxruntime answers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) fn example(file: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("pipelines")
        .join(file);
    assert!(path.is_file(), "{} is not there", path.display());
    path
}

/// The lines of an example's file.
pub(crate) fn lines(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(example(file)).expect("the example is readable");
    text.lines().map(ToOwned::to_owned).collect()
}

/// The lines of an example's file, read.
pub(crate) fn rows(file: &str) -> Vec<Value> {
    lines(file)
        .iter()
        .map(|line| json(line.as_bytes()))
        .collect()
}

/// Bytes that must be JSON.
pub(crate) fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

/// What the income pipeline must answer to its sample.
pub(crate) fn income_results() -> Vec<Value> {
    let (sample, expected) = (rows("income/sample.jsonl"), rows("income/expected.jsonl"));
    assert_eq!((sample.len(), expected.len()), (5000, 5000));
    let result = |(row, answer): (&Value, &Value)| {
        assert_eq!(row["id"], answer["id"]);
        serde_json::json!({
            "id": row["id"],
            "employed": row["employed"],
            "label": answer["label"],
            "score": answer["probabilities"][1],
        })
    };
    sample.iter().zip(&expected).map(result).collect()
}

/// An example's pipeline file with some of its text replaced, in a folder of its own.
pub(crate) struct Changed {
    _folder: TempDir,
    pub(crate) file: PathBuf,
}

/// The income pipeline with little in flight, so that rows wait in the stream and not in it.
pub(crate) const LITTLE_IN_FLIGHT: (&str, &str) = (
    "batch: { max_rows: 256, max_delay: 2ms }\nmax_in_flight: 8192",
    "batch: { max_rows: 32, max_delay: 2ms }\nmax_in_flight: 64",
);

/// Each `(before, after)` must be found. The files that it reads are those of the example, and what `make models`
/// fetches.
pub(crate) fn changed(file: &str, changes: &[(&str, &str)]) -> Changed {
    let original = example(file);
    let mut text = std::fs::read_to_string(&original).expect("the example is readable");
    for (before, after) in changes {
        assert!(text.contains(before), "{file} has no `{before}`");
        text = text.replace(before, after);
    }
    for golden in ["golden.jsonl", "golden.expected.jsonl"] {
        let path = original.with_file_name(golden).display().to_string();
        text = text.replace(&format!(": {golden}"), &format!(": {path}"));
    }
    for name in ["model.onnx", "classifier.onnx", "sample.jsonl"] {
        let whole = original.with_file_name(name);
        text = text.replace(
            &format!("path: {name}"),
            &format!("path: {}", whole.display()),
        );
    }
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join(".models");
    if text.contains("../../.models/") {
        assert!(
            models.is_dir(),
            "the models of {file} are not there: run `make models`"
        );
        text = text.replace("../../.models", &models.display().to_string());
    }
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("pipeline.yaml");
    std::fs::write(&file, text).expect("written");
    Changed {
        _folder: folder,
        file,
    }
}

/// Fails unless the results are `expected`, each once, in any order.
pub(crate) fn assert_each_once(results: &[Value], expected: &[Value]) {
    let mut by_id: BTreeMap<String, &Value> = BTreeMap::new();
    for result in results {
        let before = by_id.insert(result["id"].to_string(), result);
        assert!(before.is_none(), "twice: {result}");
    }
    for row in expected {
        let result = by_id.remove(&row["id"].to_string());
        let result = result.unwrap_or_else(|| panic!("no result for {row}"));
        assert_near(result, row);
    }
    assert!(by_id.is_empty(), "nobody asked for {by_id:?}");
}

/// Fails unless both are the same, fractions within 1e-5.
pub(crate) fn assert_near(found: &Value, expected: &Value) {
    assert!(near(found, expected), "{found} is not {expected}");
}

fn near(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-5
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(key, a)| b.get(key).is_some_and(|b| near(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => found == expected,
    }
}
