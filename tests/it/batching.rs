//! Deadlines, priorities, limits, kept results and measured load, with the real program and a broker.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tempfile::TempDir;

use crate::support::{
    connect, eventually,
    examples::{changed, rows},
    program::{Program, forebay},
    server::NatsServer,
    streams::Streams,
};

/// A pipeline file with a model of 30 numbers.
struct File {
    _folder: TempDir,
    path: PathBuf,
}

fn file(name: &str, source: &str, sink: &str, more: &str) -> File {
    let folder = TempDir::new().expect("a temporary folder");
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/sk_logreg/model.onnx");
    let text = format!(
        "name: {name}
source: {source}
fields: {{ x: {{ shape: [30] }} }}
models: {{ m: {{ path: {} }} }}
steps: [{{ model: m, inputs: {{ X: [x] }} }}]
encode: {{ json: {{ pass: [n], outputs: {{ label: label }} }} }}
sink: {sink}
http: {{ listen: \"127.0.0.1:0\" }}
{more}\n",
        model.display()
    );
    let path = folder.path().join(format!("{name}.yaml"));
    std::fs::write(&path, text).expect("the file is written");
    File {
        _folder: folder,
        path,
    }
}

const FROM_STREAM: &str = "{ jetstream: { url: \"${NATS_URL}\", stream: ROWS, consumer: c } }";
const TO_STREAM: &str = "{ jetstream: { url: \"${NATS_URL}\", subject: scores.x } }";
const REQUESTS: &str = "{ nats: { url: \"${NATS_URL}\", subject: rows.x } }";
const REPLIES: &str = "{ reply: {} }";

fn row(n: usize) -> Bytes {
    let values = vec![(n % 7).to_string(); 30];
    format!(r#"{{"n":{n},"x":[{}]}}"#, values.join(",")).into()
}

/// Which row a result is of.
fn number(payload: &[u8]) -> usize {
    let result: serde_json::Value = serde_json::from_slice(payload).expect("JSON");
    usize::try_from(result["n"].as_u64().expect("a number")).expect("small")
}

/// The value of a gauge.
fn gauge(program: &Program, name: &str) -> Option<f64> {
    let (_, text) = program.get("/metrics");
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{name}{{")))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_late_goes_to_the_dead_letter_for_that_reason() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    streams.publish("rows.x", (0..30).map(row)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let more = "batch: { deadline: 2s, deadline_from: stored }
dead_letter: { jetstream: { url: \"${NATS_URL}\", subject: dead.x } }";
    let file = file("late", FROM_STREAM, TO_STREAM, more);
    let mut program = Program::run(&file.path, &server.url());
    program.ready().await;
    eventually("all old rows are rejected", async || {
        streams.messages("DEAD").await >= 30
    })
    .await;
    streams.publish("rows.x", (30..40).map(row)).await;
    eventually("all new rows are scored", async || {
        streams.messages("SCORES").await >= 10
    })
    .await;
    streams.done("ROWS", "c").await;
    let results = streams.read("SCORES").await;
    let mut scored: Vec<_> = results
        .iter()
        .map(|result| number(&result.payload))
        .collect();
    scored.sort_unstable();
    assert_eq!(scored, (30..40).collect::<Vec<_>>());
    let letters = streams.read("DEAD").await;
    assert_eq!(letters.len(), 30);
    for letter in &letters {
        let headers = letter.headers.as_ref().expect("a reason");
        let header = |name: &str| {
            headers
                .get(name)
                .map(ToString::to_string)
                .unwrap_or_default()
        };
        assert_eq!(header("Forebay-Stage"), "batch");
        let reason = header("Forebay-Reason");
        assert!(
            reason.starts_with("too late: ")
                && reason.ends_with(" after it was stored, and `batch.deadline` is 2s"),
            "{reason}"
        );
    }
    let labels = ["stage=\"batch\"", "reason=\"deadline\""];
    assert_eq!(program.metric("forebay_rejects_total", &labels), 30);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_urgent_overtakes_what_waits() {
    const ROWS: usize = 4000;
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    streams.publish("rows.x", (0..ROWS).map(row)).await;
    let client = connect(&server.url()).await.client().clone();
    let mut headers = HeaderMap::new();
    headers.insert("priority", "high");
    let urgent = client
        .request_with_headers("rows.x".to_owned(), headers, row(ROWS))
        .await;
    urgent.expect("stored");
    // Rows go one by one, so that there is something to overtake.
    let more = "batch: { max_rows: 1 }\npriority: { header: Priority, urgent: [high] }";
    let file = file("urgent", FROM_STREAM, TO_STREAM, more);
    let mut program = Program::run(&file.path, &server.url());
    program.ready().await;
    eventually("all results", async || {
        streams.messages("SCORES").await > ROWS as u64
    })
    .await;
    let results = streams.read("SCORES").await;
    let order: Vec<_> = results
        .iter()
        .map(|result| number(&result.payload))
        .collect();
    let place = order
        .iter()
        .position(|n| *n == ROWS)
        .expect("it has a result");
    assert!(place < ROWS - 100, "it came as number {place}");
    let mut seen = order;
    seen.sort_unstable();
    assert_eq!(seen, (0..=ROWS).collect::<Vec<_>>());
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_kept_for_the_same_payload() {
    let server = NatsServer::without_jetstream();
    let file = file("kept", REQUESTS, REPLIES, "cache: { max_bytes: 1MiB }");
    let mut program = Program::run(&file.path, &server.url());
    program.ready().await;
    let client = connect(&server.url()).await.client().clone();
    let ask = async |n: usize| {
        let answer = client.request("rows.x", row(n)).await;
        answer.expect("answered").payload
    };
    let first = [ask(0).await, ask(1).await, ask(2).await];
    for n in 0..60 {
        assert_eq!(ask(n % 3).await, first[n % 3]);
    }
    let bad = client
        .request("rows.x", "{".into())
        .await
        .expect("answered");
    let again = client
        .request("rows.x", "{".into())
        .await
        .expect("answered");
    assert!(
        bad.headers.is_some() && again.headers.is_some(),
        "an error is no result"
    );
    assert_eq!(program.metric("forebay_cache_hits_total", &[]), 60);
    assert_eq!(program.metric("forebay_cache_misses_total", &[]), 5);
    assert_eq!(program.metric("forebay_rows_total", &[]), 3);
    assert_eq!(program.metric("forebay_results_total", &[]), 63);
    assert!(gauge(&program, "forebay_cache_bytes").is_some_and(|bytes| bytes > 100.0));
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_bytes_ends_batches() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    streams.publish("rows.x", (1000..2000).map(row)).await;
    // Seven rows of 76 bytes.
    let more = "batch: { max_bytes: 540 }";
    let file = file("bytes", FROM_STREAM, TO_STREAM, more);
    let mut program = Program::run(&file.path, &server.url());
    program.ready().await;
    eventually("all results", async || {
        streams.messages("SCORES").await >= 1000
    })
    .await;
    let bytes = program.metric("forebay_batches_total", &["closed=\"bytes\""]);
    assert!(bytes > 20, "{bytes} batches");
    assert!(
        program.metric("forebay_batch_rows_bucket", &["le=\"8\""]) >= 143,
        "no batch has more"
    );
    assert_eq!(
        program.metric("forebay_batch_rows_bucket", &["le=\"8\""]),
        program.metric("forebay_batch_rows_count", &[])
    );
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_tokens_ends_batches() {
    let server = NatsServer::without_jetstream();
    let file = changed(
        "sentences/pipeline.yaml",
        &[
            (
                "  file: { path: sample.jsonl }        # relative to this file; \"-\" reads stdin",
                "  nats: { url: \"${NATS_URL}\", subject: rows.x }",
            ),
            (
                "batch: { max_rows: 16, max_delay: 5ms }",
                "batch: { max_rows: 16, max_delay: 50ms, max_tokens: 60 }",
            ),
            (
                "sink:\n  file: { path: \"-\" }                 # \"-\" writes stdout",
                "sink: { reply: {} }",
            ),
            (
                "dead_letter:\n  file: { path: rejected.jsonl }      # relative to this file\n",
                "",
            ),
        ],
    );
    let mut program = Program::run(&file.file, &server.url());
    program.ready().await;
    let client = connect(&server.url()).await.client().clone();
    let sentences = rows("sentences/sample.jsonl");
    let requests = sentences.iter().take(60).map(|row| async {
        let answer = client.request("rows.x", row.to_string().into()).await;
        let answer = answer.expect("answered");
        assert!(answer.headers.is_none(), "{:?}", answer.headers);
    });
    let answered: Vec<()> = stream::iter(requests).buffered(30).collect().await;
    assert!(program.metric("forebay_batches_total", &["closed=\"tokens\""]) > 0);
    assert_eq!(
        program.metric("forebay_rows_total", &[]),
        answered.len() as u64
    );
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_kept_and_load_is_told() {
    let server = NatsServer::without_jetstream();
    let more = "batch: { target_latency: 20ms }\ncapacity: { planned: 100/s }";
    let file = file("target", REQUESTS, REPLIES, more);
    let mut program = Program::run(&file.path, &server.url());
    program.ready().await;
    let client = connect(&server.url()).await.client().clone();
    let started = Instant::now();
    // About 700 rows a second, whatever the answers do.
    let requests = (0..5000_usize).map(|n| {
        let client = client.clone();
        async move {
            let due = started + Duration::from_micros(1400) * u32::try_from(n).expect("few");
            tokio::time::sleep_until(due.into()).await;
            let asked = Instant::now();
            client.request("rows.x", row(n)).await.expect("answered");
            asked.elapsed()
        }
    });
    let mut took: Vec<_> = stream::iter(requests)
        .buffer_unordered(1000)
        .collect()
        .await;
    took.sort();
    // On a machine that does other work besides, nothing is sure; half of them is.
    assert!(
        took[took.len() / 2] < Duration::from_millis(60),
        "{:?}",
        took[took.len() / 2]
    );
    assert!(program.metric("forebay_batches_total", &["closed=\"target\""]) > 0);
    let between = |name: &str, least: f64, most: f64| {
        let value = gauge(&program, name);
        assert!(
            value.is_some_and(|value| (least..most).contains(&value)),
            "{name}: {value:?}"
        );
    };
    between("forebay_utilisation", 1e-6, 1.0);
    between("forebay_arrivals", 200.0, 1000.0);
    between("forebay_headroom", 100.0, 1e9);
    between("forebay_service_fixed_seconds", 0.0, 0.1);
    between("forebay_service_row_seconds", 0.0, 0.1);
    between("forebay_planned", 99.0, 101.0);
    between("forebay_over_plan", 0.5, 1.5);
    let said = program.said();
    assert_eq!(
        said.matches("more rows come than are planned for").count(),
        1,
        "{said}"
    );
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_of_one_process_share_its_cores() {
    let server = NatsServer::without_jetstream();
    let client = connect(&server.url()).await.client().clone();
    let files: Vec<_> = (1..=6_usize)
        .map(|n| {
            let source = REQUESTS.replace("rows.x", &format!("rows.p{n}"));
            file(&format!("p{n}"), &source, REPLIES, &format!("weight: {n}"))
        })
        .collect();
    let paths = files.iter().map(|file| file.path.to_str().expect("UTF-8"));
    let args: Vec<_> = std::iter::once("run").chain(paths).collect();
    let mut program = Program::start(forebay(&args).env("NATS_URL", server.url()));
    program.ready().await;
    let requests = (0..3000_usize).map(|n| {
        let client = client.clone();
        async move {
            let answer = client.request(format!("rows.p{}", n % 6 + 1), row(n)).await;
            assert_eq!(number(&answer.expect("answered").payload), n);
        }
    });
    let answered: Vec<()> = stream::iter(requests).buffer_unordered(300).collect().await;
    assert_eq!(answered.len(), 3000);
    for n in 1..=6 {
        let label = format!("pipeline=\"p{n}\"");
        assert_eq!(program.metric("forebay_results_total", &[&label]), 500);
    }
    program.stop().await;
}
