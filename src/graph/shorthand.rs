//! What most steps need: casts, reshapes, arithmetic by rows. Where the form of an operator changed between
//! operator sets, the difference ends here.

use std::collections::HashSet;

use bytes::Bytes;

use super::{
    build::{Attr, GraphBuilder, Value, element_type, signed},
    proto::{Node, Tensor},
    walk::any_node,
};
use crate::contract::Dtype;

impl GraphBuilder {
    /// The value in another type.
    pub fn cast(&mut self, value: &Value, dtype: Dtype) -> Value {
        if value.dtype == dtype {
            return value.clone();
        }
        let to = Attr::Int(i64::from(element_type(dtype)));
        let name = self.node("Cast", &[&value.name], vec![("to", to)]);
        Value {
            name,
            dtype,
            ..value.clone()
        }
    }

    /// The value as floats: `f64` stays, everything else becomes `f32`. Not for text.
    pub fn float(&mut self, value: &Value) -> Value {
        match value.dtype {
            Dtype::F32 | Dtype::F64 => value.clone(),
            _ => self.cast(value, Dtype::F32),
        }
    }

    /// The same elements, each row in another shape of as many elements.
    pub fn reshape(&mut self, value: &Value, shape: &[usize]) -> Value {
        if value.shape == shape {
            return value.clone();
        }
        // 0 stands for the size that the dimension has already.
        let dims: Vec<i64> = std::iter::once(0)
            .chain(shape.iter().map(|size| signed(*size)))
            .collect();
        let dims = self.ints(&dims);
        let name = self.node("Reshape", &[&value.name, &dims], Vec::new());
        Value {
            name,
            shape: shape.to_vec(),
            ..value.clone()
        }
    }

    /// Each row as a vector.
    pub fn flatten(&mut self, value: &Value) -> Value {
        let width = value.width();
        self.reshape(value, &[width])
    }

    /// `left operator right`, elementwise over a constant of the value's type that fits each row.
    pub fn with_constant(&mut self, operator: &str, value: &Value, constant: &str) -> Value {
        let name = self.node(operator, &[&value.name, constant], Vec::new());
        Value {
            name,
            ..value.clone()
        }
    }

    /// A node that leaves type and shape as they are.
    pub fn map(&mut self, operator: &str, value: &Value, attributes: Vec<(&str, Attr)>) -> Value {
        let name = self.node(operator, &[&value.name], attributes);
        Value {
            name,
            ..value.clone()
        }
    }

