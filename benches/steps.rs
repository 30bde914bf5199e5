//! What steps add to the CPU time of the model that they stand around: the same rows through the model alone and
//! through the graph with steps, in turns. `cargo bench --bench steps`, or with names of models behind `--`;
//! `benches/steps.py` measures the same work in Python.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may end with a panic, and prints"
)]

use std::{env, fs, hint::black_box, path::Path, time::Instant};

use forebay::{
    block::{Column, Strings, Table},
    config,
    engine::{
        Engine,
        cpu::{CpuEngine, catalog::CpuCatalog, library},
    },
};

const COLUMNS: usize = 30;
const TEXTS: [&str; 4] = ["mortgage", "own", "rent", "with relatives, for free"];
const TURNS: usize = 60;
const MODELS: [&str; 7] = [
    "mlp30",
    "sk_mlp_clf",
    "sk_logreg",
    "lgbm_binary",
    "xgb_binary",
    "sk_forest_clf",
    "sk_svc",
];

/// What stands in front of the model; each makes it thirty columns.
#[derive(Clone, Copy)]
enum Steps {
    None,
    /// `scale`.
    Scale,
    /// `impute`, `scale`.
    Impute,
    /// `impute`, `clip`, `scale`.
    Clip,
    /// `impute`, `scale` over 25 columns, and `ordinal` over five texts.
    Ordinal,
    /// `impute`, `scale` over ten columns, and `one_hot` over five texts of four categories.
    OneHot,
}

const SIDES: [(&str, Steps); 6] = [
    ("alone", Steps::None),
    ("scale", Steps::Scale),
    ("impute, scale", Steps::Impute),
    ("impute, clip, scale", Steps::Clip),
    ("impute, scale, ordinal", Steps::Ordinal),
    ("impute, scale, one_hot", Steps::OneHot),
];

impl Steps {
    /// How many columns are numbers, and how many texts.
    fn columns(self) -> (usize, usize) {
        match self {
            Self::None | Self::Scale | Self::Impute | Self::Clip => (COLUMNS, 0),
            Self::Ordinal => (COLUMNS - 5, 5),
            Self::OneHot => (COLUMNS - 5 * TEXTS.len(), 5),
        }
    }

    /// The steps as they are written, and what feeds the model.
    fn written(self) -> (String, String) {
        let (numbers, texts) = self.columns();
        let names = |letter: &str, count: usize| {
            let names: Vec<String> = (0..count).map(|at| format!("{letter}{at}")).collect();
            format!("[{}]", names.join(", "))
        };
        let each = |from: f64| {
            let values: Vec<String> = (0..numbers)
                .map(|at| (from + at as f64 / 10.0).to_string())
                .collect();
            format!("[{}]", values.join(", "))
        };
        let mut input = names("x", numbers);
        let mut steps = String::new();
        let mut step = |what: String, input: &str, output: &str| {
            steps += &format!("  - {what}\n    input: {input}\n    output: {output}\n");
        };
        if !matches!(self, Self::None | Self::Scale) {
            step(
                format!("impute: {{ value: {} }}", each(3.0)),
                &input,
                "known",
            );
            "known".clone_into(&mut input);
        }
        if matches!(self, Self::Clip) {
            let (low, high) = (each(0.5), each(7.0));
            step(
                format!("clip: {{ low: {low}, high: {high} }}"),
                &input,
                "kept",
            );
            "kept".clone_into(&mut input);
        }
        if !matches!(self, Self::None) {
            let (center, scale) = (each(4.0), each(2.0));
            step(
                format!("scale: {{ center: {center}, scale: {scale} }}"),
                &input,
                "scaled",
            );
            "scaled".clone_into(&mut input);
        }
        let list = format!("{{ categories: {TEXTS:?} }}");
        if matches!(self, Self::Ordinal | Self::OneHot) {
            let key = if matches!(self, Self::Ordinal) {
                "ordinal"
            } else {
                "one_hot"
            };
            step(format!("{key}: {list}"), &names("t", texts), "codes");
            input = format!("[{input}, codes]");
        }
        (steps, input)
    }
}

