//! Ten times the capacity for five seconds, from stream to stream: is anything lost, does memory stay where it is, and how
//! soon is latency as before once the backlog is gone?

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    self, Context,
    consumer::{AckPolicy, pull},
    stream,
};
use forebay::graph;

use crate::{
    Finding, Plan,
    rows::{self, FEATURES},
    shapes,
    support::Server,
    targets::{Target, row_fields, row_names},
    wire::{Messages, Seen as Answers, Wire, parts_us},
};

/// Slow enough for the broker to take ten times as many messages as it does.
const LAYERS: usize = 16;
const WIDTH: usize = 768;
/// Before the burst, and on through it: a part of the capacity.
const NORMAL: f64 = 0.2;
const BURST: f64 = 10.0;
/// How long the usual comes before the burst, and when its backlog is gone.
const BEFORE: Duration = Duration::from_secs(4);
const AFTER: Duration = Duration::from_secs(6);
/// Latency is looked at in windows so long.
const WINDOW: Duration = Duration::from_millis(500);
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// Memory may grow by so much: what is in flight is bounded by `max_in_flight`, some MiB here.
const GROWTH_MIB: f64 = 64.0;

/// What happened.
struct Seen {
    /// Messages a second.
    capacity: f64,
    /// Of the burst.
    sent: u64,
    /// In the streams, all in all.
    stored: u64,
    results: u64,
    /// Highest p99 of a window before the burst, milliseconds.
    normal_ms: f64,
    /// From the burst's end until the backlog was gone.
    backlog: Duration,
    /// From then until the first of the windows that all are as before.
    back: Option<Duration>,
    resident_mib: f64,
    peak_mib: f64,
}

pub(crate) fn run(server: &Server, plan: Plan) -> Vec<Finding> {
    let seconds = if plan.quick { 1 } else { 5 };
    let seen = measure(server, Duration::from_secs(seconds));
    println!("{BURST} times the capacity for {seconds} s, from stream to stream:\n");
    println!(
        "| capacity, messages/s | sent in the burst | stored | results | backlog gone after | p99 before, ms | as before after | resident before, MiB | most, MiB |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    let back = seen.back.map_or("not within 6 s".to_owned(), |back| {
        format!("{:.1} s", back.as_secs_f64())
    });
    println!(
        "| {:.0} | {} | {} | {} | {:.1} s | {:.1} | {back} | {:.0} | {:.0} |\n",
        seen.capacity,
        seen.sent,
        seen.stored,
        seen.results,
        seen.backlog.as_secs_f64(),
        seen.normal_ms,
        seen.resident_mib,
        seen.peak_mib,
    );
    println!(
        "A fifth of the capacity comes before, meanwhile and after. *As before*: the p99 of each half second is at most 1.5 times the highest of those before the burst.\n"
    );
    vec![
        Finding {
            what: "burst: messages lost".to_owned(),
            found: (seen.stored - seen.results.min(seen.stored)).to_string(),
            wanted: "0",
            holds: seen.results == seen.stored,
            must: true,
        },
        Finding {
            what: "burst: memory more than before, MiB".to_owned(),
            found: format!("{:.0}", seen.peak_mib - seen.resident_mib),
            wanted: "≤ 64",
            holds: seen.peak_mib - seen.resident_mib <= GROWTH_MIB,
            must: true,
        },
        Finding {
            what: "burst: p99 as before, after the backlog is gone".to_owned(),
            found: back,
            wanted: "≤ 2 s",
            holds: seen.back.is_some_and(|back| back <= BACK_WITHIN),
            must: false,
        },
    ]
}

