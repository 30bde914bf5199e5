//! Ways through all parts of a model.

use super::proto::{Attribute, Graph, Model, Node, SparseTensor, Tensor};

impl Attribute {
    /// The texts of a list; what is no UTF-8 is empty.
    pub(super) fn texts(&self) -> Vec<&str> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        self.strings.iter().map(|bytes| text(bytes)).collect()
    }
}

/// What is done with a tensor on the way.
type Visit<'a, E> = &'a mut dyn FnMut(&mut Tensor) -> Result<(), E>;

/// Calls `visit` with every tensor of the model: constants, attributes of nodes, in graphs of attributes and
/// functions too.
///
/// # Errors
/// The first that `visit` gives.
pub(super) fn tensors<E>(model: &mut Model, visit: Visit<'_, E>) -> Result<(), E> {
    if let Some(graph) = &mut model.graph {
        tensors_of_graph(graph, visit)?;
    }
    for function in &mut model.functions {
        tensors_of_nodes(&mut function.node, visit)?;
        tensors_of_attributes(&mut function.attribute_proto, visit)?;
    }
    Ok(())
}

fn tensors_of_graph<E>(graph: &mut Graph, visit: Visit<'_, E>) -> Result<(), E> {
    for tensor in &mut graph.initializer {
        visit(tensor)?;
    }
    for sparse in &mut graph.sparse_initializer {
        tensors_of_sparse(sparse, visit)?;
    }
    tensors_of_nodes(&mut graph.node, visit)
}

fn tensors_of_nodes<E>(nodes: &mut [Node], visit: Visit<'_, E>) -> Result<(), E> {
    for node in nodes {
        tensors_of_attributes(&mut node.attribute, visit)?;
    }
    Ok(())
}

fn tensors_of_attributes<E>(attributes: &mut [Attribute], visit: Visit<'_, E>) -> Result<(), E> {
    for attribute in attributes {
        if let Some(tensor) = &mut attribute.t {
            visit(tensor)?;
        }
        for tensor in &mut attribute.tensors {
            visit(tensor)?;
        }
        if let Some(sparse) = &mut attribute.sparse_tensor {
            tensors_of_sparse(sparse, visit)?;
        }
        for sparse in &mut attribute.sparse_tensors {
            tensors_of_sparse(sparse, visit)?;
        }
        for graph in graphs_of(attribute) {
            tensors_of_graph(graph, visit)?;
        }
    }
    Ok(())
}

fn tensors_of_sparse<E>(sparse: &mut SparseTensor, visit: Visit<'_, E>) -> Result<(), E> {
    let parts = [&mut sparse.values, &mut sparse.indices];
    parts.into_iter().flatten().try_for_each(visit)
}

/// The graphs in an attribute, such as the branches of an `If`.
pub(super) fn graphs_of(attribute: &mut Attribute) -> impl Iterator<Item = &mut Graph> {
    let one = attribute.g.as_deref_mut();
    one.into_iter().chain(&mut attribute.graphs)
}

/// Calls `visit` with every node, and every node of graphs in attributes.
pub(super) fn nodes(nodes: &mut [Node], visit: &mut dyn FnMut(&mut Node)) {
    for node in nodes {
        for graph in node.attribute.iter_mut().flat_map(graphs_of) {
            self::nodes(&mut graph.node, visit);
        }
        visit(node);
    }
}

/// Whether any node, also of graphs in attributes, is such.
pub(super) fn any_node(nodes: &[Node], is: &dyn Fn(&Node) -> bool) -> bool {
    find_node(nodes, is).is_some()
}

/// The first node, also of graphs in attributes, that is such.
fn find_node<'n>(nodes: &'n [Node], is: &dyn Fn(&Node) -> bool) -> Option<&'n Node> {
    nodes.iter().find_map(|node| {
        if is(node) {
            return Some(node);
        }
        let mut graphs = (node.attribute.iter())
            .flat_map(|attribute| attribute.g.as_deref().into_iter().chain(&attribute.graphs));
        graphs.find_map(|graph| find_node(&graph.node, is))
    })
}

impl Model {
    /// The first node that is such: of the graph, of graphs in attributes, or of a function.
    pub fn find_node(&self, is: impl Fn(&Node) -> bool) -> Option<&Node> {
        let graph = self.graph.iter().map(|graph| &graph.node);
        let mut all = graph.chain(self.functions.iter().map(|function| &function.node));
        all.find_map(|nodes| find_node(nodes, &is))
    }
}

/// Calls `visit` with the graphs in attributes of a graph's nodes, not with those in them.
pub(super) fn graphs_within(graph: &Graph, visit: &mut dyn FnMut(&Graph)) {
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        let one = attribute.g.as_deref();
        for inner in one.into_iter().chain(&attribute.graphs) {
            visit(inner);
        }
    }
}
