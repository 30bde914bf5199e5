//! The running program while what is around it fails: the server gone, the server frozen, the
//! output full.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream;

use crate::support::{
    eventually,
    examples::{
        Changed, LITTLE_IN_FLIGHT, assert_each_once, changed, example, income_results, json, lines,
    },
    program::Program,
    server::NatsServer,
    streams::Streams,
};

const SUBJECT: &str = "rows.income.ma";
/// Messages in flight, at most, with `LITTLE_IN_FLIGHT`.
const CREDIT: u64 = 64;
const ROWS: u64 = 20_000;
/// Results that the output takes in.
const FULL: i64 = 10;

/// Whoever restarts what does not answer must be answered while the program still waits for its server.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_healthy_and_not_ready_before_it_has_met_the_server() {
    let mut server = NatsServer::start(&[]);
    let _streams = Streams::income(&server).await;
    server.kill();
    let mut program = Program::run(&example("income/pipeline.yaml"), &server.url());
    program
        .wait_for("it serves", |program| program.address().is_some())
        .await;
    assert_eq!(program.get("/healthz"), (200, "ok\n".to_owned()));
    let not_ready = "not ready\nincome: is starting\n".to_owned();
    assert_eq!(program.get("/readyz"), (503, not_ready));
    assert_eq!(program.status("/metrics"), 200);
    server.restart();
    program.ready().await;
    program.stop().await;
}

