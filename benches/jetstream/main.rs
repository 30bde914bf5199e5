//! From stream to stream: the whole pipeline beside a bare loop, in one run on one machine.
//!
//! `cargo bench --bench jetstream` starts a nats-server with JetStream, fills a stream, and has in
//! turns, several rounds each, every message pulled, answered with a result that has a message id,
//! and acknowledged once the result is stored: by a loop on async-nats' own JetStream API, by a loop
//! written by hand on core NATS, and by the release binary of forebay with a tiny model. The time is
//! what the output stream says that lies between its first and its last message, so nobody reads
//! along. Then the same with many records in a message, and with allocations counted.
//!
//! `-- --quick` takes one short round.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at the first thing that goes wrong"
)]

mod allocations;
mod bare;
mod sides;
mod streams;
#[allow(dead_code, reason = "shared with another benchmark")]
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use sides::{Job, Running, Side};
use streams::{ROW_BYTES, SUBJECT, Streams};
use support::{Server, broker, machine, median, processor_seconds, spread};

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let (rounds, messages) = match args.first().map(String::as_str) {
        Some("side") => return sides::main(&args[1..]),
        Some("--quick") => (1, 40_000),
        _ => (15, 100_000),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(Bench::run(rounds, messages));
}

/// A stream to work through.
struct Input {
    stream: String,
    messages: u64,
    records: usize,
}

/// What one run took.
struct Ran {
    per_second: f64,
    /// Of the one who worked; microseconds of processor time for each message.
    client_us: f64,
    server_us: f64,
    allocations: f64,
    result_bytes: usize,
}

/// How far a run has come, and what was used until then.
struct Mark {
    messages: u64,
    client: f64,
    server: f64,
    allocations: u64,
}

struct Bench {
    server: Server,
    streams: Streams,
    runs: usize,
}

impl Bench {
    async fn run(rounds: usize, messages: usize) {
        let server = Server::start(&["-js"]);
        let streams = Streams::connect(&server.url()).await;
        let mut bench = Self {
            server,
            streams,
            runs: 0,
        };
        println!(
            "{}; {}, async-nats {}\n",
            machine(),
            broker(),
            client_version()
        );
        let one = bench.input(1, messages).await;
        bench.compare(rounds, &one).await;
        let inputs = [
            one,
            bench.input(16, messages / 4).await,
            bench.input(128, messages / 10).await,
        ];
        bench.records(rounds.min(3), &inputs).await;
    }

    async fn input(&self, records: usize, messages: usize) -> Input {
        let stream = format!("IN{records}");
        let payloads = streams::payloads(records, messages);
        self.streams.fill(&stream, payloads).await;
        Input {
            stream,
            messages: messages as u64,
            records,
        }
    }

    async fn compare(&mut self, rounds: usize, input: &Input) {
        // Warm: the broker's caches, the clock of the processor.
        self.measure(Side::Api, input, false).await;
        let mut ran: [Vec<Ran>; 3] = [Vec::new(), Vec::new(), Vec::new()];
        for round in 0..rounds {
            // Turns change places, so that a slow minute of the machine does not always hit the same one.
            for turn in 0..3 {
                let at = (round + turn) % 3;
                ran[at].push(self.measure(Side::ALL[at], input, false).await);
            }
        }
        println!(
            "{} messages of {ROW_BYTES} bytes, {rounds} rounds; median (lowest to highest)\n",
            input.messages
        );
        println!(
            "| | messages/s | of the API loop | its CPU, µs a message | the broker's | allocations a message |\n|---|--:|--:|--:|--:|--:|"
        );
        let api: Vec<f64> = ran[0].iter().map(|ran| ran.per_second).collect();
        for (at, side) in Side::ALL.into_iter().enumerate() {
            let counted = self.measure(side, input, true).await;
            let all = |value: fn(&Ran) -> f64| ran[at].iter().map(value).collect::<Vec<_>>();
            let rates = all(|ran| ran.per_second);
            let ratios = rates.iter().zip(&api).map(|(rate, api)| rate / api);
            println!(
                "| {} | {} | {} | {} | {} | {:.1} |",
                side.words(),
                spread(rates.clone(), 0),
                spread(ratios.collect(), 2),
                spread(all(|ran| ran.client_us), 1),
                spread(all(|ran| ran.server_us), 1),
                counted.allocations,
            );
        }
        println!();
    }

