//! Makes the inputs and outputs of a model such that rows can be fed to it, where its file has them
//! otherwise: an input that is the same for every row becomes a constant, and the batch dimension
//! becomes the first. What is inside stays as it is.

use std::collections::HashSet;

use bytes::Bytes;

use super::{
    GraphError,
    build::{OPSET, element_type, ints_tensor, numbers_tensor, signed},
    merge::made,
    proto::{
        Attribute, Graph, Kind, Model, Node, Opset, Shape, Size, Tensor, TensorType, ValueInfo,
    },
    read::standard_name,
    walk,
};
use crate::contract::{Dtype, Scalar};

/// Constants need not be inputs too since this version of the file format.
const IR_VERSION: i64 = 4;

/// Gives the input `name` these values for good: one for all of its elements, or one for each. It is
/// no input any more then.
///
/// # Errors
/// There is no such input; it has another number of elements, or elements of another type.
pub fn fix_input(model: &mut Model, name: &str, values: &[Scalar]) -> Result<(), GraphError> {
    let graph = graph_of(model)?;
    let Some(place) = graph.input.iter().position(|input| input.name == name) else {
        return Err(no_such("input", name, &graph.input));
    };
    let mut constant = constant(&graph.input[place], values)
        .map_err(|why| GraphError::new(format!("the input `{name}` {why}")))?;
    name.clone_into(&mut constant.name);
    graph.input.remove(place);
    // What the file gives it counts only where nothing feeds it.
    graph.initializer.retain(|known| known.name != name);
    graph.initializer.push(constant);
    model.ir_version = model.ir_version.max(IR_VERSION);
    Ok(())
}

/// Makes the dimension `axis` (from 0) of the input or output `name` its first one.
///
/// # Errors
/// There is no such input or output; the file does not say how many dimensions it has, or it has too
/// few.
pub fn batch_first(model: &mut Model, name: &str, axis: usize) -> Result<(), GraphError> {
    let graph = graph_of(model)?;
    let mut taken = names(graph);
    let input = graph.input.iter().position(|input| input.name == name);
    let output = graph.output.iter().position(|output| output.name == name);
    let value = match (input, output) {
        (Some(place), None) => &mut graph.input[place],
        (None, Some(place)) => &mut graph.output[place],
        (None, None) => {
            let all: Vec<_> = graph.input.iter().chain(&graph.output).cloned().collect();
            return Err(no_such("input or output", name, &all));
        }
        (Some(_), Some(_)) => {
            return Err(GraphError::new(format!(
                "`{name}` is an input and handed through as an output, and cannot be turned"
            )));
        }
    };
    let dims = move_axis(value, axis).map_err(|why| GraphError::new(format!("`{name}` {why}")))?;
    let mut inner = format!("{name}/inside");
    while !taken.insert(inner.clone()) {
        inner.push('_');
    }
    if input.is_some() {
        // What the file gives an input counts only where nothing feeds it.
        graph.initializer.retain(|known| known.name != name);
    }
    rename(graph, name, &inner);
    // `Transpose` makes dimension `i` of the one that `perm[i]` names.
    let (from, to, perm) = if input.is_some() {
        let back = (0..dims).map(|at| match at {
            at if at == axis => 0,
            at if at < axis => at + 1,
            at => at,
        });
        (name.to_owned(), inner, back.collect::<Vec<_>>())
    } else {
        let rest = (0..dims).filter(|at| *at != axis);
        let front = std::iter::once(axis).chain(rest);
        (inner, name.to_owned(), front.collect())
    };
    let node = transpose(from, to, &perm);
    if input.is_some() {
        graph.node.insert(0, node);
    } else {
        graph.node.push(node);
    }
    let standard = |set: &Opset| standard_name(&set.domain).is_empty();
    if !model.opset_import.iter().any(standard) {
        model.opset_import.push(Opset {
            domain: String::new(),
            version: OPSET,
        });
    }
    Ok(())
}

fn graph_of(model: &mut Model) -> Result<&mut Graph, GraphError> {
    let graph = model.graph.as_mut();
    graph.ok_or_else(|| GraphError::new("there is no graph in the model"))
}

fn no_such(what: &str, name: &str, all: &[ValueInfo]) -> GraphError {
    let names: Vec<String> = all
        .iter()
        .map(|value| format!("`{}`", value.name))
        .collect();
    GraphError::new(format!("the model has no {what} `{name}`"))
        .help(format!("it has {}", names.join(", ")))
}

fn tensor_of(value: &ValueInfo) -> Option<&TensorType> {
    match value.r#type.as_ref()?.value.as_ref()? {
        Kind::Tensor(tensor) => Some(tensor),
        _ => None,
    }
}

/// Every name in the graph.
fn names(graph: &mut Graph) -> HashSet<String> {
    let mut names: HashSet<String> = made(graph).into_iter().collect();
    names.extend(graph.input.iter().map(|input| input.name.clone()));
    walk::nodes(&mut graph.node, &mut |node| {
        names.extend(node.input.iter().chain(&node.output).cloned());
    });
    names
}

