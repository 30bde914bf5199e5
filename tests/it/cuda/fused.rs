//! Kernels that are compiled for a model, by the NVRTC that stands for the real one: they give what the general ones give.

use std::{collections::HashSet, sync::Arc};

use forebay::{
    engine::cuda::{
        device::Nvrtc,
        fused::{Codes, cubin},
        gpu::Gpu,
        lower::{Products, lower},
        model::Model as OnDevice,
        plan::Plan,
        product::Math,
    },
    graph::{
        proto::{
            Attribute, Dimension, Graph, Kind, Model, Node, Opset, Shape, Size, Tensor, TensorType,
            Type, ValueInfo,
        },
        tensor::Element,
    },
};

use super::{
    conformance::with,
    well_known::shapes::{self, Random},
};
use crate::support::fake_cuda;

const ROWS: usize = 37;
const COLUMNS: usize = 6;
/// Graphs of random nodes, and nodes of each: all chains of a graph are compiled together.
const GRAPHS: u64 = 6;
const NODES: usize = 60;

/// Element types by their numbers in the format, with the operators of one number that each has.
const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT32: i32 = 6;
const INT64: i32 = 7;
const BOOL: i32 = 9;
const HALF: i32 = 10;
const DOUBLE: i32 = 11;
const TYPES: [i32; 7] = [FLOAT, UINT8, INT32, INT64, BOOL, HALF, DOUBLE];

fn ones(of: i32) -> &'static [&'static str] {
    match of {
        FLOAT => &[
            "Neg",
            "Abs",
            "Sqrt",
            "Exp",
            "Log",
            "Sigmoid",
            "Tanh",
            "Relu",
            "Erf",
            "Softplus",
            "Floor",
            "Ceil",
            "Round",
            "Sign",
            "Sin",
            "Elu",
            "LeakyRelu",
            "HardSigmoid",
            "HardSwish",
            "Reciprocal",
            "Softsign",
            "Mish",
            "Selu",
        ],
        DOUBLE => &[
            "Neg",
            "Abs",
            "Sqrt",
            "Exp",
            "Sigmoid",
            "Tanh",
            "Relu",
            "Floor",
            "Sign",
            "Cos",
            "Reciprocal",
        ],
        HALF => &["Neg", "Abs", "Sqrt", "Sigmoid", "Tanh", "Relu"],
        INT64 | INT32 => &["Neg", "Abs", "Sign"],
        BOOL => &["Not"],
        _ => &[],
    }
}

fn twos(of: i32) -> &'static [&'static str] {
    match of {
        FLOAT | DOUBLE => &["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max"],
        HALF => &["Add", "Sub", "Mul", "Div"],
        INT64 | INT32 => &["Add", "Sub", "Mul", "Div", "Min", "Max"],
        BOOL => &["And", "Or", "Xor"],
        _ => &[],
    }
}

/// A graph that grows by nodes that look random.
struct Growing {
    graph: Graph,
    random: Random,
    /// Name and type of each value.
    values: Vec<(String, i32)>,
    /// Those that have all rows and columns, as far as that is known.
    whole: HashSet<String>,
}

fn port(name: &str, element: i32, dims: &[usize]) -> ValueInfo {
    let dim = dims.iter().map(|size| Dimension {
        denotation: None,
        value: Some(Size::Value(*size as i64)),
    });
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(Type {
            value: Some(Kind::Tensor(TensorType {
                elem_type: element,
                shape: Some(Shape { dim: dim.collect() }),
            })),
            ..Type::default()
        }),
        ..ValueInfo::default()
    }
}

impl Growing {
    fn new(seed: u64) -> Self {
        let mut grown = Self {
            graph: Graph::default(),
            random: Random::new(seed),
            values: Vec::new(),
            whole: TYPES.iter().map(|of| format!("whole{of}")).collect(),
        };
        for element in TYPES {
            // One that goes over the columns as well.
            for (kind, columns) in [("whole", COLUMNS), ("row", 1)] {
                let name = format!("{kind}{element}");
                let dims = [ROWS, columns];
                grown.graph.input.push(port(&name, element, &dims));
                grown.values.push((name, element));
            }
        }
        for (name, count) in [("column", COLUMNS), ("number", 1)] {
            let values = (0..count).map(|at| at as f32 * 0.37 - 0.8).collect();
            grown.graph.initializer.push(Tensor {
                name: name.to_owned(),
                data_type: FLOAT,
                dims: vec![count as i64],
                float_data: values,
                ..Tensor::default()
            });
            grown.values.push((name.to_owned(), FLOAT));
        }
        grown
    }

