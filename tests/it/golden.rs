//! Golden rows: a pipeline that gives other results than it should does not start, and says why.

use std::{fs, path::PathBuf};

use forebay::graph;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cli::{err, forebay, out, run},
    engine::folder,
    support::{examples::changed, program::Program},
};

/// A pipeline with golden rows, in a folder of its own.
pub(crate) struct Place {
    folder: TempDir,
}

/// A model with steps before it and behind it.
const STEPS: &str = r"name: golden
source: { file: { path: rows.jsonl } }
sink: { file: { path: out.jsonl } }
fields:
  age: { dtype: f32, range: [0, 120] }
  hours: { dtype: f32 }
  state: { dtype: string }
steps:
  - scale: { center: [45, 30], scale: [20, 12] }
    input: [age, hours]
    output: numbers
  - one_hot: { categories: [CA, NY, TX] }
    input: state
    output: states
  - concat: {}
    input: [numbers, states]
    output: row
encode: { json: { pass: [id], outputs: { numbers: numbers, states: states, row: row } } }
golden: { input: rows.jsonl, expected: expected.jsonl }
";
const ROWS: &str = r#"{"id":"a","age":65,"hours":36,"state":"NY"}
{"id":"b","age":35,"hours":24,"state":"TX"}

{"id":"c","age":250,"hours":24,"state":"TX"}
[{"id":"d","age":45,"hours":30,"state":"CA"},{"id":"e","age":45,"hours":30,"state":"WA"}]
"#;
/// Worked out by hand: (65 - 45) / 20 and so on.
const EXPECTED: &str = r#"{"id":"a","numbers":[1,0.5],"states":[0,1,0],"row":[1,0.5,0,1,0]}
{"id":"b","numbers":[-0.5,-0.5],"states":[0,0,1],"row":[-0.5,-0.5,0,0,1]}
{"error":{"stage":"decode","reason":"field `age`: 250 is outside the range 0 to 120"}}
[{"id":"d","numbers":[0,0],"states":[1,0,0],"row":[0,0,1,0,0]},{"id":"e","numbers":[0,0],"states":[0,0,0],"row":[0,0,0,0,0]}]
"#;

impl Place {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("written");
        }
        Self { folder }
    }

    pub(crate) fn steps() -> Self {
        Self::new(&[
            ("pipeline.yaml", STEPS),
            ("rows.jsonl", ROWS),
            ("expected.jsonl", EXPECTED),
        ])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Changes a file's text; what is replaced must be there.
    pub(crate) fn with(self, file: &str, before: &str, after: &str) -> Self {
        let text = fs::read_to_string(self.path(file)).expect("read");
        assert!(text.contains(before), "{file} has no `{before}`");
        fs::write(self.path(file), text.replace(before, after)).expect("written");
        self
    }

    /// What a command says about the pipeline, and its exit code.
    pub(crate) fn said(&self, command: &str, more: &[&str]) -> (String, Option<i32>) {
        let file = self.path("pipeline.yaml");
        let output = run(&[&[command, file.to_str().expect("UTF-8")], more].concat());
        let said = format!("{}{}", out(&output), err(&output));
        let folder = self.folder.path().to_string_lossy().into_owned();
        (said.replace(&folder, "DIR"), output.status.code())
    }
}

