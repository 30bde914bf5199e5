//! The load generator: keeps a window of messages in flight and counts what comes back.

use std::{process::Command, time::Duration};

use bytes::Bytes;

use crate::{
    rows::{FEATURES, objects},
    wire::{Messages, Wire},
};

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
    /// The bytes of an answer.
    pub(crate) fn answer_bytes(&self) -> usize {
        let messages = Messages::new(&self.input, &self.payload.all(), false);
        let answers = Wire::connect(&self.url, &self.output).one_by_one(&messages, 1);
        answers[0].len()
    }

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
    let messages = Messages::new(&args[1], &payload.all(), false);
    let mut seen = Wire::connect(&args[0], &args[2]).flood(&messages, window, time);
    seen.latencies.sort_unstable();
    let at = |part: f64| {
        let index = ((seen.latencies.len() - 1) as f64 * part) as usize;
        seen.latencies[index].as_secs_f64() * 1e6
    };
    let received = seen.latencies.len();
    println!(
        "{received} {} {} {}",
        received as f64 / seen.seconds,
        at(0.5),
        at(0.99)
    );
}

/// 30 features as JSON, numbers as Python prints them.
fn rows() -> Vec<Bytes> {
    objects().into_iter().map(Bytes::from).collect()
}
