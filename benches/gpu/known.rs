//! Models with inputs and what ONNX Runtime on the CPU gives for them, as folders that `forebay verify` runs on a GPU.

use std::{fs, path::Path};

use forebay::{
    engine::{
        cpu::raw::CpuRaw,
        raw::{RawModel, Value},
    },
    graph::{
        self,
        proto::{Kind, Model, Size},
        tensor::{Data, Element, Raw, Tensor, Values},
        zipmap,
    },
};
use prost::Message as _;

use crate::shapes::{self, Encoder, Random};

/// Rows that each model is given; odd, so that batches are padded.
const ROWS: usize = 37;
/// Of a dimension that is free and not the first.
const FREE: usize = 8;

/// Small models of each shape, and exported ones: every folder of `models` that has a `model.onnx`.
pub(crate) fn write(folder: &Path, models: Option<&Path>) {
    let encoder = Encoder {
        layers: 2,
        hidden: 96,
        heads: 6,
        inner: 200,
        words: 1000,
        tokens: 33,
    };
    for (name, model) in [
        ("shape_mlp", shapes::mlp(&[64, 512, 512, 256, 3])),
        ("shape_small_mlp", shapes::mlp(&[32, 64, 64, 32, 3])),
        ("shape_encoder", shapes::encoder(encoder)),
        ("shape_resnet18", shapes::resnet18(64, 16, 10)),
        ("shape_mobilenet", shapes::mobilenet(64, 8, 10)),
        ("shape_lstm", shapes::lstm(20, 8, 48, 4)),
        ("shape_trees", shapes::trees(100, 7, 20)),
    ] {
        case(&folder.join(name), model);
    }
    let entries = models.map(|models| fs::read_dir(models).unwrap());
    for entry in entries.into_iter().flatten() {
        let path = entry.unwrap().path();
        let file = path.join("model.onnx");
        if file.exists() {
            let mut model = graph::read(&file).unwrap_or_else(|error| panic!("{error}"));
            // Maps are made on the host, from the tensor in front of them.
            zipmap::unzip(&mut model);
            let name = path.file_name().unwrap().to_str().unwrap();
            case(&folder.join(format!("exported_{name}")), model);
        }
    }
}

/// Writes a case, unless the model takes texts.
fn case(folder: &Path, model: Model) {
    let mut random = Random::new(17);
    let Some(inputs) = inputs(&model, &mut random) else {
        return;
    };
    let set = folder.join("test_data_set_0");
    fs::create_dir_all(&set).unwrap();
    let file = folder.join("model.onnx");
    graph::write(&model, &file).unwrap_or_else(|error| panic!("{error}"));
    let outputs = CpuRaw::load(&file).and_then(|mut cpu| cpu.run(&inputs));
    let outputs = outputs.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let save = |kind: &str, at: usize, name: &str, raw: Raw| {
        let bytes = raw.to_proto(name).encode_to_vec();
        fs::write(set.join(format!("{kind}_{at}.pb")), bytes).unwrap();
    };
    for (at, (name, value)) in inputs.into_iter().enumerate() {
        let Value::Tensor(raw) = value else {
            unreachable!("only tensors are made")
        };
        save("input", at, &name, raw);
    }
    let names = model.graph.unwrap_or_default().output;
    for (at, (value, port)) in outputs.into_iter().zip(names).enumerate() {
        let Value::Tensor(tensor) = value else {
            panic!("{}: output {} is no tensor", folder.display(), port.name)
        };
        save("output", at, &port.name, packed(tensor));
    }
}

/// Made-up tensors for each input; none where one takes texts.
fn inputs(model: &Model, random: &mut Random) -> Option<Vec<(String, Value<Raw>)>> {
    let graph = model.graph.as_ref()?;
    let constant = |name: &str| graph.initializer.iter().any(|it| it.name == name);
    let ports = graph.input.iter().filter(|port| !constant(&port.name));
    ports
        .map(|port| {
            let kind = port.r#type.as_ref().and_then(|kind| kind.value.as_ref());
            let Some(Kind::Tensor(tensor)) = kind else {
                return None;
            };
            let element = Element::of_number(tensor.elem_type)?;
            if element == Element::Text {
                return None;
            }
            let dims = tensor.shape.as_ref().map(|shape| shape.dim.as_slice());
            let shape = (dims.unwrap_or_default().iter().enumerate())
                .map(|(at, dim)| match dim.value {
                    Some(Size::Value(size)) if size > 0 => usize::try_from(size).unwrap(),
                    _ if at == 0 => ROWS,
                    _ => FREE,
                })
                .collect();
            let raw = made_up(element, shape, &port.name, random);
            Some((port.name.clone(), Value::Tensor(raw)))
        })
        .collect()
}

/// Numbers from -3 to 3, whole ones from 0 to 9; a mask is of ones and zeros.
fn made_up(element: Element, shape: Vec<usize>, name: &str, random: &mut Random) -> Raw {
    let count = shape.iter().product::<usize>();
    let most = if name.contains("mask") { 2.0 } else { 10.0 };
    let mut bytes = Vec::new();
    for _ in 0..count {
        let number = random.number();
        match element {
            Element::Float32 => bytes.extend((number as f32 * 3.0).to_le_bytes()),
            Element::Float64 => bytes.extend((number * 3.0).to_le_bytes()),
            Element::Bool => bytes.push(u8::from(number < 0.0)),
            other => {
                let mut cell = vec![0; other.bits() / 8];
                cell[0] = (f64::midpoint(number, 1.0) * most) as u8;
                bytes.extend(cell);
            }
        }
    }
    Raw {
        element,
        shape,
        data: Data::Packed(bytes.into()),
    }
}

/// What came out, as memory again.
fn packed(tensor: Tensor) -> Raw {
    let bytes: Vec<u8> = match (&tensor.values, tensor.element) {
        (Values::Float(values), Element::Float32) => (values.iter())
            .flat_map(|value| (*value as f32).to_le_bytes())
            .collect(),
        (Values::Float(values), Element::Float64) => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        (Values::Int(values), Element::Int64) => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        (Values::Int(values), Element::Int32) => (values.iter())
            .flat_map(|value| (*value as i32).to_le_bytes())
            .collect(),
        (Values::Bool(values), Element::Bool) => {
            values.iter().map(|value| u8::from(*value)).collect()
        }
        (Values::Text(texts), Element::Text) => {
            return Raw {
                element: tensor.element,
                shape: tensor.shape,
                data: Data::Texts(texts.clone()),
            };
        }
        (_, element) => panic!("an output of {}", element.name()),
    };
    Raw {
        element: tensor.element,
        shape: tensor.shape,
        data: Data::Packed(bytes.into()),
    }
}
