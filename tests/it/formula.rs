//! Formulas run by the real ONNX Runtime, against what numpy gives, and the examples of the
//! documentation.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use forebay::{
    block::{Column, Series, Strings, Table},
    contract::{Dtype, Field},
    engine::{
        ColumnRef, Engine as _, EngineSpec, InputSpec, ModelSource, OutputRef, StepSpec,
        cpu::CpuEngine,
    },
    graph::{
        GraphBuilder, Value,
        build::OPSET,
        formula::{Checked, ColumnType, Columns, Formula},
    },
    units::Unit,
};
use prost::Message as _;
use serde_json::Value as Json;

use super::engine::{folder, runtime};

const F32_TOLERANCE: f64 = 1e-6;
const F64_TOLERANCE: f64 = 1e-12;

/// A column and its values.
struct Fed {
    name: String,
    column: ColumnType,
    values: Column,
}

struct Feeds(Vec<Fed>);

impl Columns for Feeds {
    fn find(&self, name: &str) -> Option<ColumnType> {
        let fed = self.0.iter().find(|fed| fed.name == name)?;
        Some(fed.column.clone())
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|fed| fed.name.clone()).collect()
    }
}

fn checked(text: &str, feeds: &Feeds) -> Checked {
    Formula::parse(text)
        .and_then(|formula| formula.check(feeds))
        .unwrap_or_else(|error| panic!("{}", error.render(text)))
}

/// Runs all formulas as one graph.
fn run(formulas: &[(&str, &Checked)], feeds: &Feeds, rows: usize, opset: i64) -> Vec<Series> {
    runtime();
    let mut graph = GraphBuilder::new(opset);
    let inputs: BTreeMap<&str, Value> = (feeds.0.iter())
        .map(|fed| {
            let input = graph.input(&fed.name, fed.column.dtype, &fed.column.shape);
            (fed.name.as_str(), input)
        })
        .collect();
    let mut outputs = Vec::new();
    for (place, (text, formula)) in formulas.iter().enumerate() {
        graph.begin_step(&format!("formula{place}"));
        let value = formula
            .emit(&mut graph, &|name| inputs[name].clone())
            .unwrap_or_else(|error| panic!("{}", error.render(text)));
        outputs.push((format!("result{place}"), value));
    }
    let model = graph.finish(&outputs).encode_to_vec();
    let fields: Vec<Field> = (feeds.0.iter())
        .map(|fed| Field::new(&fed.name, fed.column.dtype, fed.column.shape.clone()))
        .collect();
    let spec = EngineSpec {
        steps: vec![StepSpec {
            source: ModelSource::built("formulas.onnx", model),
            when: None,
            device: forebay::engine::Device::Cpu,
            accuracy: forebay::engine::Accuracy::default(),
            inputs: (feeds.0.iter().enumerate())
                .map(|(place, fed)| InputSpec {
                    columns: vec![ColumnRef::Field(place)],
                    shape: fed.column.shape.clone(),
                })
                .collect(),
        }],
        outputs: (0..outputs.len())
            .map(|output| OutputRef { step: 0, output })
            .collect(),
        max_rows: rows,
        state: None,
    };
    let mut engine = CpuEngine::load(&spec, &fields).unwrap_or_else(|error| panic!("{error}"));
    let input = Table {
        rows,
        series: (feeds.0.iter())
            .map(|fed| Series {
                values: fed.values.clone(),
                shape: fed.column.shape.clone(),
                present: None,
            })
            .collect(),
    };
    let mut output = Table::default();
    engine.run(&input, &mut output).unwrap();
    output.series
}