#[test]
fn good_rows_pass_and_the_pipeline_runs() {
    let place = Place::steps();
    let (said, code) = place.said("check", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\n  golden: 4 rows pass\n"), "{said}");
    let (said, code) = place.said("verify", &[]);
    assert_eq!(
        said,
        "DIR/pipeline.yaml: passed\n1 data set: 1 passed, 0 failed\n"
    );
    assert_eq!(code, Some(0));
    let (said, code) = place.said("run", &["--log-format", "json"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("golden rows pass"), "{said}");
    let results = fs::read_to_string(place.path("out.jsonl")).expect("results");
    assert_eq!(results.lines().count(), 3);
}

#[test]
fn what_differs_is_said_and_nothing_is_taken() {
    let steps = Place::steps;
    let yaml = |before, after| steps().with("pipeline.yaml", before, after);
    let expected = |before, after| steps().with("expected.jsonl", before, after);
    let cases = [
        ("a constant", yaml("scale: [20, 12]", "scale: [20.2, 12]")),
        ("categories", yaml("[CA, NY, TX]", "[NY, CA, TX]")),
        ("columns", yaml("input: [age, hours]", "input: [hours, age]")),
        ("a missing key", yaml(", states: states", "")),
        ("one more key", yaml("row: row }", "row: row, more: row }")),
        ("a lenient field", yaml("range: [0, 120]", "range: [0, 999]")),
        ("a strict field", yaml("range: [0, 120]", "range: [50, 120]")),
        ("text", expected("\"id\":\"b\"", "\"id\":\"x\"")),
        ("a list", expected("[0,1,0],", "[0,1],")),
        ("null", expected("[-0.5,-0.5],\"states\"", "[null,-0.5],\"states\"")),
        ("fewer results", expected("{\"error\"", "\n\n#").with("expected.jsonl", "#:{\"stage\":\"decode\",\"reason\":\"field `age`: 250 is outside the range 0 to 120\"}}", "")),
        ("no JSON", expected("0.5,0,1,0]", "NaN,0,1,0]")),
    ];
    let mut all = Vec::new();
    for (what, place) in cases {
        let (said, code) = place.said("run", &["--log", "error"]);
        assert_eq!(code, Some(78), "{what}: {said}");
        assert!(!place.path("out.jsonl").exists(), "{what}");
        all.push(format!("{what}: {}", said.trim_end()));
        let (checked, code) = place.said("check", &[]);
        assert_eq!((checked, code), (said, Some(78)), "{what}");
        let (_, code) = place.said("verify", &[]);
        assert_eq!(code, Some(1), "{what}");
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn verify_shows_the_worst_of_each_key() {
    let place = Place::steps().with("pipeline.yaml", "scale: [20, 12]", "scale: [20.2, 12]");
    let (text, code) = place.said("verify", &[]);
    assert_eq!(code, Some(1));
    let (report, _) = place.said("verify", &["--json"]);
    let json: Value =
        serde_json::from_str(report.split("\nerror: ").next().expect("JSON")).expect("JSON");
    assert_eq!(json["data_sets"][0]["rows"], 4);
    insta::assert_snapshot!(format!("{text}\n{report}"));
    // The command line's tolerance counts before the file's.
    assert_eq!(place.said("verify", &["--rtol", "0.02"]).1, Some(0));
    let good = Place::steps().with(
        "expected.jsonl",
        "[1,0.5],\"states\"",
        "[1.00001,0.5],\"states\"",
    );
    assert_eq!(good.said("verify", &[]).1, Some(0));
    assert_eq!(good.said("verify", &["--rtol", "0"]).1, Some(1));
    let none = Place::steps().with("pipeline.yaml", "golden:", "# golden:");
    let (said, code) = none.said("verify", &[]);
    assert!(
        said.contains("it has no golden rows: add `golden:"),
        "{said}"
    );
    assert_eq!(code, Some(1));
}

#[test]
fn a_model_with_other_weights_is_refused() {
    let place = TempDir::new().expect("a folder");
    for (name, first) in [
        ("penguins", "scores.Adelie"),
        ("digits", "probabilities"),
        ("income", "score"),
    ] {
        let file = format!("{name}/pipeline.yaml");
        let source = [("{ path: sample.jsonl }", "{ path: \"-\" }")];
        let changes = if name == "penguins" { &source[..] } else { &[] };
        let pipeline = changed(&file, changes);
        let model = folder(&format!("pipelines/{name}/model.onnx"));
        let mut other = graph::read(&model).expect("a model");
        heavier(&mut other);
        let written = place.path().join(format!("{name}.onnx"));
        graph::write(&other, &written).expect("written");
        let text = fs::read_to_string(&pipeline.file).expect("read");
        let model = model.display().to_string();
        assert!(text.contains(&model));
        let text = text.replace(&model, &written.display().to_string());
        fs::write(&pipeline.file, text).expect("written");
        let output = run(&["check", pipeline.file.to_str().expect("UTF-8")]);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(78), "{name}: {said}");
        assert!(said.contains(&format!("`{first}")), "{name}: {said}");
    }
}

#[test]
fn an_example_with_other_steps_is_refused() {
    for (before, after) in [
        ("scale: [5.376565254292417,", "scale: [5.430330906835341,"),
        ("[Biscoe, Dream, Torgersen]", "[Dream, Biscoe, Torgersen]"),
        ("[female, male]", "[male, female]"),
        ("center: [43.9", "center: [44.3"),
    ] {
        let pipeline = changed("penguins/pipeline.steps.yaml", &[(before, after)]);
        let output = run(&["check", pipeline.file.to_str().expect("UTF-8")]);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(78), "{before}: {said}");
        assert!(said.contains("`scores.Adelie`"), "{before}: {said}");
    }
}

/// Makes all weights 1 % larger.
fn heavier(model: &mut graph::proto::Model) {
    let graph = model.graph.as_mut().expect("a graph");
    for tensor in &mut graph.initializer {
        tensor
            .float_data
            .iter_mut()
            .for_each(|weight| *weight *= 1.01);
        if let (1, Some(raw)) = (tensor.data_type, &tensor.raw_data) {
            let (weights, _) = raw.as_chunks::<4>();
            let weights = weights.iter().map(|raw| f32::from_le_bytes(*raw) * 1.01);
            tensor.raw_data = Some(
                weights
                    .flat_map(f32::to_le_bytes)
                    .collect::<Vec<u8>>()
                    .into(),
            );
        }
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        let weights = [
            "nodes_values",
            "class_weights",
            "coefficients",
            "target_weights",
            "scale",
        ];
        if weights.contains(&attribute.name.as_str()) {
            attribute
                .floats
                .iter_mut()
                .for_each(|weight| *weight *= 1.01);
        }
    }
}

/// The same sum of two numbers, in every form that messages and results have.
#[test]
fn every_decoder_and_encoder_has_golden_rows() {
    let pipeline = |decode: &str, encode: &str| {
        format!(
            "name: forms\nsource: {{ file: {{ path: \"-\" }} }}\nsink: {{ file: {{ path: \"-\" }} }}\n\
             decode: {decode}\nfields: {{ x: {{ dtype: f32, shape: [2], nullable: true }} }}\n\
             steps:\n  - scale: {{ scale: [2, 4] }}\n    input: x\n    output: y\n\
             encode: {encode}\ngolden: {{ input: rows.jsonl, expected: expected.jsonl }}\n"
        )
    };
    let keyed = "{\"x\":[1,2]}\n[{\"x\":[2,4]},{\"x\":[null,4]}]\n";
    let results = "{\"y\":[0.5,0.5]}\n[{\"y\":[1,1]},{\"y\":[null,1]}]\n";
    let tensor = "{ tensor: { dtype: f32, shape: [2] } }";
    let json_out = "{ json: { outputs: { y: y } } }";
    for (decode, encode, rows, expected) in [
        ("{ json: {} }", json_out, keyed, results),
        (
            "{ msgpack: {} }",
            "{ msgpack: { outputs: { y: y } } }",
            keyed,
            results,
        ),
        (tensor, json_out, "[1,2]\n[[2,4],[null,4]]\n", results),
        (
            tensor,
            "{ tensor: { output: y } }",
            "{\"x\":[1,2]}\n[2,4,null,4]\n",
            "[0.5,0.5]\n[[1,1],[null,1]]\n",
        ),
    ] {
        let yaml = pipeline(decode, encode);
        let files = [
            ("pipeline.yaml", yaml.as_str()),
            ("rows.jsonl", rows),
            ("expected.jsonl", expected),
        ];
        let (said, code) = Place::new(&files).said("check", &[]);
        assert_eq!(code, Some(0), "{decode} {encode}: {said}");
        assert!(said.contains("golden: 2 rows pass"), "{said}");
        let place = Place::new(&files).with("pipeline.yaml", "scale: [2, 4]", "scale: [2, 4.1]");
        let (said, code) = place.said("check", &[]);
        assert_eq!(code, Some(78), "{decode} {encode}: {said}");
        assert!(said.contains("expected 1"), "{said}");
    }
}

#[test]
fn messages_of_bytes_are_texts_base64_or_files() {
    let yaml = "name: bytes\nsource: { file: { path: \"-\" } }\nsink: { file: { path: \"-\" } }\n\
        decode: { bytes: {} }\nfields: { file: { dtype: bytes } }\n\
        steps:\n  - window: { head: 4, pad: 256 }\n    input: file\n    output: bytes\n  - log1p: {}\n    input: bytes\n    output: logs\n  \
        - formula: \"exp(logs) - 1\"\n    output: again\nencode: { json: { outputs: { again: again } } }\n\
        golden: { input: rows.jsonl, expected: expected.jsonl }\n";
    let place = |rows| {
        Place::new(&[
            ("pipeline.yaml", yaml),
            ("some.bin", "AB"),
            ("rows.jsonl", rows),
            ("expected.jsonl", "{\"again\":[65.0,66.0,256.0,256.0]}\n"),
        ])
    };
    for row in ["\"AB\"", "{\"base64\":\"QUI=\"}", "{\"file\":\"some.bin\"}"] {
        let (said, code) = place(row).said("check", &[]);
        assert_eq!(code, Some(0), "{row}: {said}");
    }
    let said = [
        "7",
        "{\"base64\":\"!\"}",
        "{\"file\":\"other.bin\"}",
        "{\"text\":\"AB\"}",
        "AB",
        "\"AC\"",
    ]
    .map(|row| format!("{row}: {}", place(row).said("check", &[]).0.trim_end()));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn the_file_s_own_mistakes_have_their_places() {
    let said = [
        (
            "golden: { input: rows.jsonl, expected: expected.jsonl }",
            "golden: { input: row.jsonl, expected: . }",
        ),
        (
            "expected: expected.jsonl",
            "expected: expected.jsonl, rtol: -1, atol: .inf",
        ),
        (", expected: expected.jsonl", ""),
    ]
    .map(|(before, after)| {
        let (said, code) = Place::steps()
            .with("pipeline.yaml", before, after)
            .said("check", &[]);
        assert_eq!(code, Some(78), "{said}");
        said
    });
    insta::assert_snapshot!(said.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_ready_before_the_golden_rows_pass() {
    let http = "golden: { input: rows.jsonl, expected: expected.jsonl }\nhttp: { listen: \"127.0.0.1:0\" }";
    let golden = "golden: { input: rows.jsonl, expected: expected.jsonl }";
    let place = Place::steps().with("pipeline.yaml", golden, http);
    let file = place.path("pipeline.yaml");
    let start = || {
        let args = ["run", file.to_str().expect("UTF-8"), "--log-format", "json"];
        Program::start(&mut forebay(&args))
    };
    let ended = start().ended().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let at = |what: &str| {
        ended
            .stderr
            .find(what)
            .unwrap_or_else(|| panic!("{what}: {}", ended.stderr))
    };
    assert!(at("golden rows pass") < at("\"running\""));
    let place = place.with("expected.jsonl", "\"id\":\"b\"", "\"id\":\"x\"");
    fs::remove_file(place.path("out.jsonl")).expect("removed");
    let ended = start().ended().await;
    assert_eq!(ended.code, 78);
    assert!(!ended.stderr.contains("\"running\""), "{}", ended.stderr);
    assert!(!place.path("out.jsonl").exists());
}
