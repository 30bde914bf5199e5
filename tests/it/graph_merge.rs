//! Models put between steps, against the same models run apart, in ONNX Runtime.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test that panics has done its work"
)]

use std::{fs, path::Path};

use crate::engine::{Case, folder, row_shape};
use forebay::{
    block::{Column, Table},
    contract::Dtype,
    engine::{Engine as _, cpu::CpuEngine},
    graph::{
        self, GraphBuilder, Value,
        params::OneOrMany,
        steps::{Scale, Softmax, TensorStep},
    },
};

/// Puts a step into the graph.
fn step(graph: &mut GraphBuilder, name: &str, step: &dyn TensorStep, input: Value) -> Value {
    graph.begin_step(name);
    let mut outputs = step.emit(graph, &[input]).unwrap();
    outputs.pop().unwrap().value
}

/// The model between `scale` (before each `f32` input) and `softmax` (behind each vector of floats), as a file in `to`.
fn merged(case: &Case, to: &Path) {
    let mut model = graph::read(&case.model).unwrap();
    graph::raise(&mut model).unwrap();
    graph::zipmap::unzip(&mut model);
    let fixed = case.inputs.iter().find_map(|input| match input.dims[0] {
        forebay::engine::Dim::Fixed(rows) => Some(rows),
        forebay::engine::Dim::Free(_) => None,
    });
    let mut builder = GraphBuilder::around(&model).unwrap().with_rows(fixed);
    let mut feeds = Vec::new();
    for input in &case.inputs {
        let mut value = builder.input(&input.name, input.dtype, &row_shape(input));
        if input.dtype == Dtype::F32 {
            let scale = Scale {
                center: Some(OneOrMany(vec![0.5])),
                scale: Some(OneOrMany(vec![2.0])),
            };
            value = step(&mut builder, "model", &scale, value);
        }
        feeds.push((input.name.clone(), value));
    }
    builder.insert(model, "model", &feeds).unwrap();
    let mut outputs = Vec::new();
    for output in &case.outputs {
        let value = Value::new(
            format!("model/{}", output.name),
            output.dtype,
            output.shape.clone(),
        );
        if has_softmax(output.dtype, &output.shape) {
            let soft = step(&mut builder, "soft", &Softmax {}, value.clone());
            outputs.push((format!("{} soft", output.name), soft));
        }
        outputs.push((output.name.clone(), value));
    }
    graph::write(&builder.finish(&outputs), to).unwrap();
}

fn has_softmax(dtype: Dtype, shape: &[usize]) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F64) && !shape.is_empty()
}

fn run(case: &Case, table: &Table) -> Table {
    let mut engine = CpuEngine::load(&case.spec(16), &case.fields()).unwrap();
    let mut output = Table::default();
    engine.run(table, &mut output).unwrap();
    output
}

fn numbers(column: &Column) -> Vec<f64> {
    match column {
        Column::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Column::F64(values) => values.clone(),
        other => panic!("{} is no float", other.dtype()),
    }
}

fn softmax(values: &[f64], width: usize) -> Vec<f64> {
    let rows = values.chunks(width).flat_map(|row| {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = row.iter().map(|value| (value - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(move |power| power / sum)
    });
    rows.collect()
}

fn assert_close(got: &[f64], want: &[f64], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (got, want) in got.iter().zip(want) {
        let same = got.is_nan() && want.is_nan()
            || got == want
            || (got - want).abs() <= 1e-6 + 1e-6 * want.abs();
        assert!(same, "{what}: {got} is not {want}");
    }
}

/// Every model of the test data does the same between steps as apart from them.
#[test]
fn a_model_between_steps_does_the_same() {
    let place = tempfile::tempdir().unwrap();
    let mut count = 0;
    for entry in fs::read_dir(folder("tests/data/models")).unwrap() {
        let case = Case::read(&entry.unwrap().path());
        let home = place.path().join(&case.name);
        fs::create_dir(&home).unwrap();
        merged(&case, &home.join("model.onnx"));
        for file in ["rows.jsonl", "expected.jsonl"] {
            fs::copy(
                folder("tests/data/models").join(&case.name).join(file),
                home.join(file),
            )
            .unwrap();
        }
        let joined = Case::read(&home);
        let table = case.table();
        let mut scaled = case.table();
        for series in &mut scaled.series {
            if let Column::F32(values) = &mut series.values {
                for value in values {
                    *value = (*value - 0.5) / 2.0;
                }
            }
        }
        let (together, apart) = (run(&joined, &table), run(&case, &scaled));
        for (info, series) in joined.outputs.iter().zip(&together.series) {
            let what = format!("{}: `{}`", case.name, info.name);
            let (of, soft) = (info.name.strip_suffix(" soft"))
                .map_or((info.name.as_str(), false), |of| (of, true));
            let place = (case.outputs.iter()).position(|it| it.name == of).unwrap();
            let alone = &apart.series[place];
            assert_eq!(series.shape, alone.shape, "{what}");
            if soft {
                let width = alone.shape.last().copied().unwrap();
                let want = softmax(&numbers(&alone.values), width);
                assert_close(&numbers(&series.values), &want, &what);
            } else if matches!(series.values, Column::F32(_) | Column::F64(_)) {
                assert_close(&numbers(&series.values), &numbers(&alone.values), &what);
            } else {
                assert_eq!(series.values, alone.values, "{what}");
            }
        }
        count += 1;
    }
    assert!(count >= 40, "only {count} models");
}
