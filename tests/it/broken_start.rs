//! What cannot start says why in a sentence, and with the exit code that is documented.

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use forebay::engine::cpu::library::{Surroundings, find_in};
use tempfile::TempDir;

use crate::{
    cli::{err, forebay, run},
    support::{
        connect,
        examples::{changed, example},
        program::{Ended, Program},
        server::NatsServer,
        streams::Streams,
        without_ports,
    },
};

/// The last line of what it said, which is why it ended.
fn last_words(ended: &Ended) -> String {
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap_or_default();
    without_ports(last)
}

/// An address where nobody listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("nats://{}", listener.local_addr().expect("bound"))
}

/// Whether the machine itself has the library, outside of this project and of any environment.
fn system_has_onnxruntime() -> bool {
    let mut system = Surroundings::of_process(None);
    system.flag = None;
    system.variable = None;
    system.executable = None;
    system.current_dir = None;
    system.python = vec!["/usr/local".into()];
    system.system.retain(|folder| folder.starts_with("/usr"));
    find_in(&system).is_ok()
}

#[test]
fn without_onnx_runtime_every_place_is_named() {
    if system_has_onnxruntime() {
        return;
    }
    let folder = TempDir::new().expect("a temporary folder");
    let alone = folder.path().join("forebay");
    std::fs::copy(env!("CARGO_BIN_EXE_forebay"), &alone).expect("copied");
    for command in ["run", "check"] {
        let output = Command::new(&alone)
            .arg(command)
            .arg(example("income/pipeline.yaml"))
            .env_clear()
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        let said = err(&output);
        assert_eq!(output.status.code(), Some(69), "{said}");
        for part in [
            "error: ONNX Runtime was not found",
            "--onnxruntime ",
            "FOREBAY_ONNXRUNTIME ",
            "beside the executable ",
            "the project's folder ",
            "Python's onnxruntime ",
            "the system's folders ",
            "run `make setup`",
        ] {
            assert!(said.contains(part), "no `{part}` in: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_nats_server_its_address_is_named() {
    let program = Program::run(&example("income/pipeline.yaml"), &nowhere());
    let ended = program.ended().await;
    assert_eq!(ended.code, 69, "{}", ended.stderr);
    insta::assert_snapshot!(last_words(&ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_stopped_while_it_waits_for_a_server() {
    let mut program = Program::run(&example("income/pipeline.yaml"), &nowhere());
    let trying = |program: &Program| program.said().contains("cannot reach NATS yet");
    program.wait_for("a first try", trying).await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_stream_it_says_how_to_make_one() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let all = [("SCORES", "scores.>"), ("DEAD", "dead.>")];
    let _streams = Streams::with(&connection, &all).await;
    let program = Program::run(&example("income/pipeline.yaml"), &server.url());
    let ended = program.ended().await;
    assert_eq!(ended.code, 69, "{}", ended.stderr);
    insta::assert_snapshot!(last_words(&ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stream_for_dead_letters_nothing_is_taken() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let all = [("ROWS", "rows.>"), ("SCORES", "scores.>")];
    let streams = Streams::with(&connection, &all).await;
    streams.publish("rows.income.ma", ["{}"]).await;
    let program = Program::run(&example("income/pipeline.yaml"), &server.url());
    let ended = program.ended().await;
    assert_eq!(ended.code, 69, "{}", ended.stderr);
    insta::assert_snapshot!(last_words(&ended));
    assert_eq!(streams.messages("ROWS").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stream_for_results_nothing_is_taken() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let all = [("ROWS", "rows.>"), ("DEAD", "dead.>")];
    let streams = Streams::with(&connection, &all).await;
    streams.publish("rows.income.ma", ["{}"]).await;
    let program = Program::run(&example("income/pipeline.yaml"), &server.url());
    let ended = program.ended().await;
    assert_eq!(ended.code, 69, "{}", ended.stderr);
    insta::assert_snapshot!(last_words(&ended), @"error: pipeline `income`: sink: no stream at nats://127.0.0.1:PORT takes the subject `scores.income.*`, so results could not be stored; make one, or let `forebay run --create-streams` make what is missing");
    assert_eq!(streams.messages("ROWS").await, 1);
}

/// People read it where both go; a machine finds it in the log, and whoever started the program in the last line.
#[tokio::test(flavor = "multi_thread")]
async fn why_a_pipeline_stopped_is_said_to_people_once() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let _streams = Streams::with(&connection, &[("ROWS", "rows.>"), ("DEAD", "dead.>")]).await;
    let file = example("income/pipeline.yaml");
    for (format, times) in [("human", 1), ("json", 2)] {
        let file = file.to_str().expect("a path in UTF-8");
        let mut command = forebay(&["run", file, "--log-format", format]);
        command
            .env("NATS_URL", server.url())
            .env("HTTP_LISTEN", "127.0.0.1:0");
        let ended = Program::start(&mut command).ended().await;
        assert_eq!(ended.code, 69, "{}", ended.stderr);
        let why = "takes the subject `scores.income.*`";
        assert_eq!(ended.stderr.matches(why).count(), times, "{}", ended.stderr);
        let last = last_words(&ended);
        assert!(last.starts_with("error: pipeline `income`: "), "{last}");
        assert!(last.contains(why), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_jetstream_it_says_so() {
    let server = NatsServer::without_jetstream();
    let program = Program::run(&example("income/pipeline.yaml"), &server.url());
    let ended = program.ended().await;
    assert_eq!(ended.code, 69, "{}", ended.stderr);
    insta::assert_snapshot!(last_words(&ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_named() {
    let server = NatsServer::start(&[]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let file = example("income/pipeline.yaml");
    let mut command = forebay(&["run", file.to_str().expect("UTF-8")]);
    command
        .env("NATS_URL", server.url())
        .env("HTTP_LISTEN", &address);
    let ended = Program::start(&mut command).ended().await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let said = format!("error: cannot listen on {address} (http.listen): ");
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with(&said), "{last}");
}

/// Ten mistakes in the income pipeline.
const MISTAKES: [(&str, &str); 10] = [
    ("decode:\n  json: {}", "decode:\n  jsn: {}"),
    ("batch: { max_rows: 256,", "batch: { max_rows: many,"),
    ("max_in_flight: 8192", "max_in_flight: 8"),
    ("  - model: income", "  - model: incme"),
    ("X: [AGEP, SCHL,", "X: [AGEP,"),
    ("X: [AGEP,", "X: [AGE,"),
    ("label: label,", "label: labels,"),
    ("stream: ROWS ", "straem: ROWS "),
    ("dtype: f32, range: [0, 24]", "dtype: f23, range: [0, 24]"),
    ("range: [0, 99]", "range: [99, 0]"),
];

#[test]
fn broken_pipeline_files_are_shown_with_the_place() {
    let mut reports = Vec::new();
    for mistake in MISTAKES {
        let pipeline = changed("income/pipeline.yaml", &[mistake]);
        let output = run(&["run", pipeline.file.to_str().expect("a path in UTF-8")]);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(78), "{mistake:?}: {said}");
        assert!(!said.contains("panicked"), "{mistake:?}: {said}");
        let place = place_in(&said, &pipeline.file);
        let first = said.lines().next().unwrap_or_default();
        reports.push(format!("{place} {first}"));
    }
    insta::assert_snapshot!("mistakes", reports.join("\n"));
}

/// `line:column` behind the file's name.
fn place_in(said: &str, file: &Path) -> String {
    let name = file.file_name().expect("a file").to_string_lossy();
    let (_, rest) = said
        .split_once(&format!("{name}:"))
        .unwrap_or_else(|| panic!("no place in: {said}"));
    let place: String = rest
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == ':')
        .collect();
    let numbers: Vec<_> = place
        .split(':')
        .filter_map(|part| part.parse::<u32>().ok())
        .collect();
    assert!(numbers.len() >= 2, "no line and column in: {said}");
    place
}
