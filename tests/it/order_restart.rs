//! `order_by` and the real program: killed, stopped and started again, and what it says.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use crate::{
    cli::forebay,
    support::{
        eventually,
        examples::{Changed, changed, json, lines},
        program::Program,
        server::NatsServer,
        streams::Streams,
    },
};

const KEYS: usize = 9;

/// The income pipeline by state, with `in_flight` messages and a short memory for what was not
/// acknowledged.
fn pipeline(in_flight: &str) -> Changed {
    let in_flight = format!("{in_flight}\norder_by: \"{{3}}\"");
    changed(
        "income/pipeline.yaml",
        &[
            ("ack_wait: 30s", "ack_wait: 2s"),
            ("max_rows: 256, max_delay: 2ms", "max_rows: 8"),
            ("max_in_flight: 8192", &in_flight),
            ("path: model.onnx }", "path: model.onnx, workers: 3 }"),
        ],
    )
}

/// The ids of the rows by the state they are sent for, in the order they are sent.
async fn feed(streams: &Streams) -> BTreeMap<String, Vec<Value>> {
    let mut sent: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (index, part) in lines("income/sample.jsonl").chunks(500).enumerate() {
        let mut acks = Vec::new();
        for (place, line) in part.iter().enumerate() {
            let key = format!("k{}", (index + place) % KEYS);
            let payload = Bytes::from(line.clone());
            sent.entry(key.clone())
                .or_default()
                .push(json(line.as_bytes())["id"].clone());
            let ack = streams.js.publish(format!("rows.income.{key}"), payload);
            acks.push(ack.await.expect("published"));
        }
        for ack in acks {
            ack.await.expect("stored");
        }
    }
    sent
}

/// The ids of the results by state, in the order they are stored.
async fn stored(streams: &Streams) -> BTreeMap<String, Vec<Value>> {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for result in streams.read("SCORES").await {
        let key = result.subject.rsplit('.').next().expect("a key").to_owned();
        let id = json(&result.payload)["id"].clone();
        all.entry(key).or_default().push(id);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_killed_or_stopped_goes_on_in_order() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let sent = feed(&streams).await;
    let many = pipeline("max_in_flight: 400");
    // Bytes run out first, so that some of what was delivered waits outside, and is given back.
    let few = pipeline("max_in_flight: 400\nmax_in_flight_bytes: 30KiB");
    for (part, signal, pipeline) in [
        (1, "KILL", &many),
        (2, "TERM", &few),
        (3, "KILL", &few),
        (4, "TERM", &many),
    ] {
        let mut program = Program::run(&pipeline.file, &server.url());
        program.ready().await;
        eventually("some results", async || {
            streams.messages("SCORES").await >= part * 900
        })
        .await;
        program.signal(signal);
        let ended = program.ended().await;
        assert_eq!(ended.code == 0, signal == "TERM", "{}", ended.stderr);
    }
    let mut program = Program::run(&many.file, &server.url());
    program.ready().await;
    streams.done("ROWS", "income").await;
    let stored = stored(&streams).await;
    for (key, ids) in &sent {
        assert_eq!(stored.get(key), Some(ids), "{key}");
    }
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_it_waits_for_and_who_else_reads() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let pipeline = pipeline("max_in_flight: 400");
    let mut first = Program::run(&pipeline.file, &server.url());
    first.ready().await;
    eventually("the first asks for messages", async || {
        let stream = streams.js.get_stream("ROWS").await.expect("ROWS");
        let info = stream.consumer_info("income").await;
        info.is_ok_and(|info| info.num_waiting > 0)
    })
    .await;
    let mut second = Program::run(&pipeline.file, &server.url());
    second
        .wait_for("a warning", |program| {
            program.said().contains("run one process per consumer")
        })
        .await;
    second.stop().await;
    assert!(!first.said().contains("run one process per consumer"));
    first.stop().await;
    feed(&streams).await;
    let first = Program::run(&pipeline.file, &server.url());
    eventually("some results", async || {
        streams.messages("SCORES").await >= 500
    })
    .await;
    first.signal("KILL");
    first.ended().await;
    let mut next = Program::run(&pipeline.file, &server.url());
    next.wait_for("what it waits for", |program| {
        program
            .said()
            .contains("messages that were delivered before and not acknowledged, to keep the order")
    })
    .await;
    assert_eq!(next.status("/readyz"), 200, "a pause is not trouble");
    next.wait_for("that it goes on", |program| {
        program.said().contains("nothing is missing any more")
    })
    .await;
    assert!(!next.said().contains("run one process per consumer"));
    streams.done("ROWS", "income").await;
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_orders_lines_and_a_message_of_two_keys_is_rejected() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let model = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/models/sk_logreg/model.onnx"
    );
    let mut input = Vec::new();
    for n in 0..3000 {
        let row = |device: usize| format!(r#"{{"device":"d{device}","n":{n}}}"#);
        input.push(match n % 10 {
            3 => format!("[{},{}]", row(n % 7), row(n % 7)),
            4 => format!("[{},{}]", row(1), row(2)),
            5 => "[]".to_owned(),
            _ => row(n % 7),
        });
    }
    std::fs::write(folder.path().join("in.jsonl"), input.join("\n")).expect("written");
    let file = folder.path().join("pipeline.yaml");
    let text = format!(
        "name: test
source: {{ file: {{ path: in.jsonl }} }}
fields: {{ device: {{ dtype: string }}, X: {{ shape: [30], default: 0.5 }} }}
order_by: device
batch: {{ max_rows: 4 }}
models: {{ m: {{ path: {model}, workers: 3 }} }}
encode: {{ json: {{ pass: [n, device] }} }}
sink: {{ file: {{ path: out.jsonl }} }}
dead_letter: {{ file: {{ path: dead.jsonl }} }}"
    );
    std::fs::write(&file, text).expect("written");
    let mut command = forebay(&["run", file.to_str().expect("a path in UTF-8")]);
    let ended = Program::start(&mut command).ended().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join(name)).expect("written");
        let lines: Vec<_> = text.lines().map(|line| json(line.as_bytes())).collect();
        lines
    };
    let mut devices: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in read("out.jsonl") {
        let first = line.as_array().map_or(Some(&line), |rows| rows.first());
        let Some(row) = first else { continue };
        let device = row["device"].as_str().expect("a device").to_owned();
        let n = row["n"].as_u64().expect("a number");
        devices.entry(device).or_default().push(n);
    }
    assert_eq!(devices.len(), 7);
    assert_eq!(devices.values().map(Vec::len).sum::<usize>(), 2400);
    for (device, numbers) in devices {
        assert!(numbers.is_sorted(), "{device}: {numbers:?}");
    }
    let dead = read("dead.jsonl");
    assert_eq!(dead.len(), 300);
    assert_eq!(dead[0]["Forebay-Stage"], "decode");
    insta::assert_snapshot!(dead[0]["Forebay-Reason"].as_str().expect("a reason"), @r#"the rows of one message must agree in `device`, by which results are kept in order (`order_by`): one has "d1" and another "d2"; send them in messages of their own"#);
}
