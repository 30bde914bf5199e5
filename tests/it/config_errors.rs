//! Pipeline files that are wrong. What is shown is the user interface, so it is compared whole.

use crate::config_files::{load, two_columns};

const AB: &str = "{ a: {}, b: {} }";

fn broken(yaml: &str) -> String {
    match load(yaml) {
        Ok(plan) => panic!("nothing was found wrong with {plan:#?}"),
        Err(errors) => errors.render(false),
    }
}

/// One snapshot for each name: a mistake in an otherwise sound file.
macro_rules! broken {
    ($($name:ident: $yaml:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(broken(&$yaml));
        }
    )*};
}

fn with(more: &str) -> String {
    two_columns(AB, more)
}

fn with_source(source: &str) -> String {
    with("").replace(
        "{ file: { path: \"-\" } }\nfields",
        &format!("{source}\nfields"),
    )
}

fn with_sink(source: &str, sink: &str) -> String {
    with_source(source).replace("sink: { file: { path: \"-\" } }", &format!("sink: {sink}"))
}

fn with_steps(steps: &str) -> String {
    with("").replace("[{ model: m, inputs: { X: [a, b] } }]", steps)
}

fn with_outputs(outputs: &str) -> String {
    with(&format!(
        "encode: {{ json: {{ outputs: {{ {outputs} }} }} }}"
    ))
}

fn with_model(model: &str) -> String {
    with("").replace("../tests/data/models/sk_logreg/model.onnx", model)
}

