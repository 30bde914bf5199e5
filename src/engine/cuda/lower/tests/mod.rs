//! Small graphs and the plans that they become.

mod convolutions;
mod fused;
mod fusing;
mod hostile;
mod plans;
mod products;
mod refusals;

use super::{Products, Uncovered, lower};
use crate::{
    engine::cuda::plan::Plan,
    graph::proto::{
        Attribute, Dimension, Graph, Kind, Model, Node, Opset, Shape, Size, Tensor, TensorType,
        Type, ValueInfo,
    },
};

/// Element types, by their numbers in the format.
pub(super) const FLOAT: i32 = 1;
pub(super) const INT64: i32 = 7;
const TEXT: i32 = 8;
pub(super) const DOUBLE: i32 = 11;

/// A graph under construction.
#[derive(Default)]
pub(super) struct Made {
    graph: Graph,
}

fn port(name: &str, element: i32, dims: &[i64]) -> ValueInfo {
    let fixed = |dim: &i64| Dimension {
        denotation: None,
        value: (*dim >= 0).then_some(Size::Value(*dim)),
    };
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(Type {
            value: Some(Kind::Tensor(TensorType {
                elem_type: element,
                shape: Some(Shape {
                    dim: dims.iter().map(fixed).collect(),
                }),
            })),
            ..Type::default()
        }),
        ..ValueInfo::default()
    }
}

impl Made {
    pub(super) fn input(mut self, name: &str, element: i32, dims: &[i64]) -> Self {
        self.graph.input.push(port(name, element, dims));
        self
    }

    pub(super) fn output(mut self, name: &str) -> Self {
        self.graph.output.push(port(name, FLOAT, &[]));
        self
    }

    /// A constant whose elements differ from each other, and from those of other constants.
    pub(super) fn floats(mut self, name: &str, dims: &[i64]) -> Self {
        let count = usize::try_from(dims.iter().product::<i64>()).unwrap();
        let first = name.bytes().map(u32::from).sum::<u32>() as f32;
        self.graph.initializer.push(Tensor {
            name: name.to_owned(),
            data_type: FLOAT,
            dims: dims.to_vec(),
            float_data: (0..count).map(|at| first + at as f32).collect(),
            ..Tensor::default()
        });
        self
    }

    pub(super) fn number(mut self, name: &str, value: f32) -> Self {
        self.graph.initializer.push(Tensor {
            name: name.to_owned(),
            data_type: FLOAT,
            float_data: vec![value],
            ..Tensor::default()
        });
        self
    }

    pub(super) fn ints(mut self, name: &str, values: &[i64]) -> Self {
        self.graph.initializer.push(Tensor {
            name: name.to_owned(),
            data_type: INT64,
            dims: vec![i64::try_from(values.len()).unwrap()],
            int64_data: values.to_vec(),
            ..Tensor::default()
        });
        self
    }

    /// A node, written as `outputs = Operator(inputs)`; an operator of another domain after it and a colon.
    pub(super) fn node(mut self, text: &str, attributes: Vec<Attribute>) -> Self {
        let (outputs, rest) = text.split_once(" = ").unwrap();
        let (operator, inputs) = rest.trim_end_matches(')').split_once('(').unwrap();
        let (domain, op_type) = operator.rsplit_once(':').unwrap_or(("", operator));
        let names = |list: &str| {
            (list.split(',').map(str::trim))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        self.graph.node.push(Node {
            input: names(inputs),
            output: names(outputs),
            op_type: op_type.to_owned(),
            domain: domain.to_owned(),
            attribute: attributes,
            ..Node::default()
        });
        self
    }

    pub(super) fn lower(self) -> Result<Plan, Uncovered> {
        self.lower_in(17)
    }

    pub(super) fn lower_in(self, opset: i64) -> Result<Plan, Uncovered> {
        self.lower_by(opset, Products::OWN)
    }

    pub(super) fn lower_by(self, opset: i64, products: Products) -> Result<Plan, Uncovered> {
        let import = |domain: &str, version| Opset {
            domain: domain.to_owned(),
            version,
        };
        let model = Model {
            graph: Some(self.graph),
            opset_import: vec![
                import("", opset),
                import("ai.onnx.ml", 3),
                import("com.microsoft", 1),
            ],
            ..Model::default()
        };
        lower(&model, products)
    }
}

pub(super) fn int(name: &str, value: i64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        i: Some(value),
        ..Attribute::default()
    }
}

pub(super) fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        ints: values.to_vec(),
        ..Attribute::default()
    }
}

pub(super) fn floats(name: &str, values: &[f32]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        floats: values.to_vec(),
        ..Attribute::default()
    }
}

pub(super) fn text(name: &str, value: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        s: Some(value.to_owned().into()),
        ..Attribute::default()
    }
}

pub(super) fn texts(name: &str, values: &[&str]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        strings: values
            .iter()
            .map(|value| (*value).to_owned().into())
            .collect(),
        ..Attribute::default()
    }
}