/// The elements of an input as a constant; in words why not.
fn constant(input: &ValueInfo, values: &[Scalar]) -> Result<Tensor, String> {
    let tensor = tensor_of(input).ok_or("is no tensor, and cannot be given a value")?;
    let of = |dtype: &Dtype| *dtype != Dtype::Bytes && element_type(*dtype) == tensor.elem_type;
    let dtype = Dtype::ALL.into_iter().find(of).ok_or_else(|| {
        format!(
            "has elements of ONNX type {}, which cannot be written here",
            tensor.elem_type
        )
    })?;
    let shape = tensor.shape.clone().unwrap_or_default();
    let sizes: Option<Vec<usize>> = (shape.dim.iter())
        .map(|dim| match dim.value {
            Some(Size::Value(size)) => usize::try_from(size).ok(),
            _ => None,
        })
        .collect();
    let sizes = match (sizes, shape.dim.len()) {
        (Some(sizes), _) => sizes,
        // As long as the list.
        (None, 1) => vec![values.len()],
        (None, _) => return Err("leaves its shape open, and cannot be given a value".to_owned()),
    };
    let count = (sizes.iter()).try_fold(1usize, |all, size| all.checked_mul(*size));
    let count = count.filter(|count| *count <= 1 << 20);
    let count = count.ok_or("is too large to be given a value")?;
    let all: Vec<&Scalar> = match values {
        [one] => std::iter::repeat_n(one, count).collect(),
        many if many.len() == count => many.iter().collect(),
        many => {
            return Err(format!(
                "has {count} elements, and {} values are given",
                many.len()
            ));
        }
    };
    elements(dtype, &sizes, &all).ok_or_else(|| {
        let list: Vec<String> = values.iter().map(ToString::to_string).collect();
        format!("takes {dtype}, and is given {}", list.join(", "))
    })
}

/// Values of this type; `None` where one is of another.
fn elements(dtype: Dtype, sizes: &[usize], values: &[&Scalar]) -> Option<Tensor> {
    let values = values.iter();
    match dtype {
        Dtype::I64 => {
            let whole = values.map(|value| match value {
                Scalar::Integer(value) => Some(*value),
                _ => None,
            });
            Some(ints_tensor(sizes, &whole.collect::<Option<Vec<_>>>()?))
        }
        Dtype::String | Dtype::Bytes => {
            let texts = values.map(|value| match value {
                Scalar::String(text) => Some(Bytes::from(text.clone())),
                _ => None,
            });
            Some(Tensor {
                dims: sizes.iter().map(|size| signed(*size)).collect(),
                data_type: element_type(dtype),
                string_data: texts.collect::<Option<_>>()?,
                ..Tensor::default()
            })
        }
        _ => {
            let numbers = values.map(|value| number(dtype, value));
            let numbers = numbers.collect::<Option<Vec<f64>>>()?;
            Some(numbers_tensor(dtype, sizes, &numbers))
        }
    }
}

fn number(dtype: Dtype, value: &Scalar) -> Option<f64> {
    match (dtype, value) {
        (Dtype::F32 | Dtype::F64, Scalar::Integer(value)) => Some(*value as f64),
        (Dtype::F32 | Dtype::F64, Scalar::Float(value)) => Some(*value),
        (Dtype::I32, Scalar::Integer(value)) => i32::try_from(*value).ok().map(f64::from),
        (Dtype::U8, Scalar::Integer(value)) => u8::try_from(*value).ok().map(f64::from),
        (Dtype::Bool, Scalar::Bool(value)) => Some(f64::from(u8::from(*value))),
        _ => None,
    }
}

/// Declares the dimension `axis` as the first. Gives the number of dimensions.
fn move_axis(value: &mut ValueInfo, axis: usize) -> Result<usize, String> {
    let declared = value.r#type.as_mut().and_then(|of| of.value.as_mut());
    let Some(Kind::Tensor(TensorType {
        shape: Some(Shape { dim }),
        ..
    })) = declared
    else {
        return Err("does not say in the file how many dimensions it has".to_owned());
    };
    if axis >= dim.len() {
        let noun = if dim.len() == 1 {
            "dimension"
        } else {
            "dimensions"
        };
        return Err(format!(
            "has {} {noun}, and none of the number {axis} (they count from 0)",
            dim.len()
        ));
    }
    let batch = dim.remove(axis);
    dim.insert(0, batch);
    Ok(dim.len())
}

/// Calls a value otherwise wherever nodes name it, also in the graphs within.
fn rename(graph: &mut Graph, name: &str, new: &str) {
    let change = |known: &mut String| {
        if known == name {
            new.clone_into(known);
        }
    };
    (graph.initializer.iter_mut()).for_each(|constant| change(&mut constant.name));
    graph.value_info.retain(|value| value.name != name);
    walk::nodes(&mut graph.node, &mut |node| {
        node.input
            .iter_mut()
            .chain(&mut node.output)
            .for_each(change);
        for inner in node.attribute.iter_mut().flat_map(walk::graphs_of) {
            (inner.output.iter_mut()).for_each(|output| change(&mut output.name));
        }
    });
}

fn transpose(from: String, to: String, perm: &[usize]) -> Node {
    const INTS: i32 = 7;
    Node {
        name: format!("{to}/turned"),
        input: vec![from],
        output: vec![to],
        op_type: "Transpose".to_owned(),
        attribute: vec![Attribute {
            name: "perm".to_owned(),
            ints: perm.iter().map(|axis| signed(*axis)).collect(),
            r#type: Some(INTS),
            ..Attribute::default()
        }],
        ..Node::default()
    }
}

#[cfg(test)]
mod tests;
