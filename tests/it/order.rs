//! `order_by` between two streams: the results of each key stand in the order of its messages,
//! whatever happens in between.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream;
use forebay::{message::Stage, nats::Connection, source::jetstream::JetStreamSource};

use crate::support::{
    connect, eventually,
    ordered::{LOAD, Load, Ordered, random, sink},
    proxy::Proxy,
    server::NatsServer,
    streams::{Streams, source},
};

fn in_order(connection: &Connection) -> JetStreamSource {
    source(connection).in_order(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_keeps_its_order() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    streams.feed_keys(0..4000, 37).await;
    let pipeline = Ordered::start(LOAD, in_order(&connection), sink(&connection));
    streams.audit_order(4000, 37, None).await;
    // One key: the order of the whole stream.
    streams
        .js
        .get_stream("OUT")
        .await
        .expect("OUT")
        .purge()
        .await
        .expect("purged");
    streams
        .js
        .get_stream("IN")
        .await
        .expect("IN")
        .purge()
        .await
        .expect("purged");
    streams.feed_keys(0..500, 1).await;
    streams.audit_order(500, 1, None).await;
    pipeline.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_order_by_the_same_load_comes_out_of_order() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    streams.feed_keys(0..4000, 37).await;
    let load = Load {
        order: false,
        ..LOAD
    };
    let pipeline = Ordered::start(load, source(&connection), sink(&connection));
    streams.done("IN", "worker").await;
    let found = streams.by_key().await;
    let disordered = found.values().filter(|numbers| !numbers.is_sorted());
    assert!(disordered.count() > 0, "or the other tests show nothing");
    pipeline.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_rejected_hold_nobody_up() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    streams.feed_keys(0..3000, 7).await;
    let load = Load {
        bad: Some(9),
        ..LOAD
    };
    let pipeline = Ordered::start(load, in_order(&connection), sink(&connection));
    streams.audit_order(3000, 7, load.bad).await;
    pipeline.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_does_not_change_the_order() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let mut config = stream::Config {
        name: "OUT".into(),
        subjects: vec!["out.>".into()],
        discard: stream::DiscardPolicy::New,
        max_messages: 500,
        ..stream::Config::default()
    };
    streams.js.delete_stream("OUT").await.expect("deleted");
    streams.js.create_stream(config.clone()).await.expect("OUT");
    streams.feed_keys(0..2500, 11).await;
    let pipeline = Ordered::start(LOAD, in_order(&connection), sink(&connection));
    for room in [1200, -1] {
        let full = u64::try_from(config.max_messages).expect("a number");
        eventually("it is full", async || streams.messages("OUT").await == full).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        config.max_messages = room;
        let updated = streams.js.update_stream(config.clone()).await;
        updated.expect("updated");
    }
    streams.audit_order(2500, 11, None).await;
    pipeline.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_does_not_change_the_order() {
    let server = NatsServer::start(&[]);
    let steady = connect(&server.url()).await;
    let streams = Streams::make(&steady).await;
    streams.feed_keys(0..6000, 23).await;
    let proxy = Proxy::start(server.port()).await;
    // So that deliveries are under way when the link is cut.
    proxy.delay(Duration::from_millis(2));
    let frail = connect(&proxy.url()).await;
    let pipeline = Ordered::start(LOAD, in_order(&frail), sink(&frail));
    for part in 1..=4 {
        eventually("some results", async || {
            streams.messages("OUT").await >= part * 1000
        })
        .await;
        tokio::time::sleep(Duration::from_millis(random(20))).await;
        if part % 2 == 0 {
            // What the server sends meanwhile reaches nobody.
            proxy.swallow();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        proxy.cut();
        tokio::time::sleep(Duration::from_millis(50)).await;
        proxy.pass();
    }
    streams.audit_order(6000, 23, None).await;
    pipeline.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_and_a_start_do_not_change_the_order() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    streams.feed_keys(0..3000, 13).await;
    // Three pipelines one after another; the source asks for more than the pipeline has room for,
    // so each gives some back.
    let load = Load {
        messages: 100,
        ..LOAD
    };
    for part in 1..=3 {
        let pipeline = Ordered::start(load, in_order(&connection), sink(&connection));
        eventually("some results", async || {
            streams.messages("OUT").await >= part * 700
        })
        .await;
        pipeline.finish().await;
    }
    let pipeline = Ordered::start(LOAD, in_order(&connection), sink(&connection));
    streams.audit_order(3000, 13, None).await;
    pipeline.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_does_not_change_the_order() {
    let mut server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    streams.feed_keys(0..4000, 17).await;
    let pipeline = Ordered::start(LOAD, in_order(&connection), sink(&connection));
    for part in 1..=2 {
        eventually("some results", async || {
            streams.messages("OUT").await >= part * 1000
        })
        .await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.restart();
    }
    streams.audit_order(4000, 17, None).await;
    pipeline.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_does_not_change_the_order() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    streams.feed_keys(0..4000, 3).await;
    for panics in [(Stage::Engine, 700), (Stage::Decode, 2200)] {
        let load = Load {
            panics: Some(panics),
            ..LOAD
        };
        let pipeline = Ordered::start(load, in_order(&connection), sink(&connection));
        let error = pipeline.ended().await.expect_err("a panic is fatal");
        assert!(error.to_string().contains("asked to panic"), "{error}");
    }
    let pipeline = Ordered::start(LOAD, in_order(&connection), sink(&connection));
    streams.audit_order(4000, 3, None).await;
    pipeline.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_consumer_go_on_after_a_while() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let start = || Ordered::start(LOAD, in_order(&connection), sink(&connection));
    let both = [start(), start()];
    streams.feed_keys(0..3000, 5).await;
    eventually("all results are stored", async || {
        streams.messages("OUT").await == 3000
    })
    .await;
    for pipeline in both {
        pipeline.finish().await;
    }
}

/// Results per second with `order_by` and without, for the documentation.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; run it alone: cargo nextest run --run-ignored only --no-capture -E 'test(what_order_costs)'"]
#[expect(clippy::print_stdout, reason = "that is what it is for")]
async fn what_order_costs() {
    const ROUNDS: usize = 3;
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    for _ in 0..ROUNDS {
        for (order, keys, count) in [
            (false, 1000, 20_000),
            (true, 1000, 20_000),
            (true, 100, 20_000),
            (true, 10, 10_000),
            (true, 1, 3_000),
        ] {
            for name in ["IN", "OUT"] {
                let stream = streams.js.get_stream(name).await.expect("the stream");
                stream.purge().await.expect("purged");
            }
            streams.feed_keys(0..count, keys).await;
            let load = Load {
                order,
                takes: Duration::ZERO,
                messages: 512,
                max_rows: 256,
                ..LOAD
            };
            let source = source(&connection).in_order(order);
            let started = Instant::now();
            let pipeline = Ordered::start(load, source, sink(&connection));
            streams.done("IN", "worker").await;
            let rate = count as f64 / started.elapsed().as_secs_f64();
            println!("order_by {order}, {keys} keys: {rate:.0} messages/s");
            pipeline.finish().await;
        }
    }
}