fn measure(server: &Server, time: Duration) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let streams = runtime.block_on(make(&server.url()));
    let target = forebay(server);
    let messages = Arc::new(Messages::new("burst.in", &rows::numbered(), true));
    let mut wire = Wire::connect(&server.url(), "burst.out");
    // Warm; then as fast as it goes, in batches as full as they will be.
    wire.flood(&messages, 1024, Duration::from_secs(1));
    let flood = wire.flood(&messages, 1024, Duration::from_secs(3));
    let capacity = flood.latencies.len() as f64 / flood.seconds;
    let resident_mib = target.resident_mib();

    let normal = NORMAL * capacity;
    // What the burst leaves is worked off beside what comes meanwhile; and a third more, for a capacity that is less later.
    let backlog = time.mul_f64((BURST - 1.0) / (1.0 - NORMAL) * 1.33);
    let times = [BEFORE, time, backlog + AFTER];
    let rates = [normal, BURST * capacity, normal];
    let timetable: Vec<_> = rates.into_iter().zip(times).collect();
    let seen = wire.by_timetable(&messages, &timetable);

    let over = BEFORE + time;
    let usual = (1..=6).map(|n| in_flight(&seen, BEFORE * n / 8)).max();
    let gone = gone(&seen, over, usual.unwrap_or(0).max(64));
    // The first half second is the one in which a connection wakes up.
    let calm = windows(&seen, WINDOW, BEFORE);
    let normal_ms = calm.iter().copied().fold(0.0, f64::max);
    let after = windows(&seen, gone, gone + AFTER);
    let late = after.iter().rposition(|p99| *p99 > 1.5 * normal_ms);
    let back = late.map_or(0, |last| last + 1);
    let count = |name| runtime.block_on(messages_in(&streams, name));
    Seen {
        capacity,
        sent: (BURST * capacity * time.as_secs_f64()) as u64,
        stored: count("BURST"),
        results: count("BURST_OUT"),
        normal_ms,
        backlog: gone.saturating_sub(over),
        back: (back < after.len()).then(|| WINDOW * back as u32),
        resident_mib,
        peak_mib: target.peak_mib(),
    }
}

/// How many messages were due and had no answer.
fn in_flight(seen: &Answers, at: Duration) -> usize {
    let answers = seen.came.iter().zip(&seen.latencies);
    answers
        .filter(|(came, took)| **came > at && came.saturating_sub(**took) <= at)
        .count()
}

/// When no more than the usual number had no answer; looked at ten times a second.
fn gone(seen: &Answers, mut from: Duration, usual: usize) -> Duration {
    while in_flight(seen, from) > usual {
        from += WINDOW / 5;
    }
    from
}

/// The p99 of what was due in each window, milliseconds.
fn windows(seen: &Answers, from: Duration, to: Duration) -> Vec<f64> {
    let count = (to.saturating_sub(from).as_secs_f64() / WINDOW.as_secs_f64()) as usize;
    let mut windows = vec![Vec::new(); count];
    for (came, took) in seen.came.iter().zip(&seen.latencies) {
        let due = came.saturating_sub(*took);
        if due >= from {
            let at = (due.saturating_sub(from).as_secs_f64() / WINDOW.as_secs_f64()) as usize;
            if let Some(window) = windows.get_mut(at) {
                window.push(*took);
            }
        }
    }
    let p99 = |window: Vec<Duration>| parts_us(window, [0.99])[0] / 1e3;
    windows.into_iter().map(p99).collect()
}

async fn make(url: &str) -> Context {
    let client = async_nats::ConnectOptions::new().connect(url).await;
    let streams = jetstream::new(client.unwrap());
    for (name, subject) in [("BURST", "burst.in"), ("BURST_OUT", "burst.out")] {
        let config = stream::Config {
            name: name.into(),
            subjects: vec![subject.into()],
            // As long as a message may be delivered again: 30 s, five times.
            duplicate_window: Duration::from_secs(150),
            ..stream::Config::default()
        };
        streams.create_stream(config).await.unwrap();
    }
    let consumer = pull::Config {
        durable_name: Some("burst".into()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(30),
        max_ack_pending: 100_000,
        ..pull::Config::default()
    };
    let made = streams.create_consumer_on_stream(consumer, "BURST").await;
    made.unwrap();
    streams
}

async fn messages_in(streams: &Context, name: &str) -> u64 {
    let mut stream = streams.get_stream(name).await.unwrap();
    stream.info().await.unwrap().state.messages
}

fn forebay(server: &Server) -> Target {
    let file = server.dir.join("slow.onnx");
    let mut widths = vec![FEATURES];
    widths.extend([WIDTH; LAYERS]);
    widths.push(1);
    graph::write(&shapes::mlp(&widths), &file).unwrap();
    let url = server.url();
    let pipeline = format!(
        "name: burst\nsource:\n  jetstream: {{ url: \"{url}\", stream: BURST, consumer: burst }}\n{}models:\n  slow: {{ path: \"{}\", workers: 1 }}\nsteps:\n  - model: slow\n    inputs: {{ x: [{}] }}\nencode:\n  json: {{ pass: [id] }}\nsink:\n  jetstream: {{ url: \"{url}\", subject: burst.out }}\n",
        row_fields(),
        file.display(),
        row_names(),
    );
    Target::forebay(server, &[pipeline], ["burst.in", "burst.out"])
}
