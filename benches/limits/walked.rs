//! Who walks the trees: ONNX Runtime, or forebay's engine, each alone on one core with the same rows.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use forebay::{
    block::{Column, Table},
    contract::{Dtype, Field},
    engine::{
        Accuracy, ColumnRef, Device, Engine as _, EngineSpec, InputSpec, ModelSource, OutputRef,
        StepSpec, cpu::CpuEngine,
    },
};

use crate::{
    runtime::{DIFFERENT, Input, cores, run, session},
    shapes::Random,
    support::median,
};

const BATCHES: [usize; 4] = [1, 8, 64, 512];
const ROUNDS: usize = 3;

/// Prints rows in a second of both, in turns.
pub(crate) fn print(model: &Path, width: usize, time: Duration) {
    println!(
        "| rows a batch | ONNX Runtime alone, rows/s | forebay's engine alone, rows/s | times |\n|--:|--:|--:|--:|"
    );
    let mut theirs = session(model, 1);
    for batch in BATCHES {
        let mut ours = Own::new(model, width, batch);
        let (mut runtime, mut own) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let ready = std::sync::Barrier::new(1);
            runtime.push(run(&mut theirs, Input::Numbers(width), batch, time, &ready));
            own.push(ours.rows_per_second(time));
        }
        let (runtime, own) = (median(&mut runtime), median(&mut own));
        println!(
            "| {batch} | {runtime:.0} | {own:.0} | {:.1} |",
            own / runtime
        );
    }
    println!(
        "\nOne thread each, of {} cores; every row is another.\n",
        cores()
    );
}

/// Forebay's engine with tables of rows, all different.
struct Own {
    engine: CpuEngine,
    tables: Vec<Table>,
    output: Table,
    batch: usize,
}

impl Own {
    fn new(model: &Path, width: usize, batch: usize) -> Self {
        let field = Field::new("x", Dtype::F32, vec![width]);
        let step = StepSpec {
            source: ModelSource::file(model),
            when: None,
            device: Device::Cpu,
            accuracy: Accuracy::default(),
            inputs: vec![InputSpec {
                columns: vec![ColumnRef::Field(0)],
                shape: vec![width],
            }],
        };
        let spec = EngineSpec {
            steps: vec![step],
            outputs: vec![OutputRef { step: 0, output: 0 }],
            max_rows: batch,
            state: None,
        };
        let fields = [field];
        let mut random = Random::new(5);
        let tables = (0..DIFFERENT.div_ceil(batch)).map(|_| {
            let mut table = Table::for_fields(&fields);
            table.rows = batch;
            let values = (0..batch * width).map(|_| random.number() as f32);
            table.series[0].values = Column::F32(values.collect());
            table
        });
        Self {
            tables: tables.collect(),
            engine: CpuEngine::load(&spec, &fields).unwrap(),
            output: Table::default(),
            batch,
        }
    }

    fn rows_per_second(&mut self, time: Duration) -> f64 {
        let (start, mut runs) = (Instant::now(), 0);
        while start.elapsed() < time {
            let table = &self.tables[runs % self.tables.len()];
            self.engine.run(table, &mut self.output).unwrap();
            runs += 1;
        }
        runs as f64 * self.batch as f64 / start.elapsed().as_secs_f64()
    }
}
