//! The CPU engine against what Python's onnxruntime answers.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that panics has done its work"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use forebay::{
    block::{Column, Series, Table},
    contract::{Dtype, Field},
    engine::{
        ColumnRef, Dim, Engine as _, EngineSpec, InputInfo, InputSpec, ModelSource, OutputInfo,
        OutputRef, StepSpec,
        cpu::{CpuEngine, catalog::CpuCatalog, library},
    },
};
use serde_json::Value;

/// Loads ONNX Runtime, or says what to do.
pub(crate) fn runtime() {
    if let Err(error) = library::init(None) {
        panic!("these tests need ONNX Runtime: run `make setup`.\n{error}");
    }
}

/// A folder of the repository.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A model with rows and answers.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) model: PathBuf,
    pub(crate) inputs: Vec<InputInfo>,
    pub(crate) outputs: Vec<OutputInfo>,
    pub(crate) rows: Vec<Value>,
    pub(crate) expected: Vec<Value>,
}

impl Case {
    pub(crate) fn read(folder: &Path) -> Self {
        runtime();
        let model = folder.join("model.onnx");
        let mut catalog = CpuCatalog::new();
        let inputs = catalog.inputs(&model).unwrap();
        let shapes: Vec<Vec<usize>> = inputs.iter().map(row_shape).collect();
        let outputs = catalog.outputs(&model, &shapes).unwrap();
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            model,
            inputs,
            outputs,
            rows: lines(&folder.join("rows.jsonl")),
            expected: lines(&folder.join("expected.jsonl")),
        }
    }

    /// One field for each input.
    pub(crate) fn fields(&self) -> Vec<Field> {
        (self.inputs.iter())
            .map(|input| Field::new(input.name.as_str(), input.dtype, row_shape(input)))
            .collect()
    }

    /// All outputs, each input fed by its field.
    pub(crate) fn spec(&self, max_rows: usize) -> EngineSpec {
        EngineSpec {
            steps: vec![StepSpec {
                source: ModelSource::file(&self.model),
                when: None,
                device: forebay::engine::Device::Cpu,
                accuracy: forebay::engine::Accuracy::default(),
                inputs: (self.inputs.iter().enumerate())
                    .map(|(place, input)| InputSpec {
                        columns: vec![ColumnRef::Field(place)],
                        shape: row_shape(input),
                    })
                    .collect(),
            }],
            outputs: (0..self.outputs.len())
                .map(|output| OutputRef { step: 0, output })
                .collect(),
            max_rows,
            state: None,
        }
    }

    /// The rows as the decoder would fill them.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::for_fields(&self.fields());
        for row in &self.rows {
            for (series, input) in table.series.iter_mut().zip(&self.inputs) {
                push(&mut series.values, &row[&input.name]);
            }
        }
        table.rows = self.rows.len();
        table
    }

    /// Compares rows of outputs with the answers for the rows from `first` on.
    pub(crate) fn check(&self, output: &Table, first: usize, what: &str) {
        assert_eq!(output.series.len(), self.outputs.len());
        for row in 0..output.rows {
            for (series, info) in output.series.iter().zip(&self.outputs) {
                assert_eq!(
                    series.shape, info.shape,
                    "{}: {what}: shape of {}",
                    self.name, info.name
                );
                assert_eq!(series.values.dtype(), info.dtype);
                assert_eq!(series.values.len(), output.rows * series.width());
                let got = value(series, row, info.labels.as_deref());
                let want = &self.expected[first + row][&info.name];
                assert!(
                    close(&got, want),
                    "{}: {what}: `{}` of row {}: {got} is not {want}",
                    self.name,
                    info.name,
                    first + row
                );
            }
        }
    }
}

pub(crate) fn row_shape(input: &InputInfo) -> Vec<usize> {
    (input.row_dims().iter())
        .map(|dim| match dim {
            Dim::Fixed(size) => *size,
            Dim::Free(name) => panic!("input {} has the free dimension {name:?}", input.name),
        })
        .collect()
}

pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Appends a JSON value, nested or not.
pub(crate) fn push(column: &mut Column, value: &Value) {
    if let Value::Array(values) = value {
        for value in values {
            push(column, value);
        }
        return;
    }
    let number = || {
        if value.is_null() {
            f64::NAN
        } else {
            value.as_f64().unwrap()
        }
    };
    match column {
        Column::F32(values) => values.push(number() as f32),
        Column::F64(values) => values.push(number()),
        Column::I32(values) => values.push(i32::try_from(value.as_i64().unwrap()).unwrap()),
        Column::I64(values) => values.push(value.as_i64().unwrap()),
        Column::U8(values) => values.push(u8::try_from(value.as_u64().unwrap()).unwrap()),
        Column::Bool(values) => values.push(value.as_bool().unwrap()),
        Column::String(values) => values.push(value.as_str().unwrap()),
        Column::Bytes(_) => panic!("no model takes bytes"),
    }
}

