//! Builds a graph, node by node. Every value is a tensor whose first dimension is the row; the shape of one row
//! is known, so nothing in a graph depends on shapes at run time but the number of rows.

use std::collections::HashSet;

use bytes::Bytes;

use super::{
    merge::Joined,
    proto::{
        Attribute, Dimension, Graph, Kind, Model, Node, Opset, Shape, Size, Tensor, TensorType,
        Type, ValueInfo,
    },
    sorted::sort,
};
use crate::contract::Dtype;

/// The oldest operator set that steps are written in; a model with an older one is raised first.
pub const OPSET_MIN: i64 = 13;
/// The operator set of a graph without a model.
pub const OPSET: i64 = 18;
/// The set of `ai.onnx.ml` (string lookups) that steps are written in; a model may ask for a newer one
/// ([`GraphBuilder::ml_version`]).
pub const ML_OPSET: i64 = 2;
/// The domain of classic machine learning.
pub const ML_DOMAIN: &str = "ai.onnx.ml";
/// IR 8 came with functions, and is read by every runtime since 2021.
pub(super) const IR_VERSION: i64 = 8;

/// A tensor in the graph: `[rows, shape...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its name in the graph.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Shape of one row; empty for a single value.
    pub shape: Vec<usize>,
    /// What each element stands for, where that is known: names of classes.
    pub labels: Option<Vec<String>>,
}

impl Value {
    /// A value without labels.
    pub fn new(name: impl Into<String>, dtype: Dtype, shape: Vec<usize>) -> Self {
        Self {
            name: name.into(),
            dtype,
            shape,
            labels: None,
        }
    }

    /// Elements in one row.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attr {
    /// A whole number.
    Int(i64),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// A number.
    Float(f32),
    /// Numbers.
    Floats(Vec<f32>),
    /// Text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
}

/// A graph being built. Names of nodes and inner values start with the name of the step they belong to.
#[derive(Debug, Clone)]
pub struct GraphBuilder {
    opset: i64,
    /// Operators of [`ML_DOMAIN`] are in use.
    pub(super) ml: bool,
    /// Rows in a batch, where the model takes only so many.
    pub(super) rows: Option<usize>,
    pub(super) graph: Graph,
    pub(super) taken: HashSet<String>,
    step: String,
    /// Outputs of `Concat` nodes that a later one took over.
    pub(super) taken_over: HashSet<String>,
    /// What models brought.
    pub(super) joined: Joined,
}

impl GraphBuilder {
    /// An empty graph in operators of this set, [`OPSET_MIN`] or newer.
    pub fn new(opset: i64) -> Self {
        Self {
            opset: opset.max(OPSET_MIN),
            ml: false,
            rows: None,
            graph: Graph::default(),
            taken: HashSet::new(),
            step: "graph".to_owned(),
            taken_over: HashSet::new(),
            joined: Joined::default(),
        }
    }

    /// Inputs and outputs are declared for so many rows, where that is fixed.
    #[must_use]
    pub fn with_rows(mut self, rows: Option<usize>) -> Self {
        self.rows = rows;
        self
    }

    /// The operator set.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// Whether there is no node yet.
    pub fn is_empty(&self) -> bool {
        self.graph.node.is_empty()
    }

    /// From here on, names start with this step's.
    pub fn begin_step(&mut self, name: &str) {
        name.clone_into(&mut self.step);
    }

    /// A name that nothing has yet: `wish`, or with a number behind it.
    pub fn fresh(&mut self, wish: &str) -> String {
        let mut name = wish.to_owned();
        let mut number = 1;
        while !self.taken.insert(name.clone()) {
            number += 1;
            name = format!("{wish}_{number}");
        }
        name
    }

    /// Declares an input; its name is `name`, or like it where that is taken.
    pub fn input(&mut self, name: &str, dtype: Dtype, shape: &[usize]) -> Value {
        let value = Value::new(self.fresh(name), dtype, shape.to_vec());
        self.graph.input.push(self.info(&value));
        value
    }

