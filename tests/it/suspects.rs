//! Rows that bring the process down, again and again, do not take the others with them.

use std::time::{Duration, Instant};

use crate::support::{connect, program::Program, server::NatsServer, streams::Streams};

const PIPELINE: &str = "
name: hanging
source: { jetstream: { url: '${NATS_URL}', stream: IN, consumer: worker, ack_wait: 1s, max_deliver: 3 } }
fields: { x: { dtype: f32 } }
batch: { max_rows: 64 }
models: { hanging: { path: MODEL } }
sink: { jetstream: { subject: out.results } }
dead_letter: { jetstream: { subject: dead.letters } }
encode: { json: { pass: [n] } }
http: { listen: '${HTTP_LISTEN}' }
";

const ROWS: usize = 400;
const CULPRITS: [usize; 2] = [137, 300];
/// Nothing came out for so long: whoever watches the process ends it.
const STUCK_AFTER: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_hang_the_model_take_no_other_with_them() {
    // One for each delivery that `max_deliver` allows, and one more for the second culprit.
    assert_eq!(kills("").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_do_they_where_results_stay_in_order() {
    assert!(kills("order_by: '{2}'\n").await >= 4);
}

/// Serves all rows, with as many kills as it takes, and audits what came out.
async fn kills(more: &str) -> usize {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let all = [("IN", "in.>"), ("OUT", "out.>"), ("DEAD", "dead.>")];
    let streams = Streams::with(&connection, &all).await;
    let rows = (0..ROWS).map(|n| {
        let x = if CULPRITS.contains(&n) { 1e15 } else { 3.0 };
        format!(r#"{{"n":{n},"x":{x}}}"#)
    });
    streams.publish("in.n", rows).await;
    let (_folder, file) = pipeline(more);
    let mut kills = 0;
    loop {
        let mut program = Program::run(&file, &server.url());
        program.ready().await;
        if !stuck(&streams).await {
            program.stop().await;
            break;
        }
        // As whoever watches it would do.
        drop(program);
        kills += 1;
        assert!(kills <= 8, "it is killed for ever");
    }
    let mut seen: Vec<usize> = streams.read("OUT").await.iter().map(number).collect();
    seen.sort_unstable();
    let expected: Vec<_> = (0..ROWS).filter(|n| !CULPRITS.contains(n)).collect();
    assert_eq!(seen, expected);
    let dead = streams.read("DEAD").await;
    assert_eq!(dead.iter().map(number).collect::<Vec<_>>(), CULPRITS);
    for letter in dead {
        let headers = letter.headers.as_ref().expect("headers");
        let reason = headers
            .get("Forebay-Reason")
            .map_or("", |reason| reason.as_str());
        assert!(
            reason.ends_with("times and not acknowledged once (max_deliver)"),
            "{reason}"
        );
    }
    kills
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_hangs_is_seen_in_the_metrics() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let all = [("IN", "in.>"), ("OUT", "out.>"), ("DEAD", "dead.>")];
    let streams = Streams::with(&connection, &all).await;
    let (_folder, file) = pipeline("");
    let mut program = Program::run(&file, &server.url());
    program.ready().await;
    let running = |program: &Program| {
        let (_, text) = program.get("/metrics");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("forebay_running_seconds{pipeline=\"hanging\"} "));
        line.and_then(|value| value.parse::<f64>().ok())
    };
    assert_eq!(running(&program), Some(0.0));
    streams.publish("in.n", [r#"{"n":0,"x":1e15}"#]).await;
    program
        .wait_for("it runs for longer than any row does", |program| {
            running(program) > Some(1.5)
        })
        .await;
    assert_eq!(program.status("/healthz"), 200, "five minutes are not over");
}

/// The pipeline's file, and the folder that it is in.
fn pipeline(more: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pipeline.yaml");
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/hanging/model.onnx");
    let text = PIPELINE.replace("MODEL", model) + more;
    std::fs::write(&file, text).expect("written");
    (folder, file)
}

fn number(message: &async_nats::jetstream::Message) -> usize {
    let value: serde_json::Value = serde_json::from_slice(&message.payload).expect("JSON");
    usize::try_from(value["n"].as_u64().expect("a number")).expect("small")
}

/// Whether nothing moves although not all is done.
async fn stuck(streams: &Streams) -> bool {
    let (mut last, mut moved) = (None, Instant::now());
    loop {
        let left = streams.left("IN", "worker").await;
        if left == Some((0, 0)) {
            return false;
        }
        let now = (left, streams.messages("OUT").await);
        if last != Some(now) {
            (last, moved) = (Some(now), Instant::now());
        }
        if moved.elapsed() > STUCK_AFTER {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
