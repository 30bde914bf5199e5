//! Figures, not checks: `cargo test --release --test it engine_speed -- --ignored --nocapture`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that panics has done its work"
)]

use std::time::{Duration, Instant};

use forebay::{
    block::{Column, Table},
    contract::{Dtype, Field},
    engine::{
        ColumnRef, Engine as _,
        cpu::{CpuEngine, library},
    },
};
use ort::{session::Session, value::TensorRef};

use super::engine::{Case, folder};

/// The fastest of several rounds, in microseconds for each call.
fn micros(mut call: impl FnMut()) -> f64 {
    for _ in 0..50 {
        call();
    }
    let mut best = f64::MAX;
    for _ in 0..15 {
        let (start, mut calls) = (Instant::now(), 0u32);
        while start.elapsed() < Duration::from_millis(60) {
            (0..10).for_each(|_| call());
            calls += 10;
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
    }
    best
}

fn repeated(case: &Case, rows: usize) -> Table {
    let table = case.table();
    let mut all = table.empty_like();
    while all.rows < rows {
        all.append(table.slice(0..table.rows.min(rows - all.rows)));
    }
    all
}

#[test]
#[ignore = "measures"]
fn a_batch_costs_little_more_than_the_bare_session() {
    let case = Case::read(&folder("tests/data/models/mlp30"));
    let environment = library::loaded().unwrap();
    for memory_pattern in [false, true] {
        for rows in [1usize, 64, 256] {
            let mut session = Session::builder(&environment)
                .unwrap()
                .with_intra_threads(1)
                .unwrap()
                .with_memory_pattern(memory_pattern)
                .unwrap()
                .commit_from_file(&case.model)
                .unwrap();
            let matrix = repeated(&case, rows);
            let Column::F32(data) = &matrix.series[0].values else {
                panic!("f32")
            };
            let bare = micros(|| {
                let tensor = TensorRef::from_array_view(([rows, 30], data.as_slice())).unwrap();
                let out = session.run(ort::inputs![tensor]).unwrap();
                assert_eq!(out[0].try_extract_tensor::<f32>().unwrap().1.len(), rows);
            });
            println!(
                "mlp30, {rows:3} rows, memory pattern {memory_pattern}: bare session {bare:.2} µs"
            );
        }
    }
    for rows in [1usize, 64, 256] {
        let matrix = repeated(&case, rows);
        let Column::F32(data) = &matrix.series[0].values else {
            panic!("f32")
        };
        let mut output = Table::default();
        let mut engine = CpuEngine::load(&case.spec(256), &case.fields()).unwrap();
        let view = micros(|| engine.run(&matrix, &mut output).unwrap());
        // The same numbers as thirty columns.
        let fields: Vec<Field> = (0..30)
            .map(|at| Field::new(format!("f{at}"), Dtype::F32, vec![]))
            .collect();
        let mut columns = Table::for_fields(&fields);
        for (at, series) in columns.series.iter_mut().enumerate() {
            series.values = Column::F32(data.iter().skip(at).step_by(30).copied().collect());
        }
        columns.rows = rows;
        let mut spec = case.spec(256);
        spec.steps[0].inputs[0].columns = (0..30).map(ColumnRef::Field).collect();
        let mut engine = CpuEngine::load(&spec, &fields).unwrap();
        let gathered = micros(|| engine.run(&columns, &mut output).unwrap());
        println!(
            "mlp30, {rows:3} rows: engine on one [30] field {view:.2} µs, on 30 columns {gathered:.2} µs"
        );
    }
}

#[test]
#[ignore = "measures"]
fn zipmap_costs_this_much() {
    for (with, without) in [
        ("sk_logreg_zipmap", "sk_logreg"),
        ("sk_three_classes_zipmap", "sk_three_classes"),
        ("sk_columns_zipmap", "sk_columns"),
    ] {
        for rows in [1usize, 64, 256] {
            let [with, without] = [with, without].map(|name| {
                let case = Case::read(&folder("tests/data/models").join(name));
                let table = repeated(&case, rows);
                let mut output = Table::default();
                let mut engine = CpuEngine::load(&case.spec(256), &case.fields()).unwrap();
                micros(|| engine.run(&table, &mut output).unwrap())
            });
            println!(
                "{rows:3} rows: {without:.2} µs without ZipMap, {with:.2} with: {:.2} µs a row",
                (with - without) / rows as f64
            );
        }
    }
}
