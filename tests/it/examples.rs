//! The income example end to end: all sample rows through the real program and a real server, each
//! exactly once, equal to what Python's onnxruntime answers.

use async_nats::jetstream::Message;
use serde_json::Value;

use crate::{
    cli::forebay,
    support::{
        connect, eventually,
        examples::{
            LITTLE_IN_FLIGHT, assert_each_once, changed, example, income_results, json, lines, rows,
        },
        program::Program,
        server::NatsServer,
        streams::Streams,
    },
};

const SUBJECT: &str = "rows.income.ma";

/// Waits until all is acknowledged, and gives what is in `SCORES`.
async fn scores(streams: &Streams) -> Vec<Message> {
    streams.done("ROWS", "income").await;
    let results = streams.read("SCORES").await;
    for result in &results {
        assert_eq!(result.subject.as_str(), "scores.income.ma");
    }
    assert_eq!(streams.messages("DEAD").await, 0);
    results
}

fn of_json(results: &[Message]) -> Vec<Value> {
    results.iter().map(|result| json(&result.payload)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn income_from_stream_to_stream() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    streams.publish(SUBJECT, lines("income/sample.jsonl")).await;
    let program = Program::run(&example("income/pipeline.yaml"), &server.url());
    let results = scores(&streams).await;
    assert_each_once(&of_json(&results), &income_results());
    assert_eq!(program.metric("forebay_messages_total", &["income"]), 5000);
    assert_eq!(program.metric("forebay_rows_total", &["income"]), 5000);
    assert_eq!(program.metric("forebay_results_total", &["income"]), 5000);
    assert_eq!(program.metric("forebay_rejects_total", &[]), 0);
    program.stop().await;
    assert_eq!(streams.left("ROWS", "income").await, Some((0, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_income_rows_in_a_message_give_ten_results_in_their_order() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let sample = lines("income/sample.jsonl");
    let lists = sample
        .chunks(10)
        .map(|rows| format!("[{}]", rows.join(",")));
    streams.publish(SUBJECT, lists).await;
    let program = Program::run(&example("income/pipeline.yaml"), &server.url());
    let results = of_json(&scores(&streams).await);
    assert_eq!(results.len(), 500);
    let ids = |rows: &[Value]| -> Vec<Value> { rows.iter().map(|row| row["id"].clone()).collect() };
    let expected = income_results();
    let mut sent: Vec<_> = expected.chunks(10).map(ids).collect();
    for list in &results {
        let got = ids(list.as_array().expect("a list for a list"));
        let at = sent.iter().position(|ids| *ids == got);
        sent.swap_remove(at.unwrap_or_else(|| panic!("not as it was sent: {got:?}")));
    }
    let all = results
        .iter()
        .flat_map(|list| list.as_array().unwrap().clone());
    assert_each_once(&all.collect::<Vec<_>>(), &expected);
    assert_eq!(program.metric("forebay_messages_total", &[]), 500);
    assert_eq!(program.metric("forebay_rows_total", &[]), 5000);
    assert_eq!(program.metric("forebay_results_total", &[]), 500);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn income_in_messagepack_is_the_same() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let sample = rows("income/sample.jsonl");
    let packed = sample
        .iter()
        .map(|row| rmp_serde::to_vec_named(row).expect("a row can be packed"));
    streams.publish(SUBJECT, packed).await;
    let pipeline = changed(
        "income/pipeline.yaml",
        &[
            ("decode:\n  json: {}", "decode:\n  msgpack: {}"),
            ("encode:\n  json:", "encode:\n  msgpack:"),
        ],
    );
    let program = Program::run(&pipeline.file, &server.url());
    let results: Vec<Value> = scores(&streams)
        .await
        .iter()
        .map(|result| rmp_serde::from_slice(&result.payload).expect("a packed result"))
        .collect();
    assert_each_once(&results, &income_results());
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn income_is_whole_and_single_after_the_program_was_killed() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    streams.publish(SUBJECT, lines("income/sample.jsonl")).await;
    let pipeline = changed(
        "income/pipeline.yaml",
        &[("ack_wait: 30s", "ack_wait: 1s"), LITTLE_IN_FLIGHT],
    );
    for part in [300, 1500] {
        let program = Program::run(&pipeline.file, &server.url());
        eventually("some results", async || {
            streams.messages("SCORES").await >= part
        })
        .await;
        program.signal("KILL");
        assert_eq!(program.ended().await.code, 128 + 9);
        let (pending, unacknowledged) = streams.left("ROWS", "income").await.expect("it is there");
        assert!(pending > 0, "it was killed in the middle");
        assert!(unacknowledged > 0, "it was killed with rows in its hands");
    }
    let program = Program::run(&pipeline.file, &server.url());
    let results = scores(&streams).await;
    assert_each_once(&of_json(&results), &income_results());
    assert!(program.metric("forebay_redelivered_total", &[]) > 0);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_share_the_income_rows() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let pipeline = changed("income/pipeline.yaml", &[LITTLE_IN_FLIGHT]);
    let mut programs = [(); 2].map(|()| Program::run(&pipeline.file, &server.url()));
    for program in &mut programs {
        program.ready().await;
    }
    streams.publish(SUBJECT, lines("income/sample.jsonl")).await;
    let results = scores(&streams).await;
    assert_each_once(&of_json(&results), &income_results());
    let [one, other] = programs;
    let shares = [&one, &other].map(|program| program.metric("forebay_messages_total", &[]));
    assert_eq!(shares.iter().sum::<u64>(), 5000);
    assert!(shares.iter().all(|&share| share > 0), "{shares:?}");
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pipelines_in_one_program_do_not_mix() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let connection = connect(&server.url()).await;
    let client = connection.client();
    let files = [
        example("income/pipeline.yaml"),
        example("digits/pipeline.yaml"),
    ];
    let [income, digits] = files.each_ref().map(|file| file.to_str().expect("UTF-8"));
    let mut command = forebay(&["run", income, digits]);
    command
        .env("NATS_URL", server.url())
        .env("HTTP_LISTEN", "127.0.0.1:0");
    let mut program = Program::start(&mut command);
    program.ready().await;
    streams.publish(SUBJECT, lines("income/sample.jsonl")).await;
    for _ in 0..100 {
        let image = vec![0; 256].into();
        let answer = client.request("digits.in", image).await.expect("answered");
        assert!(json(&answer.payload)["digit"].is_number());
    }
    let results = scores(&streams).await;
    assert_each_once(&of_json(&results), &income_results());
    let count = |pipeline| program.metric("forebay_rows_total", &[pipeline]);
    assert_eq!(count("pipeline=\"income\""), 5000);
    assert_eq!(count("pipeline=\"digits\""), 100);
    program.stop().await;
}
