//! What the server has given up delivering does not rest in a work queue for ever.

use std::time::Duration;

use async_nats::jetstream::{
    AckKind,
    consumer::{AckPolicy, pull},
    stream::{self, RetentionPolicy},
};
use forebay::message::Outcome;
use futures_util::StreamExt;

use crate::support::{
    connect, eventually,
    line::{Line, echo},
    server::NatsServer,
    streams::{ACK_WAIT, Streams, sink, source},
};

/// One more than the pipeline's, so that the pipeline speaks first where it can.
const GIVES_UP_AFTER: i64 = 6;

/// A work queue and a consumer that gives up, and a message that is on its last delivery.
async fn on_its_last_delivery(server: &NatsServer) -> Streams {
    let connection = connect(&server.url()).await;
    let streams = Streams::with(&connection, &[("OUT", "out.>")]).await;
    let queue = stream::Config {
        name: "IN".into(),
        subjects: vec!["in.>".into()],
        retention: RetentionPolicy::WorkQueue,
        ..stream::Config::default()
    };
    let queue = streams.js.create_stream(queue).await.expect("a stream");
    let consumer = queue
        .create_consumer(pull::Config {
            durable_name: Some("worker".into()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_deliver: GIVES_UP_AFTER,
            ..pull::Config::default()
        })
        .await
        .expect("a consumer");
    streams.feed(41..42).await;
    for delivery in 1..=GIVES_UP_AFTER {
        let batch = consumer
            .batch()
            .max_messages(1)
            .expires(Duration::from_secs(5));
        let mut messages = batch.messages().await.expect("asked");
        let message = messages.next().await.expect("one").expect("a message");
        assert_eq!(message.info().expect("a delivery").delivered, delivery);
        if delivery < GIVES_UP_AFTER {
            message.ack_with(AckKind::Nak(None)).await.expect("said");
        }
    }
    streams
}

/// The dead letter is written, the queue is empty, and later messages are served.
async fn goes_to_the_dead_letter(streams: &Streams, line: &mut Line) {
    let (message, reject) = line.rejects.recv().await.expect("rejected");
    assert_eq!(message.payload, "41");
    insta::allow_duplicates! {
        insta::assert_snapshot!(reject, @"source: delivered 6 times and not acknowledged once (max_deliver)");
    }
    assert_eq!(
        streams.messages("IN").await,
        1,
        "not before its dead letter is stored"
    );
    message.ack.resolve(Outcome::Rejected);
    eventually("the queue is empty", async || {
        streams.messages("IN").await == 0
    })
    .await;
    streams.feed(42..45).await;
    eventually("the others are served", async || {
        streams.messages("OUT").await == 3 && streams.messages("IN").await == 0
    })
    .await;
    assert_eq!(line.home.in_flight().messages, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advisory_is_heard() {
    let server = NatsServer::start(&[]);
    let streams = on_its_last_delivery(&server).await;
    let connection = connect(&server.url()).await;
    let mut line = Line::start(source(&connection), sink(&connection), echo);
    goes_to_the_dead_letter(&streams, &mut line).await;
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_before_is_found() {
    let server = NatsServer::start(&[]);
    let streams = on_its_last_delivery(&server).await;
    // The server gives up when somebody asks for more; this one does not listen.
    let queue = streams.js.get_stream("IN").await.expect("IN");
    let consumer = queue
        .get_consumer::<pull::Config>("worker")
        .await
        .expect("worker");
    let batch = consumer.batch().max_messages(1).expires(2 * ACK_WAIT);
    let mut messages = batch.messages().await.expect("asked");
    assert!(messages.next().await.is_none(), "it is given up");
    assert_eq!(streams.left("IN", "worker").await, Some((0, 0)));
    assert_eq!(streams.messages("IN").await, 1);
    let connection = connect(&server.url()).await;
    let mut line = Line::start(source(&connection), sink(&connection), echo);
    goes_to_the_dead_letter(&streams, &mut line).await;
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_cannot_be_stored_is_tried_again() {
    let server = NatsServer::start(&[]);
    let streams = on_its_last_delivery(&server).await;
    let connection = connect(&server.url()).await;
    let mut line = Line::start(source(&connection), sink(&connection), echo);
    let (message, _) = line.rejects.recv().await.expect("rejected");
    message.ack.resolve(Outcome::Retry {
        after: Some(Duration::from_millis(300)),
    });
    goes_to_the_dead_letter(&streams, &mut line).await;
    line.finish().await;
}