broken! {
    empty_file: "";
    a_list: "- name: x";
    missing_key: "name: x\nsource: { file: { path: \"-\" } }\nmodels: { m: { path: income/model.onnx } }";
    syntax: "name: x\nsource: { file: { path: \"-\" }\nmodels: {}";
    tab: "name: x\nsource:\n\tfile: { path: \"-\" }";
    unknown_key: with("bacth: { max_rows: 3 }");
    unknown_nested_key: with_source("{ nats: { subjet: rows } }");
    unknown_source: with_source("{ kafka: { topic: rows } }");
    two_sources: with_source("{ nats: { subject: rows }, file: { path: \"-\" } }");
    variant_as_text: with("decode: json");
    variant_as_null: with("decode:\n  json:");
    duplicate_key: with("max_in_flight: 4096\nbatch: { max_rows: 2 }\nmax_in_flight: 1");
    wrong_types: with("max_in_flight: lots\nbatch: { max_rows: 0, max_delay: 5 }\nshutdown_grace: 5 moments\nmax_in_flight_bytes: 3XB");
    number_as_text: with("").replace("name: test", "name: 2024");
    unit_without_quotes: two_columns("{ a: { dtype: f32, unit: [degF] }, b: { dtype: f32 } }", "");
    bad_name: with("").replace("name: test", "name: my pipeline");
    bad_dtype: two_columns("{ a: { dtype: float32 }, b: { dtype: f23 } }", "");
    bad_subject: with_source("{ nats: { subject: rows..income } }");
    bad_wildcard: with_source("{ nats: { subject: rows.in* } }");
    bad_stream: with_source("{ jetstream: { stream: my.stream, consumer: c } }");
    bad_template: with_sink("{ nats: { subject: rows.x } }", "{ nats: { subject: \"scores.{x}\" } }");
    bad_listen: with("http: { listen: \"localhost:9464\" }");
    bad_url: with_source("{ nats: { url: \"http://localhost:4222\", subject: rows } }");
    gpu: with("").replace("model.onnx }", "model.onnx, device: gpu }");
    devices_that_are_no_gpus: with("").replace("model.onnx }", "model.onnx, device: [cpu, cuda] }");
    one_gpu_twice: with("").replace("model.onnx }", "model.onnx, device: [cuda:1, cuda:1] }");
    fewer_workers_than_gpus: with("").replace("model.onnx }", "model.onnx, device: [cuda:0, cuda:1], workers: 1 }");
    cuda_of_no_number: with("").replace("model.onnx }", "model.onnx, device: \"cuda:first\" }");
    unset_variable: with("http: { listen: \"127.0.0.1:${METRICS_PORT}\" }\nshutdown_grace: ${1}");
    variable_in_flow: with("http: { listen: ${LISTEN} }");
    anchors_point_at_the_place: with("batch: &b { max_rows: many }\nhttp: *b");
    literal_password: with_source("{ nats: { subject: rows, auth: { user: me, password: hunter2 } } }");
    literal_password_in_url: with_source("{ nats: { url: \"nats://me:hunter2@localhost\", subject: rows } }");
    default_password: with_source("{ nats: { subject: rows, auth: { token: \"${NO_TOKEN:-hunter2}\" } } }");
    secret_beside_a_mistake: with_source("\n  nats:\n    subject: rows\n    auth:\n      user: me\n      password: hunter2\n      pasword_file: x");
    secret_under_a_wrong_key: with_source("\n  nats:\n    subject: rows\n    auth:\n      user: me\n      passwd: hunter2");
    secret_number: with_source("{ nats: { subject: rows, auth: { user: me, password: 123 } } }");
    no_yaml_around_a_secret: with_source("{ nats: { url: \"nats://me:hunter2@host\", auth: { password: hunter2 } }");
    auth_twice: with_source("{ nats: { subject: rows, auth: { token_file: t, nkey_file: n } } }");
    auth_by_halves: with_source("{ nats: { subject: rows, auth: { user: me } } }");
    auth_file_missing: with_source("{ nats: { subject: rows, auth: { credentials_file: my.creds } } }");
    tls_by_halves: with_source("{ nats: { subject: rows, tls: { cert_file: income/model.onnx } } }");
    ack_wait_too_short: with_source("{ jetstream: { stream: S, consumer: c, ack_wait: 200ms } }");
    max_deliver_too_small: with_source("{ jetstream: { stream: S, consumer: c, max_deliver: 2 } }");
    reply_to_a_stream: with_sink("{ jetstream: { stream: S, consumer: c } }", "{ reply: {} }");
    token_not_there: with_sink("{ nats: { subject: rows.income } }", "{ nats: { subject: \"scores.{3}\" } }");
    token_of_a_file: with_sink("{ file: { path: \"-\" } }", "{ nats: { subject: \"scores.{1}\" } }");
    result_comes_back: with_sink("{ nats: { subject: \"rows.>\" } }", "{ nats: { subject: rows.scores } }");
    source_and_sink_in_one_file: with_sink("{ file: { path: ../Cargo.toml } }", "{ file: { path: ../src/../Cargo.toml } }");
    sink_and_dead_letter_in_one_file: with_sink("{ file: { path: \"-\" } }", "{ file: { path: out.jsonl } }\ndead_letter: { file: { path: ./out.jsonl } }");
    order_by_an_unknown_field: two_columns("{ a: {}, b: {}, device: { dtype: string } }", "encode: { json: { pass: [device] } }\norder_by: devise");
    order_by_a_float: with("order_by: a");
    order_by_an_array: two_columns("{ a: {}, b: {}, tags: { dtype: i64, shape: [3] } }", "order_by: tags");
    order_by_a_token_of_a_file: with("order_by: \"{2}\"");
    order_by_a_token_not_there: with_source("{ nats: { subject: rows.income } }") + "order_by: \"{3}\"";
    order_by_two_tokens: with("order_by: \"{1}.{2}\"");
    order_by_token_zero: with("order_by: \"{0}\"");
    order_by_nothing: with("order_by: \"\"");
    order_by_without_quotes: with("order_by: {2}");
    order_by_a_list: with("order_by: [a]");
    order_of_replies: with_sink("{ nats: { subject: rows.x } }", "{ reply: {} }") + "order_by: \"{2}\"";
    batch_never_full: with("batch: { max_rows: 64, max_delay: 2ms }\nmax_in_flight: 16");
    batch_beyond_all: with("batch: { max_rows: 1000000, max_delay: 2ms }");
    too_much_in_flight: with("max_in_flight: 1000000000");
    model_missing: with_model("modle.onnx");
    model_broken: with_model("../tests/data/bad_models/truncated.onnx");
    no_models: with("").replace("{ m: { path: ../tests/data/models/sk_logreg/model.onnx } }", "{}");
    unknown_model: with_steps("[{ model: n, inputs: { X: [a, b] } }]");
    unknown_input: with_steps("[{ model: m, inputs: { x: [a, b] } }]");
    unknown_field: with_steps("[{ model: m, inputs: { X: [a, c] } }]");
    too_few_columns: with_steps("[{ model: m, inputs: { X: a } }]");
    unfed_matrix: with_steps("[{ model: m }]");
    unused_field: two_columns("{ a: {}, b: {}, c: {} }", "");
    no_fields_for_columns: with("").replace("fields: { a: {}, b: {} }\n", "");
    no_shape_for_the_field: "name: x\nsource: { file: { path: \"-\" } }\nmodels: { m: { path: ../tests/data/models/sk_knn/model.onnx } }\nsink: { file: { path: \"-\" } }";
    float_for_integers: with_model("../tests/data/models/sk_int64_clf/model.onnx");
    text_for_numbers: two_columns("{ a: { dtype: string }, b: {} }", "");
    steps_missing: "name: x\nsource: { file: { path: \"-\" } }\nmodels:\n  m: { path: income/model.onnx }\n  n: { path: digits/model.onnx }\nsink: { file: { path: \"-\" } }";
    unknown_output: with_outputs("score: probabilites");
    element_not_there: with_outputs("score: \"probabilities[2]\", x: \"label[0]\", y: \"label[1]\", z: \"probabilities[yes]\"");
    label_not_there: "name: x\nsource: { file: { path: \"-\" } }\nmodels: { m: { path: penguins/model.onnx } }\nencode: { json: { outputs: { p: \"output_probability[gentoo]\" } } }\nsink: { file: { path: \"-\" } }";
    key_twice_in_the_result: with("encode: { json: { pass: [id, label], outputs: { label: label } } }");
    tensor_of_many_fields: with("decode: { tensor: {} }");
    tensor_output_of_several: with("encode: { tensor: {} }");
    tensor_output_of_text: "name: x\nsource: { file: { path: \"-\" } }\nmodels: { m: { path: penguins/model.onnx } }\nencode: { tensor: { output: output_label } }\nsink: { file: { path: \"-\" } }";
    limits: two_columns(
        "\n  a: { range: [120, 0], default: x }\n  b: { dtype: i32, range: [0, 9], values: [1, 2.5], default: 11, nullable: true }",
        "",
    );
    more_limits: two_columns(
        "\n  a: { dtype: bool, range: [0, 1], values: [] }\n  b: { dtype: i64, nullable: true, range: [1] }",
        "",
    );
    values_that_cannot_come: two_columns(
        "\n  a: { default: 1e39 }\n  b: { dtype: f64, default: .nan, values: [1e400] }\n  c: { dtype: u8, range: [300, 400] }\n  d: { dtype: i32, range: [0.2, 0.8] }\n  e: { dtype: string, default: \"M\\0A\" }\n  f: { range: [.inf, .inf] }",
        "encode: { json: { pass: [c, d, e, f] } }",
    );
    shape_too_large: two_columns(
        "\n  a: { shape: [4294967296, 4294967296] }\n  b: { shape: [100000, 100000] }",
        "",
    );
    tensor_too_large: "name: x\nsource: { file: { path: \"-\" } }\ndecode: { tensor: { shape: [100000, 100000] } }\nmodels: { m: { path: ../tests/data/models/sk_knn/model.onnx } }\nsink: { file: { path: \"-\" } }";
    several_at_once: with("max_in_flight: lots\nbatch: { max_rowz: 1 }\nhttp: { listen: here }\nmax_in_flight_bytes: -1").replace("name: test\n", "");
    several_meanings_at_once: with("batch: { max_rows: 9, max_delay: 1s }\nmax_in_flight: 8\nencode: { json: { outputs: { a: lable } } }")
        .replace("X: [a, b]", "X: [a, bb]");
}
