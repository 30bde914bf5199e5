//! What is held of a row for the next one with the same key, against the same computed row by row.

use std::{collections::HashMap, fs, path::Path};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{engine::runtime, support::program::forebay};

/// A running mean for each `k` (`tests/data/state/make_model.py`). A `kind` above 2 ends the run.
fn pipeline(max_rows: usize, more: &str) -> String {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/state/mean.onnx");
    format!(
        "name: mean
source: {{ file: {{ path: rows.jsonl }} }}
fields: {{ k: {{ dtype: string }}, x: {{}}, kind: {{ dtype: i64 }} }}
order_by: k
state: {{ values: {{ held: {{ from: stateN, shape: [2] }}, rows: {{ from: seen, dtype: i64 }} }} }}
batch: {{ max_rows: {max_rows}, max_delay: 5ms }}
models: {{ m: {{ path: {}, constants: {{ rate: 0.5 }}, batch_axis: {{ state: 1, stateN: 1 }} }} }}
steps:
  - formula: \"rows + 1\"
    output: seen
  - model: m
    inputs: {{ state: held }}
encode: {{ json: {{ pass: [k, n], outputs: {{ mean: mean, seen: seen }} }} }}
sink: {{ file: {{ path: out.jsonl }} }}
dead_letter: {{ file: {{ path: rejected.jsonl }} }}
{more}",
        model.display()
    )
}

/// By the definition: one row after another, each alone.
#[derive(Default)]
struct Reference(HashMap<String, ([f32; 2], i64)>);

impl Reference {
    /// The results of a message's rows; none where the model refuses one.
    fn message(&mut self, rows: &[Value]) -> Option<Vec<Value>> {
        let key = rows.first().map(|row| row["k"].to_string())?;
        let (mut held, mut seen) = self.0.get(&key).copied().unwrap_or_default();
        let mut results = Vec::new();
        for row in rows {
            #[expect(clippy::cast_possible_truncation, reason = "as the field does")]
            let x = row["x"].as_f64().unwrap() as f32;
            let kind = usize::try_from(row["kind"].as_u64().unwrap()).unwrap();
            let weight = *[1.0_f32, 2.0, 3.0].get(kind)?;
            held = [held[0] * 0.5 + weight * x, held[1] * 0.5 + weight];
            seen += 1;
            results.push(
                json!({ "k": row["k"], "n": row["n"], "mean": held[0] / held[1], "seen": seen }),
            );
        }
        self.0.insert(key, (held, seen));
        Some(results)
    }
}

/// Messages of one or several rows, numbered.
fn messages(rows: Vec<Vec<(u8, i8, u8)>>) -> Vec<Vec<Value>> {
    let mut number = 0;
    (rows.into_iter())
        .map(|message| {
            // All rows of a message have one key.
            let key = message.first().map_or(0, |(key, ..)| *key);
            let rows = message.into_iter().map(|(_, x, kind)| {
                number += 1;
                // One in twenty is of a kind that there is not.
                let kind = if kind >= 57 { 7 } else { kind % 3 };
                json!({ "k": format!("key {key}"), "n": number, "x": x, "kind": kind })
            });
            rows.collect()
        })
        .collect()
}

fn lines(messages: &[Vec<Value>]) -> String {
    let line = |message: &Vec<Value>| match message.as_slice() {
        [one] => format!("{one}\n"),
        many => format!("{}\n", Value::from(many)),
    };
    messages.iter().map(line).collect()
}

/// All results by their numbers, and the numbers in the order of each key.
fn by_number(text: &str) -> (HashMap<u64, Value>, HashMap<String, Vec<u64>>) {
    let (mut results, mut order) = (HashMap::new(), HashMap::<String, Vec<u64>>::new());
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let rows = match line {
            Value::Array(rows) => rows,
            one => vec![one],
        };
        for row in rows {
            let number = row["n"].as_u64().unwrap();
            order.entry(row["k"].to_string()).or_default().push(number);
            assert!(results.insert(number, row).is_none(), "{number} came twice");
        }
    }
    (results, order)
}

