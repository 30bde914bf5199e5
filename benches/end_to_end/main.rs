//! The whole pipeline against the bare broker, in one run on one machine.
//!
//! `cargo bench --bench end_to_end` starts a nats-server, and then measures in turns, several
//! rounds each: a bare async-nats echo, and the release binary of forebay with a small MLP on
//! 30-feature JSON rows. Both are processes of their own; so is the load generator, and it is the
//! same for both. ONNX Runtime alone at its best batch is measured once. Absolute figures depend
//! on the machine; the ratios are what counts.
//!
//! `-- --quick` takes one short round; `-- --soak 5000000` sends that many messages and prints the
//! resident memory of forebay on the way.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark prints, and stops at the first thing that goes wrong"
)]

mod load;
mod peers;
#[allow(dead_code, reason = "shared with another benchmark")]
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use load::Load;
use peers::Target;
use support::{Server, machine, median};

const WINDOW: usize = 4096;

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    match args.first().map(String::as_str) {
        Some("echo") => peers::echo(&args[1], &args[2], &args[3]),
        Some("load") => load::main(&args[1..]),
        Some("--soak") => soak(
            args.get(1)
                .and_then(|n| n.parse().ok())
                .unwrap_or(5_000_000),
        ),
        Some("--quick") => compare(1, Duration::from_secs(2)),
        _ => compare(5, Duration::from_secs(4)),
    }
}

/// One measurement of one target.
struct Measured {
    messages_per_second: f64,
    p50_us: f64,
    p99_us: f64,
}

fn measure(server: &Server, target: &Target, time: Duration) -> Measured {
    let load = Load {
        url: server.url(),
        input: target.input.clone(),
        output: target.output.clone(),
    };
    // Warm: connections, caches, the clock of the processor.
    load.run(WINDOW, Duration::from_millis(500));
    let flood = load.run(WINDOW, time);
    let alone = load.run(1, time / 2);
    Measured {
        messages_per_second: flood.messages_per_second,
        p50_us: alone.p50_us,
        p99_us: alone.p99_us,
    }
}

fn compare(rounds: usize, time: Duration) {
    let server = Server::start(&[]);
    let echo = Target::echo(&server);
    let forebay = Target::forebay(&server);
    println!("{}", machine());
    println!(
        "{rounds} rounds of {time:?}, window {WINDOW}; broker, load generator and target share the machine\n"
    );
    println!(
        "round    echo msg/s  forebay msg/s  ratio   echo p50 µs  forebay p50 µs  (one message in flight)"
    );
    let (mut ratios, mut gaps) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        // Turns change places, so that a slow minute of the machine does not always hit the same one.
        let (e, f) = if round % 2 == 1 {
            let e = measure(&server, &echo, time);
            (e, measure(&server, &forebay, time))
        } else {
            let f = measure(&server, &forebay, time);
            (measure(&server, &echo, time), f)
        };
        let ratio = f.messages_per_second / e.messages_per_second;
        println!(
            "{round:>5} {:>13.0} {:>14.0} {ratio:>6.3} {:>13.0} {:>15.0}   p99 {:.0} / {:.0}",
            e.messages_per_second, f.messages_per_second, e.p50_us, f.p50_us, e.p99_us, f.p99_us
        );
        ratios.push(ratio);
        gaps.push(f.p50_us - e.p50_us);
    }
    let best = peers::runtime_alone();
    println!(
        "\nONNX Runtime alone, one thread: {:.0} rows/s at batch {}; {:.1} µs for one row",
        best.rows_per_second, best.batch, best.one_row_us
    );
    let (ratio, gap) = (median(&mut ratios), median(&mut gaps));
    println!("throughput: {ratio:.3} of the echo (median; ≥ 0.60 wanted)");
    println!(
        "latency alone: echo p50 + {gap:.0} µs (median; ≤ inference {:.0} + 120 µs wanted)",
        best.one_row_us
    );
}

fn soak(messages: u64) {
    let server = Server::start(&[]);
    let forebay = Target::forebay(&server);
    println!("{}", machine());
    let load = Load {
        url: server.url(),
        input: forebay.input.clone(),
        output: forebay.output.clone(),
    };
    let (mut sent, mut sizes) = (0, Vec::new());
    while sent < messages {
        let ran = load.run(WINDOW, Duration::from_secs(5));
        sent += ran.messages;
        let size = forebay.resident_mib();
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
