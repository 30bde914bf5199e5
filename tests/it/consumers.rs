//! Streams that bring back what is published elsewhere, and consumers that change under us.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{AckPolicy, pull},
    stream::{self, SubjectTransform},
};
use forebay::{
    nats::{Connection, State},
    source::jetstream::JetStreamSource,
};

use crate::support::{
    connect, eventually,
    line::{CREDIT, Line, echo},
    proxy::Proxy,
    server::NatsServer,
    streams::{ACK_WAIT, Streams, options, sink, source},
};

async fn refused(line: Line) -> String {
    let ended = tokio::time::timeout(Duration::from_secs(15), line.source).await;
    let result = ended.expect("it ends").expect("no panic");
    result.expect_err("it is refused").to_string()
}

/// Reads `config`, which is made first, under `filter`, in a pipeline that publishes to `out.results`.
async fn reading(connection: &Connection, config: stream::Config, filter: Option<&str>) -> Line {
    let streams = Streams::with(connection, &[]).await;
    let mut options = options();
    options.stream.clone_from(&config.name);
    options.filter_subject = filter.map(ToOwned::to_owned);
    streams.js.create_stream(config).await.expect("a stream");
    let source = JetStreamSource::new(connection.clone(), options, CREDIT)
        .with_own_subjects(vec!["out.results".into()]);
    Line::start(source, sink(connection), echo)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_by_another_way_is_refused() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    Streams::with(&connection, &[("OUT", "out.>")]).await;
    let copied = stream::Source {
        name: "OUT".into(),
        ..stream::Source::default()
    };
    let mirror = stream::Config {
        name: "MIRROR".into(),
        mirror: Some(copied.clone()),
        ..stream::Config::default()
    };
    let line = reading(&connection, mirror, None).await;
    insta::assert_snapshot!(refused(line).await, @"the pipeline publishes to `out.results`, and the consumer `worker` of the stream `MIRROR` reads that too, so its own messages would come in again without an end; publish to a subject outside the stream, or set a `filter_subject` that leaves it out");
    let sourced = stream::Config {
        name: "SOURCED".into(),
        sources: Some(vec![copied.clone()]),
        ..stream::Config::default()
    };
    let line = reading(&connection, sourced, None).await;
    assert!(refused(line).await.contains("`SOURCED`"));
    let renamed = stream::Config {
        name: "RENAMED".into(),
        sources: Some(vec![stream::Source {
            subject_transforms: vec![SubjectTransform {
                source: "out.*".into(),
                destination: "rows.{{wildcard(1)}}".into(),
            }],
            ..copied
        }]),
        ..stream::Config::default()
    };
    let line = reading(&connection, renamed.clone(), Some("rows.*")).await;
    assert!(refused(line).await.contains("`RENAMED`"));
    // Another filter leaves it out.
    let harmless = stream::Config {
        name: "HARMLESS".into(),
        ..renamed
    };
    let line = reading(&connection, harmless, Some("other.*")).await;
    eventually("it reads", async || line.home.is_reading()).await;
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_made_anew_under_us_is_noticed() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let proxy = Proxy::start(server.port()).await;
    let away = connect(&proxy.url()).await;
    let line = Line::start(source(&away), sink(&connection), echo);
    streams.feed(0..10).await;
    streams.audit(10).await;
    let input = streams.js.get_stream("IN").await.expect("IN");
    let config = pull::Config {
        durable_name: Some("worker".into()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        ..pull::Config::default()
    };
    // While nobody looks.
    proxy.cut();
    eventually("it is away", async || away.state() != State::Connected).await;
    input.delete_consumer("worker").await.expect("deleted");
    input.create_consumer(config).await.expect("made anew");
    proxy.pass();
    insta::assert_snapshot!(refused(line).await, @"the consumer `worker` of the stream `IN` was deleted and made anew; it delivers everything again, so this is for you to decide: start again to go on with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_refuses_everything_is_not_ready_until_it_is_changed() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let input = streams.js.get_stream("IN").await.expect("IN");
    let mut config = pull::Config {
        durable_name: Some("worker".into()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        // Less than any message has, with its subject.
        max_bytes: 5,
        ..pull::Config::default()
    };
    input.create_consumer(config.clone()).await.expect("made");
    streams.feed(0..50).await;
    let line = Line::start(source(&connection), sink(&connection), echo);
    eventually("it reads", async || line.home.is_reading()).await;
    eventually("it is refused", async || !line.home.is_reading()).await;
    assert_eq!(streams.messages("OUT").await, 0);
    config.max_bytes = 0;
    input.update_consumer(config).await.expect("changed");
    streams.audit(50).await;
    eventually("it reads again", async || line.home.is_reading()).await;
    line.finish().await;
}