/// The stream `SCORES`, which takes no more than `most`.
fn scores(most: i64) -> stream::Config {
    stream::Config {
        name: "SCORES".into(),
        subjects: vec!["scores.>".into()],
        discard: stream::DiscardPolicy::New,
        max_messages: most,
        ..stream::Config::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_server() {
    let mut server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let mut program = Program::run(&example("income/pipeline.yaml"), &server.url());
    program.ready().await;
    assert_eq!(program.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(program.get("/readyz"), (200, "ready\n".to_owned()));
    assert_eq!(program.metric("forebay_ready", &["income"]), 1);
    for path in ["/", "/metric", "/metrics/", "//readyz"] {
        assert_eq!(program.status(path), 404, "{path}");
    }
    let posted = program.ask("POST", "/metrics").0;
    assert_eq!(posted, 405);

    // Connections that say nothing keep nobody else out.
    let address = program.address().expect("it serves HTTP");
    let idle: Vec<_> = (0..600)
        .map(|_| std::net::TcpStream::connect(address).expect("accepted"))
        .collect();
    assert_eq!(program.status("/readyz"), 200);
    assert!(program.get("/metrics").1.contains("forebay_ready"));
    drop(idle);

    server.kill();
    program
        .wait_for("not ready", |program| program.status("/readyz") == 503)
        .await;
    let (_, why) = program.get("/readyz");
    assert!(why.starts_with("not ready\nincome: "), "{why}");
    assert_eq!(program.metric("forebay_ready", &["income"]), 0);
    assert_eq!(program.status("/healthz"), 200);

    server.restart();
    program.ready().await;
    streams
        .publish(SUBJECT, lines("income/sample.jsonl").into_iter().take(100))
        .await;
    eventually("the results of the rows that came after", async || {
        streams.messages("SCORES").await == 100
    })
    .await;
    program.stop().await;
}

/// A program that cannot get rid of its results: `SCORES` is full.
pub(crate) async fn stuck(streams: &Streams, server: &NatsServer, pipeline: &Changed) -> Program {
    streams
        .js
        .update_stream(scores(FULL))
        .await
        .expect("limited");
    let mut program = Program::run(&pipeline.file, &server.url());
    program
        .wait_for("results are refused", |program| {
            program.metric("forebay_retries_total", &["stage=\"sink\""]) > CREDIT
        })
        .await;
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_does_not_wait_for_a_slow_end() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let rows = lines("income/sample.jsonl").into_iter().take(500);
    streams.publish(SUBJECT, rows).await;
    let pipeline = changed("income/pipeline.yaml", &[LITTLE_IN_FLIGHT]);
    let mut program = stuck(&streams, &server, &pipeline).await;
    program.signal("TERM");
    program
        .wait_for("it is stopping", |program| {
            program.said().contains("stopping") && program.status("/readyz") == 503
        })
        .await;
    // Sooner it would be taken for an echo of the first.
    tokio::time::sleep(Duration::from_millis(300)).await;
    program.signal("TERM");
    let asked = Instant::now();
    let ended = program.ended().await;
    assert_eq!(ended.code, 143, "{}", ended.stderr);
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert!(ended.stderr.contains("second signal"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_grace_was_too_short_for_is_delivered_again() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let rows = lines("income/sample.jsonl").into_iter().take(500);
    streams.publish(SUBJECT, rows).await;
    let short = ("ack_wait: 30s", "ack_wait: 1s");
    let grace = ("name: income\n", "name: income\nshutdown_grace: 200ms\n");
    let pipeline = changed("income/pipeline.yaml", &[LITTLE_IN_FLIGHT, short, grace]);
    let program = stuck(&streams, &server, &pipeline).await;
    program.signal("TERM");
    let ended = program.ended().await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(
        last.contains("messages were not finished within shutdown_grace (200ms)"),
        "{last}"
    );
    streams
        .js
        .update_stream(scores(-1))
        .await
        .expect("unlimited");
    let program = Program::run(&pipeline.file, &server.url());
    streams.done("ROWS", "income").await;
    let results = streams.read("SCORES").await;
    let results: Vec<_> = results.iter().map(|result| json(&result.payload)).collect();
    assert_each_once(&results, &income_results()[..500]);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_output_holds_the_input_back_and_memory_down() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    // Four times the sample, each time with other ids.
    let (sample, expected) = (lines("income/sample.jsonl"), income_results());
    let again = |round: u64| {
        let id = format!("{{\"id\":{round}");
        sample
            .iter()
            .map(move |row| row.replacen("{\"id\":", &id, 1))
    };
    streams.publish(SUBJECT, (1..=4).flat_map(again)).await;

    let pipeline = changed("income/pipeline.yaml", &[LITTLE_IN_FLIGHT]);
    let mut program = stuck(&streams, &server, &pipeline).await;
    let left = |program: &Program| program.metric("forebay_pending_messages", &["income"]);
    program
        .wait_for("it says what is left", |program| {
            left(program) + CREDIT + 10 >= ROWS
        })
        .await;
    let before = program.resident();
    for _ in 0..20 {
        let in_flight = program.metric("forebay_in_flight_messages", &["income"]);
        assert!(in_flight <= CREDIT, "{in_flight}");
        let (pending, unacknowledged) = streams.left("ROWS", "income").await.expect("it is there");
        assert!(unacknowledged as u64 <= CREDIT, "{unacknowledged}");
        assert!(pending + CREDIT + 10 >= ROWS, "{pending}");
        assert_eq!(streams.messages("SCORES").await, 10);
    }
    assert!(program.said().contains("results are not being stored"));
    let grown = program.resident().saturating_sub(before);
    assert!(
        grown < 16 << 20,
        "grown by {grown} bytes while nothing moves"
    );

    streams
        .js
        .update_stream(scores(-1))
        .await
        .expect("unlimited");
    streams.done("ROWS", "income").await;
    let grown = program.resident().saturating_sub(before);
    assert!(grown < 32 << 20, "grown by {grown} bytes in all");
    let results = streams.read("SCORES").await;
    let results: Vec<_> = results.iter().map(|result| json(&result.payload)).collect();
    let expected: Vec<_> = (1..=4)
        .flat_map(|round| {
            expected.iter().map(move |row| {
                let mut row = row.clone();
                row["id"] = json(format!("{round}{}", row["id"]).as_bytes());
                row
            })
        })
        .collect();
    assert_each_once(&results, &expected);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_the_middle_loses_and_doubles_nothing() {
    let mut server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    streams.publish(SUBJECT, lines("income/sample.jsonl")).await;
    let short = ("ack_wait: 30s", "ack_wait: 1s");
    let pipeline = changed("income/pipeline.yaml", &[LITTLE_IN_FLIGHT, short]);
    let mut program = Program::run(&pipeline.file, &server.url());
    for part in [300, 1500] {
        program
            .wait_for("some results", |program| {
                program.metric("forebay_results_total", &[]) >= part
            })
            .await;
        server.kill();
        program
            .wait_for("it sees that", |program| program.status("/readyz") == 503)
            .await;
        server.restart();
    }
    streams.done("ROWS", "income").await;
    let results = streams.read("SCORES").await;
    let results: Vec<_> = results.iter().map(|result| json(&result.payload)).collect();
    assert_each_once(&results, &income_results());
    assert_eq!(streams.messages("DEAD").await, 0);
    program.ready().await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_stood_still_makes_no_dead_letters_of_what_it_holds() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    streams
        .js
        .update_stream(scores(FULL))
        .await
        .expect("limited");
    let rows = lines("income/sample.jsonl").into_iter().take(50);
    streams.publish(SUBJECT, rows).await;
    let pipeline = changed(
        "income/pipeline.yaml",
        &[
            ("ack_wait: 30s", "ack_wait: 1s"),
            ("max_deliver: 5", "max_deliver: 3"),
        ],
    );
    let mut program = Program::run(&pipeline.file, &server.url());
    program
        .wait_for("the output is full", |program| {
            program.metric("forebay_results_total", &[]) == FULL.cast_unsigned()
        })
        .await;
    program
        .wait_for("it is not ready, and says why", |program| {
            let (status, why) = program.get("/readyz");
            let full = "results cannot be stored: `scores.income.ma`: maximum messages exceeded";
            status == 503 && why.contains(full)
        })
        .await;
    program.signal("STOP");
    tokio::time::sleep(Duration::from_secs(3)).await;
    program.signal("CONT");
    program
        .wait_for("rows come again", |program| {
            program.metric("forebay_redelivered_total", &[]) > 0
        })
        .await;
    streams.js.update_stream(scores(-1)).await.expect("widened");
    streams.done("ROWS", "income").await;
    assert_eq!(streams.messages("SCORES").await, 50);
    assert_eq!(streams.messages("DEAD").await, 0);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_is_logged_once_and_so_is_the_next() {
    let mut server = NatsServer::start(&[]);
    let _streams = Streams::income(&server).await;
    let mut program = Program::run(&example("income/pipeline.yaml"), &server.url());
    program.ready().await;
    let count = |program: &Program, words: &str| program.said().matches(words).count();
    let again = "connected to NATS again";
    let lost = format!(
        "the connection to NATS at nats://127.0.0.1:{} is lost; trying again",
        server.port()
    );
    assert_eq!(count(&program, &lost), 0, "{}", program.said());
    assert_eq!(count(&program, again), 0, "{}", program.said());
    server.kill();
    program
        .wait_for("it is said", |program| count(program, &lost) > 0)
        .await;
    assert_eq!(count(&program, again), 0, "{}", program.said());
    server.restart();
    program
        .wait_for("it is said", |program| count(program, again) > 0)
        .await;
    program.ready().await;
    assert_eq!(count(&program, &lost), 1, "{}", program.said());
    assert_eq!(count(&program, again), 1, "{}", program.said());
    program.signal("TERM");
    let ended = program.ended().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches(&lost).count(), 1, "{}", ended.stderr);
}
