//! The examples with steps around real models, against what the models' own packages answer in Python.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::StreamExt as _;
use serde_json::Value;

use crate::{
    cli::forebay,
    support::{
        connect,
        examples::{Changed, assert_each_once, changed, example, json as read, rows},
        program::Program,
        server::NatsServer,
    },
};

/// What the program writes to standard output when it has read the pipeline's file to its end.
async fn results(pipeline: &Changed) -> Vec<Value> {
    let mut command = forebay(&["run", pipeline.file.to_str().expect("a path in UTF-8")]);
    let program = Program::start(command.env("HTTP_LISTEN", "127.0.0.1:0"));
    let ended = program.ended().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let rejected = std::fs::read_to_string(pipeline.file.with_file_name("rejected.jsonl"));
    assert_eq!(rejected.expect("the dead letter is open"), "");
    ended
        .stdout
        .lines()
        .map(|line| read(line.as_bytes()))
        .collect()
}

/// Each result with the expected row of the same key; none is missing.
fn pairs(results: Vec<Value>, expected: &str, key: &str) -> Vec<(Value, Value)> {
    let by_key = |rows: Vec<Value>| -> BTreeMap<String, Value> {
        let count = rows.len();
        let rows: BTreeMap<_, _> = (rows.into_iter())
            .map(|row| (row[key].to_string(), row))
            .collect();
        assert_eq!(rows.len(), count, "a result came twice");
        rows
    };
    let (results, expected) = (by_key(results), by_key(rows(expected)));
    assert!(results.keys().eq(expected.keys()));
    results.into_values().zip(expected.into_values()).collect()
}

fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().expect("a list");
    list.iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn off(result: &Value, expected: &Value) -> f64 {
    let score = |row: &Value| row["score"].as_f64().expect("a score");
    (score(result) - score(expected)).abs()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn sentences_have_the_vectors_that_python_gives_them() {
    let results = results(&changed("sentences/pipeline.yaml", &[])).await;
    assert_eq!(results.len(), 24);
    for (result, expected) in pairs(results, "sentences/expected.jsonl", "id") {
        let (ours, theirs) = (numbers(&result["vector"]), numbers(&expected["vector"]));
        assert!((dot(&ours, &ours) - 1.0).abs() < 1e-5, "its length");
        let cosine = dot(&ours, &theirs);
        assert!(cosine >= 0.9999, "{}: {cosine}", result["id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_batches_are_of_the_kinds_that_magika_says() {
    let text = std::fs::read_to_string(example("filetype/pipeline.yaml")).expect("readable");
    let section = |from: &str, to: &str| {
        let from = text.find(from).expect(from);
        let to = from + text[from..].find(to).expect(to);
        &text[from..to]
    };
    let pipeline = changed(
        "filetype/pipeline.yaml",
        &[
            (
                section("source:", "decode:"),
                "source: { file: { path: sample.jsonl } }\n",
            ),
            ("decode:\n  bytes: {}", "decode:\n  json: {}"),
            ("encode:\n  json:", "encode:\n  json:\n    pass: [name]"),
            (
                section("sink:", "http:"),
                "sink: { file: { path: \"-\" } }\ndead_letter: { file: { path: rejected.jsonl } }\n",
            ),
        ],
    );
    let results = results(&pipeline).await;
    assert!(results.len() >= 100);
    for (result, expected) in pairs(results, "filetype/expected.jsonl", "name") {
        assert_eq!(result["label"], expected["label"], "{result}");
        // This model adds up the numbers of several files in another order than those of one, in Python too.
        assert!(off(&result, &expected) <= 0.01, "{result}, not {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_one_by_one_have_magikas_scores() {
    let server = NatsServer::without_jetstream();
    let client = connect(&server.url()).await.client().clone();
    let pipeline = changed("filetype/pipeline.yaml", &[]);
    let mut program = Program::run(&pipeline.file, &server.url());
    program.ready().await;
    let (sample, expected) = (
        rows("filetype/sample.jsonl"),
        rows("filetype/expected.jsonl"),
    );
    assert!(sample.len() >= 100 && sample.len() == expected.len());
    for (row, expected) in sample.iter().zip(&expected) {
        assert_eq!(row["name"], expected["name"]);
        let file = row["file"].as_str().expect("a text");
        let file = STANDARD.decode(file).expect("base64");
        let answer = client.request("filetype.in", file.into()).await;
        let answer = answer.expect("every request is answered");
        assert!(answer.headers.is_none(), "{:?}", answer.headers);
        let answer = read(&answer.payload);
        assert_eq!(answer["label"], expected["label"], "{expected}");
        assert!(off(&answer, expected) <= 1e-5, "{answer}, not {expected}");
    }
    let short = client.request("filetype.in", "\n\n\n  seven".into()).await;
    let headers = short.expect("answered").headers.expect("an error");
    let reason = format!("{headers:?}");
    assert!(
        reason.contains("the value has 5 bytes, white space left out"),
        "{reason}"
    );
    program.stop().await;
}

/// The chunks of all speakers are sent at once, so that batches have several of the same speaker.
#[tokio::test(flavor = "multi_thread")]
async fn voices_are_heard_as_one_by_one_in_python() {
    let server = NatsServer::without_jetstream();
    let client = connect(&server.url()).await.client().clone();
    let pipeline = changed("voice/pipeline.yaml", &[]);
    let mut program = Program::run(&pipeline.file, &server.url());
    program.ready().await;
    let mut answers = client.subscribe("voice.out.*").await.expect("subscribed");
    let mut letters = client.subscribe("dead.voice.*").await.expect("subscribed");
    client.flush().await.expect("connected");
    let (sample, expected) = (rows("voice/sample.jsonl"), rows("voice/expected.jsonl"));
    assert!(sample.len() >= 250 && sample.len() == expected.len());
    let mut of_speaker: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for (row, expected) in sample.iter().zip(&expected) {
        assert_eq!(
            (&row["speaker"], &row["number"]),
            (&expected["speaker"], &expected["number"])
        );
        let speaker = row["speaker"].as_str().expect("a name");
        of_speaker.entry(speaker).or_default().push(expected);
        let chunk = row["chunk"].as_str().expect("a text");
        let chunk = STANDARD.decode(chunk).expect("base64");
        let subject = format!("voice.in.{speaker}");
        // A chunk that is too short goes to the dead letter, and is not heard.
        client
            .publish(subject.clone(), chunk[..100].to_vec().into())
            .await
            .expect("sent");
        client.publish(subject, chunk.into()).await.expect("sent");
    }
    for _ in 0..expected.len() {
        let answer = answers.next().await.expect("an answer to each");
        let speaker = answer.subject.rsplit('.').next().expect("a token");
        let expected = of_speaker.get_mut(speaker).expect("a speaker").remove(0);
        let speech = read(&answer.payload)["speech"].as_f64().expect("a number");
        let right = expected["speech"].as_f64().expect("a number");
        assert!((speech - right).abs() <= 1e-5, "{speech}, not {expected}");
        letters.next().await.expect("a letter for each");
    }
    assert!(of_speaker.values().all(Vec::is_empty));
    assert_eq!(program.metric("forebay_state_keys", &[]), 3);
    let dropped = ["max_keys", "max_age"].map(|reason| {
        let label = format!("reason=\"{reason}\"");
        program.metric("forebay_state_dropped_total", &[&label])
    });
    assert_eq!(dropped, [0, 0]);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_text_read_as_in_python() {
    let results = results(&changed("textline/pipeline.yaml", &[])).await;
    assert_eq!(results.len(), 24);
    for (result, expected) in pairs(results, "textline/expected.jsonl", "id") {
        let length = usize::try_from(result["length"].as_u64().expect("a length")).unwrap();
        let classes = &result["classes"].as_array().expect("a list")[..length];
        assert_eq!(&Value::from(classes), &expected["classes"], "{expected}");
        // OpenCV and Pillow do not agree on the pixels of what is resized.
        let near = if expected["height"] == 48 { 2e-3 } else { 0.1 };
        assert!(off(&result, &expected) <= near, "{result}, not {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn penguins_by_steps_are_those_of_the_whole_model() {
    let whole = results(&changed("penguins/pipeline.yaml", &[])).await;
    let steps = results(&changed("penguins/pipeline.steps.yaml", &[])).await;
    assert_each_once(&steps, &whole);
    let sorted = |mut rows: Vec<Value>| {
        rows.sort_by_key(|row| row["id"].as_u64());
        rows
    };
    let (whole, steps) = (sorted(whole), sorted(steps));
    assert_eq!(whole.len(), 107);
    for (whole, steps) in whole.iter().zip(&steps) {
        let scores = whole["scores"].as_object().expect("scores");
        for (species, score) in scores {
            let score = score.as_f64().expect("a number");
            let ours = steps["scores"][species].as_f64().expect("a number");
            assert!((ours - score).abs() <= 1e-6, "{steps}, not {whole}");
        }
    }
}
