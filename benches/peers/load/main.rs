//! The load generator of `make bench-peers`: the same rows to whatever answers them, over NATS or
//! HTTP, with a number in flight or at a rate. `benches/peers/run.py` calls it; each call is a
//! process of its own and prints one line of JSON.
//!
//! ```text
//! rows COUNT                  prints the first rows, as JSON
//! check TARGET COUNT          one row after another; prints what came back, in hexadecimal
//! flood TARGET IN_FLIGHT MS   as fast as it goes with so many in flight
//! open  TARGET IN_FLIGHT MS RATE   so many in a second, whatever comes back
//!
//! TARGET is `nats URL INPUT OUTPUT` or `http HOST:PORT PATH FORM`
//! ```
//!
//! At a rate, each message has a time at which it should be sent, and its latency counts from
//! then, also where it had to wait for its turn: a slow answer delays no measurement.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark prints, and stops at the first thing that goes wrong"
)]

mod http;
mod requests;
#[path = "../../support/rows.rs"]
mod rows;
mod ticks;
#[allow(dead_code, reason = "shared with other benchmarks")]
#[path = "../../support/wire.rs"]
mod wire;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use requests::Form;
use wire::{Messages, Seen, Wire};

/// What is asked of a run.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// The most that may be without an answer. NATS at a rate knows no limit.
    pub(crate) in_flight: usize,
    pub(crate) time: Duration,
    /// Messages in a second; none is as fast as it goes.
    pub(crate) rate: Option<f64>,
}

impl Load {
    /// When the message with this number should go out.
    pub(crate) fn due(&self, start: Instant, number: u64) -> Option<Instant> {
        let rate = self.rate?;
        Some(start + Duration::from_secs_f64(number as f64 / rate))
    }

    /// How many messages there are at a rate.
    pub(crate) fn all(&self) -> Option<u64> {
        Some((self.rate? * self.time.as_secs_f64()) as u64)
    }
}

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let Some((mode, rest)) = args.split_first() else {
        println!("other programs beside forebay: `make bench-peers`");
        return;
    };
    if mode == "rows" {
        for row in rows::objects().iter().take(rest[0].parse().unwrap()) {
            println!("{}", String::from_utf8_lossy(row));
        }
        return;
    }
    let target = match rest[0].as_str() {
        "nats" => Target::Nats(rest[1].clone(), rest[2].clone(), rest[3].clone()),
        "http" => Target::Http(rest[1].clone(), rest[2].clone(), Form::of(&rest[3])),
        other => panic!("`{other}` is neither nats nor http"),
    };
    let numbers: Vec<f64> = rest[4..].iter().map(|n| n.parse().unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if mode == "check" {
        for answer in runtime.block_on(target.check(numbers[0] as usize)) {
            let hex: Vec<String> = answer.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("{}", hex.concat());
        }
        return;
    }
    let load = Load {
        in_flight: numbers[0] as usize,
        time: Duration::from_millis(numbers[1] as u64),
        rate: (mode == "open").then(|| numbers[2]),
    };
    report(runtime.block_on(target.run(load)));
}

enum Target {
    Nats(String, String, String),
    Http(String, String, Form),
}

impl Target {
    async fn check(&self, count: usize) -> Vec<Vec<u8>> {
        match self {
            Self::Nats(url, input, output) => {
                let messages = Messages::new(input, &rows::numbered(), true);
                Wire::connect(url, output).one_by_one(&messages, count)
            }
            Self::Http(address, path, form) => http::check(address, path, *form, count).await,
        }
    }

    async fn run(&self, load: Load) -> Seen {
        match self {
            Self::Nats(url, input, output) => {
                let messages = Messages::new(input, &rows::numbered(), true);
                let mut wire = Wire::connect(url, output);
                match load.rate {
                    None => wire.flood(&messages, load.in_flight, load.time),
                    Some(rate) => wire.at_a_rate(&Arc::new(messages), rate, load.time),
                }
            }
            Self::Http(address, path, form) => http::run(address, path, *form, load).await,
        }
    }
}

fn report(mut seen: Seen) {
    let messages = seen.latencies.len();
    assert!(messages > 0, "nothing came back");
    seen.latencies.sort_unstable();
    let at = |part: f64| {
        let index = ((messages - 1) as f64 * part) as usize;
        seen.latencies[index].as_secs_f64() * 1e6
    };
    println!(
        "{{\"messages\": {messages}, \"per_second\": {:.1}, \"p50_us\": {:.1}, \"p99_us\": {:.1}, \"max_us\": {:.1}}}",
        messages as f64 / seen.seconds,
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
