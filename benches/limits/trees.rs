//! Boosted trees on JSON rows: what stands between forebay and a machine that moves the messages and runs the model, and
//! does nothing else.

use forebay::graph;

use crate::{
    Finding, Plan,
    load::{Kind, Sending},
    rows::FEATURES,
    runtime::{Alone, Input, cores},
    shapes,
    support::{Server, spread},
    targets::{Target, row_fields, row_names},
    walked,
};

const TREES: usize = 200;
const DEPTH: usize = 7;
const IN_FLIGHT: usize = 4096;
const WANTED: f64 = 0.85;

pub(crate) fn run(server: &Server, plan: Plan) -> Vec<Finding> {
    let file = server.dir.join("trees.onnx");
    graph::write(&shapes::trees(TREES, DEPTH, FEATURES), &file).unwrap();
    let batches = [64, 256, 1024, 4096];
    let input = Input::Numbers(FEATURES);
    let mut alone = Alone::best(&file, input, &batches, plan.time / 8);
    let pipeline = format!(
        "name: trees\nsource:\n  nats: {{ url: \"{}\", subject: trees.in }}\n{}models:\n  trees: {{ path: \"{}\", workers: {} }}\nsteps:\n  - model: trees\n    inputs: {{ x: [{}] }}\nencode:\n  json: {{ pass: [id] }}\nsink:\n  nats: {{ subject: trees.out }}\n",
        server.url(),
        row_fields(),
        file.display(),
        cores(),
        row_names(),
    );
    let targets = [
        Target::echo(server),
        Target::forebay(server, &[pipeline], ["trees.in", "trees.out"]),
    ];
    let (mut moved, mut models, mut limits) = ([vec![], vec![]], vec![], vec![]);
    for round in 0..plan.rounds {
        for turn in 0..2 {
            let at = (round + turn) % 2;
            let sending = Sending::to(server, &targets[at], Kind::Rows);
            sending.flood(IN_FLIGHT, plan.time / 4);
            moved[at].push(sending.flood(IN_FLIGHT, plan.time).per_second);
        }
        let model = alone.rows_per_second(plan.time / 2);
        limits.push(1.0 / (1.0 / moved[0][round] + 1.0 / model));
        models.push(model);
    }
    let ratios = moved[1].iter().zip(&limits).map(|(own, limit)| own / limit);
    let ratios: Vec<f64> = ratios.collect();
    println!("{TREES} trees of depth {DEPTH}, a JSON row of {FEATURES} numbers in each message:\n");
    println!(
        "| forebay, messages/s | bare echo | ONNX Runtime alone, rows/s | 1 / (1 / echo + 1 / ONNX Runtime) | forebay of that |\n|--:|--:|--:|--:|--:|"
    );
    println!(
        "| {} | {} | {} | {} | {} |\n",
        spread(moved[1].clone(), 0),
        spread(moved[0].clone(), 0),
        spread(models, 0),
        spread(limits, 0),
        spread(ratios.clone(), 2),
    );
    println!(
        "*Alone* is {}, {} rows a batch.\n",
        alone.how(),
        alone.batch
    );
    walked::print(&file, FEATURES, plan.time / 4);
    vec![Finding::at_least(
        "boosted trees: of what echo and ONNX Runtime allow",
        ratios,
        WANTED,
        "≥ 0.85",
    )]
}
