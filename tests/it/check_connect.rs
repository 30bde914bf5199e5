//! `check --connect`, and the start of `run`: what the broker's side lacks is said before a message
//! is taken.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{AckPolicy, pull},
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};

use crate::{
    cli::{err, forebay, out},
    support::{
        connect, eventually,
        examples::{Changed, changed, example, lines},
        program::Program,
        server::NatsServer,
        streams::Streams,
        without_ports,
    },
};

/// The exit code and all that is said.
fn check(file: &std::path::Path, url: &str) -> String {
    let file = file.to_str().expect("a path in UTF-8");
    let mut command = forebay(&["check", file, "--connect"]);
    let output = command.env("NATS_URL", url).output().expect("it runs");
    let said = err(&output);
    // Log lines have a time in them.
    let said: Vec<_> = said.lines().filter(|line| !line.starts_with('{')).collect();
    let text = format!(
        "exit {}\n{}---\n{}",
        output.status.code().unwrap_or_default(),
        out(&output),
        said.join("\n")
    );
    let folder = format!("{}/", env!("CARGO_MANIFEST_DIR"));
    without_ports(&text.replace(&folder, "").replace(file, "pipeline.yaml"))
}

fn income(url: &str) -> String {
    check(&example("income/pipeline.yaml"), url)
}

fn stream(name: &str, subject: &str) -> Config {
    Config {
        name: name.into(),
        subjects: vec![subject.into()],
        duplicate_window: Duration::from_mins(10),
        ..Config::default()
    }
}

