//! Graphs of elementwise nodes that look random, over numbers of many types: with what is broadcast, read by several, and read in
//! another order.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "sizes are small, and any numbers do"
)]

use std::collections::HashSet;

use forebay::graph::proto::{
    Attribute, Dimension, Graph, Kind, Model, Node, Opset, Shape, Size, Tensor, TensorType, Type,
    ValueInfo,
};

use super::well_known::shapes::Random;

pub(super) const ROWS: usize = 37;
const COLUMNS: usize = 6;
/// Nodes of a graph.
pub(super) const NODES: usize = 60;

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
pub(super) struct Growing {
    graph: Graph,
    random: Random,
    /// Name and type of each value.
    values: Vec<(String, i32)>,
    /// Those that have all rows and columns, as far as that is known.
    whole: HashSet<String>,
}

pub(super) fn port(name: &str, element: i32, dims: &[usize]) -> ValueInfo {
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
    pub(super) fn new(seed: u64) -> Self {
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
    pub(super) fn model(mut self) -> Model {
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

/// Dense layers of random widths, some transposed, some without a bias, with activations of all kinds.
pub(super) fn layers(seed: u64, rows: usize) -> Model {
    let mut random = Random::new(seed);
    let mut graph = Graph::default();
    let mut inner = 1 + random.below(80);
    graph.input.push(port("x", FLOAT, &[rows, inner]));
    let mut last = "x".to_owned();
    for at in 0..2 + random.below(3) {
        let width = 1 + random.below(70);
        let turned = random.below(2) == 1;
        let dims = if turned {
            [width, inner]
        } else {
            [inner, width]
        };
        let mut inputs = vec![last.clone(), format!("w{at}")];
        let mut weights = vec![(format!("w{at}"), dims.to_vec())];
        if random.below(3) > 0 {
            weights.push((format!("b{at}"), vec![width]));
            inputs.push(format!("b{at}"));
        }
        for (name, dims) in weights {
            let count = dims.iter().product::<usize>();
            graph.initializer.push(Tensor {
                name,
                data_type: FLOAT,
                dims: dims.iter().map(|dim| *dim as i64).collect(),
                float_data: (0..count).map(|_| random.number() as f32 * 0.3).collect(),
                ..Tensor::default()
            });
        }
        let mut node = |op: &str, inputs: Vec<String>, output: &str, turned: bool| {
            graph.node.push(Node {
                input: inputs,
                output: vec![output.to_owned()],
                op_type: op.to_owned(),
                attribute: (turned.then(|| Attribute {
                    name: "transB".to_owned(),
                    i: Some(1),
                    ..Attribute::default()
                }))
                .into_iter()
                .collect(),
                ..Node::default()
            });
        };
        node("Gemm", inputs, &format!("h{at}"), turned);
        let ops = ["Relu", "Tanh", "Sigmoid", "LeakyRelu", "none"];
        let op = ops[random.below(ops.len())];
        last = format!("h{at}");
        if op != "none" {
            node(op, vec![last], &format!("a{at}"), false);
            last = format!("a{at}");
        }
        inner = width;
    }
    graph.output.push(port(&last, FLOAT, &[]));
    Model {
        graph: Some(graph),
        opset_import: vec![Opset {
            domain: String::new(),
            version: 18,
        }],
        ..Model::default()
    }
}