    /// The values side by side along the last dimension; single values count as one element. All have one type
    /// and, but for the last, the same sizes.
    pub fn concat(&mut self, values: &[Value]) -> Option<Value> {
        let first = values.first()?;
        if values.len() == 1 {
            return Some(first.clone());
        }
        let parts: Vec<Value> = (values.iter())
            .map(|value| {
                if value.shape.is_empty() {
                    self.reshape(value, &[1])
                } else {
                    value.clone()
                }
            })
            .collect();
        let mut shape = parts.first()?.shape.clone();
        *shape.last_mut()? = parts
            .iter()
            .map(|part| part.shape.last().copied().unwrap_or(1))
            .sum();
        let axis = signed(shape.len());
        let mut names: Vec<String> = Vec::with_capacity(parts.len());
        for part in &parts {
            // What was just put side by side is not copied twice.
            match self.side_by_side(&part.name, axis) {
                Some(inner) => {
                    self.taken_over.insert(part.name.clone());
                    names.extend(inner);
                }
                None => names.push(part.name.clone()),
            }
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let name = self.node("Concat", &names, vec![("axis", Attr::Int(axis))]);
        let labels = parts
            .iter()
            .map(|part| part.labels.clone())
            .collect::<Option<Vec<_>>>();
        Some(Value {
            name,
            dtype: first.dtype,
            shape,
            labels: labels.map(|labels| labels.concat()),
        })
    }

    /// What a `Concat` along this axis has put side by side, where `name` is its output.
    fn side_by_side(&self, name: &str, axis: i64) -> Option<Vec<String>> {
        let along = |node: &Node| {
            (node.attribute.iter())
                .any(|attribute| attribute.name == "axis" && attribute.i == Some(axis))
        };
        let mut nodes = self.graph.node.iter().rev();
        let node = nodes.find(|node| node.output.iter().any(|output| output == name))?;
        let is = node.domain.is_empty() && node.op_type == "Concat" && along(node);
        is.then(|| node.input.clone())
    }

    /// Drops the nodes that a later `Concat` took over, where nothing else takes their output: the runtime would
    /// run them all the same.
    pub(super) fn drop_taken_over(&mut self) {
        let nodes = &self.graph.node;
        let used = |name: &String| any_node(nodes, &|node| node.input.contains(name));
        let idle: HashSet<String> = (self.taken_over.iter())
            .filter(|name| !used(name))
            .cloned()
            .collect();
        self.graph
            .node
            .retain(|node| !node.output.iter().any(|output| idle.contains(output)));
    }

    /// A reduction (`ReduceSum`, `ReduceMax`, ...) over `axes` of the row (0 is the first behind the rows), which
    /// stay with size 1 where `keep`.
    pub fn reduce(&mut self, operator: &str, value: &Value, axes: &[usize], keep: bool) -> Value {
        let numbers: Vec<i64> = axes.iter().map(|axis| signed(axis + 1)).collect();
        let keepdims = ("keepdims", Attr::Int(i64::from(keep)));
        let from = if operator == "ReduceSum" { 13 } else { 18 };
        let name = if self.opset() >= from {
            let axes = self.ints(&numbers);
            self.node(operator, &[&value.name, &axes], vec![keepdims])
        } else {
            let attributes = vec![("axes", Attr::Ints(numbers)), keepdims];
            self.node(operator, &[&value.name], attributes)
        };
        let shape = (value.shape.iter().enumerate())
            .filter_map(|(axis, size)| match axes.contains(&axis) {
                true if keep => Some(1),
                true => None,
                false => Some(*size),
            })
            .collect();
        Value {
            name,
            dtype: value.dtype,
            shape,
            labels: None,
        }
    }

    /// A constant of texts.
    pub fn texts<T: AsRef<str>>(&mut self, dims: &[usize], texts: &[T]) -> String {
        let bytes = |text: &T| Bytes::copy_from_slice(text.as_ref().as_bytes());
        self.constant(Tensor {
            dims: dims.iter().map(|size| signed(*size)).collect(),
            data_type: element_type(Dtype::String),
            string_data: texts.iter().map(bytes).collect(),
            ..Tensor::default()
        })
    }

    /// For each index (an `i64` in range), that element of `texts`.
    pub fn pick_texts<T: AsRef<str>>(&mut self, texts: &[T], index: &Value) -> Value {
        let table = self.texts(&[texts.len()], texts);
        let name = self.node(
            "Gather",
            &[&table, &index.name],
            vec![("axis", Attr::Int(0))],
        );
        Value::new(name, Dtype::String, index.shape.clone())
    }

    /// For each row the number of its text, in this type; NaN for a text that has none.
    pub fn look_up(&mut self, text: &Value, numbers: &[(String, f64)], dtype: Dtype) -> Value {
        let texts = numbers.iter().map(|(text, _)| text.clone()).collect();
        let places = (0..signed(numbers.len())).collect();
        let attributes = vec![
            ("keys_strings", Attr::Texts(texts)),
            ("values_int64s", Attr::Ints(places)),
            ("default_int64", Attr::Int(signed(numbers.len()))),
        ];
        let index = self.ml_node("LabelEncoder", &[&text.name], attributes);
        let numbers = numbers.iter().map(|(_, number)| *number);
        let table: Vec<f64> = numbers.chain([f64::NAN]).collect();
        let table = self.numbers(dtype, &[table.len()], &table);
        let name = self.node("Gather", &[&table, &index], vec![("axis", Attr::Int(0))]);
        Value::new(name, dtype, text.shape.clone())
    }

    /// The value with a last dimension of one element more.
    pub fn unsqueeze(&mut self, value: &Value) -> Value {
        let shape = [value.shape.as_slice(), &[1]].concat();
        self.reshape(value, &shape)
    }

    /// The columns of a vector, each a vector of one.
    pub fn split(&mut self, value: &Value) -> Vec<Value> {
        let columns = value.shape.last().copied().unwrap_or(1);
        let axis = ("axis", Attr::Int(signed(value.shape.len())));
        // From 18 on, equal parts must be asked for.
        let attributes = match self.opset() {
            ..18 => vec![axis],
            _ => vec![axis, ("num_outputs", Attr::Int(signed(columns)))],
        };
        let names = self.nodes("", "Split", &[&value.name], attributes, columns);
        let mut shape = value.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = 1;
        }
        (names.into_iter())
            .map(|name| Value::new(name, value.dtype, shape.clone()))
            .collect()
    }
}