async fn streams(server: &NatsServer, all: Vec<Config>) -> Streams {
    let connection = connect(&server.url()).await;
    let streams = Streams::with(&connection, &[]).await;
    for config in all {
        streams.js.create_stream(config).await.expect("a stream");
    }
    streams
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_there() {
    let url = NatsServer::start(&[]).url();
    insta::assert_snapshot!("no_server", income(&url));
    let server = NatsServer::without_jetstream();
    insta::assert_snapshot!("no_jetstream", income(&server.url()));
    let server = NatsServer::start(&[]);
    streams(&server, vec![stream("OTHER", "other.>")]).await;
    insta::assert_snapshot!("no_streams", income(&server.url()));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well() {
    let server = NatsServer::start(&[]);
    let all = vec![
        stream("ROWS", "rows.>"),
        stream("SCORES", "scores.>"),
        stream("DEAD", "dead.>"),
    ];
    let streams = streams(&server, all).await;
    insta::assert_snapshot!("well", income(&server.url()));
    let found = streams.js.get_stream("ROWS").await.expect("the stream");
    assert!(
        found.consumer_info("income").await.is_err(),
        "check makes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_do_not_keep_the_promise() {
    let server = NatsServer::start(&[]);
    let rows = Config {
        max_age: Duration::from_hours(1),
        max_messages: 1000,
        storage: StorageType::Memory,
        ..stream("ROWS", "rows.>")
    };
    let scores = Config {
        max_bytes: 1 << 20,
        duplicate_window: Duration::from_secs(30),
        max_age: Duration::from_secs(90),
        max_messages_per_subject: 5,
        storage: StorageType::Memory,
        ..stream("SCORES", "scores.>")
    };
    let dead = Config {
        no_ack: true,
        retention: RetentionPolicy::Interest,
        ..stream("DEAD", "dead.>")
    };
    let streams = streams(&server, vec![rows, scores, dead]).await;
    let rows = streams.js.get_stream("ROWS").await.expect("the stream");
    let consumer = pull::Config {
        durable_name: Some("income".into()),
        ack_policy: AckPolicy::None,
        inactive_threshold: Duration::from_mins(5),
        ..pull::Config::default()
    };
    rows.create_consumer(consumer).await.expect("a consumer");
    insta::assert_snapshot!("promise", income(&server.url()));

    // The same before a run, as far as it starts at all.
    let program = Program::run(&example("income/pipeline.yaml"), &server.url());
    let ended = program.ended().await;
    assert_eq!(ended.code, 69);
    let last = ended.stderr.lines().last().expect("a line");
    insta::assert_snapshot!(last, @"error: pipeline `income`: the stream `DEAD` confirms nothing (no_ack), so no dead letters would ever count as stored; set its no_ack to false");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_starts_with_warnings() {
    let server = NatsServer::start(&[]);
    let scores = Config {
        max_messages: 10,
        ..stream("SCORES", "scores.>")
    };
    let dead = Config {
        discard: DiscardPolicy::New,
        max_messages: 10,
        duplicate_window: Duration::from_mins(2),
        ..stream("DEAD", "dead.>")
    };
    streams(&server, vec![stream("ROWS", "rows.>"), scores, dead]).await;
    let mut program = Program::run(&example("income/pipeline.yaml"), &server.url());
    program.ready().await;
    let said = program.said();
    let warnings = said.lines().filter(|line| line.contains("WARN"));
    let warnings: Vec<_> = warnings
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            line["message"].as_str().expect("a message").to_owned()
        })
        .collect();
    insta::assert_snapshot!(warnings.join("\n"), @r#"
the stream `SCORES` removes its oldest messages when it is full (max_msgs 10, discard: old): results that nobody has read would be lost without a word; set `discard: new`, and forebay waits while it is full
the stream `DEAD` knows message ids for 120s (duplicate_window), and a message may be delivered again for 150s (ack_wait × max_deliver): a message delivered again after the window would be stored twice; set duplicate_window to at least 150s
"#);
    program.stop().await;
}

/// A user who may do what the pipeline needs, and one who may do nothing but listen.
const USERS: &str = r#"
accounts: { A: { jetstream: enabled, users: [
    { user: admin, password: admin }
    { user: nobody, password: nobody, permissions: { publish: { deny: ">" } } }
    { user: deaf, password: deaf, permissions: { subscribe: { deny: ">" } } }
    { user: partial, password: partial, permissions: { publish: { allow: [
        "$JS.API.>", "$JS.ACK.ROWS.income.>", "scores.income.ma", "$SYS.REQ.USER.INFO" ] } } }
    { user: working, password: working, permissions: { publish: { allow: [
        "$JS.API.STREAM.INFO.ROWS", "$JS.API.CONSUMER.*.ROWS.income", "$JS.API.CONSUMER.MSG.NEXT.ROWS.income",
        "$JS.ACK.>", "scores.income.*", "dead.income" ] } } }
] } }"#;

fn at(server: &NatsServer, user: &str) -> String {
    server
        .url()
        .replace("nats://", &format!("nats://{user}:{user}@"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_ask_is_told() {
    let server = NatsServer::with_config(USERS);
    for (name, user) in [
        ("may_nothing", "nobody"),
        ("may_not_listen", "deaf"),
        ("may_work", "working"),
        ("may_do_some", "partial"),
    ] {
        let streams = connect(&at(&server, "admin")).await;
        Streams::with(&streams, &[("ROWS", "rows.>")]).await;
        insta::assert_snapshot!(name, income(&at(&server, user)));
    }
}

/// Where it cannot be asked about, a stream that confirms nothing holds the pipeline back: nothing
/// is acknowledged, nothing is lost, and readiness says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_confirms_nothing() {
    let server = NatsServer::with_config(USERS);
    let admin = connect(&at(&server, "admin")).await;
    let streams = Streams::with(&admin, &[("ROWS", "rows.>"), ("DEAD", "dead.>")]).await;
    let scores = Config {
        no_ack: true,
        ..stream("SCORES", "scores.>")
    };
    streams.js.create_stream(scores).await.expect("a stream");
    let row = lines("income/sample.jsonl").remove(0);
    streams.publish("rows.income.ma", [row]).await;
    let mut program = Program::run(&example("income/pipeline.yaml"), &at(&server, "working"));
    program
        .wait_for("it says why", |program| {
            program
                .get("/readyz")
                .1
                .contains("results cannot be stored: `scores.income.ma`: no confirmation")
        })
        .await;
    assert_eq!(streams.left("ROWS", "income").await, Some((0, 1)));
    assert_eq!(streams.messages("SCORES").await, 1);
    program.signal("KILL");
}

/// Two pipelines, the one with an output that nobody takes.
#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_looked_at() {
    let server = NatsServer::start(&[]);
    let all = vec![
        stream("ROWS", "rows.>"),
        stream("SCORES", "scores.>"),
        stream("DEAD", "dead.>"),
    ];
    streams(&server, all).await;
    let other: Changed = changed(
        "income/pipeline.yaml",
        &[
            ("name: income", "name: other"),
            ("consumer: income", "consumer: other"),
            ("scores.income.{3}", "nowhere.{3}"),
        ],
    );
    let files = [example("income/pipeline.yaml"), other.file.clone()];
    let files = files.map(|file| file.to_str().expect("UTF-8").to_owned());
    let mut command = forebay(&["check", &files[0], &files[1], "--connect"]);
    let output = command
        .env("NATS_URL", server.url())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(69));
    let said = out(&output);
    assert!(
        said.contains("income/pipeline.yaml: ok") && said.contains("not ready for it"),
        "{said}"
    );
    insta::assert_snapshot!(without_ports(&err(&output)), @"error: pipeline `other`: no stream at nats://127.0.0.1:PORT takes the subject `nowhere.*`, so results could not be stored; make one, or let `forebay run --create-streams` make what is missing");
    eventually("nothing was left behind", async || server.clients() <= 1).await;
}
