//! Pipeline files that are right: what they mean, the schema, and the resolved form.

use std::{fs, path::Path, time::Duration};

use crate::config_files::{Models, SERVERS, load, two_columns};
use forebay::{
    batch::Wait,
    config::{
        self, Plan,
        plan::{DecodePlan, EncodePlan, SinkPlan, SourcePlan},
    },
    contract::{Dtype, Scalar},
    engine::{ColumnRef, OutputRef},
    nats::{Auth, Secret},
};

fn plan(yaml: &str) -> Plan {
    load(yaml).unwrap_or_else(|errors| panic!("{errors}"))
}

const AB: &str = "{ a: {}, b: {} }";

#[test]
fn the_example_pipelines_load() {
    for file in [
        "income/pipeline.yaml",
        "digits/pipeline.yaml",
        "penguins/pipeline.yaml",
        "penguins/pipeline.nats.yaml",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("pipelines")
            .join(file);
        let text = fs::read_to_string(&path).expect(file);
        let loaded = config::load_text(&path, &text, &|_| None, &mut Models);
        let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
        assert!(
            text.starts_with("# yaml-language-server: $schema=../pipeline.schema.json\n"),
            "{file}"
        );
        let again = config::load_text(&path, &config::resolved(&loaded), &|_| None, &mut Models);
        assert_eq!(
            again.as_ref(),
            Ok(&loaded),
            "the resolved file of {file} is the same pipeline"
        );
    }
}

#[test]
fn a_short_file_takes_everything_from_the_model() {
    let plan = plan(
        "name: short
source: { nats: { subject: in } }
models: { m: { path: penguins/model.onnx } }
sink: { reply: {} }",
    );
    let fields: Vec<_> = plan
        .fields
        .iter()
        .map(|f| (f.name.as_str(), f.dtype, f.width()))
        .collect();
    assert_eq!(fields[0], ("island", Dtype::String, 1));
    assert_eq!(fields[5], ("body_mass_g", Dtype::F32, 1));
    assert_eq!(
        plan.engine.steps[0].inputs[5].columns,
        [ColumnRef::Field(5)]
    );
    assert_eq!(plan.engine.steps[0].inputs[5].shape, [1]);
    let EncodePlan::Json(outputs) = &plan.encode else {
        panic!("{:?}", plan.encode)
    };
    let keys: Vec<_> = outputs.iter().map(|output| output.key.as_str()).collect();
    assert_eq!(keys, ["output_label", "output_probability"]);
    assert_eq!(outputs[1].labels.as_ref().map(Vec::len), Some(3));
    assert_eq!(
        (plan.batch.max_rows, plan.batch.wait),
        (256, Wait::Delay(Duration::ZERO))
    );
    assert_eq!(
        (plan.in_flight.messages, plan.in_flight.bytes),
        (8192, 256 << 20)
    );
    assert_eq!(plan.shutdown_grace, Duration::from_secs(25));
    assert!(plan.workers >= 1);
    let SinkPlan::Nats(server, _) = &plan.sink else {
        panic!("{:?}", plan.sink)
    };
    assert_eq!(server.urls, ["nats://127.0.0.1:4222"]);
}

