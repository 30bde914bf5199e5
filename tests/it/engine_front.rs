//! What the engine does itself in front of a graph gives what the runtime gives for the whole graph, bit for bit.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that panics has done its work"
)]

use std::fs;

use forebay::{
    block::{Column, Series, Table},
    contract::{Dtype, Field},
    engine::{
        ColumnRef, Engine as _, EngineSpec, InputSpec, ModelSource, OutputRef, StepSpec,
        cpu::CpuEngine,
    },
    graph::{GraphBuilder, Value, front, steps, to_bytes},
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::engine::runtime;

/// Decisions, out of random bytes; zeros where they end.
struct Dice(Vec<u8>);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        usize::from(self.0.pop().unwrap_or_default()) % end.max(1)
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// One number, or one for each column.
    fn numbers(&mut self, value: &Value, of: &[f64]) -> Json {
        match value.shape.last() {
            Some(columns) if self.one_in(2) => (0..*columns)
                .map(|_| self.pick(of))
                .collect::<Vec<_>>()
                .into(),
            _ => self.pick(of).into(),
        }
    }
}

const NUMBERS: [f64; 8] = [0.1, -3.0, 7.25, 1e-3, 12345.678, 0.0, 1.0, -0.7];
const SPREADS: [f64; 5] = [0.3, -3.0, 7.0, 1.0, 1e-3];
const TEXTS: [&str; 9] = [
    "",
    "a",
    "own",
    "rent",
    "mortgage",
    "with relatives",
    "with relatives, for free, since 1997",
    "with relatives, for free, since 1998",
    "straße",
];
/// What columns have: all that floats can be.
const FLOATS: [f32; 12] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    0.0,
    -0.0,
    1e-40,
    0.1,
    -3.0,
    7.25,
    1e30,
    -12345.678,
    -999.0,
];
const WHOLE: [i64; 7] = [0, 1, 2, -1, 40, 16_777_217, i64::MAX];

/// Some of these, each once, not none.
fn some(dice: &mut Dice, of: &[Json]) -> Vec<Json> {
    let mut some: Vec<Json> = of.iter().filter(|_| !dice.one_in(3)).cloned().collect();
    if some.is_empty() {
        some.push(of[0].clone());
    }
    some
}

/// A step with parameters that mostly fit the value.
fn random_step(dice: &mut Dice, value: &Value) -> (&'static str, Json) {
    let texts: Vec<Json> = TEXTS.iter().map(|&text| text.into()).collect();
    let whole: Vec<Json> = WHOLE.iter().map(|&number| number.into()).collect();
    let truth: Vec<Json> = vec![true.into(), false.into()];
    let lookup = |dice: &mut Dice, key: &'static str| {
        let categories = some(
            dice,
            match value.dtype {
                Dtype::String => &texts,
                Dtype::Bool => &truth,
                _ => &whole,
            },
        );
        let unknown = match (key, dice.below(3)) {
            (_, 0) => json!(null),
            ("ordinal", 1) => json!(-4),
            ("ordinal", _) => json!(3),
            (_, 1) => json!("zeros"),
            _ => json!("last"),
        };
        let mut parameters = json!({ "categories": categories, "unknown": unknown });
        if key == "ordinal" && dice.one_in(2) {
            parameters["dtype"] = "f32".into();
        }
        (key, parameters)
    };
    match (value.dtype, dice.below(8)) {
        (Dtype::String | Dtype::Bool, 0..4) | (Dtype::I64, 0 | 1) => lookup(dice, "ordinal"),
        (Dtype::String | Dtype::Bool, _) | (Dtype::I64, 2) => lookup(dice, "one_hot"),
        (_, 0) => {
            let missing = if dice.one_in(2) {
                json!(null)
            } else {
                json!(-999.0)
            };
            let value = dice.numbers(value, &NUMBERS);
            let indicator = dice.one_in(3);
            (
                "impute",
                json!({ "value": value, "missing": missing, "indicator": indicator }),
            )
        }
        (_, 1) => (
            "clip",
            json!({ "low": dice.numbers(value, &[-5.0, 0.0, 0.05]) }),
        ),
        (_, 2) => {
            let low = dice.numbers(value, &[-5.0, 0.0]);
            (
                "clip",
                json!({ "low": low, "high": dice.numbers(value, &[0.2, 7.0]) }),
            )
        }
        (_, 3) => {
            let center = dice.numbers(value, &NUMBERS);
            (
                "denormalize",
                json!({ "center": center, "scale": dice.numbers(value, &SPREADS) }),
            )
        }
        (_, 4) => ("log1p", json!({})),
        _ => {
            let center = dice.numbers(value, &NUMBERS);
            (
                "scale",
                json!({ "center": center, "scale": dice.numbers(value, &SPREADS) }),
            )
        }
    }
}