    /// The type and the shape of a value, as a file declares them.
    pub fn info(&self, value: &Value) -> ValueInfo {
        let rows = match self.rows {
            Some(rows) => Size::Value(signed(rows)),
            None => Size::Param("rows".to_owned()),
        };
        let sizes = value.shape.iter().map(|size| Size::Value(signed(*size)));
        let dim = std::iter::once(rows)
            .chain(sizes)
            .map(|size| Dimension {
                value: Some(size),
                denotation: None,
            })
            .collect();
        let tensor = TensorType {
            elem_type: element_type(value.dtype),
            shape: Some(Shape { dim }),
        };
        ValueInfo {
            name: value.name.clone(),
            r#type: Some(Type {
                denotation: String::new(),
                value: Some(Kind::Tensor(tensor)),
            }),
            ..ValueInfo::default()
        }
    }

    /// Adds a constant and gives its name.
    pub fn constant(&mut self, mut tensor: Tensor) -> String {
        let same = self.graph.initializer.iter().find(|known| {
            known.data_type == tensor.data_type
                && known.dims == tensor.dims
                && known.raw_data == tensor.raw_data
                && known.string_data == tensor.string_data
        });
        if let Some(known) = same {
            return known.name.clone();
        }
        tensor.name = self.fresh(&format!("{}/constant", self.step));
        let name = tensor.name.clone();
        self.graph.initializer.push(tensor);
        name
    }

    /// A constant of whole numbers, such as axes and shapes.
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.constant(ints_tensor(&[values.len()], values))
    }

    /// A constant of numbers in this type; whole types take the nearest whole number. Not for text.
    pub fn numbers(&mut self, dtype: Dtype, dims: &[usize], values: &[f64]) -> String {
        self.constant(numbers_tensor(dtype, dims, values))
    }

    /// A constant single number, without dimensions.
    pub fn number(&mut self, dtype: Dtype, value: f64) -> String {
        self.numbers(dtype, &[], &[value])
    }

    /// A node of the standard operators with one output; gives the output's name.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<(&str, Attr)>,
    ) -> String {
        let mut outputs = self.nodes("", operator, inputs, attributes, 1);
        outputs.pop().unwrap_or_default()
    }

    /// A node of [`ML_DOMAIN`] with one output; gives the output's name.
    pub fn ml_node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<(&str, Attr)>,
    ) -> String {
        self.ml = true;
        let mut outputs = self.nodes(ML_DOMAIN, operator, inputs, attributes, 1);
        outputs.pop().unwrap_or_default()
    }

    /// A node with so many outputs; gives their names. An input may be left out as `""`.
    pub fn nodes(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<(&str, Attr)>,
        outputs: usize,
    ) -> Vec<String> {
        let wish = format!("{}/{operator}", self.step);
        let name = self.fresh(&wish);
        let output: Vec<String> = (0..outputs)
            .map(|_| self.fresh(&format!("{name}_out")))
            .collect();
        self.graph.node.push(Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: output.clone(),
            name,
            op_type: operator.to_owned(),
            domain: domain.to_owned(),
            attribute: attributes
                .into_iter()
                .map(|(name, value)| attribute(name, value))
                .collect(),
            ..Node::default()
        });
        output
    }

    /// The graph as a model file that gives these values under these names.
    pub fn finish(mut self, outputs: &[(String, Value)]) -> Model {
        for (name, value) in outputs {
            let mut info = self.info(value);
            info.name.clone_from(name);
            self.graph.output.push(info);
            self.graph.node.push(Node {
                input: vec![value.name.clone()],
                output: vec![name.clone()],
                name: format!("{name}/output"),
                op_type: "Identity".to_owned(),
                ..Node::default()
            });
        }
        self.drop_taken_over();
        sort(&mut self.graph);
        let mut opset_import = vec![Opset {
            domain: String::new(),
            version: self.opset,
        }];
        if self.ml {
            opset_import.push(Opset {
                domain: ML_DOMAIN.to_owned(),
                version: self.joined.ml,
            });
        }
        opset_import.append(&mut self.joined.opsets);
        "forebay".clone_into(&mut self.graph.name);
        Model {
            ir_version: self.joined.ir_version,
            opset_import,
            producer_name: "forebay".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.graph),
            functions: self.joined.functions,
            ..Model::default()
        }
    }
}

/// A constant of whole numbers.
pub fn ints_tensor(dims: &[usize], values: &[i64]) -> Tensor {
    let raw = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    tensor(Dtype::I64, dims, raw)
}

/// A constant of numbers in this type; whole types take the nearest whole number, text has none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the caller chose the type"
)]
pub fn numbers_tensor(dtype: Dtype, dims: &[usize], values: &[f64]) -> Tensor {
    let mut raw = Vec::with_capacity(values.len() * 8);
    for value in values {
        match dtype {
            Dtype::F32 => raw.extend((*value as f32).to_le_bytes()),
            Dtype::F64 => raw.extend(value.to_le_bytes()),
            Dtype::I32 => raw.extend((value.round() as i32).to_le_bytes()),
            Dtype::I64 => raw.extend((value.round() as i64).to_le_bytes()),
            Dtype::U8 => raw.push(value.round() as u8),
            Dtype::Bool => raw.push(u8::from(*value != 0.0)),
            Dtype::String | Dtype::Bytes => {}
        }
    }
    tensor(dtype, dims, raw)
}

fn tensor(dtype: Dtype, dims: &[usize], raw: Vec<u8>) -> Tensor {
    Tensor {
        dims: dims.iter().map(|size| signed(*size)).collect(),
        data_type: element_type(dtype),
        raw_data: Some(Bytes::from(raw)),
        ..Tensor::default()
    }
}

/// The number by which files name an element type.
pub fn element_type(dtype: Dtype) -> i32 {
    match dtype {
        Dtype::F32 => 1,
        Dtype::U8 => 2,
        Dtype::I32 => 6,
        Dtype::I64 => 7,
        // Bytes stay outside of graphs; this is the type that could hold them.
        Dtype::String | Dtype::Bytes => 8,
        Dtype::Bool => 9,
        Dtype::F64 => 11,
    }
}

/// A size as files write it.
pub(super) fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn attribute(name: &str, value: Attr) -> Attribute {
    let mut attribute = Attribute {
        name: name.to_owned(),
        ..Attribute::default()
    };
    let kind = match value {
        Attr::Float(number) => {
            attribute.f = Some(number);
            1
        }
        Attr::Int(number) => {
            attribute.i = Some(number);
            2
        }
        Attr::Text(text) => {
            attribute.s = Some(text.into());
            3
        }
        Attr::Floats(numbers) => {
            attribute.floats = numbers;
            6
        }
        Attr::Ints(numbers) => {
            attribute.ints = numbers;
            7
        }
        Attr::Texts(texts) => {
            attribute.strings = texts.into_iter().map(Bytes::from).collect();
            8
        }
    };
    attribute.r#type = Some(kind);
    attribute
}
