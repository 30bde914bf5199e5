//! Single operators as plans on the fake, against ONNX Runtime: ONNX's own cases, and the same in half precision.

use std::{
    fs,
    path::{Path, PathBuf},
};

use forebay::{
    engine::{cuda::product::Math, raw::Value},
    graph::{
        self,
        proto::{self, Model},
        tensor::{Data, Element, Raw, shortened},
    },
};
use prost::Message as _;

use super::conformance::{Fed, Outcome, folders, name_of, on_the_fake, outcome, with};

/// The few of ONNX's own cases that are kept, or those of the folder that this names.
const CASES: &str = "tests/data/verify/cases";
const MORE_CASES: &str = "FOREBAY_ONNX_CASES";
/// Tells the process that runs the cases to make halves of them.
const HALF: &str = "CASE_HALF";

#[test]
fn operators_on_the_device_give_what_they_give_on_the_cpu() {
    let said = on_the_fake("cuda::operators::case_operators", 1);
    match std::env::var_os(MORE_CASES) {
        Some(_) => print_all(&said),
        None => insta::assert_snapshot!(said),
    }
}

#[test]
fn operators_on_sixteen_bits_give_what_they_give_on_the_cpu() {
    let said = with("cuda::operators::case_operators", &[1], &[(HALF, "1")]).0;
    match std::env::var_os(MORE_CASES) {
        Some(_) => print_all(&said),
        None => insta::assert_snapshot!(said),
    }
}

#[allow(clippy::print_stdout, reason = "asked for by whoever names more cases")]
fn print_all(said: &str) {
    println!("{said}");
}

/// The case's model and inputs; `None` where an input is no tensor. With `known`, integers and what else says how to
/// work (all but the first input) are constants, as exporters write them.
fn case(folder: &Path, known: bool) -> Option<(Model, Fed)> {
    let mut model = graph::read(&folder.join("model.onnx")).unwrap();
    let graph = model.graph.as_mut()?;
    let mut inputs = Vec::new();
    let mut kept = Vec::new();
    for (at, port) in std::mem::take(&mut graph.input).into_iter().enumerate() {
        let kind = port.r#type.as_ref().and_then(|kind| kind.value.as_ref());
        let Some(proto::Kind::Tensor(_)) = kind else {
            return None;
        };
        let file = folder.join(format!("test_data_set_0/input_{at}.pb"));
        let mut tensor = proto::Tensor::decode(&fs::read(file).ok()?[..]).ok()?;
        let raw = Raw::of(&tensor).ok()?;
        let whole = matches!(raw.element, Element::Int64 | Element::Int32);
        if known && at > 0 && (whole || raw.shape.is_empty() || port.name == "scales") {
            tensor.name.clone_from(&port.name);
            graph.initializer.push(tensor);
        } else {
            inputs.push((port.name.clone(), Value::Tensor(raw)));
            kept.push(port);
        }
    }
    graph.input = kept;
    Some((model, inputs))
}

/// The same with half precision in place of single: what goes in, what comes out, and constants.
fn halved(mut model: Model, inputs: Fed) -> (Model, Fed) {
    let single = Element::Float32.number();
    let graph = model.graph.as_mut().unwrap();
    graph.value_info.clear();
    for port in graph.input.iter_mut().chain(&mut graph.output) {
        let kind = port.r#type.as_mut().and_then(|kind| kind.value.as_mut());
        if let Some(proto::Kind::Tensor(tensor)) = kind
            && tensor.elem_type == single
        {
            tensor.elem_type = Element::Float16.number();
        }
    }
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let tensors = attributes.filter_map(|attribute| attribute.t.as_deref_mut());
    for tensor in graph.initializer.iter_mut().chain(tensors) {
        let name = tensor.name.clone();
        if let Ok(raw) = Raw::of(tensor)
            && raw.element == Element::Float32
        {
            *tensor = as_half(raw).to_proto(&name);
        }
    }
    let inputs = inputs.into_iter().map(|(name, value)| match value {
        Value::Tensor(raw) if raw.element == Element::Float32 => {
            (name, Value::Tensor(as_half(raw)))
        }
        other => (name, other),
    });
    (model, inputs.collect())
}

fn as_half(raw: Raw) -> Raw {
    let Data::Packed(bytes) = &raw.data else {
        return raw;
    };
    let element = Element::Float16;
    Raw {
        data: Data::Packed(shortened(bytes, element)),
        element,
        ..raw
    }
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test around it reads that")]
fn case_operators() {
    println!();
    let halves = std::env::var_os(HALF).is_some();
    let cases = std::env::var_os(MORE_CASES).map_or_else(|| PathBuf::from(CASES), PathBuf::from);
    let (mut equal, mut wrong) = (0, Vec::new());
    for folder in folders(&cases) {
        let mut last = "not fed with tensors alone".to_owned();
        let mut is_equal = false;
        for known in [false, true] {
            let Some((model, inputs)) = case(&folder, known) else {
                continue;
            };
            let (model, inputs) = if halves {
                halved(model, inputs)
            } else {
                (model, inputs)
            };
            match outcome(&model, &inputs, Math::Single) {
                Outcome::Equal => is_equal = true,
                Outcome::Uncovered(why) => last = why,
                Outcome::Wrong(why) => wrong.push(format!("{}: {why}", name_of(&folder))),
            }
        }
        if is_equal {
            equal += 1;
            println!("- {}: equal", name_of(&folder));
        } else {
            println!("- {}: {last}", name_of(&folder));
        }
    }
    println!("- {equal} equal");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
