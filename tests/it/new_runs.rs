//! What `forebay new` writes runs as it is, for every model there is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
    time::Duration,
};

use forebay::{
    contract::Dtype,
    engine::{OutputInfo, cpu::catalog::CpuCatalog},
};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::{
    cli::{err, forebay, out, run},
    engine::{folder, lines, row_shape, runtime},
    support::{connect, server::NatsServer},
};

/// A model, what goes in and what must come out.
pub(crate) struct Sample {
    name: String,
    model: PathBuf,
    rows: Vec<Value>,
    expected: Vec<Value>,
}

impl Sample {
    fn of(case: &Path) -> Self {
        Self {
            name: case.file_name().unwrap().to_string_lossy().into_owned(),
            model: case.join("model.onnx"),
            rows: lines(&case.join("rows.jsonl")),
            expected: lines(&case.join("expected.jsonl")),
        }
    }

    /// An example's rows, made into what its model takes.
    fn example(name: &str, row: impl Fn(&Value) -> Value) -> Self {
        let place = folder("pipelines").join(name);
        let whole = |row: &Value| !row.as_object().unwrap().values().any(Value::is_null);
        let sample = lines(&place.join("sample.jsonl"));
        let expected = lines(&place.join("expected.jsonl"));
        // A written file has no answer yet to what stands for a missing value.
        let pairs = sample.iter().zip(expected).filter(|(row, _)| whole(row));
        let (rows, expected) = pairs
            .take(100)
            .map(|(from, mut to)| {
                to.as_object_mut().unwrap().remove("id");
                (row(from), to)
            })
            .unzip();
        Self {
            name: name.to_owned(),
            model: place.join("model.onnx"),
            rows,
            expected,
        }
    }

    fn outputs(&self) -> Vec<OutputInfo> {
        runtime();
        let mut catalog = CpuCatalog::new();
        let inputs = catalog.inputs(&self.model).unwrap();
        let shapes: Vec<_> = inputs.iter().map(row_shape).collect();
        catalog.outputs(&self.model, &shapes).unwrap()
    }

    /// Why a result is not the answer to row `row`.
    fn differs(&self, result: &Value, row: usize, outputs: &[OutputInfo]) -> Option<String> {
        let keys = result.as_object().map_or(0, serde_json::Map::len);
        if keys != outputs.len() {
            return Some(format!("{}: {keys} keys: {result}", self.name));
        }
        outputs.iter().find_map(|output| {
            let (got, want) = (&result[&output.name], &self.expected[row][&output.name]);
            let name = &output.name;
            let told = || format!("{}: {name} of row {row}: {got} is not {want}", self.name);
            (!equal(got, want, output.dtype)).then(told)
        })
    }
}

/// Numbers within what their type can tell; all else exactly.
fn equal(got: &Value, want: &Value, dtype: Dtype) -> bool {
    let within = match dtype {
        Dtype::F32 => 1e-5,
        Dtype::F64 => 1e-12,
        _ => return got == want,
    };
    match (got, want) {
        (Value::Array(got), Value::Array(want)) => {
            got.len() == want.len() && got.iter().zip(want).all(|(a, b)| equal(a, b, dtype))
        }
        (Value::Object(got), Value::Object(want)) => {
            let same = |(key, a)| want.get(key).is_some_and(|b| equal(a, b, dtype));
            got.len() == want.len() && got.iter().all(same)
        }
        (Value::Number(got), Value::Number(want)) => {
            let (got, want) = (got.as_f64().unwrap(), want.as_f64().unwrap());
            (got - want).abs() <= within * want.abs().max(1.0)
        }
        _ => got == want,
    }
}

/// A file in which these top-level blocks say something else.
pub(crate) fn with_blocks(yaml: &str, blocks: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut replaced = 0;
    let mut skipping = false;
    for line in yaml.lines() {
        if !line.starts_with([' ', '#']) && !line.is_empty() {
            let block = blocks.iter().find(|(key, _)| line.starts_with(key));
            skipping = block.is_some();
            if let Some((_, text)) = block {
                out += text;
                replaced += 1;
            }
        }
        if !skipping {
            out += line;
            out.push('\n');
        }
    }
    assert_eq!(replaced, blocks.len(), "{yaml}");
    out
}

/// The file's ends become files beside it.
pub(crate) fn from_file_to_file(yaml: &str) -> String {
    with_blocks(
        yaml,
        &[
            ("source:", "source: { file: { path: rows.jsonl } }\n"),
            ("sink:", "sink: { file: { path: results.jsonl } }\n"),
            (
                "dead_letter:",
                "dead_letter: { file: { path: dead.jsonl } }\n",
            ),
            ("http:", ""),
        ],
    )
}

/// Writes the pipeline file with `forebay new`, its ends moved to files.
fn written(sample: &Sample, place: &Path) -> PathBuf {
    let place = place.join(&sample.name);
    fs::create_dir(&place).unwrap();
    let model = place.join("model.onnx");
    fs::copy(&sample.model, &model).unwrap();
    let output = run(&["new", &model.to_string_lossy()]);
    assert!(output.status.success(), "{}: {}", sample.name, err(&output));
    let file = place.join("pipeline.yaml");
    let yaml = fs::read_to_string(&file).unwrap();
    // What is expected is single precision; on a GPU a shorter one might be the faster.
    let path = "{ path: model.onnx";
    assert!(yaml.contains(path), "{yaml}");
    let yaml = yaml.replace(path, &format!("{path}, precision: fp32"));
    fs::write(&file, from_file_to_file(&yaml)).unwrap();
    // Row by row, and all rows in one message, which keeps their order.
    let mut input: String = (sample.rows.iter()).map(|row| format!("{row}\n")).collect();
    input.push_str(&json!(sample.rows).to_string());
    fs::write(place.join("rows.jsonl"), input).unwrap();
    file
}