/// The engine of a pipeline file around one model, and rows for it; `whole` leaves all of the graph to the runtime.
fn engine(
    folder: &Path,
    model: &str,
    steps: Steps,
    rows: usize,
    whole: bool,
) -> (CpuEngine, Table) {
    let (numbers, texts) = steps.columns();
    let numbers = (0..numbers).map(|at| format!("x{at}: {{ nullable: true }}"));
    let texts = (0..texts).map(|at| format!("t{at}: {{ dtype: string }}"));
    let fields: Vec<String> = numbers.chain(texts).collect();
    let (steps, input) = steps.written();
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/models")
        .join(model)
        .join("model.onnx");
    let text = format!(
        "name: bench\nsource: {{ file: {{ path: \"-\" }} }}\nfields: {{ {} }}\nmodels: {{ m: {{ path: {} }} }}\nsteps:\n{steps}  - model: m\n    inputs: {{ X: {input} }}\nsink: {{ file: {{ path: \"-\" }} }}\n",
        fields.join(", "),
        path.display(),
    );
    let file = folder.join("pipeline.yaml");
    fs::write(&file, text).unwrap();
    let mut plan =
        config::load(&file, &mut CpuCatalog::new()).unwrap_or_else(|error| panic!("{error}"));
    for step in plan.engine.steps.iter_mut().filter(|_| whole) {
        // A file is run as it is.
        if let Some(graph) = step.source.graph.take() {
            step.source.path = folder.join("whole.onnx");
            fs::write(&step.source.path, graph).unwrap();
        }
    }
    let engine =
        CpuEngine::load(&plan.engine, &plan.fields).unwrap_or_else(|error| panic!("{error}"));
    let mut table = Table::for_fields(&plan.fields);
    table.rows = rows;
    for (at, series) in table.series.iter_mut().enumerate() {
        match &mut series.values {
            Column::F32(values) => {
                values.extend((0..rows).map(|row| ((row * 7 + at * 13) % 97) as f32 / 10.0));
            }
            Column::String(values) => {
                let mut texts = Strings::default();
                (0..rows).for_each(|row| texts.push(TEXTS[(row * 5 + row / 3 + at) % 4]));
                *values = texts;
            }
            other => panic!("no such field: {}", other.dtype()),
        }
    }
    (engine, table)
}

/// Microseconds of one run: the median of a turn, which does not see what else the machine does now and then.
fn time(engine: &mut CpuEngine, table: &Table, output: &mut Table) -> f64 {
    let runs = (0..6400 / table.rows).map(|_| {
        let started = Instant::now();
        engine.run(black_box(table), output).unwrap();
        started.elapsed().as_secs_f64() * 1e6
    });
    median(runs.collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    library::init(None).unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().unwrap();
    let asked: Vec<String> = env::args()
        .skip(1)
        .filter(|it| !it.starts_with('-'))
        .collect();
    let models = MODELS
        .iter()
        .filter(|model| asked.is_empty() || asked.iter().any(|it| it == *model));
    println!(
        "Microseconds of a batch, and what steps add to the model alone; medians of {TURNS} turns.\n"
    );
    let names: Vec<&str> = SIDES.iter().map(|(name, _)| *name).collect();
    println!("| model | rows | steps run | {} |", names.join(" | "));
    println!("|---|--:|---|{}", "--:|".repeat(SIDES.len()));
    for model in models {
        for rows in [64, 512] {
            measure(folder.path(), model, rows);
        }
    }
}

fn measure(folder: &Path, model: &str, rows: usize) {
    let engines = |whole| SIDES.map(|(_, steps)| engine(folder, model, steps, rows, whole));
    let mut sides: Vec<_> = [engines(false), engines(true)]
        .into_iter()
        .flatten()
        .collect();
    let mut took: Vec<Vec<f64>> = vec![Vec::with_capacity(TURNS); sides.len()];
    let mut output = Table::default();
    for _ in 0..TURNS {
        for (took, (engine, table)) in took.iter_mut().zip(&mut sides) {
            took.push(time(engine, table, &mut output));
        }
    }
    for (how, took) in ["here", "by the runtime"]
        .iter()
        .zip(took.chunks(SIDES.len()))
    {
        let [alone, rest @ ..] = took else {
            continue;
        };
        let cells: Vec<String> = (rest.iter())
            .map(|side| {
                let more = (side.iter().zip(alone)).map(|(with, alone)| with / alone - 1.0);
                let percent = median(more.collect()) * 100.0;
                format!("{:.1} ({percent:+.0} %)", median(side.clone()))
            })
            .collect();
        let alone = median(alone.clone());
        println!(
            "| {model} | {rows} | {how} | {alone:.1} | {} |",
            cells.join(" | ")
        );
    }
}
