//! The whole pipeline against the bare broker and against a loop written by hand, in one run on one machine.
//!
//! `cargo bench --bench end_to_end` starts a nats-server, and then measures in turns, several rounds each: a bare
//! async-nats echo, a hand-written single-threaded loop (async-nats, serde, ort), and the release binary of forebay, with
//! a small MLP on 30-feature JSON rows; then forebay and a bare reader with 64 rows in each message, beside decoding and
//! ONNX Runtime alone; then what it takes while nothing comes. All are processes of their own; so is the load generator, and
//! it is the same for all. Absolute figures depend on the machine; the ratios are what counts. It prints Markdown.
//!
//! `-- --quick` takes one short round; `-- --lists` only the messages with many rows; `-- --soak 5000000` sends that many
//! messages and prints the resident memory of forebay on the way.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark prints, and stops at the first thing that goes wrong"
)]

mod alone;
#[path = "../support/by_hand.rs"]
mod by_hand;
mod jobs;
mod load;
#[allow(dead_code, reason = "shared with other benchmarks")]
#[path = "../support/rows.rs"]
mod rows;
#[allow(dead_code, reason = "shared with other benchmarks")]
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "shared with other benchmarks")]
#[path = "../support/targets.rs"]
mod targets;
#[allow(dead_code, reason = "shared with other benchmarks")]
#[path = "../support/wire.rs"]
mod wire;

use std::time::{Duration, Instant};

use jobs::{Job, forebay};
use load::{Load, Payload};
use support::{Server, broker, machine, median, processor_seconds, spread};
use targets::Target;

const WINDOW: usize = 4096;
/// In flight where a message has many rows.
const WINDOW_OF_LISTS: usize = 128;
/// Pipelines that do nothing.
const IDLE: usize = 24;

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    match args.first().map(String::as_str) {
        Some("echo") => targets::echo(&args[1], &args[2], &args[3], None),
        Some("reader") => targets::echo(&args[1], &args[2], &args[3], args[4].parse().ok()),
        Some("by_hand") => by_hand::main(&args[1], &args[2], &args[3]),
        Some("load") => load::main(&args[1..]),
        Some("--soak") => soak(
            args.get(1)
                .and_then(|n| n.parse().ok())
                .unwrap_or(5_000_000),
        ),
        Some("--lists") => {
            println!("{}; {}", machine(), broker());
            many_rows(&Server::start(&[]), 7, Duration::from_secs(2));
        }
        Some("--quick") => all(1, Duration::from_secs(2)),
        _ => all(7, Duration::from_secs(4)),
    }
}

fn all(rounds: usize, time: Duration) {
    println!("{}; {}", machine(), broker());
    println!(
        "{rounds} rounds of {time:?}; broker, load generator and target share the machine; median (lowest to highest)\n"
    );
    let server = Server::start(&[]);
    one_row(&server, rounds, time);
    many_rows(&server, rounds, time);
    idle(&server);
}

/// One measurement of one target.
struct Measured {
    messages_per_second: f64,
    /// Of the target; microseconds of processor time for each message of the flood.
    processor_us: f64,
    p50_us: f64,
    p99_us: f64,
}

fn measure(server: &Server, target: &Target, time: Duration) -> Measured {
    let flood = flood(server, target, Payload::Row, time);
    let alone = load(server, target, Payload::Row).run(1, time / 2);
    Measured {
        p50_us: alone.p50_us,
        p99_us: alone.p99_us,
        ..flood
    }
}

/// Only the flood, whose times say how long its window is.
fn flood(server: &Server, target: &Target, payload: Payload, time: Duration) -> Measured {
    let window = match payload {
        Payload::Row => WINDOW,
        Payload::List | Payload::Tensor => WINDOW_OF_LISTS,
    };
    let load = load(server, target, payload);
    // Warm: connections, caches, the clock of the processor.
    load.run(window, Duration::from_millis(500));
    let before = processor_seconds(target.id());
    let ran = load.run(window, time);
    let used = processor_seconds(target.id()) - before;
    Measured {
        messages_per_second: ran.messages_per_second,
        processor_us: used * 1e6 / ran.messages as f64,
        p50_us: ran.p50_us,
        p99_us: ran.p99_us,
    }
}

fn load(server: &Server, target: &Target, payload: Payload) -> Load {
    Load {
        url: server.url(),
        input: target.input.clone(),
        output: target.output.clone(),
        payload,
    }
}

