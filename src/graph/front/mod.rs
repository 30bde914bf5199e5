//! Takes the front off a graph: the nodes behind its inputs that only move, stretch, fill or look up columns. Whoever
//! runs the graph puts columns side by side anyway, and does the same arithmetic on the way: for a batch of 64 rows a
//! node costs the runtime one to two microseconds, and the numbers of a column are done in a hundredth of that.
//!
//! The whole graph stays what is meant, what `compile` writes and what is tried out; a front is only another way to run
//! it, and gives the same bits: the same operation on the same `f32`, in the same order. So what depends on how a
//! library computes (logarithms, sums) stays in the graph.
//!
//! - `part` has what a value is made of, and what operations make of it
//! - `node` says which nodes can be done so

mod node;
mod part;

use std::collections::HashSet;

use self::node::Front;
pub use self::part::{Keys, Made, Op, Operator, Part, Table, What};
use super::{
    build::{element_type, signed},
    proto::{Dimension, Graph, Kind, Model, Shape, Size, TensorType, Type, ValueInfo},
    read::standard_name,
    sorted::each_taken,
};
use crate::contract::Dtype;

/// What has more elements in a row stays in the graph: there the cost of a node is small beside its work.
const WIDTH_MAX: usize = 4096;

/// A graph without its front.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// What feeds each input of the rest, in its order.
    pub inputs: Vec<Fed>,
    /// The nodes that are left.
    pub rest: Model,
}

/// What feeds an input of the rest.
#[derive(Debug, Clone, PartialEq)]
pub enum Fed {
    /// This input of the whole graph, as it is.
    Whole(usize),
    /// What the front made.
    Made(Made),
}

/// Whether the input at a place, of a type, may be made something else before it is fed.
pub type MayMake<'a> = &'a dyn Fn(usize, Dtype) -> bool;

/// Takes the front off the model; `None` where it has none. Inputs for which `may_make` is false stay as they are.
pub fn split(mut model: Model, may_make: MayMake<'_>) -> Option<Split> {
    let functions: HashSet<(String, String)> = (model.functions.iter())
        .map(|it| (standard_name(&it.domain).to_owned(), it.name.clone()))
        .collect();
    let mut graph = model.graph.take()?;
    let mut front = Front::new(&graph, may_make);
    let outputs: HashSet<&str> = graph.output.iter().map(|it| it.name.as_str()).collect();
    let mut done = vec![false; graph.node.len()];
    for (node, done) in graph.node.iter().zip(&mut done) {
        let key = (standard_name(&node.domain).to_owned(), node.op_type.clone());
        let plain = !node.output.iter().any(|it| outputs.contains(it.as_str()));
        *done = plain && !functions.contains(&key) && front.take(node);
    }
    let used = settle(&graph, &front, &mut done);
    let mut inputs = Vec::new();
    let mut declared = Vec::new();
    for (at, input) in graph.input.iter().enumerate() {
        if used.contains(&input.name) {
            inputs.push(Fed::Whole(at));
            declared.push(input.clone());
        }
    }
    let rows = graph.input.first().and_then(rows_of);
    let made = graph.node.iter().zip(&done).filter(|(_, done)| **done);
    for name in made.flat_map(|(node, _)| &node.output) {
        if let (true, Some(made)) = (used.contains(name), front.made(name)) {
            declared.push(declare(name, &made, rows.clone()));
            inputs.push(Fed::Made(made));
        }
    }
    let any = inputs.iter().any(|input| matches!(input, Fed::Made(_)));
    drop(front);
    any.then(|| {
        take_off(&mut graph, &done, declared, &used);
        model.graph = Some(graph);
        Split {
            inputs,
            rest: model,
        }
    })
}

/// Gives back to the graph what it needs and cannot be fed with, and says what the rest uses.
fn settle(graph: &Graph, front: &Front<'_>, done: &mut [bool]) -> HashSet<String> {
    loop {
        let mut used: HashSet<&str> = graph.output.iter().map(|it| it.name.as_str()).collect();
        for (node, _) in graph.node.iter().zip(&*done).filter(|(_, done)| !**done) {
            each_taken(node, &mut |name| {
                used.insert(name);
            });
        }
        let mut sound = true;
        for (node, done) in graph.node.iter().zip(&mut *done) {
            let needed = |name: &String| used.contains(name.as_str()) && front.made(name).is_none();
            if *done && node.output.iter().any(needed) {
                (*done, sound) = (false, false);
            }
        }
        if sound {
            return used.into_iter().map(str::to_owned).collect();
        }
    }
}

/// Takes the nodes off, and what only they used.
fn take_off(graph: &mut Graph, done: &[bool], inputs: Vec<ValueInfo>, used: &HashSet<String>) {
    let mut done = done.iter();
    let mut gone: HashSet<String> = HashSet::new();
    graph.node.retain(|node| {
        let stays = !done.next().copied().unwrap_or_default();
        if !stays {
            gone.extend(node.input.iter().chain(&node.output).cloned());
        }
        stays
    });
    (graph.initializer).retain(|it| used.contains(&it.name) || !gone.contains(&it.name));
    graph.value_info.retain(|it| !gone.contains(&it.name));
    graph.input = inputs;
}

/// How many rows an input is declared for.
fn rows_of(input: &ValueInfo) -> Option<Dimension> {
    match input.r#type.as_ref()?.value.as_ref()? {
        Kind::Tensor(tensor) => tensor.shape.as_ref()?.dim.first().cloned(),
        _ => None,
    }
}

fn declare(name: &str, made: &Made, rows: Option<Dimension>) -> ValueInfo {
    let size = |size: &usize| Dimension {
        value: Some(Size::Value(signed(*size))),
        denotation: None,
    };
    let dim = std::iter::once(rows.unwrap_or_default()).chain(made.shape.iter().map(size));
    let tensor = TensorType {
        elem_type: element_type(made.dtype),
        shape: Some(Shape { dim: dim.collect() }),
    };
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(Type {
            denotation: String::new(),
            value: Some(Kind::Tensor(tensor)),
        }),
        ..ValueInfo::default()
    }
}
