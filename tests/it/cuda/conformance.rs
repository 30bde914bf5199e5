//! Whole models as plans on the fake, against ONNX Runtime.

use std::{
    fs,
    path::{Path, PathBuf},
};

use forebay::{
    engine::{
        Dim, ModelSource,
        cpu::{catalog::CpuCatalog, optimized::optimized, raw::CpuRaw},
        cuda::{
            convolution::Order,
            lower::{Products, lower},
            plan::Step,
            product::Math,
            raw::CudaRaw,
        },
        raw::{RawError, RawModel, Value},
    },
    graph::{
        self,
        proto::{self, Model},
        tensor::{Data, Element, Raw, Tensor, Values},
        zipmap,
    },
};

use crate::support::fake_cuda;

const MODELS: &str = "tests/data/models";
const ROWS: usize = 37;
/// What a number may be off, as a part of it and besides.
const RELATIVE: f64 = 1e-3;
const ABSOLUTE: f64 = 1e-5;

pub(super) fn folders(of: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = (fs::read_dir(of).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("model.onnx").exists())
        .collect();
    found.sort();
    found
}

pub(super) fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

/// What a model is given, by name.
pub(super) type Fed = Vec<(String, Value<Raw>)>;

/// Numbers that look random and are the same each time.
struct Random(u64);

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the numbers are small"
)]
impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A tensor of some type: numbers from -3 to 3, whole ones from 0 to 9.
    fn tensor(&mut self, element: Element, shape: Vec<usize>) -> Raw {
        let count = shape.iter().product::<usize>();
        let bytes = |random: &mut Self| match element {
            Element::Float32 => ((random.next() * 6.0 - 3.0) as f32).to_le_bytes().to_vec(),
            Element::Float64 => (random.next() * 6.0 - 3.0).to_le_bytes().to_vec(),
            Element::Bool => vec![u8::from(random.next() < 0.5)],
            other => {
                let mut bytes = vec![0; other.bits() / 8];
                bytes[0] = b"0123456789"[(random.next() * 10.0) as usize] - b'0';
                bytes
            }
        };
        let data: Vec<u8> = (0..count).flat_map(|_| bytes(self)).collect();
        Raw {
            element,
            shape,
            data: Data::Packed(data.into()),
        }
    }
}

/// An encoder in every precision, by the library and by the kernels.
#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test around it reads that")]
fn case_encoder() {
    println!();
    let model = graph::read(Path::new("tests/data/cuda/encoder.onnx")).unwrap();
    for rows in [1, 3] {
        let mut random = Random(5);
        let mut input = |name: &str| {
            let ids = random.tensor(Element::Int64, vec![rows, 8]);
            (name.to_owned(), Value::Tensor(ids))
        };
        let ids = input("ids");
        let (mask, mut value) = input("mask");
        if let Value::Tensor(Raw {
            data: Data::Packed(bytes),
            ..
        }) = &mut value
        {
            // Whole numbers as ones and zeros, the first always one.
            let bytes_of = |at: usize, byte: &u8| {
                u8::from(at.is_multiple_of(8) && (*byte > 2 || at.is_multiple_of(64)))
            };
            *bytes = bytes
                .iter()
                .enumerate()
                .map(|(at, byte)| bytes_of(at, byte))
                .collect();
        }
        match outcome(&model, &[ids, (mask, value)], math_of_case()) {
            Outcome::Equal => println!("- {rows} rows: equal"),
            other => panic!("{rows} rows: {other:?}"),
        }
    }
}

/// The model without ZipMap, and the shapes of its inputs for this many rows.
fn served(folder: &Path, rows: usize) -> (Model, Vec<(String, Element, Vec<usize>)>) {
    let path = folder.join("model.onnx");
    let mut model = graph::read(&path).unwrap();
    zipmap::unzip(&mut model);
    let inputs = CpuCatalog::new().inputs(&path).unwrap();
    let declared = &model.graph.as_ref().unwrap().input;
    let shapes = (inputs.iter().zip(declared))
        .map(|(input, declared)| {
            let dims = (input.dims.iter().enumerate())
                .map(|(at, dim)| match dim {
                    Dim::Fixed(size) => *size,
                    Dim::Free(_) if at == 0 => rows,
                    Dim::Free(_) => 8,
                })
                .collect();
            let kind = declared
                .r#type
                .as_ref()
                .and_then(|kind| kind.value.as_ref());
            let Some(proto::Kind::Tensor(tensor)) = kind else {
                panic!("{} is no tensor", input.name)
            };
            let element = Element::of_number(tensor.elem_type).unwrap();
            (input.name.clone(), element, dims)
        })
        .collect();
    (model, shapes)
}

