//! Core NATS in and out.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use forebay::{
    message::{Ack, InFlight, Message, Outcome},
    nats::{Connection, State},
    sink::{
        Outgoing, Rejects, Sink,
        nats::{NatsSink, NatsTarget},
        template::Template,
    },
    source::nats::{NatsOptions, NatsSource},
    telemetry::metrics::PipelineMetrics,
};
use futures_util::StreamExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::mpsc;

use crate::support::{
    connect,
    line::{Line, Step, assert_each_once, echo, number},
    server::NatsServer,
};

fn source(connection: &Connection, subject: &str, group: Option<&str>) -> NatsSource {
    NatsSource::new(
        connection.clone(),
        NatsOptions {
            subject: subject.into(),
            queue_group: group.map(Into::into),
        },
    )
}

fn sink(connection: &Connection, template: &str) -> NatsSink {
    let template = Template::parse(template).expect("template");
    NatsSink::new(connection.clone(), NatsTarget::Subject(template))
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_out_in_order() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let client = connection.client();
    let mut results = client.subscribe("out.>").await.expect("subscribed");
    let line = Line::start(
        source(&connection, "in.>", None),
        sink(&connection, "out.{2}"),
        echo,
    );
    server.subscribed("in.>").await;
    for n in 0..2000 {
        let subject = if n % 2 == 0 { "in.a" } else { "in.b" };
        client
            .publish(subject, n.to_string().into())
            .await
            .expect("published");
    }
    for n in 0..2000 {
        let result = results.next().await.expect("a result");
        assert_eq!(result.payload, format!("r:{n}"));
        assert_eq!(
            result.subject.as_str(),
            if n % 2 == 0 { "out.a" } else { "out.b" }
        );
    }
    assert_eq!(line.counter("forebay_messages_total"), 2000);
    assert_eq!(line.counter("forebay_results_total"), 2000);
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_group_shares_the_work() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let client = connection.client();
    let mut results = client.subscribe("out").await.expect("subscribed");
    let lines = [0, 1].map(|_| {
        Line::start(
            source(&connection, "in", Some("g")),
            sink(&connection, "out"),
            echo,
        )
    });
    server.subscribed("in").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    for n in 0..1000 {
        client
            .publish("in", n.to_string().into())
            .await
            .expect("published");
    }
    let mut seen = Vec::new();
    for _ in 0..1000 {
        seen.push(number(&results.next().await.expect("a result").payload));
    }
    assert_each_once(seen, 1000);
    let shares = lines
        .each_ref()
        .map(|line| line.counter("forebay_messages_total"));
    assert!(shares.iter().all(|&share| share > 0), "{shares:?}");
    for line in lines {
        line.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_gets_its_answer_and_headers_come_in() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let client = connection.client();
    let mut line = Line::start(
        source(&connection, "ask", None),
        NatsSink::new(connection.clone(), NatsTarget::Reply),
        |message| Step::Publish(message.header("shape").unwrap_or("none").to_owned().into()),
    );
    server.subscribed("ask").await;
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Shape", "[2, 3]");
    let answer = client
        .request_with_headers("ask", headers, "x".into())
        .await
        .expect("answered");
    assert_eq!(answer.payload, "[2, 3]");
    assert!(answer.headers.is_none());
    let answer = client.request("ask", "x".into()).await.expect("answered");
    assert_eq!(answer.payload, "none");

    client
        .publish("ask", "nobody waits".into())
        .await
        .expect("published");
    let (message, reject) = line.rejects.recv().await.expect("rejected");
    assert_eq!(reject.kind, "no_reply");
    message.ack.resolve(Outcome::Rejected);
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_too_large_is_rejected_with_both_numbers() {
    let server = NatsServer::with_config("max_payload: 1000");
    let connection = connect(&server.url()).await;
    let mut line = Line::start(
        source(&connection, "in", None),
        sink(&connection, "out"),
        |_| Step::Publish(vec![b'x'; 1001].into()),
    );
    server.subscribed("in").await;
    connection
        .client()
        .publish("in", "x".into())
        .await
        .expect("published");
    let (message, reject) = line.rejects.recv().await.expect("rejected");
    insta::assert_snapshot!(reject, @"sink: the result has 1001 bytes with its headers; the NATS server takes 1000 (max_payload)");
    message.ack.resolve(Outcome::Rejected);
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dropped_message_is_counted() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let shut = Arc::new(AtomicBool::new(true));
    let gate = Arc::clone(&shut);
    let credit = InFlight {
        messages: 8,
        bytes: 1 << 20,
    };
    let (source, sink) = (source(&connection, "in", None), sink(&connection, "out"));
    let line = Line::with_credit(credit, source, sink, move |_| {
        while gate.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Step::Settle(Outcome::Done)
    });
    server.subscribed("in").await;
    let client = connection.client();
    for n in 0..100_000 {
        let payload = n.to_string().into();
        client.publish("in", payload).await.expect("published");
    }
    client.flush().await.expect("flushed");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(line.counter("forebay_dropped_total") > 30_000);
    shut.store(false, Ordering::Relaxed);
    crate::support::eventually("all messages accounted for", async || {
        line.counter("forebay_messages_total") + line.counter("forebay_dropped_total") == 100_000
    })
    .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(
        line.counter("forebay_messages_total") + line.counter("forebay_dropped_total"),
        100_000
    );
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_finished_when_it_stops() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let client = connection.client();
    let mut results = client.subscribe("out").await.expect("subscribed");
    let credit = InFlight {
        messages: 4,
        bytes: 1 << 20,
    };
    let line = Line::with_credit(
        credit,
        source(&connection, "in", None),
        sink(&connection, "out"),
        |message| {
            std::thread::sleep(Duration::from_millis(1));
            echo(message)
        },
    );
    server.subscribed("in").await;
    for n in 0..300 {
        client
            .publish("in", n.to_string().into())
            .await
            .expect("published");
    }
    client.flush().await.expect("flushed");
    results.next().await.expect("the first result");
    // By now the server has sent all 300, for it has sent the result of one on another connection.
    tokio::time::sleep(Duration::from_millis(50)).await;
    line.finish().await;
    for n in 1..300 {
        assert_eq!(number(&results.next().await.expect("a result").payload), n);
    }
}

/// What becomes of a request for which nobody waits here.
fn answer(outcome: Outcome) -> Outgoing {
    Outgoing {
        message: Message {
            subject: Bytes::from_static(b"in"),
            reply: Some(Bytes::from_static(b"answer")),
            payload: Bytes::new(),
            headers: None,
            position: None,
            received: Instant::now(),
            ack: Ack::none(),
        },
        payload: Bytes::from_static(b"1"),
        headers: Vec::new(),
        outcome,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_tells_of_a_reject_is_no_result() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = metrics::with_local_recorder(&recorder, || PipelineMetrics::new("test"));
    let (results, outgoing) = mpsc::channel(4);
    let (rejects, _rejected) = Rejects::new(4);
    let sink = Box::new(NatsSink::new(connection, NatsTarget::Reply));
    let sink = tokio::spawn(sink.run(outgoing, rejects, metrics.sink));
    let block = vec![answer(Outcome::Done), answer(Outcome::Rejected)];
    results.send(block).await.expect("taken");
    drop(results);
    sink.await.expect("no panic").expect("it ends well");
    let text = recorder.handle().render();
    assert!(
        text.contains("forebay_results_total{pipeline=\"test\"} 1\n"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_results_before_the_server_went_away_are_told_of() {
    let mut server = NatsServer::without_jetstream();
    let connection = connect(&server.url()).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = metrics::with_local_recorder(&recorder, || PipelineMetrics::new("test"));
    let (results, outgoing) = mpsc::channel(4);
    let (rejects, _rejected) = Rejects::new(4);
    let sink = Box::new(sink(&connection, "out"));
    let sink = tokio::spawn(sink.run(outgoing, rejects, metrics.sink));
    // The last of them just as the server goes.
    while connection.state() == State::Connected {
        let block = vec![answer(Outcome::Done)];
        results.send(block).await.expect("taken");
        server.kill();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(results);
    let ended = sink.await.expect("no panic");
    let told = ended.expect_err("nobody knows").to_string();
    // Whether the client had taken it before it noticed is chance.
    let words = ["may not have reached NATS", "were not published"];
    assert!(words.iter().any(|it| told.contains(it)), "{told}");
}
