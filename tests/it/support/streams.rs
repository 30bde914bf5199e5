//! A stream in, a stream out, and the audit that each message has its result once.

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use bytes::Bytes;
use forebay::{
    nats::Connection,
    sink::{
        jetstream::{JetStreamSink, JetStreamTarget, Purpose},
        template::Template,
    },
    source::jetstream::{JetStreamOptions, JetStreamSource},
};
use futures_util::StreamExt;

use super::{
    eventually,
    line::{CREDIT, assert_each_once, number},
    server::NatsServer,
};

pub(crate) const ACK_WAIT: Duration = Duration::from_secs(2);

/// Of the consumer `worker` of `IN`.
pub(crate) fn options() -> JetStreamOptions {
    JetStreamOptions {
        stream: "IN".into(),
        consumer: "worker".into(),
        filter_subject: None,
        ack_wait: ACK_WAIT,
        max_deliver: 5,
    }
}

/// From `IN`.
pub(crate) fn source(connection: &Connection) -> JetStreamSource {
    JetStreamSource::new(connection.clone(), options(), CREDIT)
}

/// To `OUT`.
pub(crate) fn sink(connection: &Connection) -> JetStreamSink {
    JetStreamSink::new(
        connection.clone(),
        JetStreamTarget {
            subject: Template::parse("out.results").expect("template"),
            purpose: Purpose::Result,
        },
    )
}

/// Streams of a server, `IN` and `OUT` in most tests.
pub(crate) struct Streams {
    pub(crate) js: jetstream::Context,
}

impl Streams {
    pub(crate) async fn make(connection: &Connection) -> Self {
        Self::with(connection, &[("IN", "in.>"), ("OUT", "out.>")]).await
    }

    /// Streams with these names and subjects.
    pub(crate) async fn with(connection: &Connection, all: &[(&str, &str)]) -> Self {
        let js = jetstream::new(connection.client().clone());
        let streams = Self { js };
        for (name, subject) in all {
            streams.add(name, subject).await;
        }
        streams
    }

    /// `ROWS`, `SCORES` and `DEAD`, as the income example wants them.
    pub(crate) async fn income(server: &NatsServer) -> Self {
        let connection = super::connect(&server.url()).await;
        let all = [
            ("ROWS", "rows.>"),
            ("SCORES", "scores.>"),
            ("DEAD", "dead.>"),
        ];
        Self::with(&connection, &all).await
    }

    pub(crate) async fn add(&self, name: &str, subject: &str) {
        let config = stream::Config {
            name: name.into(),
            subjects: vec![subject.into()],
            ..stream::Config::default()
        };
        self.js.create_stream(config).await.expect("a stream");
    }

    /// Publishes the numbers of `range` to `in.n`, confirmed.
    pub(crate) async fn feed(&self, range: std::ops::Range<usize>) {
        let numbers = range.map(|n| n.to_string());
        self.publish("in.n", numbers).await;
    }

    /// Publishes, confirmed; gives the sequence numbers.
    pub(crate) async fn publish(
        &self,
        subject: &str,
        payloads: impl IntoIterator<Item = impl Into<Bytes>>,
    ) -> Vec<u64> {
        let mut payloads = payloads.into_iter();
        let mut sequences = Vec::new();
        loop {
            // The client lets no more than some thousand be unconfirmed, and waits without an end.
            let mut acks = Vec::new();
            for payload in payloads.by_ref().take(1000) {
                let ack = self.js.publish(subject.to_owned(), payload.into()).await;
                acks.push(ack.expect("published"));
            }
            if acks.is_empty() {
                return sequences;
            }
            for ack in acks {
                sequences.push(ack.await.expect("stored").sequence);
            }
        }
    }

    pub(crate) async fn messages(&self, name: &str) -> u64 {
        match self.js.get_stream(name).await {
            Ok(mut stream) => stream.info().await.map_or(0, |info| info.state.messages),
            Err(_) => 0,
        }
    }

    /// All messages of a stream.
    pub(crate) async fn read(&self, name: &str) -> Vec<jetstream::Message> {
        let stream = self.js.get_stream(name).await.expect("the stream is there");
        let count = usize::try_from(stream.cached_info().state.messages).expect("few");
        let config = jetstream::consumer::pull::OrderedConfig::default();
        let consumer = stream.create_consumer(config).await.expect("a consumer");
        let messages = consumer.messages().await.expect("messages");
        messages
            .take(count)
            .map(|message| message.expect("a message"))
            .collect()
            .await
    }

    /// How many messages a consumer has not been given, and how many it has not acknowledged.
    pub(crate) async fn left(&self, stream: &str, consumer: &str) -> Option<(u64, usize)> {
        let stream = self.js.get_stream(stream).await.ok()?;
        let info = stream.consumer_info(consumer).await.ok()?;
        Some((info.num_pending, info.num_ack_pending))
    }

    /// Waits until the consumer has nothing left to do.
    pub(crate) async fn done(&self, stream: &str, consumer: &str) {
        eventually("all is acknowledged", async || {
            self.left(stream, consumer).await == Some((0, 0))
        })
        .await;
    }

    /// The numbers of all results.
    pub(crate) async fn results(&self) -> Vec<usize> {
        let results = self.read("OUT").await;
        results
            .iter()
            .map(|result| number(&result.payload))
            .collect()
    }

    /// Waits until the results are there and the consumer has nothing left to do, then audits the
    /// output.
    pub(crate) async fn audit(&self, count: usize) {
        // A consumer that does not know yet of what was just stored has nothing left to do either.
        eventually("all results", async || {
            self.messages("OUT").await >= count as u64
        })
        .await;
        self.done("IN", "worker").await;
        assert_each_once(self.results().await, count);
    }
}
