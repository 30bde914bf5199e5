//! One model, by one worker and by more.

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use forebay::{
    block::Table,
    config,
    engine::{self, Engine, cpu::catalog::CpuCatalog},
};
use serde_json::{Value, json};

use crate::cases::Case;

/// Each with an engine of its own, as a pipeline has them.
const WORKERS: [usize; 3] = [1, 2, 4];

pub(crate) struct Measured {
    rows: usize,
    workers: usize,
    rows_per_second: f64,
    p50_us: f64,
    p99_us: f64,
}

impl Measured {
    pub(crate) fn line(&self, name: &str) -> String {
        format!(
            "| {name} | {} | {} | {:.0} | {:.1} | {:.1} |",
            self.rows, self.workers, self.rows_per_second, self.p50_us, self.p99_us
        )
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        json!({
            "model": name, "rows": self.rows, "workers": self.workers, "rows_per_second": self.rows_per_second,
            "p50_us": self.p50_us, "p99_us": self.p99_us,
        })
    }
}

/// Runs a model for so long in each batch size and number of workers.
pub(crate) fn measure(
    case: &Case,
    device: &str,
    precision: Option<&str>,
    time: Duration,
) -> Vec<Measured> {
    let folder = tempfile::tempdir().unwrap();
    let most = *case.rows.last().unwrap();
    let file = case.write(folder.path(), device, precision, most);
    let plan =
        config::load(&file, &mut CpuCatalog::new()).unwrap_or_else(|error| panic!("{error}"));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let counts: Vec<usize> = WORKERS
        .into_iter()
        .filter(|count| *count <= cores)
        .collect();
    let mut engines: Vec<Box<dyn Engine>> = (0..*counts.last().unwrap())
        .map(|_| engine::load(&plan.engine, &plan.fields).unwrap_or_else(|error| panic!("{error}")))
        .collect();
    let mut measured = Vec::new();
    for rows in case.rows {
        let mut table = Table::for_fields(&plan.fields);
        case.fill(&mut table, *rows);
        for workers in &counts {
            measured.push(together(&mut engines[..*workers], &table, time));
        }
    }
    measured
}

fn together(engines: &mut [Box<dyn Engine>], table: &Table, time: Duration) -> Measured {
    let workers = engines.len();
    let barrier = Barrier::new(workers);
    let (mut took, mut spans) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (engines.iter_mut())
            .map(|engine| scope.spawn(|| alone(&mut **engine, table, time, &barrier)))
            .collect();
        for thread in threads {
            let (batches, span) = thread.join().unwrap();
            spans.push(batches.len() as f64 / span);
            took.extend(batches);
        }
    });
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    Measured {
        rows: table.rows,
        workers,
        rows_per_second: spans.iter().sum::<f64>() * table.rows as f64,
        p50_us: at(0.5),
        p99_us: at(0.99),
    }
}

/// Microseconds of each batch, and the seconds of all.
fn alone(
    engine: &mut dyn Engine,
    table: &Table,
    time: Duration,
    barrier: &Barrier,
) -> (Vec<f64>, f64) {
    let mut output = Table::default();
    for _ in 0..3 {
        engine.run(table, &mut output).unwrap();
    }
    barrier.wait();
    let (started, mut took) = (Instant::now(), Vec::new());
    loop {
        let batch = Instant::now();
        engine.run(table, &mut output).unwrap();
        took.push(batch.elapsed().as_secs_f64() * 1e6);
        let span = started.elapsed();
        if span >= time {
            return (took, span.as_secs_f64());
        }
    }
}
