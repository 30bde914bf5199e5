//! Latency where each gets 70 % of the most that it has just carried, by a timetable. What it carries right afterwards says whether
//! the machine was the same meanwhile: on one that became slower, 70 % may have been nearly all.

use std::time::Duration;

use crate::{
    Finding, Plan,
    load::{Kind, Ran, Sending},
    support::{Server, median, spread},
    targets::{Target, model, row_fields, row_names},
    watch::{Watch, Watched},
};

const IN_FLIGHT: usize = 4096;
const PART: f64 = 0.7;
const WANTED_MS: f64 = 5.0;
/// A turn is measured again where the most afterwards is off by more than this part from what it was before, so many times at most.
const STEADY: f64 = 0.1;
const TRIES: usize = 3;

/// One turn of one target.
struct Turn {
    most: f64,
    /// The most afterwards, as a part of it.
    after: f64,
    ran: Ran,
    watched: Watched,
}

pub(crate) fn run(server: &Server, plan: Plan) -> Vec<Finding> {
    let pipeline = format!(
        "name: steady\nsource:\n  nats: {{ url: \"{}\", subject: steady.in }}\n{}models:\n  mlp: {{ path: \"{}\", workers: 1 }}\nsteps:\n  - model: mlp\n    inputs: {{ X: [{}] }}\nencode:\n  json: {{ pass: [id] }}\nsink:\n  nats: {{ subject: steady.out }}\n",
        server.url(),
        row_fields(),
        model().display(),
        row_names(),
    );
    let targets = [
        ("bare echo", Target::echo(server)),
        ("loop by hand", Target::by_hand(server)),
        (
            "forebay",
            Target::forebay(server, &[pipeline], ["steady.in", "steady.out"]),
        ),
    ];
    let mut turns: [Vec<Turn>; 4] = [vec![], vec![], vec![], vec![]];
    for round in 0..plan.rounds {
        for turn in 0..targets.len() {
            let at = (round + turn) % targets.len();
            turns[at].push(steady(server, &targets[at].1, plan.time, None));
        }
        let rate = turns[1].last().map(|turn| PART * turn.most);
        turns[3].push(steady(server, &targets[2].1, plan.time, rate));
    }
    println!("At 70 % of its own messages/s, sent by a timetable:\n");
    println!(
        "| | messages/s at most | afterwards, of that | sent | p50, ms | p90 | p99 | p99.9 | sender late, p99 | cores busy | stolen | waiting for a core |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    let names = targets.iter().map(|(name, _)| *name);
    for (name, turns) in names.chain(["forebay at the loop's"]).zip(&turns) {
        let column = |value: &dyn Fn(&Turn) -> f64, digits| {
            spread(turns.iter().map(value).collect(), digits)
        };
        let ms = |value: fn(&Ran) -> f64| column(&|turn| value(&turn.ran) / 1e3, 2);
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            column(&|turn| turn.most, 0),
            column(&|turn| turn.after, 2),
            column(&|turn| turn.ran.messages, 0),
            ms(|ran| ran.p50),
            ms(|ran| ran.p90),
            ms(|ran| ran.p99),
            ms(|ran| ran.p999),
            ms(|ran| ran.late_p99),
            column(&|turn| turn.watched.busy, 2),
            column(&|turn| turn.watched.stolen, 3),
            column(&|turn| turn.watched.waited, 2),
        );
    }
    println!(
        "\nLatency counts from the time at which a message was due. *Waiting for a core*: threads of target and broker that could have run and had none, on average.\n"
    );
    let p99 = |at: usize| -> Vec<f64> {
        let all = turns[at].iter();
        all.map(|turn| turn.ran.p99 / 1e3).collect()
    };
    let mut own = p99(2);
    let beside = format!(
        "{}; at 70 % of the loop's: {}",
        spread(p99(0), 1),
        spread(p99(3), 1)
    );
    vec![Finding {
        what: format!("p99 at 70 % of its own messages/s, ms (bare echo: {beside})"),
        found: spread(own.clone(), 1),
        wanted: "≤ 5",
        holds: median(&mut own) <= WANTED_MS,
        must: false,
    }]
}

/// The first turn in which the machine stayed as it was, or the one in which it changed least.
fn steady(server: &Server, target: &Target, time: Duration, rate: Option<f64>) -> Turn {
    let off = |turn: &Turn| (turn.after - 1.0).abs();
    let mut best = measure(server, target, time, rate);
    for _ in 1..TRIES {
        if off(&best) <= STEADY {
            break;
        }
        let again = measure(server, target, time, rate);
        if off(&again) < off(&best) {
            best = again;
        }
    }
    best
}

/// By so many messages a second; by 70 % of the most where nothing is said.
fn measure(server: &Server, target: &Target, time: Duration, rate: Option<f64>) -> Turn {
    let sending = Sending::to(server, target, Kind::Rows);
    // Warm: connections, caches, the clock of the processor.
    sending.flood(IN_FLIGHT, time / 4);
    let most = sending.flood(IN_FLIGHT, time).per_second;
    let watch = Watch::start(&[target.id(), server.process.0.id()]);
    let ran = sending.at(rate.unwrap_or(PART * most), time * 2);
    let watched = watch.stop();
    Turn {
        most,
        after: sending.flood(IN_FLIGHT, time).per_second / most,
        ran,
        watched,
    }
}