/// One row of a series as the expected files write it.
fn value(series: &Series, row: usize, labels: Option<&[String]>) -> Value {
    let width = series.width();
    let elements = row * width..(row + 1) * width;
    let number =
        |value: f64| serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number);
    let flat: Vec<Value> = elements
        .map(|at| match &series.values {
            Column::F32(values) => number(f64::from(values[at])),
            Column::F64(values) => number(values[at]),
            Column::I32(values) => values[at].into(),
            Column::I64(values) => values[at].into(),
            Column::U8(values) => values[at].into(),
            Column::Bool(values) => values[at].into(),
            Column::String(values) => values.get(at).unwrap().into(),
            Column::Bytes(_) => panic!("no model gives bytes"),
        })
        .collect();
    match labels {
        Some(labels) => Value::Object(labels.iter().cloned().zip(flat).collect()),
        None if width == 1 => flat[0].clone(),
        None => nest(&flat, &series.shape),
    }
}

fn nest(flat: &[Value], shape: &[usize]) -> Value {
    let inner: usize = shape[1..].iter().product();
    if shape.len() == 1 {
        return Value::Array(flat.to_vec());
    }
    Value::Array(
        flat.chunks(inner)
            .map(|part| nest(part, &shape[1..]))
            .collect(),
    )
}

/// Equal within 1e-5 of the value (of 1 for small values), through arrays and objects.
pub(crate) fn close(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| close(a, b)))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-5 * b.abs().max(1.0)
        }
        _ => a == b,
    }
}

#[test]
fn every_model_answers_as_in_python_in_batches_of_any_size() {
    let mut cases = 0;
    for entry in fs::read_dir(folder("tests/data/models")).unwrap() {
        let case = Case::read(&entry.unwrap().path());
        let table = case.table();
        // Larger than, equal to and smaller than what is fed at once.
        let mut engine = CpuEngine::load(&case.spec(5), &case.fields()).unwrap();
        let mut output = Table::default();
        for size in [1, 3, 16] {
            for first in (0..table.rows).step_by(size) {
                let part = table.slice(first..table.rows.min(first + size));
                engine.run(&part, &mut output).unwrap();
                assert_eq!(output.rows, part.rows);
                case.check(&output, first, &format!("batches of {size}"));
            }
        }
        cases += 1;
    }
    assert!(cases >= 40, "only {cases} cases in tests/data/models");
}

#[test]
fn two_engines_run_on_two_threads() {
    let case = Case::read(&folder("tests/data/models/sk_columns_zipmap"));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let table = case.table();
                let mut engine = CpuEngine::load(&case.spec(256), &case.fields()).unwrap();
                let mut output = Table::default();
                for _ in 0..100 {
                    engine.run(&table, &mut output).unwrap();
                }
                case.check(&output, 0, "two threads");
            });
        }
    });
}

#[test]
fn columns_of_other_types_feed_one_matrix() {
    let case = Case::read(&folder("tests/data/models/mlp30"));
    let rows: Vec<Vec<f64>> = (case.rows.iter())
        .map(|row| {
            row["X"]
                .as_array()
                .unwrap()
                .iter()
                .map(|value| value.as_f64().unwrap())
                .collect()
        })
        .collect();
    // Ten scalar columns of f64, then one of twenty f32.
    let mut fields: Vec<Field> = (0..10)
        .map(|at| Field::new(format!("f{at}"), Dtype::F64, vec![]))
        .collect();
    fields.push(Field::new("rest", Dtype::F32, vec![20]));
    let mut table = Table::for_fields(&fields);
    for row in &rows {
        for (at, series) in table.series.iter_mut().enumerate() {
            match &mut series.values {
                Column::F64(values) => values.push(row[at]),
                Column::F32(values) => values.extend(row[10..].iter().map(|value| *value as f32)),
                _ => unreachable!(),
            }
        }
    }
    table.rows = rows.len();
    let mut spec = case.spec(256);
    spec.steps[0].inputs[0].columns = (0..11).map(ColumnRef::Field).collect();
    let mut engine = CpuEngine::load(&spec, &fields).unwrap();
    let mut output = Table::default();
    engine.run(&table, &mut output).unwrap();
    case.check(&output, 0, "columns");
}

#[test]
fn an_output_feeds_a_later_step_and_may_be_wanted_twice() {
    let case = Case::read(&folder("tests/data/models/rank3"));
    let first = Case::read(&folder("tests/data/models/rank3"));
    let mut spec = case.spec(4);
    spec.steps.push(StepSpec {
        source: ModelSource::file(first.model),
        when: None,
        device: forebay::engine::Device::Cpu,
        accuracy: forebay::engine::Accuracy::default(),
        inputs: vec![InputSpec {
            columns: vec![ColumnRef::Output(OutputRef { step: 0, output: 0 })],
            shape: vec![4, 5],
        }],
    });
    let y = |step| OutputRef { step, output: 0 };
    spec.outputs = vec![y(0), y(1), y(0)];
    let mut engine = CpuEngine::load(&spec, &case.fields()).unwrap();
    let mut output = Table::default();
    let table = case.table();
    for _ in 0..2 {
        engine.run(&table, &mut output).unwrap();
        assert_eq!(output.series[0], output.series[2]);
        // The second step by hand: the same model over what the first one gave.
        let mut alone = CpuEngine::load(&case.spec(256), &case.fields()).unwrap();
        let between = Table {
            rows: table.rows,
            series: vec![output.series[0].clone()],
        };
        let mut want = Table::default();
        alone.run(&between, &mut want).unwrap();
        assert_eq!(output.series[1], want.series[0]);
    }
}
