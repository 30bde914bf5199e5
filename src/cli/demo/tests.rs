//! The demo with a pipeline that is a few lines long.

use std::{
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
};

use async_nats::{Client, jetstream::consumer::pull};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// What the stand-in does with the row of this number.
#[derive(Debug, Clone, Copy)]
enum Does {
    Score,
    ScoreTwice,
    Reject,
}

/// Takes rows from the stream and answers each one with its true label, but for every tenth.
async fn serve(launch: Launch, does: fn(u64) -> Does) -> Result<(), Failure> {
    let broker = connect(&at(&launch.nats_url), "stand-in").await?;
    let scored = Arc::new(AtomicU64::new(0));
    let listener = TcpListener::bind(launch.http).await.expect("a free port");
    let metrics = tokio::spawn(answer(listener, Arc::clone(&scored)));
    let stream = broker
        .jetstream()
        .get_stream("ROWS")
        .await
        .expect("ROWS is there");
    let consumer = stream
        .create_consumer(pull::OrderedConfig {
            filter_subject: "rows.income.>".to_owned(),
            ..Default::default()
        })
        .await
        .expect("a consumer");
    let mut messages = consumer.messages().await.expect("messages");
    loop {
        let message = tokio::select! {
            () = launch.stop.cancelled() => break,
            message = messages.next() => message.expect("goes on").expect("a message"),
        };
        let row: Value = serde_json::from_slice(&message.payload).expect("a row");
        let id = row["id"].as_u64().expect("a number");
        scored.fetch_add(1, Ordering::Relaxed);
        let truth = row["employed"].as_i64().expect("a label");
        let label = if id.is_multiple_of(10) {
            1 - truth
        } else {
            truth
        };
        let result = json!({"id": id, "employed": truth, "label": label, "score": 0.5}).to_string();
        let does = does(id);
        let (subject, payload) = match does {
            Does::Reject => ("dead.income", message.payload.clone()),
            Does::Score | Does::ScoreTwice => ("scores.income.ma", result.into()),
        };
        let times = if matches!(does, Does::ScoreTwice) {
            2
        } else {
            1
        };
        for _ in 0..times {
            publish(broker.client(), subject, payload.clone()).await;
        }
    }
    metrics.abort();
    broker.flush().await
}

async fn publish(client: &Client, subject: &'static str, payload: bytes::Bytes) {
    client.publish(subject, payload).await.expect("published");
}

async fn answer(listener: TcpListener, scored: Arc<AtomicU64>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = [0; 1024];
        drop(stream.read(&mut request).await);
        let rows = scored.load(Ordering::Relaxed);
        let body = format!(
            "forebay_batch_rows_sum{{pipeline=\"x\"}} {rows}\nforebay_batch_rows_count{{pipeline=\"x\"}} {}\n",
            rows.div_ceil(8)
        );
        let answer = format!("HTTP/1.0 200 OK\r\n\r\n{body}");
        drop(stream.write_all(answer.as_bytes()).await);
    }
}

fn args(rate: Option<f64>) -> Args {
    Args {
        seconds: 1,
        rate: rate.map(Rate::per_second),
        window: 256,
        pipeline: PathBuf::from("pipelines/income/pipeline.yaml"),
        subject: "rows.income.ma".to_owned(),
        truth: "employed".to_owned(),
    }
}

fn globals() -> Globals {
    Globals {
        onnxruntime: None,
        log: None,
        log_format: crate::telemetry::logs::Format::Auto,
    }
}

async fn play_with(args: &Args, does: fn(u64) -> Does) -> Result<Score, Failure> {
    let stop = CancellationToken::new();
    let serve = move |launch| serve(launch, does);
    play(args, &globals(), &stop, &mut Screen::new(), serve).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_is_scored_once_at_the_rate_asked_for() {
    let score = play_with(&args(Some(500.0)), |_| Does::Score)
        .await
        .expect("plays");
    assert!((400..=600).contains(&score.sent), "{}", score.sent);
    assert_eq!(score.results, score.sent);
    assert_eq!((score.doubled, score.dead, score.outstanding()), (0, 0, 0));
    let accuracy = score.accuracy().expect("labels");
    assert!((accuracy - 0.9).abs() < 0.01, "{accuracy}");
    assert_eq!(score.latencies.count(), score.sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubles_and_rejects_are_seen() {
    let score = play_with(&args(Some(300.0)), |id| match id % 3 {
        0 => Does::Score,
        1 => Does::ScoreTwice,
        _ => Does::Reject,
    })
    .await
    .expect("plays");
    let of_three = |rest: u64| (0..score.sent).filter(|id| id % 3 == rest).count() as u64;
    assert_eq!(score.doubled, of_three(1));
    assert_eq!(score.dead, of_three(2));
    assert_eq!(score.results, of_three(0) + of_three(1));
    assert_eq!(score.outstanding(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_rate_the_window_is_the_limit() {
    let score = play_with(&args(None), |_| Does::Score)
        .await
        .expect("plays");
    assert!(score.sent > 256, "{}", score.sent);
    assert_eq!(score.results, score.sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_that_fails_ends_the_demo_with_its_words() {
    let stop = CancellationToken::new();
    let serve = |_: Launch| std::future::ready(Err(Failure::new(Exit::Config, "no such field")));
    let failure = play(&args(None), &globals(), &stop, &mut Screen::new(), serve)
        .await
        .expect_err("fails");
    assert_eq!(failure, Failure::new(Exit::Config, "no such field"));
}
