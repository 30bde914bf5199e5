//! The running program told to stop while its server is away.

use std::time::{Duration, Instant};

use crate::{
    broken_server::stuck,
    support::{
        connect, eventually,
        examples::{LITTLE_IN_FLIGHT, changed, example, lines},
        program::{Ended, Program},
        server::NatsServer,
        streams::Streams,
    },
};

/// Far less than anything waits for a server that is away.
const SOON: Duration = Duration::from_secs(3);
/// What was published that long ago is out.
const A_WHILE: Duration = Duration::from_millis(1500);
const NOT_OUT: &str = "may not have reached";

/// Kills the server, and waits until the program has seen that.
async fn lose(server: &mut NatsServer, program: &mut Program) {
    server.kill();
    program
        .wait_for("it sees that", |program| program.status("/readyz") == 503)
        .await;
}

/// Asks it to stop; gives how it ended, and how long that took.
async fn told_to_stop(program: Program) -> (Ended, Duration) {
    program.signal("TERM");
    let asked = Instant::now();
    (program.ended().await, asked.elapsed())
}

/// Fails unless it ends at once and well.
async fn ends_soon(program: Program) {
    let (ended, took) = told_to_stop(program).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(took < SOON, "{took:?}: {}", ended.stderr);
    assert!(!ended.stderr.contains(NOT_OUT), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_left_to_store_it_does_not_wait_for_a_server_that_is_away() {
    for rows in [0, 10] {
        let mut server = NatsServer::start(&[]);
        let streams = Streams::income(&server).await;
        let mut program = Program::run(&example("income/pipeline.yaml"), &server.url());
        program.ready().await;
        if rows > 0 {
            let sample = lines("income/sample.jsonl").into_iter().take(rows);
            streams.publish("rows.income.ma", sample).await;
            streams.done("ROWS", "income").await;
            tokio::time::sleep(A_WHILE).await;
        }
        lose(&mut server, &mut program).await;
        ends_soon(program).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_left_to_publish_it_does_not_wait_for_a_server_that_is_away() {
    for rows in [0, 10] {
        let mut server = NatsServer::without_jetstream();
        let client = connect(&server.url()).await.client().clone();
        let mut program = Program::run(&example("penguins/pipeline.nats.yaml"), &server.url());
        program.ready().await;
        for row in lines("penguins/sample.jsonl").into_iter().take(rows) {
            let subject = "rows.penguins.dream";
            client.publish(subject, row.into()).await.expect("sent");
        }
        if rows > 0 {
            eventually("the results", async || {
                program.metric("forebay_results_total", &[]) == rows as u64
            })
            .await;
            tokio::time::sleep(A_WHILE).await;
        }
        lose(&mut server, &mut program).await;
        ends_soon(program).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_results_to_store_it_waits_as_long_as_it_may() {
    let mut server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let rows = lines("income/sample.jsonl").into_iter().take(500);
    streams.publish("rows.income.ma", rows).await;
    let grace = ("name: income\n", "name: income\nshutdown_grace: 1500ms\n");
    let pipeline = changed("income/pipeline.yaml", &[LITTLE_IN_FLIGHT, grace]);
    let mut program = stuck(&streams, &server, &pipeline).await;
    lose(&mut server, &mut program).await;
    let (ended, took) = told_to_stop(program).await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(took >= Duration::from_millis(1500), "{took:?}");
    let last = ended.stderr.lines().last().unwrap_or_default();
    let left = "messages were not finished within shutdown_grace (1.5s)";
    assert!(last.contains(left), "{last}");
}