/// A graph of steps over columns, what feeds it, and how many outputs it has.
struct Made {
    graph: Vec<u8>,
    fields: Vec<Field>,
    inputs: Vec<InputSpec>,
    outputs: usize,
}

/// Inputs of every kind, and what feeds them.
fn inputs(graph: &mut GraphBuilder) -> (Vec<Field>, Vec<InputSpec>, Vec<Value>) {
    let mut fields: Vec<Field> = Vec::new();
    let (mut inputs, mut values) = (Vec::new(), Vec::new());
    let mut input = |name: &str, dtype, shape: &[usize], columns: &[(Dtype, &[usize])]| {
        let start = fields.len();
        for (number, (dtype, shape)) in columns.iter().enumerate() {
            fields.push(Field::new(
                format!("{name}{number}"),
                *dtype,
                shape.to_vec(),
            ));
        }
        inputs.push(InputSpec {
            columns: (start..fields.len()).map(ColumnRef::Field).collect(),
            shape: shape.to_vec(),
        });
        graph.input(name, dtype, shape)
    };
    let (f32, f64, i64) = (Dtype::F32, Dtype::F64, Dtype::I64);
    let mixed: &[(Dtype, &[usize])] =
        &[(f32, &[]), (f64, &[]), (f32, &[2]), (i64, &[]), (f32, &[9])];
    values.push(input("mixed", f32, &[14], mixed));
    values.push(input("single", f32, &[], &[(f32, &[])]));
    values.push(input(
        "whole",
        i64,
        &[3],
        &[(i64, &[]), (Dtype::U8, &[]), (Dtype::I32, &[])],
    ));
    values.push(input("count", i64, &[], &[(i64, &[])]));
    values.push(input("truth", Dtype::Bool, &[], &[(Dtype::Bool, &[])]));
    values.push(input("text", Dtype::String, &[], &[(Dtype::String, &[])]));
    values.push(input(
        "texts",
        Dtype::String,
        &[3],
        &[(Dtype::String, &[]), (Dtype::String, &[2])],
    ));
    (fields, inputs, values)
}

fn random_graph(dice: &mut Dice) -> Made {
    let mut graph = GraphBuilder::new(dice.pick(&[13, 18, 21]));
    let (fields, inputs, mut values) = inputs(&mut graph);
    let given = values.len();
    for number in 0..=dice.below(12) {
        graph.begin_step(&format!("step{number}"));
        let value = dice.pick(&values);
        let mut tried = graph.clone();
        if dice.one_in(4) {
            let other = dice.pick(&values);
            let parts = [value, other].map(|value| match value.dtype {
                Dtype::String => value,
                _ => tried.float(&value),
            });
            let flat = parts
                .iter()
                .all(|part| part.shape.len() < 2 && part.dtype == Dtype::F32);
            if let Some(both) = flat.then(|| tried.concat(&parts)).flatten() {
                (graph, values) = (tried, [values, vec![both]].concat());
            }
            continue;
        }
        let (key, parameters) = random_step(dice, &value);
        let step = steps::read(key, parameters).unwrap().unwrap();
        if let Ok(outputs) = step.emit(&mut tried, &[value]) {
            graph = tried;
            values.extend(outputs.into_iter().map(|output| output.value));
        }
    }
    if values.len() == given {
        let value = graph.float(&values[0]);
        values.push(graph.map("Neg", &value, Vec::new()));
    }
    let made = values.split_off(given);
    let last = made.len() - 1;
    let mut wanted = Vec::new();
    for (at, value) in made.into_iter().enumerate() {
        if at == last || dice.one_in(3) {
            wanted.push((format!("out{at}"), value));
        }
    }
    Made {
        outputs: wanted.len(),
        graph: to_bytes(&graph.finish(&wanted)),
        fields,
        inputs,
    }
}