fn check(found: &str, messages: &[Vec<Value>]) {
    let (mut found, order) = by_number(found);
    let mut reference = Reference::default();
    for expected in messages
        .iter()
        .filter_map(|message| reference.message(message))
        .flatten()
    {
        let number = expected["n"].as_u64().unwrap();
        let result = found
            .remove(&number)
            .unwrap_or_else(|| panic!("no result of {number}"));
        assert_eq!(result["seen"], expected["seen"], "{result}");
        let (ours, theirs) = (
            result["mean"].as_f64().unwrap(),
            expected["mean"].as_f64().unwrap(),
        );
        assert!(
            (ours - theirs).abs() <= 1e-5 * theirs.abs().max(1.0),
            "{result}, not {expected}"
        );
    }
    assert!(found.is_empty(), "refused by the definition: {found:?}");
    for numbers in order.values() {
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
}

fn run(pipeline: &str, rows: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rows.jsonl"), rows).unwrap();
    let file = folder.path().join("pipeline.yaml");
    fs::write(&file, pipeline).unwrap();
    let output = forebay(&["run"]).arg(&file).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
    (read("out.jsonl"), read("rejected.jsonl"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever the batches are, also where the model refuses some of the rows.
    #[test]
    fn as_row_by_row(
        rows in prop::collection::vec(prop::collection::vec((0u8..5, any::<i8>(), 0u8..60), 1..4), 1..200),
        max_rows in 1usize..70,
    ) {
        runtime();
        let messages = messages(rows);
        let (out, rejected) = run(&pipeline(max_rows, ""), &lines(&messages));
        check(&out, &messages);
        let mut reference = Reference::default();
        let refused = messages.iter().filter(|message| reference.message(message).is_none());
        prop_assert_eq!(rejected.lines().count(), refused.count());
    }
}

/// Rows of three keys, none of which is refused.
fn some() -> Vec<Vec<Value>> {
    let rows = (0..100u8).map(|row| vec![(row / 2 % 3, row.cast_signed(), row % 3)]);
    messages(rows.collect())
}

#[test]
fn files_are_one_sequence() {
    runtime();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("rows.jsonl"), lines(&some())).unwrap();
    fs::write(path("pipeline.yaml"), pipeline(7, "")).unwrap();
    let mut transform = forebay(&["transform"]);
    transform
        .arg(path("pipeline.yaml"))
        .arg("-i")
        .arg(path("rows.jsonl"));
    let output = transform
        .arg("-o")
        .arg(path("results.jsonl"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let results = fs::read_to_string(path("results.jsonl")).unwrap();
    check(&results, &some());
    let numbers: Vec<_> = results
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64())
        .collect();
    assert!(numbers.is_sorted(), "the order of the file");
}

/// Golden rows are a sequence, and leave nothing to the first messages.
#[test]
fn golden_rows_are_a_sequence() {
    runtime();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut reference = Reference::default();
    let expected: Vec<Vec<Value>> = (some().iter())
        .map(|message| reference.message(message).expect("none is refused"))
        .collect();
    fs::write(path("golden.jsonl"), lines(&some())).unwrap();
    fs::write(path("expected.jsonl"), lines(&expected)).unwrap();
    fs::write(path("rows.jsonl"), lines(&some())).unwrap();
    let golden = "golden: { input: golden.jsonl, expected: expected.jsonl }";
    fs::write(path("pipeline.yaml"), pipeline(7, golden)).unwrap();
    let ran = |command| {
        forebay(&[command])
            .arg(path("pipeline.yaml"))
            .output()
            .unwrap()
    };
    let checked = ran("check");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(
        said.contains("golden: 100 rows pass"),
        "{said}{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    assert!(ran("run").status.success());
    check(&fs::read_to_string(path("out.jsonl")).unwrap(), &some());
}

#[test]
fn the_least_recent_keys_make_room() {
    runtime();
    let bounded = pipeline(1, "").replace("state: {", "state: { max_keys: 2,");
    let rows = [1, 2, 1, 3, 1, 2].map(|key| vec![(key, 1, 0)]);
    let (out, _) = run(&bounded, &lines(&messages(rows.into())));
    let (results, _) = by_number(&out);
    let seen: Vec<_> = (1..=6)
        .map(|number| results[&number]["seen"].as_i64().unwrap())
        .collect();
    assert_eq!(seen, [1, 1, 2, 1, 3, 1], "2 made room for 3");
}

#[test]
fn what_is_compiled_says_what_is_held() {
    runtime();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pipeline.yaml");
    fs::write(&file, pipeline(7, "")).unwrap();
    fs::write(folder.path().join("rows.jsonl"), "").unwrap();
    let mut compile = forebay(&["compile", "--json"]);
    let output = compile
        .arg(&file)
        .arg("-o")
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut said: Value = serde_json::from_slice(&output.stdout).unwrap();
    for file in said["files"].as_array_mut().unwrap() {
        file["file"] = "FILE".into();
        file["digest"] = "DIGEST".into();
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&said).unwrap());
}