/// What the process that runs a case is told.
pub(super) const MATH: &str = "CASE_MATH";

pub(super) fn math_of_case() -> Math {
    match std::env::var(MATH).as_deref() {
        Ok("tf32") => Math::Tf32,
        Ok("fp16") => Math::Half,
        Ok("bf16") => Math::Bfloat,
        _ => Math::Single,
    }
}

/// In which order pictures lie for cuDNN in a case.
pub(super) const PICTURES: &str = "CASE_PICTURES";

fn pictures_of_case() -> Order {
    match std::env::var(PICTURES).as_deref() {
        Ok("channels") => Order::Channels,
        _ => Order::Planes,
    }
}

/// The kernels of a plan with how often each is launched.
fn kernels(steps: &[Step]) -> String {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for step in steps {
        let kernel = match step {
            Step::Kernel(launch) => launch.kernel,
            Step::Product(_) => "cublaslt",
            Step::Convolution(_) => "cudnn",
        };
        match counted.iter_mut().find(|(name, _)| *name == kernel) {
            Some((_, count)) => *count += 1,
            None => counted.push((kernel, 1)),
        }
    }
    let said: Vec<String> = (counted.iter())
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    said.join(", ")
}

#[test]
fn every_model_is_lowered_or_says_why_not() {
    let mut said = String::new();
    for folder in folders(Path::new(MODELS)) {
        let (model, shapes) = served(&folder, ROWS);
        let bytes = graph::to_bytes(&model);
        let source = ModelSource::built(folder.join("model.onnx"), bytes);
        let dims: Vec<Vec<usize>> = shapes.into_iter().map(|(_, _, dims)| dims).collect();
        let optimized = optimized(&source, &dims).unwrap();
        let made = match lower(&optimized.model, Products::OWN) {
            Ok(plan) => kernels(&plan.steps),
            Err(error) => error.to_string(),
        };
        said.push_str(&format!("{}: {made}\n", name_of(&folder)));
    }
    insta::assert_snapshot!(said);
}

/// Whether two tensors are the same but for what the tolerance allows; else the worst.
fn compared(found: &Tensor, wanted: &Tensor) -> Result<(), String> {
    if (found.element, &found.shape) != (wanted.element, &wanted.shape) {
        return Err(format!(
            "{} {:?} instead of {} {:?}",
            found.element.name(),
            found.shape,
            wanted.element.name(),
            wanted.shape
        ));
    }
    // Sixteen bits hold three digits, or two.
    let (relative, absolute) = match wanted.element {
        Element::Float16 => (4e-3, 1e-3),
        Element::Bfloat16 => (2e-2, 1e-2),
        _ => (RELATIVE, ABSOLUTE),
    };
    let (Values::Float(found), Values::Float(wanted)) = (&found.values, &wanted.values) else {
        if found.values == wanted.values {
            return Ok(());
        }
        return Err(format!("{:?} instead of {:?}", found.values, wanted.values));
    };
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        // Infinities are their own bits; what is left may be off a little.
        let same = found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan();
        let far = (found - wanted).abs() > absolute + relative * wanted.abs();
        if !same && (far || !found.is_finite() || !wanted.is_finite()) {
            return Err(format!("element {at} is {found} instead of {wanted}"));
        }
    }
    Ok(())
}

/// Whether no fraction is further off than a precision allows, as a part of the largest. Sums may cancel.
fn nearly(found: &Tensor, wanted: &Tensor, math: Math) -> Result<(), String> {
    let part = match math {
        Math::Bfloat => 3e-2,
        _ => 4e-3,
    };
    let (Values::Float(found), Values::Float(wanted)) = (&found.values, &wanted.values) else {
        return compared(found, wanted);
    };
    let largest = wanted
        .iter()
        .fold(0.0, |most: f64, value| most.max(value.abs()));
    let off = |(found, wanted): (&f64, &f64)| (found - wanted).abs() / largest;
    let worst = found.iter().zip(wanted).map(off);
    // NaN is worse than any.
    let worst = worst.fold(0.0, |most: f64, off| if off <= most { most } else { off });
    if worst <= part {
        return Ok(());
    }
    Err(format!("by {worst:.1e} of the largest"))
}