fn random_table(dice: &mut Dice, fields: &[Field]) -> Table {
    let rows = 1 + dice.below(150);
    let series = fields.iter().map(|field| {
        let mut series = Series::new(field.dtype, field.shape.clone());
        for _ in 0..rows * series.width() {
            match &mut series.values {
                Column::F32(values) => values.push(dice.pick(&FLOATS)),
                Column::F64(values) => values.push(dice.pick(&FLOATS).into()),
                Column::I32(values) => values.push(dice.pick(&WHOLE) as i32),
                Column::I64(values) => values.push(dice.pick(&WHOLE)),
                Column::U8(values) => values.push(dice.pick(&[0, 1, 2, 40])),
                Column::Bool(values) => values.push(dice.one_in(2)),
                Column::String(values) => {
                    let texts = [
                        TEXTS.as_slice(),
                        &["other", "ren", "with relatives, for free, since 2001"],
                    ];
                    values.push(dice.pick(&texts.concat()));
                }
                Column::Bytes(_) => panic!("no such field"),
            }
        }
        series
    });
    Table {
        rows,
        series: series.collect(),
    }
}

/// The first element that is not the same; NaN is NaN, and a zero is a zero: of a greater or lesser of two the runtime
/// gives either, by the place in the row.
fn difference(one: &Column, other: &Column) -> Option<String> {
    let floats = |values: &Column| match values {
        Column::F32(values) => values.iter().map(|x| f64::from(*x)).collect(),
        Column::F64(values) => values.clone(),
        _ => Vec::new(),
    };
    let (one_floats, other_floats) = (floats(one), floats(other));
    if one_floats.is_empty() || one_floats.len() != other_floats.len() {
        return (one != other).then(|| format!("{one:?}\n{other:?}"));
    }
    let pairs = one_floats.iter().zip(&other_floats).enumerate();
    let same = |a: f64, b: f64| {
        a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan() || a.abs() + b.abs() == 0.0
    };
    pairs
        .filter(|(_, (a, b))| !same(**a, **b))
        .map(|(at, (a, b))| format!("element {at} is {a:e} by the runtime, and {b:e} here"))
        .next()
}

fn spec(source: ModelSource, made: &Made) -> EngineSpec {
    EngineSpec {
        steps: vec![StepSpec {
            source,
            inputs: made.inputs.clone(),
            when: None,
            device: forebay::engine::Device::Cpu,
            accuracy: forebay::engine::Accuracy::default(),
        }],
        outputs: (0..made.outputs)
            .map(|output| OutputRef { step: 0, output })
            .collect(),
        state: None,
        max_rows: 100,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_and_the_runtime_agree(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        runtime();
        let mut dice = Dice(bytes);
        let made = random_graph(&mut dice);
        let table = random_table(&mut dice, &made.fields);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("whole.onnx");
        fs::write(&file, &made.graph).unwrap();
        // A file is run as it is; of what was built, the engine does what it can itself.
        let built = ModelSource::built(&file, made.graph.clone());
        let [one, other] = [ModelSource::file(&file), built].map(|source| {
            let mut engine = CpuEngine::load(&spec(source, &made), &made.fields).unwrap();
            let mut output = Table::default();
            engine.run(&table, &mut output).unwrap();
            output
        });
        for (one, other) in one.series.iter().zip(&other.series) {
            prop_assert_eq!(&one.shape, &other.shape);
            prop_assert_eq!(difference(&one.values, &other.values), None);
        }
    }
}

/// What a tabular model has in front of it leaves nothing to the runtime.
#[test]
fn nothing_is_left_of_common_steps() {
    let mut graph = GraphBuilder::new(18);
    let numbers = graph.input("numbers", Dtype::F32, &[3]);
    let text = graph.input("text", Dtype::String, &[]);
    let mut step = |key: &str, parameters: Json, value: Value| {
        graph.begin_step(key);
        let step = steps::read(key, parameters).unwrap().unwrap();
        step.emit(&mut graph, &[value]).unwrap().remove(0).value
    };
    let known = step("impute", json!({ "value": [1, 2, 3] }), numbers);
    let kept = step("clip", json!({ "low": 0, "high": [7, 8, 9] }), known);
    let scaled = step("scale", json!({ "center": [1, 2, 3], "scale": 2 }), kept);
    let home = step(
        "one_hot",
        json!({ "categories": ["own", "rent"] }),
        text.clone(),
    );
    let code = step("ordinal", json!({ "categories": ["own", "rent"] }), text);
    let code = graph.cast(&code, Dtype::F32);
    let all = graph.concat(&[scaled, home, code]).unwrap();
    let sum = graph.reduce("ReduceSum", &all, &[0], false);
    let model = graph.finish(&[("sum".to_owned(), sum)]);
    let split = front::split(model, &|_, _| true).unwrap();
    let left: Vec<_> = split
        .rest
        .graph
        .unwrap()
        .node
        .into_iter()
        .map(|it| it.op_type)
        .collect();
    assert_eq!(left, ["ReduceSum", "Identity"]);
    assert_eq!(split.inputs.len(), 1);
}
