//! What is held between rows, when the real program is killed and started again.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::support::{
    connect, eventually, examples::json, program::Program, server::NatsServer, streams::Streams,
};

const KEYS: usize = 5;
const MESSAGES: usize = 900;

/// Counts the messages of each key. Little is in flight, in batches with several of a key.
fn pipeline(url: &str) -> String {
    format!(
        "name: counted
source: {{ jetstream: {{ url: \"{url}\", stream: IN, consumer: counter, ack_wait: 2s, max_deliver: 9 }} }}
fields: {{ n: {{ dtype: i64 }} }}
order_by: \"{{2}}\"
state: {{ values: {{ count: {{ from: counted, dtype: i64 }}, last: {{ from: this, dtype: i64, initial: -1 }} }} }}
batch: {{ max_rows: 16 }}
max_in_flight: 64
steps:
  - {{ formula: \"count + 1\", output: counted }}
  - {{ formula: \"n + 0\", output: this }}
  - {{ formula: \"last + 0\", output: before }}
encode: {{ json: {{ pass: [n], outputs: {{ counted: counted, before: before }} }} }}
sink: {{ jetstream: {{ subject: \"out.{{2}}\" }} }}
http: {{ listen: \"${{HTTP_LISTEN:-127.0.0.1:0}}\" }}
"
    )
}

/// Every result is that of a process that has seen the messages of the key one after another, and
/// none but the first of a key in a process starts anew.
#[tokio::test(flavor = "multi_thread")]
async fn keys_start_anew_with_the_process_and_only_then() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::with(&connection, &[("IN", "in.*"), ("OUT", "out.*")]).await;
    for n in 0..MESSAGES {
        let payload = format!("{{\"n\":{n}}}");
        let ack = streams
            .js
            .publish(format!("in.k{}", n * n % KEYS), payload.into());
        ack.await.expect("published").await.expect("stored");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pipeline.yaml");
    fs::write(&file, pipeline(&server.url())).expect("written");
    for part in 1..=2 {
        let mut program = Program::run(&file, &server.url());
        program.ready().await;
        eventually("some results", async || {
            streams.messages("OUT").await >= part * 250
        })
        .await;
        program.signal("KILL");
        program.ended().await;
    }
    let mut program = Program::run(&file, &server.url());
    program.ready().await;
    streams.done("IN", "counter").await;
    let mut stored: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for result in streams.read("OUT").await {
        let key = result.subject.to_string();
        stored.entry(key).or_default().push(json(&result.payload));
    }
    let number = |row: &Value, key: &str| row[key].as_i64().expect("a number");
    let mut all = 0;
    for (key, rows) in &stored {
        all += rows.len();
        assert!(
            rows.is_sorted_by(|a, b| number(a, "n") < number(b, "n")),
            "{key}"
        );
        let mut starts = 1;
        assert_eq!(
            (number(&rows[0], "counted"), number(&rows[0], "before")),
            (1, -1)
        );
        for pair in rows.windows(2) {
            let (counted, before) = (number(&pair[1], "counted"), number(&pair[1], "before"));
            if counted == number(&pair[0], "counted") + 1 && before == number(&pair[0], "n") {
                continue;
            }
            // Another process: it may have seen messages whose results were stored already.
            starts += 1;
            assert_eq!(counted == 1, before == -1, "{pair:?}");
            assert!(counted == 1 || before == number(&pair[0], "n"), "{pair:?}");
        }
        assert!(starts <= 3, "{key} starts anew {starts} times");
    }
    assert_eq!(all, MESSAGES);
    program.stop().await;
}