fn check_results(sample: &Sample, place: &Path) {
    let place = place.join(&sample.name);
    let dead = fs::read_to_string(place.join("dead.jsonl")).unwrap_or_default();
    assert!(dead.is_empty(), "{}: {dead:.300}", sample.name);
    let outputs = sample.outputs();
    let (many, one): (Vec<Value>, Vec<Value>) = lines(&place.join("results.jsonl"))
        .into_iter()
        .partition(Value::is_array);
    assert_eq!(many.len(), 1);
    let many = many[0].as_array().unwrap();
    assert_eq!(many.len(), sample.expected.len());
    for (row, result) in many.iter().enumerate() {
        if let Some(why) = sample.differs(result, row, &outputs) {
            panic!("{why}");
        }
    }
    // Results of messages of their own may come in any order, and two may be nearly the same.
    assert_eq!(one.len(), sample.expected.len());
    let fits = |result: &Value, row| sample.differs(result, row, &outputs).is_none();
    let rows = 0..sample.expected.len();
    for result in &one {
        let answers = rows.clone().any(|row| fits(result, row));
        assert!(answers, "{}: {result} answers nothing", sample.name);
    }
    for row in rows {
        let answered = one.iter().any(|result| fits(result, row));
        assert!(answered, "{}: nothing answers row {row}", sample.name);
    }
}

/// `new`, `check` and `run` for all of them, the last two in one process each.
fn serve(samples: &[Sample]) {
    serve_with(samples, &[]);
}

/// As [`serve`], in this environment; gives what `check` printed.
pub(crate) fn serve_with(samples: &[Sample], environment: &[(&str, &Path)]) -> String {
    let place = tempfile::tempdir().unwrap();
    let files: Vec<String> = (samples.iter())
        .map(|sample| written(sample, place.path()).to_string_lossy().into_owned())
        .collect();
    let [checked, _] = ["check", "run"].map(|command| {
        let mut args = vec![command];
        args.extend(files.iter().map(String::as_str));
        let mut program = forebay(&args);
        let output = program.envs(environment.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{command}: {}", err(&output));
        out(&output)
    });
    for sample in samples {
        check_results(sample, place.path());
    }
    checked
}

/// Every fourth case of the test data.
pub(crate) fn quarter_of_all(number: usize) -> Vec<Sample> {
    let mut cases: Vec<_> = fs::read_dir(folder("tests/data/models"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 41, "{cases:?}");
    let cases = cases.iter().skip(number).step_by(4);
    cases.map(|case| Sample::of(case)).collect()
}

fn quarter(number: usize) {
    serve(&quarter_of_all(number));
}

#[test]
fn a_first_quarter_of_all_models_runs_from_what_new_writes() {
    quarter(0);
}

#[test]
fn a_second_quarter_of_all_models_runs_from_what_new_writes() {
    quarter(1);
}

#[test]
fn a_third_quarter_of_all_models_runs_from_what_new_writes() {
    quarter(2);
}

#[test]
fn a_last_quarter_of_all_models_runs_from_what_new_writes() {
    quarter(3);
}

/// The models of three examples.
pub(crate) fn of_examples() -> Vec<Sample> {
    const CENSUS: [&str; 16] = [
        "AGEP", "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY",
        "DEAR", "DEYE", "DREM", "SEX", "RAC1P",
    ];
    let columns = |row: &Value| json!({ "X": CENSUS.map(|column| row[column].clone()) });
    vec![
        Sample::example("income", columns),
        Sample::example("digits", |row| json!({ "pixels": row["pixels"] })),
        Sample::example("penguins", Value::clone),
    ]
}

#[test]
fn the_examples_models_run_from_what_new_writes() {
    serve(&of_examples());
}

/// Asked to stop, and waited for.
fn stop(mut child: Child) {
    let asked = std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status();
    assert!(asked.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_serves_core_nats_exactly_as_written() {
    let sample = Sample::of(&folder("tests/data/models/sk_columns_zipmap"));
    let outputs = sample.outputs();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("pipeline.yaml");
    let file = file.to_string_lossy();
    let output = run(&["new", &sample.model.to_string_lossy(), "-o", &file]);
    assert!(output.status.success(), "{}", err(&output));

    let server = NatsServer::without_jetstream();
    let connection = connect(&server.url()).await;
    let client = connection.client();
    let results = client.subscribe("sk-columns-zipmap.out").await.unwrap();
    let child = forebay(&["run", &file])
        .env("NATS_URL", server.url())
        .env("HTTP_LISTEN", "127.0.0.1:0")
        .spawn()
        .unwrap();
    server.subscribed("sk-columns-zipmap.in").await;
    let batch = serde_json::to_vec(&sample.rows).unwrap();
    client
        .publish("sk-columns-zipmap.in", batch.into())
        .await
        .unwrap();
    let mut results = results;
    let result = tokio::time::timeout(Duration::from_secs(20), results.next()).await;
    let result: Vec<Value> = serde_json::from_slice(&result.unwrap().unwrap().payload).unwrap();
    stop(child);
    assert_eq!(result.len(), sample.expected.len());
    for (row, result) in result.iter().enumerate() {
        assert_eq!(sample.differs(result, row, &outputs), None);
    }
}
