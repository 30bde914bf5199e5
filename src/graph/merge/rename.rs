//! New names for everything in a graph, so that it can stand inside another.

use std::collections::{HashMap, HashSet};

use crate::graph::{
    build::GraphBuilder,
    proto::{Dimension, Graph, Kind, Node, Shape, Size, Type, ValueInfo},
    read::standard_name,
    walk,
};

/// From old names to new ones.
type Names = HashMap<String, String>;

/// A function of a model: domain, name and overload.
pub(super) type FunctionKey = (String, String, String);

/// Gives new names to what is in one model.
pub(super) struct Renamer<'a> {
    pub(super) builder: &'a mut GraphBuilder,
    /// What the new names start with.
    pub(super) prefix: &'a str,
    /// What is visible, the innermost graph last.
    pub(super) scopes: Vec<Names>,
    /// New names of functions.
    pub(super) functions: HashMap<FunctionKey, String>,
}

impl Renamer<'_> {
    /// The wish for the new name of something; it may come to have a number behind it.
    pub(super) fn wish(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    /// A new name for what the innermost graph makes; what has one there already keeps it.
    fn define(&mut self, name: &str) {
        let wish = self.wish(name);
        let known = (self.scopes.last()).is_some_and(|scope| scope.contains_key(name));
        if !known && !name.is_empty() {
            let fresh = self.builder.fresh(&wish);
            self.keep(name, fresh);
        }
    }

    /// The innermost graph's `name` becomes `new`.
    pub(super) fn keep(&mut self, name: &str, new: String) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.entry(name.to_owned()).or_insert(new);
        }
    }

    /// The new name of what a graph uses.
    fn used(&mut self, name: &mut String) {
        if name.is_empty() {
            return;
        }
        let mut inner = self.scopes.iter().rev();
        if let Some(new) = inner.find_map(|scope| scope.get(name.as_str())) {
            new.clone_into(name);
            return;
        }
        // Nothing makes it. The runtime will say so; it must not meet by chance what another part makes.
        let new = self.builder.fresh(&self.wish(name));
        if let Some(outermost) = self.scopes.first_mut() {
            outermost.insert(std::mem::replace(name, new.clone()), new);
        }
    }

    /// Renames the inside of a graph, whose scope is the innermost; inputs have names there already.
    pub(super) fn graph(&mut self, graph: &mut Graph) {
        for name in made(graph) {
            self.define(&name);
        }
        let sparse = (graph.sparse_initializer.iter_mut()).filter_map(|it| it.values.as_mut());
        for tensor in graph.initializer.iter_mut().chain(sparse) {
            self.used(&mut tensor.name);
        }
        for node in &mut graph.node {
            self.node(node);
        }
        let values = (graph.input.iter_mut()).chain(&mut graph.output);
        for value in values.chain(&mut graph.value_info) {
            self.used(&mut value.name);
            self.dimensions(value.r#type.as_mut());
        }
        for annotation in &mut graph.quantization_annotation {
            self.used(&mut annotation.tensor_name);
            for parameter in &mut annotation.quant_parameter_tensor_names {
                self.used(&mut parameter.value);
            }
        }
    }

    fn node(&mut self, node: &mut Node) {
        for name in node.input.iter_mut().chain(&mut node.output) {
            self.used(name);
        }
        if !node.name.is_empty() {
            node.name = self.builder.fresh(&self.wish(&node.name));
        }
        self.call(node);
        // Operators of other domains (BeamSearch) know what goes into their graphs by name.
        let standard = standard_name(&node.domain).is_empty();
        for attribute in &mut node.attribute {
            self.dimensions(attribute.tp.as_deref_mut());
            for declared in &mut attribute.type_protos {
                self.dimensions(Some(declared));
            }
            for graph in walk::graphs_of(attribute) {
                self.scopes.push(Names::new());
                if standard {
                    for input in &graph.input {
                        self.define(&input.name);
                    }
                } else {
                    for name in interface(graph) {
                        self.keep(&name, name.clone());
                    }
                }
                self.graph(graph);
                self.scopes.pop();
            }
        }
    }

    /// A call of a function follows its new name.
    pub(super) fn call(&self, node: &mut Node) {
        if self.functions.is_empty() {
            return;
        }
        let key = (
            standard_name(&node.domain).to_owned(),
            node.op_type.clone(),
            node.overload.clone(),
        );
        if let Some(new) = self.functions.get(&key) {
            new.clone_into(&mut node.op_type);
        }
    }

    /// Names of dimensions are as wide as the file, so they get the prefix too.
    pub(super) fn dimensions(&self, declared: Option<&mut Type>) {
        let Some(kind) = declared.and_then(|declared| declared.value.as_mut()) else {
            return;
        };
        match kind {
            Kind::Tensor(tensor) => self.shape(tensor.shape.as_mut()),
            Kind::SparseTensor(tensor) => self.shape(tensor.shape.as_mut()),
            Kind::Sequence(of) => self.dimensions(of.elem_type.as_deref_mut()),
            Kind::Optional(of) => self.dimensions(of.elem_type.as_deref_mut()),
            Kind::Map(of) => self.dimensions(of.value_type.as_deref_mut()),
            Kind::Opaque(_) => {}
        }
    }

    fn shape(&self, shape: Option<&mut Shape>) {
        for dim in shape.into_iter().flat_map(|shape| &mut shape.dim) {
            if let Dimension {
                value: Some(Size::Param(name)),
                ..
            } = dim
                && !name.is_empty()
            {
                *name = self.wish(name);
            }
        }
    }
}

/// The names that a graph itself makes.
pub(in crate::graph) fn made(graph: &Graph) -> Vec<String> {
    let sparse = graph.sparse_initializer.iter();
    let sparse = sparse.filter_map(|it| Some(&it.values.as_ref()?.name));
    let constants = graph.initializer.iter().map(|tensor| &tensor.name);
    let outputs = graph.node.iter().flat_map(|node| &node.output);
    (constants.chain(sparse).chain(outputs))
        .filter(|name| !name.is_empty())
        .cloned()
        .collect()
}

/// The names by which a graph is fed and read; an output that it only hands through from outside is none of them.
fn interface(graph: &Graph) -> Vec<String> {
    let name = |value: &ValueInfo| value.name.clone();
    let mut names: Vec<String> = graph.input.iter().map(name).collect();
    let inside: HashSet<String> = made(graph).into_iter().collect();
    names.extend((graph.output.iter().map(name)).filter(|name| inside.contains(name)));
    names
}
