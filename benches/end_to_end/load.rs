//! The load generator: keeps a window of messages in flight and counts what comes back.

use std::{
    collections::VecDeque,
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};

/// Where to send, and where results come.
pub(crate) struct Load {
    pub(crate) url: String,
    pub(crate) input: String,
    pub(crate) output: String,
}

/// What one run saw.
pub(crate) struct Ran {
    pub(crate) messages: u64,
    pub(crate) messages_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Load {
    /// Runs in a process of its own, as real senders do.
    pub(crate) fn run(&self, window: usize, time: Duration) -> Ran {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["load", &self.url, &self.input, &self.output])
            .args([window.to_string(), time.as_millis().to_string()])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<f64> = text
            .split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect();
        assert!(
            numbers.len() == 4,
            "the load generator failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ran {
            messages: numbers[0] as u64,
            messages_per_second: numbers[1],
            p50_us: numbers[2],
            p99_us: numbers[3],
        }
    }
}

pub(crate) fn main(args: &[String]) {
    let window = args[3].parse().unwrap();
    let time = Duration::from_millis(args[4].parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ran = runtime.block_on(generate(&args[0], &args[1], &args[2], window, time));
    println!(
        "{} {} {} {}",
        ran.messages, ran.messages_per_second, ran.p50_us, ran.p99_us
    );
}

async fn generate(url: &str, input: &str, output: &str, window: usize, time: Duration) -> Ran {
    let client = async_nats::ConnectOptions::new()
        .subscription_capacity(1 << 20)
        .connect(url)
        .await
        .unwrap();
    let mut results = client.subscribe(output.to_owned()).await.unwrap();
    client.flush().await.unwrap();
    let rows = rows();
    let (mut sent, mut received) = (0usize, 0u64);
    let mut in_flight = VecDeque::with_capacity(window);
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < time || !in_flight.is_empty() {
        while in_flight.len() < window && start.elapsed() < time {
            in_flight.push_back(Instant::now());
            client
                .publish(input.to_owned(), rows[sent % rows.len()].clone())
                .await
                .unwrap();
            sent += 1;
            if sent.is_multiple_of(64) && results.next().now_or_never().is_some() {
                received += 1;
                times.extend(in_flight.pop_front().map(|since: Instant| since.elapsed()));
            }
        }
        if in_flight.is_empty() {
            break;
        }
        let mut next = tokio::time::timeout(Duration::from_secs(10), results.next())
            .await
            .expect("a result within 10 s: one was lost");
        while next.is_some() {
            received += 1;
            times.extend(in_flight.pop_front().map(|since: Instant| since.elapsed()));
            next = results.next().now_or_never().flatten();
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(sent as u64, received, "as many results as messages");
    times.sort_unstable();
    let at = |part: f64| {
        let index = ((times.len() - 1) as f64 * part) as usize;
        times[index].as_secs_f64() * 1e6
    };
    Ran {
        messages: received,
        messages_per_second: received as f64 / seconds,
        p50_us: at(0.5),
        p99_us: at(0.99),
    }
}

/// 30 features as JSON, numbers as Python prints them.
fn rows() -> Vec<Bytes> {
    let mut state = 42u64;
    (0..997)
        .map(|_| {
            let fields: Vec<String> = (0..30)
                .map(|n| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let value = (state >> 40) as f64 / f64::from(1 << 22) - 2.0;
                    format!("\"f{n}\":{value:.6}")
                })
                .collect();
            Bytes::from(format!("{{{}}}", fields.join(",")))
        })
        .collect()
}