/// A number as JSON holds it; what JSON cannot hold is text.
fn number(value: &Json) -> f64 {
    match value {
        Json::String(text) => text.parse().unwrap(),
        other => other.as_f64().unwrap(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the file holds what fits")]
fn column(dtype: Dtype, values: &[Json]) -> Column {
    let whole = || values.iter().map(|value| value.as_i64().unwrap());
    let numbers = || values.iter().map(number);
    match dtype {
        Dtype::F32 => Column::F32(numbers().map(|value| value as f32).collect()),
        Dtype::F64 => Column::F64(numbers().collect()),
        Dtype::I64 => Column::I64(whole().collect()),
        Dtype::I32 => Column::I32(whole().map(|value| value.try_into().unwrap()).collect()),
        Dtype::U8 => Column::U8(whole().map(|value| value.try_into().unwrap()).collect()),
        Dtype::Bool => Column::Bool(
            values
                .iter()
                .map(|value| value.as_bool().unwrap())
                .collect(),
        ),
        Dtype::Bytes => panic!("no case has bytes"),
        Dtype::String => {
            let mut strings = Strings::default();
            for value in values {
                strings.push(value.as_str().unwrap());
            }
            Column::String(strings)
        }
    }
}

fn sizes(value: &Json) -> Vec<usize> {
    let sizes = value.as_array().unwrap().iter();
    sizes
        .map(|size| size.as_u64().unwrap().try_into().unwrap())
        .collect()
}

/// An element that is too far from what it should be, if there is one.
#[expect(
    clippy::float_cmp,
    reason = "what is equal needs no tolerance, infinities among it"
)]
fn too_far(expected: &Column, found: &Column) -> Option<String> {
    let off = |expected: f64, found: f64, tolerance: f64| {
        let same = expected == found || expected.is_nan() && found.is_nan();
        let gap = (expected - found).abs() / expected.abs();
        (!same && (gap > tolerance || gap.is_nan()))
            .then(|| format!("{expected:?} expected, {found:?} found"))
    };
    match (expected, found) {
        (Column::F32(expected), Column::F32(found)) if expected.len() == found.len() => {
            std::iter::zip(expected, found)
                .find_map(|(a, b)| off(f64::from(*a), f64::from(*b), F32_TOLERANCE))
        }
        (Column::F64(expected), Column::F64(found)) if expected.len() == found.len() => {
            std::iter::zip(expected, found).find_map(|(a, b)| off(*a, *b, F64_TOLERANCE))
        }
        _ => (expected != found).then(|| format!("{expected:?} expected, {found:?} found")),
    }
}

struct Cases {
    rows: usize,
    feeds: Feeds,
    all: Vec<Json>,
    random: usize,
}

fn cases() -> Cases {
    let text = fs::read_to_string(folder("tests/data/formula/cases.json")).unwrap();
    let json: Json = serde_json::from_str(&text).unwrap();
    let feeds = (json["columns"].as_object().unwrap().iter())
        .map(|(name, given)| {
            let dtype = Dtype::from_name(given["dtype"].as_str().unwrap()).unwrap();
            Fed {
                name: name.clone(),
                column: ColumnType::new(dtype, sizes(&given["shape"])),
                values: column(dtype, given["values"].as_array().unwrap()),
            }
        })
        .collect();
    Cases {
        rows: json["rows"].as_u64().unwrap().try_into().unwrap(),
        feeds: Feeds(feeds),
        all: json["cases"].as_array().unwrap().clone(),
        random: json["random"].as_u64().unwrap().try_into().unwrap(),
    }
}

fn agrees_with_numpy(opset: i64) {
    let Cases {
        rows,
        feeds,
        all: cases,
        random,
    } = cases();
    assert!(random >= 500 && cases.len() > random);
    let formulas: Vec<(&str, Checked)> = (cases.iter())
        .map(|case| case["formula"].as_str().unwrap())
        .map(|text| (text, checked(text, &feeds)))
        .collect();
    let by_reference: Vec<_> = formulas.iter().map(|(text, of)| (*text, of)).collect();
    let found = run(&by_reference, &feeds, rows, opset);
    assert_eq!(found.len(), cases.len());
    let mut wrong = String::new();
    for ((case, (text, formula)), found) in std::iter::zip(cases.iter().zip(&formulas), found) {
        let dtype = Dtype::from_name(case["dtype"].as_str().unwrap()).unwrap();
        let shape = sizes(&case["shape"]);
        assert_eq!(formula.dtype(), dtype, "{text}");
        assert_eq!(formula.shape(), shape, "{text}");
        assert_eq!(found.shape, shape, "{text}");
        let expected = column(dtype, case["expected"].as_array().unwrap());
        if let Some(off) = too_far(&expected, &found.values) {
            writeln!(wrong, "{text}: {off}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "operator set {opset}:\n{wrong}");
}

#[test]
fn formulas_agree_with_numpy_at_the_oldest_operator_set() {
    agrees_with_numpy(13);
}

#[test]
fn formulas_agree_with_numpy_at_the_usual_operator_set() {
    agrees_with_numpy(OPSET);
}

/// Here `Equal` takes text.
#[test]
fn formulas_agree_with_numpy_at_a_new_operator_set() {
    agrees_with_numpy(23);
}

#[test]
fn two_text_columns_need_a_newer_operator_set() {
    let Cases { rows, feeds, .. } = cases();
    for text in ["crop == other", "crop != other"] {
        let formula = checked(text, &feeds);
        let found = run(&[(text, &formula)], &feeds, rows, 19);
        let same = [true, false, true, false, true, false, true, false];
        let expected = same.map(|same| same == text.contains("=="));
        assert_eq!(found[0].values, Column::Bool(expected.to_vec()));
        let mut graph = GraphBuilder::new(18);
        let value = Value::new("x", Dtype::String, Vec::new());
        let error = formula.emit(&mut graph, &|_| value.clone()).unwrap_err();
        assert!(error.what.contains("operator set 18"), "{error}");
        assert_eq!(error.span, 0..4);
    }
}

/// What would trap the processor.
#[test]
fn no_remainder_ends_the_process() {
    let numbers = vec![i64::MIN, i64::MIN, 7, -7, i64::MAX];
    let by = vec![-1, 0, 0, -1, i64::MIN];
    let fed = |name: &str, values: Vec<i64>| Fed {
        name: name.to_owned(),
        column: ColumnType::new(Dtype::I64, Vec::new()),
        values: Column::I64(values),
    };
    let feeds = Feeds(vec![fed("n", numbers), fed("by", by)]);
    let texts = ["n % by", "n % -1", "(n * 0) % (by * 0)"];
    let formulas = texts.map(|text| (text, checked(text, &feeds)));
    let by_reference: Vec<_> = formulas.iter().map(|(text, of)| (*text, of)).collect();
    let found = run(&by_reference, &feeds, 5, 13);
    assert_eq!(found[0].values, Column::I64(vec![0, 0, 0, 0, -1]));
    assert_eq!(found[1].values, Column::I64(vec![0; 5]));
    assert_eq!(found[2].values, Column::I64(vec![0; 5]));
}

/// One line of the documentation's table.
struct Example {
    formula: String,
    feeds: Feeds,
    dtype: Dtype,
    value: Column,
    unit: Option<String>,
}

/// `value` or `value unit` as a column of one row.
fn value_of(dtype: Dtype, text: &str) -> (Column, Option<String>) {
    let (value, unit) = match text.split_once(' ') {
        Some((value, unit)) => (value, Some(unit.to_owned())),
        None => (text, None),
    };
    let json = match dtype {
        Dtype::Bool => Json::Bool(value.parse().unwrap()),
        Dtype::I64 => Json::from(value.parse::<i64>().unwrap()),
        _ => Json::from(value),
    };
    (column(dtype, &[json]), unit)
}

fn dtype_of(text: &str) -> Dtype {
    Dtype::from_name(text).unwrap_or_else(|| panic!("{text} is no type"))
}

fn examples() -> Vec<Example> {
    let page = fs::read_to_string(folder("docs/formulas.md")).unwrap();
    let (_, table) = page.split_once("| formula | columns | result |").unwrap();
    table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |"))
        .map(|line| {
            let cells: Vec<_> = line.split("` | `").collect();
            let [formula, columns, result] = cells[..] else {
                panic!("{line}");
            };
            let feeds = columns.split("`, `").map(|column| {
                let (name, rest) = column.split_once(": ").unwrap();
                let (dtype, value) = rest.split_once(" = ").unwrap();
                let dtype = dtype_of(dtype);
                let (values, unit) = value_of(dtype, value);
                Fed {
                    name: name.to_owned(),
                    column: ColumnType {
                        unit: unit.map(|unit| Unit::parse(&unit).unwrap()),
                        ..ColumnType::new(dtype, Vec::new())
                    },
                    values,
                }
            });
            let feeds = Feeds(feeds.collect());
            let (dtype, value) = result.split_once(' ').unwrap();
            let dtype = dtype_of(dtype);
            let (value, unit) = value_of(dtype, value);
            Example {
                formula: formula.to_owned(),
                feeds,
                dtype,
                value,
                unit,
            }
        })
        .collect()
}

#[test]
fn the_examples_of_the_documentation_are_right() {
    let examples = examples();
    assert!(examples.len() > 30);
    let mut wrong = String::new();
    for example in examples {
        let text = example.formula.as_str();
        let formula = checked(text, &example.feeds);
        let unit = formula.unit().map(ToString::to_string);
        let (is, said) = ((formula.dtype(), unit), (example.dtype, example.unit));
        if is != said {
            writeln!(wrong, "{text}: {said:?} expected, {is:?} found").unwrap();
            continue;
        }
        let found = run(&[(text, &formula)], &example.feeds, 1, OPSET);
        if let Some(off) = too_far(&example.value, &found[0].values) {
            writeln!(wrong, "{text}: {off}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_function_is_tested_and_documented() {
    let page = fs::read_to_string(folder("docs/formulas.md")).unwrap();
    let mut used: Vec<String> = (cases().all.iter())
        .map(|case| case["formula"].as_str().unwrap().to_owned())
        .collect();
    used.extend(examples().into_iter().map(|example| example.formula));
    for (name, usage) in Formula::functions() {
        let call = format!("{name}(");
        let starts = |text: &String| {
            text.match_indices(&call)
                .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        assert!(used.iter().any(starts), "no case has `{usage}`");
        assert!(
            page.contains(&format!("`{usage}`")),
            "`{usage}` is not documented"
        );
    }
}
