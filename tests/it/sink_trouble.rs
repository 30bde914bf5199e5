//! A JetStream sink whose stream does not store, and what ends that.

use std::time::Duration;

use async_nats::jetstream::stream;
use forebay::{
    message::Outcome,
    sink::{
        Held,
        jetstream::{JetStreamSink, JetStreamTarget, Purpose},
        template::Template,
    },
};

use crate::support::{
    connect, eventually,
    line::{Line, Step, assert_each_once, echo, number},
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

/// A stream for the results of `in.a` with room for so many.
fn room_for(max_messages: i64) -> stream::Config {
    stream::Config {
        name: "OUTA".into(),
        subjects: vec!["out.a".into()],
        max_messages,
        discard: stream::DiscardPolicy::New,
        ..stream::Config::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_holds_no_other_streams_results() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::with(&connection, &[("IN", "in.>"), ("OUTB", "out.b")]).await;
    let full = streams.js.create_stream(room_for(3)).await;
    full.expect("OUTA");
    let texts = |range: std::ops::Range<usize>| range.map(|n| n.to_string());
    streams.publish("in.a", texts(0..30)).await;
    streams.publish("in.b", texts(0..40)).await;
    let target = JetStreamTarget {
        subject: Template::parse("out.{2}").expect("template"),
        purpose: Purpose::Result,
    };
    let held = Held::default();
    let sink = JetStreamSink::new(connection.clone(), target).reporting_to(held.clone());
    let mut line = Line::start(source(&connection), sink, echo);
    let stored = async |name, count| {
        eventually(name, async || streams.messages(name).await == count).await;
    };
    stored("OUTB", 40).await;
    // What comes while the others are held goes out too.
    streams.publish("in.b", texts(40..70)).await;
    stored("OUTB", 70).await;
    assert_eq!(streams.messages("OUTA").await, 3);
    assert!(held.reason().is_some(), "27 results are held");
    assert!(line.rejects.try_recv().is_err(), "nothing is rejected");
    let wider = streams.js.update_stream(room_for(-1)).await;
    wider.expect("widened");
    stored("OUTA", 30).await;
    streams.done("IN", "worker").await;
    for (name, count) in [("OUTA", 30), ("OUTB", 70)] {
        let results = streams.read(name).await;
        let numbers = results.iter().map(|result| number(&result.payload));
        assert_each_once(numbers.collect(), count);
    }
    assert_eq!(held.reason(), None);
    line.finish().await;
}
