//! JetStream in and out: each message has its result once, whatever happens in between.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_nats::jetstream::stream;
use forebay::{
    message::{InFlight, Message, Outcome},
    source::jetstream::{JetStreamOptions, JetStreamSource},
};

use crate::support::{
    connect, eventually,
    line::{CREDIT, Line, Step, echo, number},
    proxy::Proxy,
    server::NatsServer,
    streams::{ACK_WAIT, Streams, options, sink, source},
};

#[tokio::test(flavor = "multi_thread")]
async fn each_message_has_its_result_once() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let line = Line::start(source(&connection), sink(&connection), echo);
    streams.feed(0..2000).await;
    streams.audit(2000).await;
    assert_eq!(line.counter("forebay_messages_total"), 2000);
    assert_eq!(line.counter("forebay_results_total"), 2000);
    assert_eq!(line.counter("forebay_redelivered_total"), 0);
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_worked_on_for_long_is_not_delivered_again() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let line = Line::start(source(&connection), sink(&connection), |message| {
        std::thread::sleep(2 * ACK_WAIT);
        echo(message)
    });
    streams.feed(0..1).await;
    streams.audit(1).await;
    assert_eq!(line.counter("forebay_redelivered_total"), 0);
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_sent_twice_is_stored_once() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    streams.feed(0..50).await;
    // The acknowledgement gets lost: the source's connection dies after the results are stored.
    let proxy = Proxy::start(server.port()).await;
    let frail = connect(&proxy.url()).await;
    let line = Line::start(source(&frail), sink(&connection), echo);
    let link = proxy.clone();
    eventually("some results", async || streams.messages("OUT").await >= 50).await;
    link.cut();
    drop(line);
    drop(frail);
    // All over again, as if nothing had been acknowledged.
    let stream = streams.js.get_stream("IN").await.expect("IN");
    stream.delete_consumer("worker").await.expect("deleted");
    let line = Line::start(source(&connection), sink(&connection), echo);
    eventually("all again", async || {
        line.counter("forebay_results_total") == 50
    })
    .await;
    assert_eq!(line.counter("forebay_duplicates_total"), 50);
    streams.audit(50).await;
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_comes_back_after_its_delay_and_a_lost_one_too() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let seen: Arc<Mutex<HashMap<usize, Vec<Instant>>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let line = Line::start(source(&connection), sink(&connection), move |message| {
        let n = number(&message.payload);
        let mut seen = noted.lock().expect("lock");
        let times = seen.entry(n).or_default();
        times.push(Instant::now());
        match (n, times.len()) {
            (1, 1) => Step::Settle(Outcome::Retry {
                after: Some(Duration::from_millis(700)),
            }),
            (2, 1) => Step::Lose,
            _ => echo(message),
        }
    });
    streams.feed(0..4).await;
    streams.audit(4).await;
    let seen = seen.lock().expect("lock").clone();
    let pause = |n: usize| seen[&n][1] - seen[&n][0];
    assert!(
        (Duration::from_millis(690)..ACK_WAIT).contains(&pause(1)),
        "{:?}",
        pause(1)
    );
    assert!(
        (Duration::from_millis(120)..ACK_WAIT).contains(&pause(2)),
        "{:?}",
        pause(2)
    );
    assert_eq!(seen[&3].len(), 1);
    assert_eq!(line.counter("forebay_redelivered_total"), 2);
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_goes_to_the_dead_letter() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let seen = Arc::new(Mutex::new(0));
    let noted = Arc::clone(&seen);
    let options = JetStreamOptions {
        max_deliver: 3,
        ..options()
    };
    let source = JetStreamSource::new(connection.clone(), options, CREDIT);
    let mut line = Line::start(source, sink(&connection), move |message| {
        if number(&message.payload) == 7 {
            *noted.lock().expect("lock") += 1;
            return Step::Settle(Outcome::Retry {
                after: Some(Duration::from_millis(50)),
            });
        }
        echo(message)
    });
    streams.feed(0..10).await;
    let (message, reject) = line.rejects.recv().await.expect("rejected");
    assert_eq!(message.payload, "7");
    assert_eq!((reject.stage.name(), reject.kind), ("source", "deliveries"));
    insta::assert_snapshot!(reject.reason, @"delivered 3 times and not acknowledged once (max_deliver)");
    assert_eq!(*seen.lock().expect("lock"), 3);
    message.ack.resolve(Outcome::Rejected);
    eventually("nothing is left", async || {
        let stream = streams.js.get_stream("IN").await.expect("IN");
        let info = stream.consumer_info("worker").await.expect("worker");
        info.num_pending == 0 && info.num_ack_pending == 0
    })
    .await;
    assert_eq!(streams.messages("OUT").await, 9);
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_loses_and_doubles_nothing() {
    let mut server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    streams.feed(0..3000).await;
    let line = Line::start(source(&connection), sink(&connection), |message| {
        std::thread::sleep(Duration::from_micros(300));
        echo(message)
    });
    for part in 1..=2 {
        eventually("some results", async || {
            line.counter("forebay_results_total") >= part * 700
        })
        .await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.restart();
    }
    streams.audit(3000).await;
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_in_flight_and_gives_back_the_rest() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    streams.feed(0..1000).await;
    let slowly = |message: &Message| {
        std::thread::sleep(Duration::from_millis(1));
        echo(message)
    };
    // Bytes run out long before messages: much is read that there is no credit for.
    let credit = InFlight {
        messages: 512,
        bytes: 100,
    };
    let source_of = || {
        JetStreamSource::new(
            connection.clone(),
            options(),
            InFlight {
                messages: 512,
                bytes: 1 << 20,
            },
        )
    };
    let line = Line::with_credit(credit, source_of(), sink(&connection), slowly);
    eventually("some results", async || {
        line.counter("forebay_results_total") >= 100
    })
    .await;
    let home = Arc::clone(&line.home);
    line.finish().await;
    assert_eq!(home.in_flight().messages, 0);
    let done = streams.messages("OUT").await;
    assert!((100..1000).contains(&done), "{done}");
    let stopped = Instant::now();
    let line = Line::start(source(&connection), sink(&connection), echo);
    streams.audit(1000).await;
    assert!(
        stopped.elapsed() < ACK_WAIT,
        "nothing had to wait for its redelivery"
    );
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_held_while_their_stream_is_gone() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let line = Line::start(source(&connection), sink(&connection), echo);
    eventually("the consumer", async || {
        let stream = streams.js.get_stream("IN").await.expect("IN");
        stream.consumer_info("worker").await.is_ok()
    })
    .await;
    streams.js.delete_stream("OUT").await.expect("deleted");
    streams.feed(0..1000).await;
    tokio::time::sleep(Duration::from_secs(2) + ACK_WAIT).await;
    assert_eq!(line.counter("forebay_results_total"), 0);
    streams.add("OUT", "out.>").await;
    streams.audit(1000).await;
    assert_eq!(
        line.counter("forebay_redelivered_total"),
        0,
        "progress was told meanwhile"
    );
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_holds_results_and_a_limit_on_size_rejects_them() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let mut config = stream::Config {
        name: "OUT".into(),
        subjects: vec!["out.>".into()],
        discard: stream::DiscardPolicy::New,
        max_messages: 100,
        max_message_size: 200,
        ..stream::Config::default()
    };
    streams.js.delete_stream("OUT").await.expect("deleted");
    streams.js.create_stream(config.clone()).await.expect("OUT");
    let mut line = Line::start(source(&connection), sink(&connection), |message| {
        if number(&message.payload) == 5 {
            return Step::Publish(vec![b'x'; 300].into());
        }
        echo(message)
    });
    streams.feed(0..301).await;
    let (message, reject) = line.rejects.recv().await.expect("rejected");
    insta::assert_snapshot!(reject, @"sink: JetStream does not store the result: message size exceeds maximum allowed");
    assert_eq!(message.payload, "5");
    message.ack.resolve(Outcome::Rejected);
    eventually("it is full", async || streams.messages("OUT").await == 100).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    config.max_messages = -1;
    streams.js.update_stream(config).await.expect("updated");
    eventually("all stored", async || streams.messages("OUT").await == 300).await;
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_link_and_a_frozen_server_lose_nothing() {
    let server = NatsServer::start(&[]);
    let proxy = Proxy::start(server.port()).await;
    proxy.delay(Duration::from_millis(1));
    let steady = connect(&server.url()).await;
    let streams = Streams::make(&steady).await;
    streams.feed(0..1500).await;
    let connection = connect(&proxy.url()).await;
    let line = Line::start(source(&connection), sink(&connection), |message| {
        std::thread::sleep(Duration::from_micros(500));
        echo(message)
    });
    eventually("some results", async || {
        line.counter("forebay_results_total") >= 300
    })
    .await;
    proxy.swallow();
    tokio::time::sleep(Duration::from_millis(500)).await;
    proxy.cut();
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.pass();
    eventually("more results", async || {
        line.counter("forebay_results_total") >= 800
    })
    .await;
    server.freeze();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    server.resume();
    streams.audit(1500).await;
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_larger_than_the_byte_credit_come_in_one_by_one() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let long = |n: usize| format!("{n:0>5000}");
    for n in 0..60 {
        let payload = if n % 3 == 0 { long(n) } else { n.to_string() };
        let stored = streams
            .js
            .publish("in.n", payload.into())
            .await
            .expect("published");
        stored.await.expect("stored");
    }
    let credit = InFlight {
        messages: 64,
        bytes: 2000,
    };
    let most = Arc::new(Mutex::new(0));
    let noted = Arc::clone(&most);
    let source = JetStreamSource::new(connection.clone(), options(), credit);
    let line = Line::with_credit(credit, source, sink(&connection), move |message| {
        let mut most = noted.lock().expect("lock");
        *most = message.payload.len().max(*most);
        Step::Publish(format!("r:{}", number(&message.payload)).into())
    });
    streams.audit(60).await;
    assert_eq!(*most.lock().expect("lock"), 5000);
    assert_eq!(line.counter("forebay_redelivered_total"), 0);
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_a_consumer_and_one_may_die() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let proxy = Proxy::start(server.port()).await;
    let doomed = connect(&proxy.url()).await;
    let slowly = |message: &Message| {
        std::thread::sleep(Duration::from_micros(300));
        echo(message)
    };
    let first = Line::start(source(&doomed), sink(&doomed), slowly);
    let second = Line::start(source(&connection), sink(&connection), slowly);
    streams.feed(0..3000).await;
    eventually("both work", async || {
        [&first, &second]
            .iter()
            .all(|line| line.counter("forebay_results_total") >= 300)
    })
    .await;
    proxy.cut();
    streams.audit(3000).await;
    second.finish().await;
}
