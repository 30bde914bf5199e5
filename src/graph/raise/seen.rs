//! What can be told about values without running anything: element types, ranks, small constants.

use std::collections::HashMap;

use crate::graph::{
    proto::{Graph, Kind, Node, Tensor, TensorType, ValueInfo},
    read::standard_name,
};

/// Element types by their numbers in files.
const FLOAT: i32 = 1;
const INT64: i32 = 7;
const BOOL: i32 = 9;

/// What is known of the values that a node can use.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    dtypes: HashMap<String, i32>,
    ranks: HashMap<String, i64>,
    /// Constants that nodes make.
    constants: HashMap<String, Tensor>,
}

impl Seen {
    /// What is known inside a graph, before its first node.
    pub(super) fn inside(&self, graph: &Graph) -> Self {
        let mut seen = self.clone();
        for value in (graph.value_info.iter()).chain(&graph.output) {
            if let Some(tensor) = tensor(value) {
                seen.dtypes.insert(value.name.clone(), tensor.elem_type);
            }
        }
        for input in &graph.input {
            seen.forget(&input.name);
            if let Some(tensor) = tensor(input) {
                seen.dtypes.insert(input.name.clone(), tensor.elem_type);
                // The runtime checks the shapes of inputs; others may be declared wrong.
                let rank = tensor.shape.as_ref().map(|shape| shape.dim.len());
                if let Some(rank) = rank.and_then(|rank| i64::try_from(rank).ok()) {
                    seen.ranks.insert(input.name.clone(), rank);
                }
            }
        }
        for constant in &graph.initializer {
            seen.forget(&constant.name);
            (seen.dtypes).insert(constant.name.clone(), constant.data_type);
        }
        // Scales of a Resize inside an If are often outside of it.
        let small = graph.initializer.iter().filter(|it| is_small(it));
        let small = small.map(|constant| (constant.name.clone(), constant.clone()));
        seen.constants.extend(small);
        seen
    }

    /// What is known after a node.
    pub(super) fn add(&mut self, node: &Node) {
        let Some(output) = node.output.first() else {
            return;
        };
        self.ranks.remove(output);
        self.constants.remove(output);
        if !standard_name(&node.domain).is_empty() {
            return;
        }
        let first = node.input.first();
        let int = |name: &str| {
            (node.attribute.iter())
                .find(|attribute| attribute.name == name)
                .and_then(|attribute| attribute.i)
        };
        let dtype = match node.op_type.as_str() {
            "Cast" => int("to").and_then(|to| i32::try_from(to).ok()),
            "Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero" | "NonMaxSuppression" => Some(INT64),
            "Equal" | "Greater" | "Less" | "Not" | "And" | "Or" | "Xor" | "IsNaN" | "IsInf"
            | "GreaterOrEqual" | "LessOrEqual" => Some(BOOL),
            "DequantizeLinear" => Some(FLOAT),
            "Where" => node.input.get(1).and_then(|name| self.dtype(name)),
            "OneHot" => node.input.get(2).and_then(|name| self.dtype(name)),
            "If" | "Loop" | "Scan" | "QuantizeLinear" | "ConstantOfShape" => None,
            "Constant" => {
                let value = (node.attribute.iter()).find_map(|it| it.t.as_deref());
                if let Some(value) = value {
                    self.constants.insert(output.clone(), value.clone());
                }
                value.map_or(Some(FLOAT), |value| Some(value.data_type))
            }
            _ => first.and_then(|name| self.dtype(name)),
        };
        if let Some(dtype) = dtype {
            self.dtypes.entry(output.clone()).or_insert(dtype);
        }
        let rank = match node.op_type.as_str() {
            "Gemm" | "Flatten" => Some(2),
            "Relu" | "Sigmoid" | "Tanh" | "Identity" | "Cast" | "Dropout"
            | "BatchNormalization" | "Softmax" | "LogSoftmax" | "Clip" | "LeakyRelu" | "Elu"
            | "Transpose" | "Conv" | "MaxPool" | "AveragePool" | "GlobalAveragePool" | "Neg"
            | "Exp" => first.and_then(|name| self.rank(name)),
            _ => None,
        };
        if let Some(rank) = rank {
            self.ranks.insert(output.clone(), rank);
        }
    }

    /// The number of the element type.
    pub(super) fn dtype(&self, name: &str) -> Option<i32> {
        self.dtypes.get(name).copied()
    }

    /// The number of dimensions.
    pub(super) fn rank(&self, name: &str) -> Option<i64> {
        self.ranks.get(name).copied()
    }

    /// A small constant.
    pub(super) fn constant(&self, name: &str) -> Option<&Tensor> {
        self.constants.get(name)
    }

    fn forget(&mut self, name: &str) {
        self.dtypes.remove(name);
        self.ranks.remove(name);
        self.constants.remove(name);
    }
}

/// Whether a constant may be one of scales, and not of weights.
fn is_small(tensor: &Tensor) -> bool {
    const DIMENSIONS: i64 = 16;
    matches!(*tensor.dims, [size] if size <= DIMENSIONS)
}

fn tensor(value: &ValueInfo) -> Option<&TensorType> {
    match value.r#type.as_ref()?.value.as_ref()? {
        Kind::Tensor(tensor) => Some(tensor),
        _ => None,
    }
}

/// The elements of a constant of `f32`.
pub(super) fn floats(tensor: &Tensor) -> Vec<f32> {
    let raw = tensor.raw_data.as_deref().unwrap_or_default();
    let raw = raw
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes));
    raw.chain(tensor.float_data.iter().copied()).collect()
}
