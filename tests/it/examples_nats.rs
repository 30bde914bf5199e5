//! The digits and penguins examples end to end: requests, files, and plain subjects.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    cli::forebay,
    support::{
        connect,
        examples::{assert_each_once, assert_near, changed, example, json as read, lines, rows},
        program::Program,
        server::NatsServer,
    },
};

/// The image as the program takes it.
fn tensor(row: &Value) -> Vec<u8> {
    let pixels = row["pixels"].as_array().expect("pixels");
    let bytes = pixels.iter().flat_map(|pixel| {
        let pixel: f32 = serde_json::from_value(pixel.clone()).expect("a number");
        pixel.to_le_bytes()
    });
    bytes.collect()
}

fn digit(answer: &Value) -> Value {
    json!({ "digit": answer["label"], "probabilities": answer["probabilities"] })
}

/// Sends the payloads as requests, many at a time, and gives the answers in their order.
async fn ask(client: &async_nats::Client, payloads: Vec<Bytes>) -> Vec<Value> {
    let requests = payloads.into_iter().map(|payload| async {
        let answer = client.request("digits.in", payload).await;
        let answer = answer.expect("every request is answered");
        assert!(answer.headers.is_none(), "{:?}", answer.headers);
        read(&answer.payload)
    });
    stream::iter(requests).buffered(50).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_are_answered_one_by_one_and_in_batches() {
    let server = NatsServer::without_jetstream();
    let client = connect(&server.url()).await.client().clone();
    let mut program = Program::run(&example("digits/pipeline.yaml"), &server.url());
    program.ready().await;
    let images: Vec<_> = rows("digits/sample.jsonl").iter().map(tensor).collect();
    let expected: Vec<_> = rows("digits/expected.jsonl").iter().map(digit).collect();
    assert_eq!((images.len(), expected.len()), (500, 500));

    let single = images.iter().map(|image| Bytes::from(image.clone()));
    let answers = ask(&client, single.collect()).await;
    for (answer, expected) in answers.iter().zip(&expected) {
        assert_near(answer, expected);
    }
    let batches = images.chunks(16).map(|images| Bytes::from(images.concat()));
    let answers = ask(&client, batches.collect()).await;
    for (answer, expected) in answers.iter().zip(expected.chunks(16)) {
        assert_near(answer, &Value::Array(expected.to_vec()));
    }
    // All images in one message: many more rows than a batch takes.
    let answers = ask(&client, vec![images.concat().into()]).await;
    assert_near(&answers[0], &Value::Array(expected));
    assert_eq!(program.metric("forebay_messages_total", &[]), 533);
    assert_eq!(program.metric("forebay_rows_total", &[]), 1500);
    program.stop().await;
}

/// What the penguins pipelines must answer.
fn penguins() -> Vec<Value> {
    let sample = rows("penguins/sample.jsonl");
    let expected = rows("penguins/expected.jsonl");
    assert_eq!((sample.len(), expected.len()), (107, 107));
    let result = |(row, answer): (&Value, &Value)| {
        assert_eq!(row["id"], answer["id"]);
        json!({
            "id": row["id"],
            "species": row["species"],
            "label": answer["output_label"],
            "scores": answer["output_probability"],
        })
    };
    sample.iter().zip(&expected).map(result).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn penguins_from_a_file_to_standard_output() {
    let sample = format!("path: {}", example("penguins/sample.jsonl").display());
    let pipeline = changed("penguins/pipeline.yaml", &[("path: sample.jsonl", &sample)]);
    let mut command = forebay(&["run", pipeline.file.to_str().expect("a path in UTF-8")]);
    let program = Program::start(command.env("HTTP_LISTEN", "127.0.0.1:0"));
    let ended = program.ended().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let results: Vec<_> = ended
        .stdout
        .lines()
        .map(|line| read(line.as_bytes()))
        .collect();
    assert_each_once(&results, &penguins());
    let rejected = std::fs::read(pipeline.file.with_file_name("rejected.jsonl"));
    assert_eq!(rejected.expect("the dead letter is open"), b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn penguins_from_subject_to_subject() {
    let server = NatsServer::without_jetstream();
    let client = connect(&server.url()).await.client().clone();
    let mut program = Program::run(&example("penguins/pipeline.nats.yaml"), &server.url());
    program.ready().await;
    let scores = client.subscribe("scores.penguins.*").await;
    let scores = scores.expect("subscribed");
    let mut islands = BTreeMap::new();
    for line in lines("penguins/sample.jsonl") {
        let row = read(line.as_bytes());
        let island = row["island"].as_str().expect("an island").to_lowercase();
        let subject = format!("rows.penguins.{island}");
        islands.insert(row["id"].to_string(), format!("scores.penguins.{island}"));
        let sent = client.publish(subject, line.into()).await;
        sent.expect("published");
    }
    let results: Vec<_> = scores.take(107).collect().await;
    for result in &results {
        let id = read(&result.payload)["id"].to_string();
        assert_eq!(result.subject.as_str(), islands[&id]);
    }
    let results: Vec<_> = results.iter().map(|result| read(&result.payload)).collect();
    assert_each_once(&results, &penguins());
    program.stop().await;
}
