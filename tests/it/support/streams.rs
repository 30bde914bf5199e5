//! A stream in, a stream out, and the audit that each message has its result once.

use std::time::Duration;

use async_nats::jetstream::{self, stream};
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

/// Streams `IN` and `OUT`.
pub(crate) struct Streams {
    pub(crate) js: jetstream::Context,
}

impl Streams {
    pub(crate) async fn make(connection: &Connection) -> Self {
        let js = jetstream::new(connection.client().clone());
        let streams = Self { js };
        streams.add("IN", "in.>").await;
        streams.add("OUT", "out.>").await;
        streams
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
        let numbers: Vec<_> = range.collect();
        // The client lets no more than some thousand be unconfirmed, and waits without an end.
        for part in numbers.chunks(1000) {
            let mut acks = Vec::new();
            for n in part {
                let payload = n.to_string().into();
                acks.push(self.js.publish("in.n", payload).await.expect("published"));
            }
            for ack in acks {
                ack.await.expect("stored");
            }
        }
    }

    pub(crate) async fn messages(&self, name: &str) -> u64 {
        match self.js.get_stream(name).await {
            Ok(mut stream) => stream.info().await.map_or(0, |info| info.state.messages),
            Err(_) => 0,
        }
    }

    /// The numbers of all results.
    pub(crate) async fn results(&self) -> Vec<usize> {
        let stream = self.js.get_stream("OUT").await.expect("OUT");
        let count = usize::try_from(stream.cached_info().state.messages).expect("few");
        let config = jetstream::consumer::pull::OrderedConfig::default();
        let consumer = stream.create_consumer(config).await.expect("a consumer");
        let messages = consumer.messages().await.expect("messages");
        messages
            .take(count)
            .map(|message| number(&message.expect("a message").payload))
            .collect()
            .await
    }

    /// Waits until the consumer has nothing left to do, then audits the output.
    pub(crate) async fn audit(&self, count: usize) {
        eventually("all is acknowledged", async || {
            let Ok(stream) = self.js.get_stream("IN").await else {
                return false;
            };
            let Ok(info) = stream.consumer_info("worker").await else {
                return false;
            };
            info.num_pending == 0 && info.num_ack_pending == 0
        })
        .await;
        assert_each_once(self.results().await, count);
    }
}
