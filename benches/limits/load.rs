//! The sender in a process of its own, as real senders are.

use std::{process::Command, sync::Arc, time::Duration};

use crate::{
    rows,
    shapes::{MINILM, Random},
    support::Server,
    targets::Target,
    wire::{FIRST_NUMBER, Messages, Seen, Wire, parts_us},
};

/// Tokens in each text for the encoder.
pub(crate) const TOKENS: usize = 64;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 30 numbers as a JSON object.
    Rows,
    /// The ids of 64 tokens and their mask, as JSON.
    Tokens,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Rows, Self::Tokens];

    fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Tokens => "tokens",
        }
    }

    /// Numbered payloads, to be sent again and again.
    fn payloads(self) -> Vec<Vec<u8>> {
        match self {
            Self::Rows => rows::numbered(),
            Self::Tokens => {
                let mut random = Random::new(3);
                let mask = vec!["1"; TOKENS].join(",");
                let text = |_| {
                    let ids = (0..TOKENS).map(|_| random.below(MINILM.words).to_string());
                    let ids = ids.collect::<Vec<_>>().join(",");
                    format!(
                        "{{\"id\":{FIRST_NUMBER},\"input_ids\":[{ids}],\"attention_mask\":[{mask}]}}"
                    )
                };
                (0..64).map(text).map(String::into_bytes).collect()
            }
        }
    }
}

/// From where to where, and what.
pub(crate) struct Sending {
    url: String,
    inputs: Vec<String>,
    output: String,
    kind: Kind,
}

/// What a run saw; times in microseconds.
pub(crate) struct Ran {
    pub(crate) messages: f64,
    pub(crate) per_second: f64,
    /// Without the beginning and the end of the run.
    pub(crate) per_second_amid: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// 99 of 100 messages went out no later than this behind their time.
    pub(crate) late_p99: f64,
}

impl Sending {
    pub(crate) fn to(server: &Server, target: &Target, kind: Kind) -> Self {
        Self::over(server, vec![target.input.clone()], &target.output, kind)
    }

    /// To several subjects in turns, which are equally long.
    pub(crate) fn over(server: &Server, inputs: Vec<String>, output: &str, kind: Kind) -> Self {
        Self {
            url: server.url(),
            inputs,
            output: output.to_owned(),
            kind,
        }
    }

    /// As fast as it goes with so many in flight.
    pub(crate) fn flood(&self, in_flight: usize, time: Duration) -> Ran {
        self.run(in_flight, time, None)
    }

    /// So many in a second, by a timetable.
    pub(crate) fn at(&self, rate: f64, time: Duration) -> Ran {
        self.run(0, time, Some(rate))
    }

    fn run(&self, in_flight: usize, time: Duration, rate: Option<f64>) -> Ran {
        let inputs = self.inputs.join(",");
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["load", &self.url, &inputs, &self.output, self.kind.name()])
            .args([in_flight.to_string(), time.as_millis().to_string()])
            .args(rate.map(|rate| rate.to_string()))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&child.stdout);
        let numbers: Vec<f64> = text
            .split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect();
        let [
            messages,
            per_second,
            per_second_amid,
            p50,
            p90,
            p99,
            p999,
            late_p99,
        ] = numbers[..]
        else {
            panic!(
                "the load generator failed: {}",
                String::from_utf8_lossy(&child.stderr)
            );
        };
        Ran {
            messages,
            per_second,
            per_second_amid,
            p50,
            p90,
            p99,
            p999,
            late_p99,
        }
    }
}

/// Messages to one subject before it is the next one's turn.
const RUN: usize = 64;

/// In the process that [`Sending`] started.
pub(crate) fn main(args: &[String]) {
    let inputs: Vec<&str> = args[1].split(',').collect();
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == args[3]);
    let mut payloads = kind.unwrap().payloads();
    if inputs.len() > 1 {
        payloads.truncate(RUN);
    }
    let messages = Messages::over(&inputs, &payloads, true);
    let in_flight: usize = args[4].parse().unwrap();
    let time = Duration::from_millis(args[5].parse().unwrap());
    let mut wire = Wire::connect(&args[0], &args[2]);
    let seen = match args.get(6) {
        None => wire.flood(&messages, in_flight, time),
        Some(rate) => wire.at_a_rate(&Arc::new(messages), rate.parse().unwrap(), time),
    };
    let amid = amid(&seen, time);
    let (count, seconds) = (seen.latencies.len(), seen.seconds);
    let [p50, p90, p99, p999] = parts_us(seen.latencies, [0.5, 0.9, 0.99, 0.999]);
    let [late] = parts_us(seen.late, [0.99]);
    println!(
        "{count} {} {amid} {p50} {p90} {p99} {p999} {late}",
        count as f64 / seconds
    );
}

/// Answers in a second, without the beginning and the end: from what came when a fifth of the time was over to what came
/// last within it. Answers of a batch come together, and only whole batches are counted.
fn amid(seen: &Seen, time: Duration) -> f64 {
    let came = seen.came.iter().copied();
    let amid: Vec<Duration> = came.filter(|at| *at > time / 5 && *at <= time).collect();
    let [Some(first), Some(last)] = [amid.iter().min(), amid.iter().max()] else {
        return 0.0;
    };
    let together = *first + Duration::from_millis(1);
    let counted = amid.iter().filter(|at| **at > together).count();
    counted as f64 / last.saturating_sub(*first).as_secs_f64()
}