#[test]
fn columns_stand_side_by_side() {
    for (path, fields, inputs, expected) in [
        (
            "sk_logreg",
            "{ a: {}, b: { dtype: i64 } }",
            "[a, b]",
            Some(vec![2]),
        ),
        ("sk_logreg", "{ a: { shape: [2] } }", "a", Some(vec![2])),
        (
            "sk_logreg",
            "{ a: { dtype: bool }, b: { dtype: u8 } }",
            "[b, a]",
            Some(vec![2]),
        ),
        ("sk_logreg", "{ a: {} }", "[a, a]", Some(vec![2])),
        ("sk_logreg", "{ a: {} }", "a", None),
        (
            "sk_knn",
            "{ a: {}, b: { shape: [3] } }",
            "[a, b]",
            Some(vec![4]),
        ),
        (
            "sk_int64_clf",
            "{ a: { dtype: i32 }, b: { dtype: i64 } }",
            "[a, b]",
            Some(vec![2]),
        ),
        (
            "sk_int64_clf",
            "{ a: { dtype: f32 }, b: { dtype: i64 } }",
            "[a, b]",
            None,
        ),
        (
            "rank3",
            "{ a: { shape: [3, 4, 5] } }",
            "a",
            Some(vec![3, 4, 5]),
        ),
        ("rank3", "{ a: { shape: [60] } }", "a", None),
        ("three_outputs", "{ a: {} }", "a", Some(vec![])),
        ("three_outputs", "{ a: {}, b: {} }", "[a, b]", None),
    ] {
        let key = match path {
            "rank3" => "image",
            "three_outputs" => "score",
            _ => "X",
        };
        let yaml = format!(
            "name: test
source: {{ file: {{ path: \"-\" }} }}
fields: {fields}
models: {{ m: {{ path: ../tests/data/models/{path}/model.onnx }} }}
steps: [{{ model: m, inputs: {{ {key}: {inputs} }} }}]
sink: {{ file: {{ path: \"-\" }} }}"
        );
        let shape = load(&yaml)
            .ok()
            .map(|plan| plan.engine.steps[0].inputs[0].shape.clone());
        assert_eq!(shape, expected, "{path} {fields} {inputs}");
    }
}

#[test]
fn a_step_takes_an_earlier_output() {
    for feed in [
        "",
        "inputs: { score: score }",
        "inputs: { score: first.score }",
    ] {
        let plan = plan(&format!(
            "name: test
source: {{ file: {{ path: \"-\" }} }}
fields: {{ image: {{ shape: [3, 2, 2] }} }}
models:
  first: {{ path: ../tests/data/models/rank3/model.onnx, workers: 3 }}
  second: {{ path: ../tests/data/models/three_outputs/model.onnx }}
steps:
  - model: first
  - {{ model: second, {feed} }}
encode: {{ msgpack: {{ outputs: {{ a: score, b: second.grade, c: first.score }} }} }}
sink: {{ file: {{ path: out.jsonl }} }}"
        ));
        let first = OutputRef { step: 0, output: 0 };
        assert_eq!(
            plan.engine.steps[1].inputs[0].columns,
            [ColumnRef::Output(first)]
        );
        assert_eq!(
            plan.engine.outputs,
            [first, OutputRef { step: 1, output: 0 }]
        );
        let EncodePlan::Msgpack(outputs) = &plan.encode else {
            panic!("{:?}", plan.encode)
        };
        let series: Vec<_> = outputs.iter().map(|output| output.series).collect();
        assert_eq!(series, [0, 1, 0]);
        assert_eq!(plan.workers, 3);
        assert_eq!(
            load(&config::resolved(&plan).replace("pipelines/", "")),
            Ok(plan)
        );
    }
}

#[test]
fn an_element_or_a_label_of_an_output() {
    let more = "encode: { json: { pass: [id], outputs: { score: \"m.probabilities[1]\" } } }";
    let plan = plan(&two_columns(AB, more));
    let EncodePlan::Json(outputs) = &plan.encode else {
        panic!("{:?}", plan.encode)
    };
    assert_eq!(
        (outputs[0].element, outputs[0].labels.as_ref()),
        (Some(1), None)
    );
    assert_eq!(plan.passed, ["id"]);
    let plan = self::plan(
        "name: test
source: { nats: { subject: in } }
models: { m: { path: penguins/model.onnx } }
encode: { json: { outputs: { p: \"output_probability[Gentoo]\" } } }
sink: { reply: {} }",
    );
    let EncodePlan::Json(outputs) = &plan.encode else {
        panic!("{:?}", plan.encode)
    };
    assert_eq!(outputs[0].element, Some(2));
}

#[test]
fn a_field_has_limits() {
    let plan = plan(&two_columns(
        "{ a: { range: [-.inf, 10], default: 3, unit: km, nullable: true }, b: { dtype: u8, values: [1, 2], default: 2 } }",
        "",
    ));
    assert_eq!(plan.fields[0].range, Some([f64::NEG_INFINITY, 10.0]));
    assert_eq!(plan.fields[0].default, Some(Scalar::Integer(3)));
    assert!(plan.fields[0].nullable);
    assert_eq!(
        plan.fields[1].values,
        Some(vec![Scalar::Integer(1), Scalar::Integer(2)])
    );
}

#[test]
fn a_raw_tensor_is_one_field() {
    let yaml = |decode: &str, fields: &str, model: &str| {
        format!(
            "name: test
source: {{ nats: {{ subject: in }} }}
decode: {{ tensor: {decode} }}
{fields}
models: {{ m: {{ path: {model}/model.onnx }} }}
sink: {{ reply: {{}} }}"
        )
    };
    let deep = "../tests/data/models/rank3";
    for (yaml, dtype, shape) in [
        (yaml("{}", "", "digits"), Dtype::F32, vec![64]),
        (yaml("{ dtype: u8 }", "", "digits"), Dtype::U8, vec![64]),
        (
            yaml("{ shape: [8, 8] }", "", "digits"),
            Dtype::F32,
            vec![8, 8],
        ),
        (
            yaml("{ dtype: u8 }", "fields: { X: { shape: [64] } }", "digits"),
            Dtype::U8,
            vec![64],
        ),
        (
            yaml("{ shape: [3, 2, 2] }", "", deep),
            Dtype::F32,
            vec![3, 2, 2],
        ),
    ] {
        let plan = plan(&yaml);
        assert_eq!(plan.decode, DecodePlan::Tensor { dtype }, "{yaml}");
        assert_eq!(
            (plan.fields.len(), &plan.fields[0].shape),
            (1, &shape),
            "{yaml}"
        );
    }
}

#[test]
fn the_environment_is_filled_in() {
    let plan = plan(&two_columns(
        AB,
        "batch: { max_rows: \"${ROWS}\", max_delay: \"${DELAY:-5ms}\" }\nmax_in_flight: ${ROWS}",
    ));
    assert_eq!((plan.batch.max_rows, plan.in_flight.messages), (64, 64));
    assert_eq!(plan.batch.wait, Wait::Delay(Duration::from_millis(5)));
}

#[test]
fn sinks_take_the_servers_of_the_source() {
    let plan = plan(SERVERS);
    let SourcePlan::JetStream(source, _) = &plan.source else {
        panic!("{:?}", plan.source)
    };
    let password = Secret::new("sesame");
    assert_eq!(source.urls, ["nats://broker:4222"]);
    assert_eq!(
        source.auth,
        Auth::User {
            user: "me".into(),
            password: password.clone()
        }
    );
    let SinkPlan::JetStream(sink, _) = &plan.sink else {
        panic!("{:?}", plan.sink)
    };
    assert_eq!(sink, source);
    let Some(SinkPlan::Nats(dead, _)) = &plan.dead_letter else {
        panic!("{:?}", plan.dead_letter)
    };
    assert_eq!(
        (dead.urls[0].as_str(), dead.tls.required),
        ("nats://elsewhere", false)
    );
    assert_eq!(
        dead.auth,
        Auth::User {
            user: "u".into(),
            password
        }
    );
}

#[test]
fn a_secret_that_looks_like_a_number_is_taken_as_it_is() {
    let yaml = SERVERS.replace("\"${PASSWORD}\"", "\"${PIN}\"");
    for yaml in [
        yaml.clone(),
        yaml.replace(
            "auth: { user: u, password: \"${PIN}\" }",
            "auth:\n      user: u\n      password: ${PIN}",
        )
        .replace(
            "{ url: \"nats://elsewhere\", subject: \"dead.{2}\", ",
            "\n    url: x\n    subject: y\n    ",
        )
        .replace("${PIN} }", "${PIN}"),
    ] {
        let Some(SinkPlan::Nats(dead, _)) = plan(&yaml).dead_letter else {
            panic!("a dead letter")
        };
        let password = Secret::new("0123");
        assert_eq!(
            dead.auth,
            Auth::User {
                user: "u".into(),
                password
            }
        );
    }
}

#[test]
fn credentials_do_not_go_to_other_servers() {
    let yaml = SERVERS.replace(", auth: { user: u, password: \"${PASSWORD}\" }", "");
    let Some(SinkPlan::Nats(dead, _)) = plan(&yaml).dead_letter else {
        panic!("a dead letter")
    };
    assert_eq!(dead.auth, Auth::None);
}

#[test]
fn the_resolved_file_has_no_secrets() {
    let plan = plan(SERVERS);
    let text = config::resolved(&plan);
    assert!(
        !text.contains("sesame") && !format!("{plan:?}").contains("sesame"),
        "{text}"
    );
    let cores = format!("workers: {}", plan.workers);
    insta::assert_snapshot!(text.replace(&cores, "workers: 1"));
}

/// `make schema` writes them anew.
#[test]
fn the_committed_schema_and_reference_are_fresh() {
    for (file, now) in [
        ("pipelines/pipeline.schema.json", config::schema()),
        ("docs/pipeline-file.md", config::reference()),
        (
            "docs/cuda-operators.md",
            forebay::engine::cuda::operators::reference(),
        ),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == now, "{file} is stale: run `make schema`");
    }
}
