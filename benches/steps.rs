//! What steps add to the CPU time of the model that they stand around: the same rows through the model alone and
//! through the graph with steps, in turns. `cargo bench --bench steps`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may end with a panic, and prints"
)]

use std::{fs, hint::black_box, path::Path, time::Instant};

use forebay::{
    block::{Column, Strings, Table},
    config,
    engine::{
        Engine,
        cpu::{CpuEngine, catalog::CpuCatalog, library},
    },
};

const ROWS: usize = 64;
const COLUMNS: usize = 30;
const TURNS: usize = 40;
const RUNS: usize = 50;

/// A pipeline file around one model, with these steps in front of it.
fn engine(folder: &Path, model: &str, steps: &str, input: &str) -> (CpuEngine, Table) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fields: Vec<String> = (0..COLUMNS)
        .map(|at| format!("x{at}: {{ nullable: true }}"))
        .collect();
    let texts: Vec<String> = (0..5)
        .map(|at| format!("t{at}: {{ dtype: string, values: [a, b, c, d] }}"))
        .filter(|_| steps.contains("one_hot"))
        .collect();
    let text = format!(
        "name: bench\nsource: {{ file: {{ path: \"-\" }} }}\nfields: {{ {} }}\nmodels: {{ m: {{ path: {} }} }}\nsteps:\n{steps}  - model: m\n    inputs: {{ X: {input} }}\nsink: {{ file: {{ path: \"-\" }} }}\n",
        [fields, texts].concat().join(", "),
        root.join("tests/data/models")
            .join(model)
            .join("model.onnx")
            .display(),
    );
    let file = folder.join("pipeline.yaml");
    fs::write(&file, text).unwrap();
    let plan =
        config::load(&file, &mut CpuCatalog::new()).unwrap_or_else(|error| panic!("{error}"));
    let engine =
        CpuEngine::load(&plan.engine, &plan.fields).unwrap_or_else(|error| panic!("{error}"));
    let mut table = Table::for_fields(&plan.fields);
    table.rows = ROWS;
    for (at, series) in table.series.iter_mut().enumerate() {
        match &mut series.values {
            Column::F32(values) => {
                values.extend((0..ROWS).map(|row| ((row * 7 + at * 13) % 97) as f32 / 10.0));
            }
            Column::String(values) => {
                let mut texts = Strings::default();
                (0..ROWS).for_each(|row| texts.push(["a", "b", "c", "d"][(row + at) % 4]));
                *values = texts;
            }
            other => panic!("no such field: {}", other.dtype()),
        }
    }
    (engine, table)
}

/// Microseconds of one run of 64 rows, the best of many.
fn time(engine: &mut CpuEngine, table: &Table, output: &mut Table) -> f64 {
    let started = Instant::now();
    for _ in 0..RUNS {
        engine.run(black_box(table), output).unwrap();
    }
    started.elapsed().as_secs_f64() * 1e6 / RUNS as f64
}

fn main() {
    library::init(None).unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().unwrap();
    let names = |range: std::ops::Range<usize>| {
        let names: Vec<String> = range.map(|at| format!("x{at}")).collect();
        format!("[{}]", names.join(", "))
    };
    let all = names(0..COLUMNS);
    let scale =
        format!("  - scale: {{ center: 4.8, scale: 2.8 }}\n    input: {all}\n    output: scaled\n");
    let both = format!(
        "  - impute: {{ value: 4.8 }}\n    input: {all}\n    output: known\n  - scale: {{ center: 4.8, scale: 2.8 }}\n    input: known\n    output: scaled\n"
    );
    println!(
        "64 rows, best of {TURNS} turns, microseconds; what steps add in percent of the model alone"
    );
    println!("| model | alone | + scale | | + impute + scale | |\n|---|--:|--:|--:|--:|--:|");
    for model in [
        "mlp30",
        "sk_mlp_clf",
        "sk_logreg",
        "lgbm_binary",
        "xgb_binary",
        "sk_forest_clf",
        "sk_svc",
    ] {
        let mut sides = [
            engine(folder.path(), model, "", &all),
            engine(folder.path(), model, &scale, "scaled"),
            engine(folder.path(), model, &both, "scaled"),
        ];
        let mut best = [f64::INFINITY; 3];
        let mut output = Table::default();
        for _ in 0..TURNS {
            for (best, (engine, table)) in best.iter_mut().zip(&mut sides) {
                *best = best.min(time(engine, table, &mut output));
            }
        }
        let percent = |side: usize| (best[side] / best[0] - 1.0) * 100.0;
        println!(
            "| {model} | {:.1} | {:.1} | {:.0} % | {:.1} | {:.0} % |",
            best[0],
            best[1],
            percent(1),
            best[2],
            percent(2)
        );
    }
}
