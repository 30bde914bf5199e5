//! Models of old operator sets, raised, against themselves in ONNX Runtime.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "a test that panics has done its work"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use forebay::{
    engine::cpu::library,
    graph::{self, GraphBuilder, hints, raise, zipmap},
};
use ort::{
    session::{Session, SessionInputValue, builder::GraphOptimizationLevel},
    value::{DynValue, Tensor, TensorElementType, ValueType},
};
use proptest::{prelude::*, sample::Index};

use crate::engine::{folder, runtime};

/// Values from -1 to 1 that are all different, in no order.
fn values(count: usize) -> Vec<f64> {
    let spread = |at: usize| (at as f64 * 0.618_033_988_749_895).fract() * 2.0 - 1.0;
    (0..count).map(spread).collect()
}

fn input(declared: &ValueType) -> DynValue {
    let ValueType::Tensor { ty, shape, .. } = declared else {
        panic!("a tensor")
    };
    let shape: Vec<usize> = shape
        .iter()
        .map(|size| usize::try_from(*size).unwrap())
        .collect();
    let values = values(shape.iter().product());
    match ty {
        TensorElementType::Float32 => {
            let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
            Tensor::from_array((shape, values)).unwrap().into_dyn()
        }
        TensorElementType::Float64 => Tensor::from_array((shape, values)).unwrap().into_dyn(),
        other => panic!("{other}"),
    }
}

/// An output in words that are the same where it is.
fn output(value: &DynValue) -> (String, Vec<f64>) {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else {
        panic!("a tensor")
    };
    let floats = match ty {
        TensorElementType::Float32 => (value.try_extract_tensor::<f32>().unwrap().1.iter())
            .map(|value| f64::from(*value))
            .collect(),
        TensorElementType::Float64 => value.try_extract_tensor::<f64>().unwrap().1.to_vec(),
        TensorElementType::Int64 => (value.try_extract_tensor::<i64>().unwrap().1.iter())
            .map(|value| *value as f64)
            .collect(),
        TensorElementType::Bool => (value.try_extract_tensor::<bool>().unwrap().1.iter())
            .map(|value| f64::from(u8::from(*value)))
            .collect(),
        other => panic!("{other}"),
    };
    (format!("{ty} {shape:?}"), floats)
}

/// What the model in a file gives.
pub(crate) fn run(path: &Path) -> Result<Vec<(String, Vec<f64>)>, ort::Error> {
    let mut session = Session::builder(&library::loaded().unwrap())?
        .with_optimization_level(GraphOptimizationLevel::Disable)?
        .commit_from_file(path)?;
    let feeds: Vec<(String, SessionInputValue<'_>)> = (session.inputs().iter())
        .map(|declared| (declared.name().to_owned(), input(declared.dtype()).into()))
        .collect();
    let names: Vec<String> = (session.outputs().iter())
        .map(|declared| declared.name().to_owned())
        .collect();
    let mut outputs = session.run(feeds)?;
    let taken = names
        .iter()
        .map(|name| output(&outputs.remove(name).unwrap()));
    Ok(taken.collect())
}

pub(crate) fn same(one: &[(String, Vec<f64>)], other: &[(String, Vec<f64>)]) -> bool {
    let close = |(a, b): (&f64, &f64)| {
        a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-6 * a.abs().max(1e-6)
    };
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            one.0 == other.0
                && one.1.len() == other.1.len()
                && one.1.iter().zip(&other.1).all(close)
        })
}

/// The models of old operator sets.
pub(crate) fn models() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder("tests/data/raise")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = (paths)
        .filter(|path| path.extension().is_some_and(|it| it == "onnx"))
        .collect();
    paths.sort();
    paths
}

/// Raised models give the same; those that cannot be raised are refused in words.
#[test]
fn a_raised_model_does_the_same() {
    runtime();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("raise");
    fs::create_dir_all(&place).unwrap();
    let paths = models();
    let (mut count, mut wrong, mut refused) = (0, Vec::new(), Vec::new());
    for path in &paths {
        let name = path.file_stem().unwrap().to_string_lossy();
        let mut model = graph::read(path).unwrap();
        let raised = raise(&mut model);
        if name.starts_with("refused") {
            refused.push(format!("{name}: {}", raised.unwrap_err()));
            continue;
        }
        let to = place.join(path.file_name().unwrap());
        match raised.and_then(|()| graph::write(&model, &to)) {
            Ok(()) => {}
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        }
        assert_eq!(graph::opset(&model), 13);
        match (run(path).unwrap(), run(&to)) {
            (before, Ok(after)) if same(&before, &after) => count += 1,
            (before, after) => wrong.push(format!("{name}: {after:?} is not {before:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 200, "only {count} models");
    insta::assert_snapshot!(refused.join("\n"));
}

proptest! {
    /// Damaged models are refused, or read as something else; nothing panics over them.
    #[test]
    fn damage_never_panics(file in any::<Index>(), hits in prop::collection::vec((any::<Index>(), any::<u8>()), 1..8)) {
        let mut paths = models();
        let places = ["sk_columns_zipmap", "sk_three_classes_zipmap", "sk_groups", "lgbm_three_classes"];
        let place = |name: &str| folder("tests/data/models").join(name).join("model.onnx");
        // As often as all the others, for they have more in them.
        for _ in 0..20 {
            paths.extend(places.map(place));
        }
        let mut file = fs::read(file.get(&paths)).unwrap();
        let end = file.len().min(4000);
        for (place, byte) in hits {
            file[place.index(end)] = byte;
        }
        if let Ok(mut model) = graph::parse(file.into()) {
            hints::samples(&model, &[("x", 3)]);
            hints::width(&model, "x");
            zipmap::unzip(&mut model);
            if raise(&mut model).is_ok() && let Ok(mut builder) = GraphBuilder::around(&model) {
                // Nothing is fed, so that it comes to the insides.
                model.graph.iter_mut().for_each(|graph| graph.input.clear());
                if builder.insert(model, "m", &[]).is_ok() {
                    builder.finish(&[]);
                }
            }
        }
    }
}
