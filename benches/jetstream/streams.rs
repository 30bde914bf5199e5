//! The streams: filled before, and read for how far a run has come.

use std::time::Duration;

use async_nats::jetstream::{
    self, Context,
    consumer::{AckPolicy, pull},
    stream,
};
use bytes::Bytes;

pub(crate) const OUTPUT: &str = "OUT";
pub(crate) const SUBJECT: &str = "out.results";

/// What a stream says of itself.
#[derive(Clone, Copy)]
pub(crate) struct State {
    pub(crate) messages: u64,
    /// From its first message to its last.
    pub(crate) seconds: f64,
}

/// One replica each, in files.
pub(crate) struct Streams(Context);

impl Streams {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = async_nats::ConnectOptions::new().connect(url).await;
        Self(jetstream::new(client.unwrap()))
    }

    async fn make(&self, name: &str, subject: &str) {
        let config = stream::Config {
            name: name.into(),
            subjects: vec![subject.into()],
            ..stream::Config::default()
        };
        self.0.create_stream(config).await.unwrap();
    }

    /// Makes a stream with these payloads.
    pub(crate) async fn fill(&self, name: &str, payloads: impl Iterator<Item = Bytes>) {
        let subject = format!("in.{name}");
        self.make(name, &subject).await;
        let mut payloads = payloads.peekable();
        while payloads.peek().is_some() {
            let mut stored = Vec::new();
            for payload in payloads.by_ref().take(1000) {
                stored.push(self.0.publish(subject.clone(), payload).await.unwrap());
            }
            for stored in stored {
                stored.await.unwrap();
            }
        }
    }

    /// An output stream without messages, and without memory of their ids.
    pub(crate) async fn fresh_output(&self) {
        drop(self.0.delete_stream(OUTPUT).await);
        self.make(OUTPUT, SUBJECT).await;
        // The server removes the files of the old one meanwhile.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    pub(crate) async fn state(&self) -> State {
        let mut stream = self.0.get_stream(OUTPUT).await.unwrap();
        let state = &stream.info().await.unwrap().state;
        let nanos = state.last_timestamp - state.first_timestamp;
        State {
            messages: state.messages,
            seconds: nanos.as_seconds_f64(),
        }
    }

    /// The payload of the first result.
    pub(crate) async fn first_result(&self) -> Bytes {
        let stream = self.0.get_stream(OUTPUT).await.unwrap();
        stream.get_raw_message(1).await.unwrap().payload
    }

    pub(crate) async fn consumer(&self, stream: &str, name: &str) {
        let config = pull::Config {
            durable_name: Some(name.into()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(30),
            max_ack_pending: 100_000,
            ..pull::Config::default()
        };
        self.0
            .create_consumer_on_stream(config, stream)
            .await
            .unwrap();
    }

    /// How many messages the consumer has not given out, or given out and not heard of.
    pub(crate) async fn left(&self, stream: &str, consumer: &str) -> u64 {
        let stream = self.0.get_stream(stream).await.unwrap();
        let info = stream.consumer_info(consumer).await.unwrap();
        info.num_pending + info.num_ack_pending as u64
    }

    pub(crate) async fn forget(&self, stream: &str, consumer: &str) {
        self.0
            .delete_consumer_from_stream(consumer, stream)
            .await
            .unwrap();
    }
}

/// `count` messages of this many records, 128 bytes each.
pub(crate) fn payloads(records: usize, count: usize) -> impl Iterator<Item = Bytes> {
    (0..count).map(move |message| {
        let rows: Vec<String> = (0..records)
            .map(|record| row((message * records + record) as u64))
            .collect();
        if records == 1 {
            Bytes::from(rows[0].clone())
        } else {
            Bytes::from(format!("[{}]", rows.join(",")))
        }
    })
}

pub(crate) const ROW_BYTES: usize = 128;

fn row(number: u64) -> String {
    let mut state = number;
    let numbers: Vec<String> = (0..10)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 57).to_string()
        })
        .collect();
    let (head, tail) = (
        format!("{{\"id\":\"{number:036}\",\"site\":\""),
        format!("\",\"X\":[{}]}}", numbers.join(",")),
    );
    // The text between makes up what the numbers are short of.
    let site = "-".repeat(ROW_BYTES - head.len() - tail.len());
    format!("{head}{site}{tail}")
}
