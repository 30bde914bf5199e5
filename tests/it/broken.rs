//! Broken messages among good ones: each goes to the dead letter with its reason and its bytes, and
//! harms nobody.

use std::{collections::BTreeMap, path::Path};

use async_nats::{HeaderMap, jetstream::Message};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::{
    cli::{out, run},
    support::{
        connect, eventually,
        examples::{
            Changed, assert_each_once, assert_near, changed, example, income_results, json as read,
            lines, rows,
        },
        program::Program,
        server::NatsServer,
        streams::Streams,
    },
};

const SUBJECT: &str = "rows.income.ma";
const GOOD: usize = 300;

/// The income pipeline with a set of values for one of its fields.
fn with_values() -> Changed {
    let range = "SEX:      { dtype: f32, range: [1, 2] }";
    let values = "SEX:      { dtype: f32, values: [1, 2] }";
    changed("income/pipeline.yaml", &[(range, values)])
}

/// A good row with one key changed, or without it.
fn with(key: &str, value: Option<Value>) -> Bytes {
    let mut row = rows("income/sample.jsonl").swap_remove(0);
    let map = row.as_object_mut().expect("a row");
    match value {
        Some(value) => map.insert(key.to_owned(), value),
        None => map.remove(key),
    };
    row.to_string().into()
}

