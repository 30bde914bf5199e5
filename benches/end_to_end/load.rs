//! The load generator: keeps a window of messages in flight and counts what comes back.

use std::{
    collections::VecDeque,
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};

use crate::peers::FEATURES;

/// Rows in a message that has many.
pub(crate) const LIST: usize = 64;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    /// A JSON object.
    Row,
    /// A JSON list of 64 such objects.
    List,
    /// 64 rows as a raw tensor.
    Tensor,
}

impl Payload {
    const ALL: [Self; 3] = [Self::Row, Self::List, Self::Tensor];

    fn name(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::List => "list",
            Self::Tensor => "tensor",
        }
    }

    /// Rows in one message.
    pub(crate) fn rows(self) -> usize {
        if self == Self::Row { 1 } else { LIST }
    }

    /// Messages to be sent in turns.
    pub(crate) fn all(self) -> Vec<Bytes> {
        match self {
            Self::Row => rows(),
            Self::List => (rows().chunks_exact(LIST))
                .map(|rows| {
                    let mut list = b"[".to_vec();
                    list.extend(rows.join(&b","[..]));
                    list.push(b']');
                    list.into()
                })
                .collect(),
            Self::Tensor => {
                let values = (0..15 * LIST * FEATURES).map(|n| (n % 17) as f32 / 9.0 - 1.0);
                let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
                let of_one = bytes.chunks_exact(LIST * FEATURES * size_of::<f32>());
                of_one.map(Bytes::copy_from_slice).collect()
            }
        }
    }
}

/// Where to send, and where results come.
pub(crate) struct Load {
    pub(crate) url: String,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) payload: Payload,
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
            .arg(self.payload.name())
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
    let payload = Payload::ALL
        .into_iter()
        .find(|payload| payload.name() == args[5])
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ran = runtime.block_on(generate(
        &args[0],
        [&args[1], &args[2]],
        payload,
        window,
        time,
    ));
    println!(
        "{} {} {} {}",
        ran.messages, ran.messages_per_second, ran.p50_us, ran.p99_us
    );
}

async fn generate(
    url: &str,
    [input, output]: [&str; 2],
    payload: Payload,
    window: usize,
    time: Duration,
) -> Ran {
    let client = async_nats::ConnectOptions::new()
        .subscription_capacity(1 << 20)
        .connect(url)
        .await
        .unwrap();
    let mut results = client.subscribe(output.to_owned()).await.unwrap();
    client.flush().await.unwrap();
    let rows = payload.all();
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
            let fields: Vec<String> = (0..FEATURES)
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
