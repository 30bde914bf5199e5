//! A JetStream sink whose stream does not store, and what ends that.

use std::time::Duration;

use async_nats::jetstream::stream;
use forebay::message::Outcome;

use crate::support::{
    connect, eventually,
    line::{Line, Step, echo, number},
    server::NatsServer,
    streams::{Streams, sink, source},
};

/// An account that may store little.
const LITTLE: &str = r"
no_auth_user: app
accounts { APP {
    jetstream: { max_file: 40KB }
    users: [ { user: app, password: app } ]
} }";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_account_holds_results_and_loses_none() {
    let server = NatsServer::with_config(LITTLE);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    streams.feed(0..200).await;
    streams.publish("out.filler", [vec![b'x'; 26_000]]).await;
    let mut line = Line::start(source(&connection), sink(&connection), echo);
    eventually("the account is full", async || {
        line.counter("forebay_retries_total") > 0
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(line.rejects.try_recv().is_err(), "nothing is rejected");
    assert!(line.counter("forebay_results_total") < 200);
    let out = streams.js.get_stream("OUT").await.expect("OUT");
    out.purge().filter("out.filler").await.expect("purged");
    streams.audit(200).await;
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_comes_back_and_refuses_all_that_is_held_ends_the_trouble() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let mut line = Line::start(
        source(&connection),
        sink(&connection),
        |message| match number(&message.payload) {
            ..100 => Step::Publish(vec![b'x'; 300].into()),
            _ => echo(message),
        },
    );
    eventually("the consumer", async || {
        streams.left("IN", "worker").await.is_some()
    })
    .await;
    streams.js.delete_stream("OUT").await.expect("deleted");
    streams.feed(0..100).await;
    eventually("the results are held", async || {
        line.counter("forebay_retries_total") > 0
    })
    .await;
    let small = stream::Config {
        name: "OUT".into(),
        subjects: vec!["out.>".into()],
        max_message_size: 200,
        ..stream::Config::default()
    };
    streams.js.create_stream(small).await.expect("OUT");
    for _ in 0..100 {
        let rejected = tokio::time::timeout(Duration::from_secs(20), line.rejects.recv());
        let (message, reject) = rejected.await.expect("soon").expect("rejected");
        assert_eq!(reject.kind, "size");
        message.ack.resolve(Outcome::Rejected);
    }
    streams.feed(100..150).await;
    streams.done("IN", "worker").await;
    assert_eq!(streams.messages("OUT").await, 50);
    line.finish().await;
}
