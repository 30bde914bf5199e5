//! Every tensor step on a GPU, by the driver that stands for one, against the same answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use forebay::{
    contract::Dtype,
    engine::{
        cuda::raw::CudaRaw,
        raw::{RawError, RawModel as _, Value as Given},
    },
    graph::{
        self, Value,
        tensor::{Data, Element, Raw, Tensor, Values},
    },
};

use super::{Case, Elements, Tested, compile, read, sheets};
use crate::support::fake_cuda;

/// Models are written for this operator set: what the optimiser makes of others is the same.
const OPSET: i64 = 18;
/// Functions such as exp are another library's on the device than the one that gave the answers.
const NOISE: f64 = 1e-5;

fn element(dtype: Dtype) -> Element {
    match dtype {
        Dtype::F32 => Element::Float32,
        Dtype::F64 => Element::Float64,
        Dtype::I32 => Element::Int32,
        Dtype::I64 => Element::Int64,
        Dtype::U8 => Element::Uint8,
        Dtype::Bool => Element::Bool,
        Dtype::String | Dtype::Bytes => Element::Text,
    }
}

fn raw(tested: &Tested, rows: usize) -> Raw {
    let (dtype, elements) = (tested.dtype(), tested.elements(rows));
    let data = match (&elements, dtype) {
        (Elements::Text(texts), _) => Data::Texts(texts.iter().cloned().map(Bytes::from).collect()),
        (Elements::Float(values), Dtype::F32) => {
            packed(values, |value| (value as f32).to_le_bytes().to_vec())
        }
        (Elements::Float(values), _) => packed(values, |value| value.to_le_bytes().to_vec()),
        (Elements::Whole(values), Dtype::I64) => {
            packed(values, |value| value.to_le_bytes().to_vec())
        }
        (Elements::Whole(values), Dtype::I32) => {
            packed(values, |value| (value as i32).to_le_bytes().to_vec())
        }
        (Elements::Whole(values), _) => packed(values, |value| vec![value.to_le_bytes()[0]]),
    };
    Raw {
        element: element(dtype),
        shape: [&[rows], tested.shape.as_slice()].concat(),
        data,
    }
}

fn packed<T: Copy>(values: &[T], bytes: impl Fn(T) -> Vec<u8>) -> Data {
    Data::Packed(
        values
            .iter()
            .flat_map(|value| bytes(*value))
            .collect::<Vec<u8>>()
            .into(),
    )
}

fn elements(tensor: &Tensor) -> Elements {
    match &tensor.values {
        Values::Float(values) => Elements::Float(values.clone()),
        Values::Int(values) => Elements::Whole(values.clone()),
        Values::Uint(values) => Elements::Whole(
            values
                .iter()
                .map(|value| i64::try_from(*value).unwrap())
                .collect(),
        ),
        Values::Bool(values) => {
            Elements::Whole(values.iter().map(|value| i64::from(*value)).collect())
        }
        Values::Text(values) => {
            let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
            Elements::Text(values.iter().map(text).collect())
        }
        Values::Complex(_) => panic!("no step gives complex numbers"),
    }
}

impl Case {
    /// `None` where the results are right; what the engine lacks for it.
    fn on_gpu(&self, key: &str) -> Option<String> {
        let step = read(key, &self.params).unwrap();
        let inputs: Vec<Value> = (self.inputs.iter().enumerate())
            .map(|(place, input)| Value {
                labels: input.labels.clone(),
                ..Value::new(format!("in_{place}"), input.dtype(), input.shape.clone())
            })
            .collect();
        let (model, _) = compile(step.as_ref(), &inputs, OPSET).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        graph::write(&model, &path).unwrap();
        let fed: Vec<(String, Given<Raw>)> = (self.inputs.iter().enumerate())
            .map(|(place, input)| (format!("in_{place}"), Given::Tensor(raw(input, self.rows))))
            .collect();
        let ran = CudaRaw::load(&path, 0).and_then(|mut model| model.run(&fed));
        let found = match ran {
            Ok(found) => found,
            Err(RawError::NotSupported(why) | RawError::CannotBeFed(why)) => return Some(why),
            Err(RawError::Failed(why)) => panic!("{key} {}: {why}", self.params),
        };
        assert_eq!(found.len(), self.outputs.len());
        for (found, expected) in found.iter().zip(&self.outputs) {
            let Given::Tensor(found) = found else {
                panic!("{key}: no tensor");
            };
            let (relative, absolute) = (self.rtol.max(NOISE), self.atol.max(NOISE));
            let answer = expected.elements(self.rows);
            let differs = elements(found).differs(&answer, relative, absolute);
            assert_eq!(differs, None, "{key} {} `{}`", self.params, expected.part);
        }
        None
    }
}

#[test]
fn steps_on_a_gpu_answer_as_the_libraries_do() {
    let ran = fake_cuda::run("steps::on_gpu::case_steps", &[]);
    insta::assert_snapshot!(ran.lines());
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test around it reads that")]
fn case_steps() {
    // Ends the line of the test harness.
    println!();
    for (path, sheet) in sheets() {
        let mut said: BTreeMap<String, usize> = BTreeMap::new();
        for case in &sheet.cases {
            // Names of values differ from case to case.
            let lacking = case
                .on_gpu(&sheet.step)
                .map(|why| match why.split_once("` (") {
                    Some((_, rest)) => format!("({rest}"),
                    None => why,
                });
            *said
                .entry(lacking.unwrap_or_else(|| "right".to_owned()))
                .or_default() += 1;
        }
        let name = path.file_stem().unwrap().to_string_lossy();
        let said: Vec<String> = said
            .iter()
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        println!("- {name}: {}", said.join("; "));
    }
}