    fn some<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[self.random.below(of.len())])
    }

    /// A value, of a type if it must be.
    fn value(&mut self, of: Option<i32>) -> (String, i32) {
        let values: Vec<&(String, i32)> = (self.values.iter())
            .filter(|(_, element)| of.is_none_or(|of| of == *element))
            .collect();
        // Mostly one of the last.
        let last = values.len().min(4);
        let at = match self.random.below(3) {
            0 => self.random.below(values.len()),
            _ => values.len() - 1 - self.random.below(last),
        };
        values[at].clone()
    }

    fn node(&mut self, op: &str, inputs: &[String], element: i32, to: Option<i32>) {
        let name = format!("v{}", self.graph.node.len());
        if inputs.iter().any(|input| self.whole.contains(input)) {
            self.whole.insert(name.clone());
        }
        self.graph.node.push(Node {
            input: inputs.to_vec(),
            output: vec![name.clone()],
            op_type: op.to_owned(),
            attribute: (to.into_iter())
                .map(|to| Attribute {
                    name: "to".to_owned(),
                    i: Some(to.into()),
                    ..Attribute::default()
                })
                .collect(),
            ..Node::default()
        });
        self.values.push((name, element));
    }

    /// A node whose result only the next ones use.
    fn hidden(&mut self, op: &str, inputs: &[String]) -> String {
        self.node(op, inputs, 0, None);
        self.values.pop().unwrap().0
    }

    fn grow(&mut self) {
        let (x, element) = self.value(None);
        match self.random.below(10) {
            0..3 => {
                if let Some(op) = self.some(ones(element)) {
                    self.node(op, &[x], element, None);
                }
            }
            3..6 => {
                let (y, _) = self.value(Some(element));
                if let Some(op) = self.some(twos(element)) {
                    self.node(op, &[x, y], element, None);
                }
            }
            6 => {
                let (y, _) = self.value(Some(element));
                if ![BOOL, HALF, UINT8].contains(&element) {
                    let op = self.some(&["Less", "Greater", "Equal"]).unwrap();
                    self.node(op, &[x, y], BOOL, None);
                }
            }
            7 => {
                let (y, _) = self.value(Some(element));
                let (choice, _) = self.value(Some(BOOL));
                self.node("Where", &[choice, x, y], element, None);
            }
            8 => {
                // In another order: what is read so was written by other threads.
                let (y, _) = self.value(Some(element));
                let whole = [&x, &y].map(|name| self.whole.contains(name));
                if let (Some(op), [true, true]) = (self.some(twos(element)), whole) {
                    let turned = [x, y].map(|name| self.hidden("Transpose", &[name]));
                    let made = self.hidden(op, &turned);
                    self.node("Transpose", &[made], element, None);
                }
            }
            _ => {
                let to = self.some(&TYPES).unwrap();
                self.node("Cast", &[x], to, Some(to));
            }
        }
    }

    /// Some of the values are outputs.
    fn model(mut self) -> Model {
        while self.graph.node.len() < NODES {
            self.grow();
        }
        let made = self.values.iter().map(|(name, _)| name);
        let made: Vec<String> = made.filter(|name| name.starts_with('v')).cloned().collect();
        for (at, name) in made.iter().enumerate() {
            if at + 1 == made.len() || self.random.below(8) == 0 {
                self.graph.output.push(port(name, FLOAT, &[]));
            }
        }
        Model {
            graph: Some(self.graph),
            opset_import: vec![Opset {
                domain: String::new(),
                version: 18,
            }],
            ..Model::default()
        }
    }
}

/// What a plan gives for numbers that look random, with the type of each output.
fn results(gpu: &Arc<Gpu>, plan: &Plan) -> Vec<(Element, Vec<u8>)> {
    let elements: Vec<Element> = plan.inputs.iter().map(|slot| slot.element).collect();
    let mut model = OnDevice::load(gpu, &[(1, plan.clone())]).unwrap();
    let mut random = Random::new(5);
    let mut given = Vec::new();
    model
        .run(
            1,
            |place, _, to, _| {
                let width = elements[place].bits() / 8;
                for cell in to.chunks_mut(width) {
                    let number = random.number() * 3.0;
                    match elements[place] {
                        Element::Float32 => cell.copy_from_slice(&(number as f32).to_le_bytes()),
                        Element::Float64 => cell.copy_from_slice(&number.to_le_bytes()),
                        // Halves from 1 to 2, of both signs.
                        Element::Float16 => {
                            let bits = 0x3C00 | (random.below(2) << 15) | random.below(1024);
                            cell.copy_from_slice(&u16::try_from(bits).unwrap().to_le_bytes());
                        }
                        Element::Bool => cell[0] = u8::from(number > 0.0),
                        _ => {
                            cell.fill(0);
                            cell[0] = u8::try_from(random.below(9)).unwrap();
                        }
                    }
                }
                Ok(())
            },
            |_, slot, bytes, _| {
                given.push((slot.element, bytes.to_vec()));
                Ok(())
            },
        )
        .unwrap();
    given
}