/// How a model does on the fake: nothing to say where it equals ONNX Runtime, else why it does not run or how it differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Equal,
    Uncovered(String),
    Wrong(String),
}

pub(super) fn outcome(model: &Model, inputs: &[(String, Value<Raw>)], math: Math) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    graph::write(model, &path).unwrap();
    let wanted = CpuRaw::load(&path).and_then(|mut model| model.run(inputs));
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return Outcome::Uncovered(format!("the CPU says: {error}")),
    };
    let found = CudaRaw::load_as(&path, 0, math)
        .and_then(|model| model.with_pictures(pictures_of_case()).run(inputs));
    let found = match found {
        Ok(found) => found,
        Err(RawError::NotSupported(why) | RawError::CannotBeFed(why)) => {
            return Outcome::Uncovered(why);
        }
        Err(RawError::Failed(why)) => return Outcome::Wrong(why),
    };
    for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        let (Value::Tensor(found), Value::Tensor(wanted)) = (found, wanted) else {
            return Outcome::Wrong(format!("output {at} is no tensor"));
        };
        let compared = match math {
            Math::Single => compared(found, wanted),
            _ => nearly(found, wanted, math),
        };
        if let Err(why) = compared {
            return Outcome::Wrong(format!("output {at}: {why}"));
        }
    }
    Outcome::Equal
}

/// Runs a case in processes of its own, with the fake in several orders, and gives what it printed behind `- `.
pub(super) fn on_the_fake(case: &str, seeds: u32) -> String {
    let seeds: Vec<u32> = (0..seeds).collect();
    with(case, &seeds, &[]).0
}

/// As [`on_the_fake`], in this environment; and how often each kernel ran with the last seed.
pub(super) fn with(
    case: &str,
    seeds: &[u32],
    environment: &[(&str, &str)],
) -> (String, serde_json::Value) {
    let (mut said, mut kernels) = (String::new(), serde_json::Value::Null);
    for seed in seeds {
        let seed = seed.to_string();
        let environment: Vec<_> = (environment.iter().copied())
            .chain([("FAKE_SEED", seed.as_str())])
            .collect();
        let outcome = fake_cuda::run(case, &environment);
        assert!(outcome.passed, "seed {seed}: {outcome:?}");
        let violations = &outcome.report["violations"];
        assert_eq!(*violations, serde_json::json!([]), "seed {seed}");
        let lines: Vec<&str> = (outcome.stdout.lines())
            .filter_map(|line| line.strip_prefix("- "))
            .collect();
        said = lines.join("\n");
        kernels = outcome.report["kernels"].clone();
    }
    (said, kernels)
}

#[test]
fn models_on_the_device_give_what_they_give_on_the_cpu() {
    insta::assert_snapshot!(on_the_fake("cuda::conformance::case_models", 3));
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test around it reads that")]
fn case_models() {
    // Ends the line of the test harness.
    println!();
    let math = math_of_case();
    for folder in folders(Path::new(MODELS)) {
        let (model, shapes) = served(&folder, ROWS);
        let mut random = Random(7);
        if shapes
            .iter()
            .any(|(_, element, _)| *element == Element::Text)
        {
            println!("- {}: takes strings", name_of(&folder));
            continue;
        }
        let inputs: Fed = (shapes.into_iter())
            .map(|(name, element, dims)| (name, Value::Tensor(random.tensor(element, dims))))
            .collect();
        match outcome(&model, &inputs, math) {
            Outcome::Equal => println!("- {}: equal", name_of(&folder)),
            Outcome::Uncovered(why) => println!("- {}: {why}", name_of(&folder)),
            // What a shorter precision does to a model is what it is, and listed.
            Outcome::Wrong(why) if math != Math::Single => {
                println!("- {}: off: {why}", name_of(&folder));
            }
            Outcome::Wrong(why) => panic!("{}: {why}", name_of(&folder)),
        }
    }
}
