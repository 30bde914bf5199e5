//! A server that says it will stop: with others, the work goes on there before it does; alone, it is
//! waited for.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream;
use forebay::{
    nats::{Connection, State},
    sink::nats::{NatsSink, NatsTarget},
    source::nats::{NatsOptions, NatsSource},
};

use crate::support::{
    cluster::Cluster,
    connect, eventually,
    examples::{self, LITTLE_IN_FLIGHT, changed, lines},
    line::{Line, echo},
    program::Program,
    server::NatsServer,
    streams::{self, Streams},
};

/// A server's grace before it cuts clients off; `nats-server`'s own default.
const GRACE: Duration = Duration::from_secs(10);

fn replicated(name: &str, subject: &str) -> stream::Config {
    stream::Config {
        name: name.into(),
        subjects: vec![subject.into()],
        num_replicas: 3,
        ..stream::Config::default()
    }
}

async fn replicated_streams(connection: &Connection) -> Streams {
    let streams = Streams::with(connection, &[]).await;
    for (name, subject) in [("IN", "in.>"), ("OUT", "out.>")] {
        let config = replicated(name, subject);
        streams.js.create_stream(config).await.expect("a stream");
    }
    streams
}

#[tokio::test(flavor = "multi_thread")]
async fn with_others_the_work_goes_on_there_at_once() {
    let mut cluster = Cluster::start(3).await;
    let urls = cluster.urls();
    let streams = replicated_streams(&connect(&urls[1]).await).await;
    // It is told of one server only, and hears of the others from that one.
    let connection = connect(&urls[0]).await;
    let line = Line::start(
        streams::source(&connection),
        streams::sink(&connection),
        |message| {
            std::thread::sleep(Duration::from_millis(1));
            echo(message)
        },
    );
    streams.feed(0..1000).await;
    eventually("some are done", async || {
        line.counter("forebay_results_total") > 100
    })
    .await;
    assert_eq!(cluster.node(0).clients(), 1);
    let said = Instant::now();
    cluster.lame_duck(0);
    eventually("it has gone", async || cluster.node(0).clients() == 0).await;
    assert!(said.elapsed() < GRACE / 2, "{:?}", said.elapsed());
    eventually("it is elsewhere", async || {
        connection.state() == State::Connected
    })
    .await;
    streams.feed(1000..2000).await;
    streams.audit(2000).await;
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_elsewhere() {
    let mut cluster = Cluster::start(3).await;
    let urls = cluster.urls();
    let asking = connect(&urls[1]).await;
    let connection = connect(&urls[0]).await;
    let source = NatsSource::new(
        connection.clone(),
        NatsOptions {
            subject: "ask".into(),
            queue_group: None,
        },
    );
    let sink = NatsSink::new(connection.clone(), NatsTarget::Reply);
    let line = Line::start(source, sink, echo);
    cluster.node(0).subscribed("ask").await;
    // The source has a connection of its own.
    assert_eq!(cluster.node(0).clients(), 2);
    let said = Instant::now();
    cluster.lame_duck(0);
    eventually("both have gone", async || cluster.node(0).clients() == 0).await;
    assert!(said.elapsed() < GRACE / 2, "{:?}", said.elapsed());
    eventually("it is answered", async || {
        let answer = asking.client().request("ask", "1".into()).await;
        answer.is_ok_and(|answer| answer.payload == "r:1")
    })
    .await;
    line.finish().await;
}

/// Nobody else is there: nothing is read any more, what is done is held, and goes out when the
/// server is back.
#[tokio::test(flavor = "multi_thread")]
async fn alone_it_is_waited_for() {
    let mut server = NatsServer::with_config("lame_duck_grace_period: 1s, lame_duck_duration: 30s");
    let streams = Streams::income(&server).await;
    let rows = lines("income/sample.jsonl");
    streams
        .publish("rows.income.ma", rows[..2000].to_vec())
        .await;
    // An acknowledgement that meets a server without JetStream is lost; the message comes again.
    let changes = [LITTLE_IN_FLIGHT, ("ack_wait: 30s", "ack_wait: 2s")];
    let pipeline = changed("income/pipeline.yaml", &changes);
    let mut program = Program::run(&pipeline.file, &server.url());
    program.ready().await;
    program
        .wait_for("some are done", |program| {
            program.metric("forebay_results_total", &[]) > 100
        })
        .await;
    server.lame_duck();
    program
        .wait_for("it says so", |program| {
            program.get("/readyz").1.contains("is shutting down")
        })
        .await;
    program
        .wait_for("the server is gone", |program| {
            program.get("/readyz").1.contains("not connected")
        })
        .await;
    server.restart();
    program.ready().await;
    streams.done("ROWS", "income").await;
    let results = streams.read("SCORES").await;
    let results: Vec<_> = results.iter().map(|m| examples::json(&m.payload)).collect();
    examples::assert_each_once(&results, &examples::income_results()[..2000]);
    program.stop().await;
}