/// The bytes with one NaN for all: which of two it is that a sum of both gives is the processor's choice.
fn with_one_nan((element, bytes): &(Element, Vec<u8>)) -> Vec<u64> {
    let width = element.bits() / 8;
    let cells = bytes.chunks(width).map(|cell| {
        let mut all = [0; 8];
        all[..width].copy_from_slice(cell);
        u64::from_le_bytes(all)
    });
    cells
        .map(|bits| {
            let nan = match element {
                Element::Float32 => f32::from_bits(bits as u32).is_nan(),
                Element::Float64 => f64::from_bits(bits).is_nan(),
                Element::Float16 => bits & 0x7FFF > 0x7C00,
                _ => false,
            };
            if nan { u64::MAX } else { bits }
        })
        .collect()
}

#[test]
fn chains_give_the_bits_that_general_kernels_give() {
    let environment = [fake_cuda::with_compiler()];
    let (said, kernels) = with("cuda::fused::case_chains", &[0, 3], &environment);
    assert!(kernels["fused_chain"].as_u64() > Some(GRAPHS), "{kernels}");
    assert!(said.contains("nodes"), "{said}");
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test around it reads that")]
fn case_chains() {
    println!();
    let gpu = Gpu::open(0).unwrap();
    for seed in 0..GRAPHS {
        let model = Growing::new(seed).model();
        let plan = |fused| {
            let products = Products {
                math: Math::Single,
                library: false,
                fused,
            };
            lower(&model, products).unwrap_or_else(|why| panic!("{why}: {model:?}"))
        };
        let (general, fused) = (plan(false), plan(true));
        assert!(
            fused.steps.len() * 2 < general.steps.len(),
            "{general}\n{fused}"
        );
        assert!(fused.arena <= general.arena);
        let (wanted, found) = (results(&gpu, &general), results(&gpu, &fused));
        assert_eq!(wanted.len(), found.len());
        for (at, (wanted, found)) in wanted.iter().zip(&found).enumerate() {
            assert_eq!(
                with_one_nan(found),
                with_one_nan(wanted),
                "seed {seed}, output {at} ({})",
                fused.outputs[at].name
            );
        }
        println!(
            "- {NODES} nodes: {} steps, {} fused",
            general.steps.len(),
            fused.steps.len()
        );
    }
}

/// `make kernels-fused` runs it, with the NVRTC that it fetches. No GPU is needed to compile.
#[test]
#[ignore = "needs NVIDIA's NVRTC: make kernels-fused"]
#[allow(clippy::print_stdout, reason = "what it costs is good to know")]
fn the_real_compiler_takes_what_is_written() {
    let nvrtc = Nvrtc::loaded().unwrap_or_else(|why| panic!("{why}"));
    let mut models: Vec<Model> = (0..GRAPHS).map(|seed| Growing::new(seed).model()).collect();
    for widths in [&[13, 24, 17, 3][..], &[64, 128, 64, 1], &[7, 5, 2]] {
        models.push(fixed(shapes::mlp(widths)));
    }
    for (at, model) in models.iter().enumerate() {
        let products = Products {
            math: Math::Single,
            library: false,
            fused: true,
        };
        let plan = lower(model, products).unwrap_or_else(|why| panic!("{why}"));
        let codes: Codes<'_> = plan.codes().map(|code| (code.name(), &**code)).collect();
        assert!(!codes.is_empty(), "{plan}");
        for architecture in ["sm_80", "sm_86", "sm_89", "sm_90"] {
            let began = std::time::Instant::now();
            let made = cubin(nvrtc, architecture, &codes);
            let code = made.unwrap_or_else(|why| panic!("{architecture}: {why}\n{codes:?}"));
            assert!(code.starts_with(b"\x7fELF"));
            println!(
                "{at} {architecture}: {} kernels, {} bytes in {} ms by NVRTC {}",
                codes.len(),
                code.len(),
                began.elapsed().as_millis(),
                nvrtc.version()
            );
        }
    }
}

/// With [`ROWS`] rows.
fn fixed(mut model: Model) -> Model {
    let ports = model.graph.iter_mut().flat_map(|graph| &mut graph.input);
    for port in ports {
        let kind = port.r#type.as_mut().and_then(|kind| kind.value.as_mut());
        if let Some(Kind::Tensor(TensorType {
            shape: Some(shape), ..
        })) = kind
        {
            shape.dim[0].value = Some(Size::Value(ROWS as i64));
        }
    }
    model
}