    async fn records(&mut self, rounds: usize, inputs: &[Input; 3]) {
        let mut bare: [Vec<Ran>; 3] = [Vec::new(), Vec::new(), Vec::new()];
        let mut ran: [Vec<Ran>; 3] = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (at, input) in inputs.iter().enumerate() {
                bare[at].push(self.measure(Side::Api, input, false).await);
                ran[at].push(self.measure(Side::Forebay, input, false).await);
            }
        }
        println!(
            "| records in a message | records/s | | messages/s | MB/s in | MB/s out | forebay's CPU, µs a record | the broker's | the API loop's messages/s |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
        );
        let mut alone = None;
        for ((input, ran), bare) in inputs.iter().zip(&ran).zip(&bare) {
            let records = input.records as f64;
            let rate = middle(ran, |ran| ran.per_second);
            let alone = *alone.get_or_insert(rate);
            println!(
                "| {} | {:.0} | × {:.1} | {rate:.0} | {:.1} | {:.1} | {:.2} | {:.2} | {:.0} |",
                input.records,
                rate * records,
                rate * records / alone,
                rate * records * ROW_BYTES as f64 / 1e6,
                rate * ran[0].result_bytes as f64 / 1e6,
                middle(ran, |ran| ran.client_us) / records,
                middle(ran, |ran| ran.server_us) / records,
                middle(bare, |ran| ran.per_second),
            );
        }
    }

    /// Has one side work through a stream.
    async fn measure(&mut self, side: Side, input: &Input, counted: bool) -> Ran {
        self.runs += 1;
        let job = Job {
            url: self.server.url(),
            stream: input.stream.clone(),
            consumer: format!("run{}", self.runs),
            subject: SUBJECT.into(),
        };
        self.streams.fresh_output().await;
        self.streams.consumer(&job.stream, &job.consumer).await;
        let mut running = if counted {
            Running::counted(side, &job, &self.server.dir)
        } else {
            Running::start(side, &job, &self.server.dir)
        };
        // What starting and stopping cost is no cost of a message.
        let from = self.mark(&mut running, input.messages / 10, counted).await;
        let to = self
            .mark(&mut running, input.messages / 10 * 9, counted)
            .await;
        let started = Instant::now();
        while self.streams.left(&job.stream, &job.consumer).await > 0 {
            assert!(
                started.elapsed() < Duration::from_mins(1),
                "{} did not acknowledge every message",
                side.words()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let end = self.streams.state().await;
        assert_eq!(end.messages, input.messages, "each result is stored once");
        let result = self.streams.first_result().await;
        if side == Side::Forebay {
            let labels = String::from_utf8_lossy(&result)
                .matches("\"label\"")
                .count();
            assert_eq!(labels, input.records, "a result for each record");
        }
        drop(running);
        self.streams.forget(&job.stream, &job.consumer).await;
        let messages = (to.messages - from.messages) as f64;
        Ran {
            per_second: (end.messages - 1) as f64 / end.seconds,
            client_us: (to.client - from.client) * 1e6 / messages,
            server_us: (to.server - from.server) * 1e6 / messages,
            allocations: (to.allocations - from.allocations) as f64 / messages,
            result_bytes: result.len(),
        }
    }

    /// Waits until that many results are stored.
    async fn mark(&self, running: &mut Running, messages: u64, counted: bool) -> Mark {
        let started = Instant::now();
        loop {
            let state = self.streams.state().await;
            if state.messages >= messages {
                return Mark {
                    messages: state.messages,
                    client: processor_seconds(running.id()),
                    server: processor_seconds(self.server.process.0.id()),
                    allocations: if counted { running.allocations() } else { 0 },
                };
            }
            assert!(
                started.elapsed() < Duration::from_mins(2),
                "only {} of {messages} results after two minutes",
                state.messages
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn middle(all: &[Ran], value: fn(&Ran) -> f64) -> f64 {
    let mut values: Vec<f64> = all.iter().map(value).collect();
    median(&mut values)
}

/// As it stands in the lock file.
fn client_version() -> &'static str {
    include_str!("../../Cargo.lock")
        .split("name = \"async-nats\"\nversion = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_default()
}