/// JSON rows, one in a message.
fn one_row(server: &Server, rounds: usize, time: Duration) {
    let targets = [
        ("bare echo", Target::echo(server)),
        ("loop by hand", Target::by_hand(server)),
        ("forebay", forebay(server, Job::Json)),
    ];
    let mut ran: [Vec<Measured>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..rounds {
        // Turns change places, so that a slow minute of the machine does not always hit the same one.
        for turn in 0..3 {
            let at = (round + turn) % 3;
            ran[at].push(measure(server, &targets[at].1, time));
        }
    }
    let resident = targets[2].1.resident_mib();
    println!("A JSON row of 30 numbers in each message, a small MLP, core NATS:\n");
    println!(
        "| | messages/s | of the echo | of the loop | its CPU, µs a message | of the loop's | p50 alone, µs | p99 alone, µs |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    );
    let ratios = |at: usize, to: usize, value: fn(&Measured) -> f64| {
        let pairs = ran[at].iter().zip(&ran[to]);
        spread(
            pairs
                .map(|(own, other)| value(own) / value(other))
                .collect(),
            2,
        )
    };
    for (at, (name, _)) in targets.iter().enumerate() {
        let column = |value: fn(&Measured) -> f64, digits| {
            spread(ran[at].iter().map(value).collect(), digits)
        };
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} |",
            column(|ran| ran.messages_per_second, 0),
            ratios(at, 0, |ran| ran.messages_per_second),
            ratios(at, 1, |ran| ran.messages_per_second),
            column(|ran| ran.processor_us, 2),
            ratios(at, 1, |ran| ran.processor_us),
            column(|ran| ran.p50_us, 0),
            column(|ran| ran.p99_us, 0),
        );
    }
    let best = alone::runtime();
    let mut gaps: Vec<f64> = (ran[2].iter().zip(&ran[0]))
        .map(|(own, echo)| own.p50_us - echo.p50_us - best.one_row_us)
        .collect();
    println!(
        "\nONNX Runtime alone, one thread: {:.0} rows/s at batch {}; {:.1} µs for one row.",
        best.rows_per_second, best.batch, best.one_row_us
    );
    println!(
        "One message in flight: forebay's p50 is the echo's and the model's and {:.0} µs (median of the rounds).",
        median(&mut gaps)
    );
    println!("Resident memory of forebay after the floods: {resident:.0} MiB.\n");
}

/// 64 rows in a message, beside what decoding and the model alone take on one thread. On cores that broker and load
/// generator share, the bytes must be moved besides: so also beside 1 / (1 / reader + 1 / both alone on all cores), where the
/// reader answers each message with as many bytes as forebay does, and looks at none.
fn many_rows(server: &Server, rounds: usize, time: Duration) {
    println!("64 rows in each message:\n");
    println!(
        "| | rows/s | decoding and ONNX Runtime alone, one thread | of that | bare reader of such messages, rows/s | the machine's limit | of that | its CPU, µs a row | the reader's |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    for (name, job, payload) in [
        ("JSON lists", Job::Json, Payload::List),
        ("raw tensors", Job::Tensor, Payload::Tensor),
    ] {
        let own = forebay(server, job);
        let answer = load(server, &own, payload).answer_bytes();
        let targets = [own, Target::reader(server, answer)];
        let mut ran: [Vec<Measured>; 2] = [vec![], vec![]];
        let mut limits = Vec::new();
        for round in 0..rounds {
            for turn in 0..2 {
                let at = (round + turn) % 2;
                ran[at].push(flood(server, &targets[at], payload, time));
            }
            let alone = alone::decoding(payload) + 1.0 / alone::runtime().rows_per_second;
            limits.push(1.0 / alone);
        }
        let rows = payload.rows() as f64;
        let rates = |at: usize| {
            ran[at]
                .iter()
                .map(move |one| one.messages_per_second * rows)
        };
        let used = |at: usize| ran[at].iter().map(move |one| one.processor_us / rows);
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let bounds = (rates(1).zip(&limits))
            .map(|(reader, alone)| 1.0 / (1.0 / reader + 1.0 / (cores * alone)))
            .collect::<Vec<_>>();
        let of = |others: &[f64]| {
            let pairs = rates(0).zip(others);
            spread(pairs.map(|(own, other)| own / other).collect(), 2)
        };
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
            spread(rates(0).collect(), 0),
            spread(limits.clone(), 0),
            of(&limits),
            spread(rates(1).collect(), 0),
            spread(bounds.clone(), 0),
            of(&bounds),
            spread(used(0).collect(), 2),
            spread(used(1).collect(), 2),
        );
    }
    println!();
}

/// What forebay takes while nothing comes.
fn idle(server: &Server) {
    const WATCHED: Duration = Duration::from_secs(5);
    println!("While nothing comes:\n\n| | of a core | resident, MiB |\n|---|--:|--:|");
    for (name, job) in [
        ("one pipeline", Job::Json),
        ("24 pipelines in one process", Job::Many(IDLE)),
    ] {
        let target = forebay(server, job);
        std::thread::sleep(Duration::from_secs(1));
        let (before, start) = (processor_seconds(target.id()), Instant::now());
        std::thread::sleep(WATCHED);
        let used = processor_seconds(target.id()) - before;
        println!(
            "| {name} | {:.1} % | {:.0} |",
            used / start.elapsed().as_secs_f64() * 100.0,
            target.resident_mib()
        );
    }
}

fn soak(messages: u64) {
    let server = Server::start(&[]);
    let target = forebay(&server, Job::Json);
    println!("{}", machine());
    let load = load(&server, &target, Payload::Row);
    let (mut sent, mut sizes) = (0, Vec::new());
    while sent < messages {
        let ran = load.run(WINDOW, Duration::from_secs(5));
        sent += ran.messages;
        let size = target.resident_mib();
        sizes.push(size);
        println!(
            "{sent:>10} messages  {:>8.0} msg/s  resident {size:.1} MiB",
            ran.messages_per_second
        );
    }
    let first = sizes.get(1).copied().unwrap_or_default();
    let last = sizes.last().copied().unwrap_or_default();
    println!(
        "resident memory after the second round and at the end: {first:.1} and {last:.1} MiB ({:+.1} %)",
        (last / first - 1.0) * 100.0
    );
}
