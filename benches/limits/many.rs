//! Many pipelines in one process, beside one: what sharing costs.

use crate::{
    Finding, Plan,
    load::{Kind, Sending},
    support::{Server, spread},
    targets::{Target, model, row_fields, row_names},
    watch::Watch,
};

const PIPELINES: usize = 24;
/// Of all pipelines together.
const IN_FLIGHT: usize = 6144;
const WANTED: f64 = 0.80;

pub(crate) fn run(server: &Server, plan: Plan) -> Vec<Finding> {
    let (mut alone, mut together, mut ratios) = (vec![], vec![], vec![]);
    let one = Target::forebay(
        server,
        &[pipeline(server, "one", 0)],
        ["one.in.00", "one.out.00"],
    );
    let texts: Vec<String> = (0..PIPELINES)
        .map(|number| pipeline(server, "many", number))
        .collect();
    let many = Target::forebay(server, &texts, ["many.in.00", "many.out.*"]);
    let inputs = (0..PIPELINES).map(|number| format!("many.in.{number:02}"));
    let sending = [
        Sending::to(server, &one, Kind::Rows),
        Sending::over(server, inputs.collect(), &many.output, Kind::Rows),
    ];
    let mut waited = [vec![], vec![]];
    for round in 0..plan.rounds {
        let mut rates = [0.0; 2];
        for turn in 0..2 {
            let at = (round + turn) % 2;
            sending[at].flood(IN_FLIGHT, plan.time / 4);
            let watch = Watch::start(&[[&one, &many][at].id()]);
            rates[at] = sending[at].flood(IN_FLIGHT, plan.time).per_second;
            waited[at].push(watch.stop().waited);
        }
        alone.push(rates[0]);
        together.push(rates[1]);
        ratios.push(rates[1] / rates[0]);
    }
    println!(
        "Pipelines in one process, a small MLP and JSON rows in each, {IN_FLIGHT} messages in flight in all:\n"
    );
    println!("| | messages/s | of one | its threads waiting for a core |\n|---|--:|--:|--:|");
    println!(
        "| one | {} | | {} |",
        spread(alone, 0),
        spread(waited[0].clone(), 2)
    );
    println!(
        "| {PIPELINES}, the sum | {} | {} | {} |\n",
        spread(together, 0),
        spread(ratios.clone(), 2),
        spread(waited[1].clone(), 2)
    );
    vec![Finding::at_least(
        "24 pipelines in one process: of one alone",
        ratios,
        WANTED,
        "≥ 0.80",
    )]
}

fn pipeline(server: &Server, name: &str, number: usize) -> String {
    format!(
        "name: {name}{number}\nsource:\n  nats: {{ url: \"{}\", subject: {name}.in.{number:02} }}\n{}models:\n  mlp: {{ path: \"{}\", workers: 1 }}\nsteps:\n  - model: mlp\n    inputs: {{ X: [{}] }}\nencode:\n  json: {{ pass: [id] }}\nsink:\n  nats: {{ subject: {name}.out.{number:02} }}\n",
        server.url(),
        row_fields(),
        model().display(),
        row_names(),
    )
}
