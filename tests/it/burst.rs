//! A burst of far more than a pipeline can do, held by the stream: nothing is lost, no more than the credit is ever here,
//! and once it is worked off, messages take as long as before.

use std::time::{Duration, Instant};

use forebay::{message::InFlight, nats::Connection};
use futures_util::StreamExt;

use crate::support::{
    connect,
    line::{Line, echo},
    server::NatsServer,
    streams::{Streams, options, sink},
};

const CREDIT: InFlight = InFlight {
    messages: 64,
    bytes: 1 << 20,
};
/// What a message takes, so what comes in a second is at most a thousand.
const WORK: Duration = Duration::from_millis(1);
/// Stored within less than a tenth of the time that it takes to work on them.
const BURST: usize = 3000;
/// Messages that come one by one before and after.
const ONE_BY_ONE: usize = 21;

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_stays_in_the_stream_and_leaves_no_delay_behind() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let source =
        forebay::source::jetstream::JetStreamSource::new(connection.clone(), options(), CREDIT);
    let line = Line::with_credit(CREDIT, source, sink(&connection), |message| {
        std::thread::sleep(WORK);
        echo(message)
    });
    let before = one_by_one(&connection, &streams, 0).await;

    let burst = ONE_BY_ONE..ONE_BY_ONE + BURST;
    let watched = watch(&line, &streams, burst.end);
    let (most, ()) = tokio::join!(watched, streams.feed(burst.clone()));
    assert!(
        most.in_flight > CREDIT.messages / 2 && most.in_flight <= CREDIT.messages,
        "{most:?}"
    );
    // What has been acknowledged lately is still counted there.
    assert!(most.delivered <= 2 * CREDIT.messages, "{most:?}");
    assert!(
        most.waiting > 10 * CREDIT.messages as u64,
        "no backlog: {most:?}"
    );

    let after = one_by_one(&connection, &streams, burst.end).await;
    // Twice as long, and what a busy machine adds.
    let limit = 2 * before + Duration::from_millis(100);
    assert!(after <= limit, "{before:?} before, {after:?} after");
    streams.audit(burst.end + ONE_BY_ONE).await;
    assert_eq!(line.counter("forebay_redelivered_total"), 0);
    line.finish().await;
}

/// The most that was seen while the burst was worked off.
#[derive(Debug, Default)]
struct Most {
    in_flight: usize,
    /// Given to us, and not acknowledged as far as the broker knows.
    delivered: usize,
    /// Still in the stream.
    waiting: u64,
}

/// Looks until there are so many results.
async fn watch(line: &Line, streams: &Streams, results: usize) -> Most {
    let (mut most, started) = (Most::default(), Instant::now());
    while streams.messages("OUT").await < results as u64 {
        assert!(started.elapsed() < Duration::from_mins(1), "{most:?}");
        most.in_flight = most.in_flight.max(line.home.in_flight().messages);
        if let Some((waiting, delivered)) = streams.left("IN", "worker").await {
            most.delivered = most.delivered.max(delivered);
            most.waiting = most.waiting.max(waiting);
        }
    }
    most
}

/// Sends messages from this number on, each when the one before has its result; gives the median of what they took.
async fn one_by_one(connection: &Connection, streams: &Streams, first: usize) -> Duration {
    let client = connection.client();
    let mut results = client.subscribe("out.results").await.expect("subscribed");
    client.flush().await.expect("flushed");
    let mut took = Vec::new();
    for number in first..first + ONE_BY_ONE {
        let sent = Instant::now();
        streams.feed(number..number + 1).await;
        let result = tokio::time::timeout(Duration::from_secs(20), results.next()).await;
        let result = result.expect("a result in time").expect("subscribed");
        assert_eq!(result.payload, format!("r:{number}"));
        took.push(sent.elapsed());
    }
    took.sort_unstable();
    took[took.len() / 2]
}
