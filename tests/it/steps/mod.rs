//! Every tensor step against what numpy, scikit-learn, Pillow and others answer: `tests/data/steps/*.json`, run by
//! the real ONNX Runtime in several operator sets.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that panics has done its work"
)]

pub(crate) mod elements;
mod faults;
#[cfg(target_os = "linux")]
mod on_gpu;

use std::{fs, path::PathBuf};

use forebay::{
    contract::Dtype,
    engine::cpu::library,
    graph::{
        GraphBuilder, Value,
        build::ML_DOMAIN,
        proto::Model,
        steps::{self, Fault, Output, TensorStep},
    },
};
use ort::session::{Session, SessionInputValue, SessionInputs, builder::GraphOptimizationLevel};
use prost::Message as _;
use serde::Deserialize;
use serde_json::Value as Json;

use elements::Elements;

/// Steps are emitted for the operator set of the model they stand beside; forms of operators changed in some.
/// Beside them, the set of `ai.onnx.ml` that such a model may bring.
const OPSETS: [(i64, i64); 5] = [(13, 2), (17, 2), (18, 3), (21, 4), (25, 5)];
/// Fewer cases prove little.
const CASES_MIN: usize = 20;
/// Differences shown for one file.
const SHOWN: usize = 8;

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    /// The step's key.
    step: String,
    /// Who gave the answers.
    #[allow(dead_code, reason = "for those who read the file")]
    against: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    params: Json,
    rows: usize,
    /// In the order of the ports.
    inputs: Vec<Tested>,
    outputs: Vec<Tested>,
    #[serde(default)]
    rtol: f64,
    #[serde(default)]
    atol: f64,
}

/// A tensor. `values` lie flat, row by row; null is NaN, and `"inf"` and `"-inf"` stand for what JSON lacks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tested {
    /// Of an output.
    #[serde(default)]
    part: String,
    dtype: String,
    /// Of one row.
    shape: Vec<usize>,
    /// Names of the elements; where an output has none here, the step must not give any.
    #[serde(default)]
    labels: Option<Vec<String>>,
    values: Vec<Json>,
}

impl Tested {
    fn dtype(&self) -> Dtype {
        Dtype::from_name(&self.dtype).unwrap_or_else(|| panic!("no type `{}`", self.dtype))
    }

    fn elements(&self, rows: usize) -> Elements {
        let all = rows * self.shape.iter().product::<usize>();
        assert_eq!(
            self.values.len(),
            all,
            "elements for shape {:?}",
            self.shape
        );
        Elements::read(self.dtype(), &self.values)
    }
}

/// The step with these parameters.
pub(crate) fn read(key: &str, params: &Json) -> Result<Box<dyn TensorStep>, String> {
    steps::read(key, params)
        .unwrap_or_else(|| panic!("there is no step `{key}`"))
        .map_err(|error| error.to_string())
}

/// The step as a model file of its own, and what it gives.
pub(crate) fn compile(
    step: &dyn TensorStep,
    inputs: &[Value],
    opset: i64,
) -> Result<(Model, Vec<Output>), Fault> {
    let mut graph = GraphBuilder::new(opset);
    let inputs: Vec<Value> = (inputs.iter())
        .map(|input| Value {
            name: graph.input(&input.name, input.dtype, &input.shape).name,
            ..input.clone()
        })
        .collect();
    graph.begin_step("step");
    let inputs = feed(step, &mut graph, inputs);
    let outputs = step.emit(&mut graph, &inputs)?;
    let named: Vec<(String, Value)> = (outputs.iter())
        .map(|output| (format!("out_{}", output.part), output.value.clone()))
        .collect();
    Ok((graph.finish(&named), outputs))
}

/// What `input` lists, side by side in the widest type, where the step has one port for it.
fn feed(step: &dyn TensorStep, graph: &mut GraphBuilder, inputs: Vec<Value>) -> Vec<Value> {
    const WIDER: [Dtype; 6] = [
        Dtype::Bool,
        Dtype::U8,
        Dtype::I32,
        Dtype::I64,
        Dtype::F32,
        Dtype::F64,
    ];
    if step.takes_list() || step.ports().len() > 1 || inputs.len() < 2 {
        return inputs;
    }
    let rank = |dtype| WIDER.iter().position(|wider| *wider == dtype);
    let widest = inputs
        .iter()
        .map(|input| input.dtype)
        .max_by_key(|dtype| rank(*dtype))
        .unwrap();
    let inputs: Vec<Value> = inputs
        .iter()
        .map(|input| graph.cast(input, widest))
        .collect();
    vec![graph.concat(&inputs).unwrap()]
}