/// What is broken about them, and why they are counted.
fn broken() -> Vec<(&'static str, &'static str, Bytes)> {
    let good = lines("income/sample.jsonl").swap_remove(0);
    let mut not_utf8 = with("note", Some(json!("?"))).to_vec();
    let mark = not_utf8.iter().position(|&byte| byte == b'?').expect("it");
    not_utf8[mark] = 0xff;
    vec![
        ("bad JSON", "syntax", br#"{"id":1,"AGEP":}"#[..].into()),
        (
            "truncated",
            "syntax",
            good[..good.len() / 2].to_owned().into(),
        ),
        ("wrong type", "type", with("AGEP", Some(json!("old")))),
        ("missing field", "missing", with("SCHL", None)),
        ("null", "null", with("MAR", Some(Value::Null))),
        ("out of range", "range", with("AGEP", Some(json!(140)))),
        ("not in the set", "value", with("SEX", Some(json!(1.5)))),
        ("not an object", "type", "42".into()),
        ("empty", "empty", Bytes::new()),
        ("invalid UTF-8", "syntax", not_utf8.into()),
        ("huge nesting", "syntax", "[".repeat(100_000).into()),
        (
            "nested in a row",
            "type",
            with("AGEP", Some(json!([[[{}]]]))),
        ),
        ("a list of bad rows", "missing", "[{},{}]".into()),
    ]
}

fn header<'a>(headers: Option<&'a HeaderMap>, name: &str) -> &'a str {
    headers
        .and_then(|headers| headers.get(name))
        .map_or("", |value| value.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_messages_go_to_the_dead_letter_and_the_good_ones_through() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let broken = broken();
    let mut payloads: Vec<Bytes> = lines("income/sample.jsonl")
        .into_iter()
        .take(GOOD)
        .map(Bytes::from)
        .collect();
    for (place, (_, _, payload)) in broken.iter().enumerate() {
        payloads.insert(place * 20 + 7, payload.clone());
    }
    let sequences = streams.publish(SUBJECT, payloads).await;

    let pipeline = with_values();
    let mut program = Program::run(&pipeline.file, &server.url());
    streams.done("ROWS", "income").await;
    let results = streams.read("SCORES").await;
    let results: Vec<_> = results.iter().map(|result| read(&result.payload)).collect();
    assert_each_once(&results, &income_results()[..GOOD]);
    program.ready().await;

    let mut letters: BTreeMap<u64, Message> = BTreeMap::new();
    for letter in streams.read("DEAD").await {
        let sequence = header(letter.headers.as_ref(), "Forebay-Sequence").parse();
        letters.insert(sequence.expect("a number"), letter);
    }
    assert_eq!(letters.len(), broken.len());
    let mut reasons = Vec::new();
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for (place, (what, kind, payload)) in broken.iter().enumerate() {
        let letter = &letters[&sequences[place * 20 + 7]];
        let headers = letter.headers.as_ref();
        assert_eq!(letter.payload, *payload, "{what}");
        assert_eq!(letter.subject.as_str(), "dead.income");
        assert_eq!(header(headers, "Forebay-Stage"), "decode");
        assert_eq!(header(headers, "Forebay-Subject"), SUBJECT);
        assert_eq!(header(headers, "Forebay-Stream"), "ROWS");
        let reason = header(headers, "Forebay-Reason");
        reasons.push(format!("{what} ({kind}): {reason}"));
        *kinds.entry(kind).or_default() += 1;
    }
    insta::assert_snapshot!("reasons", reasons.join("\n"));
    let all = broken.len() as u64;
    assert_eq!(program.metric("forebay_rejects_total", &[]), all);
    assert_eq!(program.metric("forebay_dead_letters_total", &[]), all);
    for (kind, count) in kinds {
        let labels = ["stage=\"decode\"", &format!("reason=\"{kind}\"")];
        let counted = program.metric("forebay_rejects_total", &labels);
        assert_eq!(counted, count, "{kind}");
    }
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_in_a_list_leaves_its_neighbours_their_results() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let sample = lines("income/sample.jsonl");
    let list = format!("[{},{{\"id\":-1}},{}]", sample[0], sample[1]);
    streams.publish(SUBJECT, [list]).await;
    let program = Program::run(&example("income/pipeline.yaml"), &server.url());
    streams.done("ROWS", "income").await;
    let results = streams.read("SCORES").await;
    let results = read(&results[0].payload);
    let expected = income_results();
    assert_near(&results[0], &expected[0]);
    assert_near(&results[2], &expected[1]);
    insta::assert_snapshot!("a_bad_row_in_a_list", results[1]);
    let labels = ["stage=\"decode\"", "reason=\"missing\""];
    assert_eq!(program.metric("forebay_row_rejects_total", &labels), 1);
    assert_eq!(program.metric("forebay_rejects_total", &[]), 0);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_request_is_answered_and_kept() {
    let server = NatsServer::without_jetstream();
    let client = connect(&server.url()).await.client().clone();
    let dead = client.subscribe("dead.digits").await.expect("subscribed");
    let mut program = Program::run(&example("digits/pipeline.yaml"), &server.url());
    program.ready().await;
    server.subscribed("digits.in").await;
    let sizes = [255_usize, 1, 300];
    let mut said = Vec::new();
    for size in sizes {
        let payload = Bytes::from(vec![7; size]);
        let answer = client
            .request("digits.in", payload)
            .await
            .expect("answered");
        let headers = answer.headers.as_ref();
        assert_eq!(header(headers, "Nats-Service-Error-Code"), "400");
        let reason = header(headers, "Nats-Service-Error");
        let body = read(&answer.payload);
        assert_eq!(
            body,
            json!({"error": {"stage": "decode", "reason": reason}})
        );
        said.push(format!("{size} bytes: {reason}"));
    }
    insta::assert_snapshot!("reasons_for_tensors", said.join("\n"));
    let letters: Vec<_> = dead.take(sizes.len()).collect().await;
    for (letter, size) in letters.iter().zip(sizes) {
        assert_eq!(letter.payload, vec![7; size]);
        let headers = letter.headers.as_ref();
        assert_eq!(header(headers, "Forebay-Stage"), "decode");
        assert_eq!(header(headers, "Forebay-Subject"), "digits.in");
    }
    // A good image still has its answer.
    let image = Bytes::from(vec![0; 256]);
    let answer = client.request("digits.in", image).await.expect("answered");
    assert!(read(&answer.payload)["digit"].is_number());
    eventually("three are counted", async || {
        program.metric("forebay_rejects_total", &["reason=\"size\""]) == 3
    })
    .await;
    program.stop().await;
}

/// One line of the log for many rejects of a kind, none of which hides another kind; and at the end
/// how many there were.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_the_first_of_each_kind_and_at_the_end_how_many() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let mut program = Program::run(&example("income/pipeline.yaml"), &server.url());
    program.ready().await;
    let missing = with("SCHL", None);
    let bad: [Bytes; 4] = ["{".into(), "{".into(), missing, "{".into()];
    streams.publish(SUBJECT, bad).await;
    eventually("the dead letters", async || {
        streams.messages("DEAD").await == 4
    })
    .await;
    program.signal("TERM");
    let said = program.ended().await.stderr;
    let logged = |what: &str| -> Vec<Value> {
        let lines = said.lines().filter(|line| line.contains(what));
        (lines.map(|line| serde_json::from_str(line).expect("JSON"))).collect()
    };
    let rejected = logged("message rejected");
    let reasons: Vec<_> = (rejected.iter())
        .filter_map(|line| line["reason"].as_str())
        .map(|reason| reason.split(':').next().unwrap_or_default())
        .collect();
    assert_eq!(reasons, ["not JSON", "field `SCHL` is missing"], "{said}");
    for line in &rejected {
        assert_eq!(line["pipeline"], "income", "{said}");
        assert_eq!(line["not_logged"], 0, "{said}");
        // The example's dead letter is a stream, which confirms it.
        let message = line["message"].as_str().expect("text");
        assert!(message.ends_with("; it goes to the dead letter"), "{said}");
    }
    let ends = logged("messages were rejected");
    assert_eq!(ends.len(), 1, "{said}");
    assert_eq!(ends[0]["rejected"], 4, "{said}");
    assert_eq!(ends[0]["not_logged"], 2, "{said}");
}

/// Core NATS confirms no dead letter: `check` says so, and the log does not say that it is there.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_the_subject_of_dead_letters_that_nobody_confirms() {
    let server = NatsServer::start(&[]);
    let (stream, core) = ("dead_letter:\n  jetstream:", "dead_letter:\n  nats:");
    let pipeline = changed("income/pipeline.yaml", &[(stream, core)]);
    let checked = |file: &Path| out(&run(&["check", file.to_str().expect("UTF-8")]));
    let note = "note: `dead_letter` is core NATS, which keeps nothing";
    assert!(checked(&pipeline.file).contains(note));
    assert!(!checked(&example("income/pipeline.yaml")).contains(note));
    let streams = Streams::income(&server).await;
    let mut program = Program::run(&pipeline.file, &server.url());
    program.ready().await;
    streams.publish(SUBJECT, ["{"]).await;
    let end = "; its dead letter is published to dead.income (core NATS: nobody confirms it)";
    eventually("the line", async || program.said().contains(end)).await;
    program.stop().await;
}
