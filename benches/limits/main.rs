//! How near forebay comes to what bounds it, each as a ratio measured in one run on one machine.
//!
//! `cargo bench --bench limits` starts a nats-server, and the release binary of forebay in processes of its own, and
//! prints Markdown. `-- PART` runs one part:
//!
//! | part | measures |
//! |---|---|
//! | `trees` | boosted trees on JSON rows, beside a bare echo and ONNX Runtime on all cores |
//! | `encoder` | a text encoder, beside ONNX Runtime at its best batch on all cores |
//! | `steady` | latency at 70 % of the most that each carries: echo, loop by hand, forebay |
//! | `burst` | `JetStream`: ten times the capacity for five seconds |
//! | `many` | 24 pipelines in one process, beside one |
//! | `pending` | processor time of a row, by the rows that wait and by columns; writes docs/limits.svg |
//!
//! `-- --quick` takes one short round. It exits with 1 where a message is lost, memory grows without bound, or the time of
//! a row is not flat or not linear; ratios are only printed, for they depend on what else the machine does.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a benchmark prints, and stops at the first thing that goes wrong"
)]

mod burst;
#[path = "../support/by_hand.rs"]
mod by_hand;
mod encoder;
mod load;
mod many;
mod pending;
mod plot;
#[allow(dead_code, reason = "shared with other benchmarks")]
#[path = "../support/rows.rs"]
mod rows;
mod runtime;
#[allow(dead_code, reason = "shared with other benchmarks")]
#[path = "../support/shapes.rs"]
mod shapes;
mod steady;
#[allow(dead_code, reason = "shared with other benchmarks")]
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "shared with other benchmarks")]
#[path = "../support/targets.rs"]
mod targets;
mod trees;
mod walked;
mod watch;
#[allow(dead_code, reason = "shared with other benchmarks")]
#[path = "../support/wire.rs"]
mod wire;

use std::{process::ExitCode, time::Duration};

use support::{Server, broker, machine, median, spread};

/// How long things are measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// Of one flood.
    pub(crate) time: Duration,
    pub(crate) quick: bool,
}

/// What a part found, for the table at the end.
pub(crate) struct Finding {
    pub(crate) what: String,
    pub(crate) found: String,
    pub(crate) wanted: &'static str,
    pub(crate) holds: bool,
    /// Where it does not hold, the machine is no excuse.
    pub(crate) must: bool,
}

impl Finding {
    /// A ratio of each round, whose median should be no less than this.
    pub(crate) fn at_least(
        what: &str,
        mut ratios: Vec<f64>,
        least: f64,
        wanted: &'static str,
    ) -> Self {
        Self {
            what: what.to_owned(),
            found: spread(ratios.clone(), 2),
            wanted,
            holds: median(&mut ratios) >= least,
            must: false,
        }
    }
}

type Part = fn(&Server, Plan) -> Vec<Finding>;

const PARTS: [(&str, Part); 6] = [
    ("trees", trees::run),
    ("encoder", encoder::run),
    ("steady", steady::run),
    ("burst", burst::run),
    ("many", many::run),
    ("pending", pending::run),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    match args.first().map(String::as_str) {
        Some("echo") => targets::echo(&args[1], &args[2], &args[3], None),
        Some("by_hand") => by_hand::main(&args[1], &args[2], &args[3]),
        Some("load") => load::main(&args[1..]),
        _ => return measure(&args),
    }
    ExitCode::SUCCESS
}

fn measure(args: &[String]) -> ExitCode {
    let quick = args.iter().any(|arg| arg == "--quick");
    let wanted: Vec<&String> = args.iter().filter(|arg| *arg != "--quick").collect();
    let unknown = wanted
        .iter()
        .find(|arg| !PARTS.iter().any(|(name, _)| name == *arg));
    if let Some(unknown) = unknown {
        println!(
            "there is no part `{unknown}`; the parts are {}",
            PARTS.map(|(name, _)| name).join(", ")
        );
        return ExitCode::FAILURE;
    }
    let plan = if quick {
        Plan {
            rounds: 1,
            time: Duration::from_secs(1),
            quick,
        }
    } else {
        Plan {
            rounds: 5,
            time: Duration::from_secs(2),
            quick,
        }
    };
    println!("{}; {}", machine(), broker());
    println!(
        "Broker, sender and target share the machine; median of {} rounds (lowest to highest).\n",
        plan.rounds
    );
    let mut findings = Vec::new();
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|one| *one == name) {
            // One of its own for each part: what a part leaves behind slows down none.
            findings.extend(part(&Server::start(&["-js"]), plan));
        }
    }
    println!("| | found | wanted | |\n|---|--:|--:|---|");
    for finding in &findings {
        let holds = if finding.holds { "holds" } else { "**missed**" };
        println!(
            "| {} | {} | {} | {holds} |",
            finding.what, finding.found, finding.wanted
        );
    }
    if findings
        .iter()
        .all(|finding| finding.holds || !finding.must)
    {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