/// The model file, loaded as the engine loads models.
fn open(model: &Model) -> ort::Result<Session> {
    let environment = library::loaded().unwrap_or_else(|error| {
        panic!("these tests need ONNX Runtime: run `make setup`.\n{error}")
    });
    Session::builder(&environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_memory_pattern(false)?
        .commit_from_memory(&model.encode_to_vec())
}

impl Case {
    /// What is wrong in this operator set.
    fn check(&self, key: &str, (opset, ml): (i64, i64)) -> Result<(), String> {
        let step = read(key, &self.params)?;
        let inputs: Vec<Value> = (self.inputs.iter().enumerate())
            .map(|(place, input)| Value {
                labels: input.labels.clone(),
                ..Value::new(format!("in_{place}"), input.dtype(), input.shape.clone())
            })
            .collect();
        let (mut model, outputs) =
            compile(step.as_ref(), &inputs, opset).map_err(|fault| format!("{fault:?}"))?;
        self.check_declared(&outputs)?;
        for set in &mut model.opset_import {
            if set.domain == ML_DOMAIN {
                set.version = ml;
            }
        }
        let mut session = open(&model).map_err(|error| error.to_string())?;
        self.check_rows(&mut session, &outputs, 0, self.rows)?;
        // A row is worth the same in any company.
        let last = self.rows - 1;
        self.check_rows(&mut session, &outputs, last, 1)
            .map_err(|why| format!("row {last} alone: {why}"))
    }

    /// Parts, types, shapes and labels, as the step says them before anything runs.
    fn check_declared(&self, outputs: &[Output]) -> Result<(), String> {
        let declared: Vec<_> = (outputs.iter())
            .map(|output| {
                let value = &output.value;
                (output.part, value.dtype, &value.shape, &value.labels)
            })
            .collect();
        let expected: Vec<_> = (self.outputs.iter())
            .map(|output| {
                (
                    output.part.as_str(),
                    output.dtype(),
                    &output.shape,
                    &output.labels,
                )
            })
            .collect();
        if declared == expected {
            return Ok(());
        }
        Err(format!("it declares {declared:?}, not {expected:?}"))
    }

    /// Feeds `count` rows from row `from` on.
    fn check_rows(
        &self,
        session: &mut Session,
        outputs: &[Output],
        from: usize,
        count: usize,
    ) -> Result<(), String> {
        let fed: Vec<(String, SessionInputValue<'static>)> = (self.inputs.iter().enumerate())
            .map(|(place, input)| {
                let shape: Vec<usize> = [&[count], input.shape.as_slice()].concat();
                let elements = input.elements(self.rows).rows(from, count, self.rows);
                (
                    format!("in_{place}"),
                    elements.tensor(input.dtype(), &shape),
                )
            })
            .collect();
        let ran = session
            .run(SessionInputs::from(fed))
            .map_err(|error| error.to_string())?;
        for (output, expected) in outputs.iter().zip(&self.outputs) {
            let (dtype, shape, got) = Elements::of(&ran[format!("out_{}", output.part)]);
            let want: Vec<usize> = [&[count], expected.shape.as_slice()].concat();
            if dtype != expected.dtype() || shape != want {
                return Err(format!(
                    "`{}` is {dtype} {shape:?}, not {} {want:?}",
                    output.part, expected.dtype
                ));
            }
            let answer = expected.elements(self.rows).rows(from, count, self.rows);
            if let Some(difference) = got.differs(&answer, self.rtol, self.atol) {
                return Err(format!("`{}`: {difference}", output.part));
            }
        }
        Ok(())
    }
}

fn sheets() -> Vec<(PathBuf, Sheet)> {
    let folder = crate::engine::folder("tests/data/steps");
    let mut paths: Vec<PathBuf> = (fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    (paths.into_iter())
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let sheet = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, sheet)
        })
        .collect()
}

#[test]
fn steps_answer_as_the_libraries_do() {
    let mut wrong = Vec::new();
    for (path, sheet) in sheets() {
        let name = path.file_stem().unwrap().to_string_lossy();
        let mut found: Vec<String> = Vec::new();
        for (number, case) in sheet.cases.iter().enumerate() {
            for opset in OPSETS {
                if let Err(why) = case.check(&sheet.step, opset) {
                    let (opset, _) = opset;
                    let params = &case.params;
                    found.push(format!(
                        "{name} case {number} {params} opset {opset}: {why}"
                    ));
                }
            }
        }
        if found.len() > SHOWN {
            let more = found.len() - SHOWN;
            found.truncate(SHOWN);
            found.push(format!("{name}: and {more} more"));
        }
        wrong.extend(found);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_step_has_cases_enough() {
    let sheets = sheets();
    let lacking: Vec<_> = (steps::NAMES.iter())
        .map(|name| {
            let cases = sheets.iter().filter(|(_, sheet)| sheet.step == *name);
            (
                name,
                cases.map(|(_, sheet)| sheet.cases.len()).sum::<usize>(),
            )
        })
        .filter(|(_, cases)| *cases < CASES_MIN)
        .collect();
    assert!(
        lacking.is_empty(),
        "steps with fewer than {CASES_MIN} cases in tests/data/steps: {lacking:?}"
    );
}

#[test]
fn what_is_written_can_be_written_again() {
    for (path, sheet) in sheets() {
        for case in &sheet.cases {
            let written = read(&sheet.step, &case.params).unwrap().parameters();
            let yaml = serde_saphyr::from_str(&written)
                .unwrap_or_else(|error| panic!("{}: {written}: {error}", path.display()));
            let again = read(&sheet.step, &yaml)
                .unwrap_or_else(|error| panic!("{}: {written}: {error}", path.display()))
                .parameters();
            assert_eq!(written, again, "{}", path.display());
        }
    }
}
