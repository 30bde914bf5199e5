//! Raises a model from an old set of the standard operators to [`OPSET_MIN`], so that steps can stand around it.
//!
//! What changed from set 7 to 13 is in the changelog of the operators (`onnx.defs.get_all_schemas_with_history()`).
//! Most operators only took on more types, negative axes or optional inputs; the rest is in `forms` (what was an
//! attribute became an input) and `meanings` (the same words mean something else). `seen` knows types and ranks.

mod forms;
mod meanings;
mod seen;

use std::collections::HashSet;

use self::seen::Seen;
use super::{
    GraphError,
    build::{OPSET_MIN, ints_tensor},
    merge, opset,
    proto::{Attribute, Graph, Model, Node, Tensor},
    read::standard_name,
    walk,
};

/// The oldest set that is understood.
const OLDEST: i64 = 7;
/// The version of the file format that came with set 13. Since 4, constants need not be inputs too.
const IR_VERSION: i64 = 7;

/// Raises a model to operators of set [`OPSET_MIN`]; one that has them, or newer ones, stays as it is. It computes the
/// same as before.
///
/// # Errors
/// The model is older than set 7, or has a node that has no equal in the new set.
pub fn raise(model: &mut Model) -> Result<(), GraphError> {
    let from = opset(model);
    if from >= OPSET_MIN {
        return Ok(());
    }
    if from < OLDEST {
        return Err(GraphError::new(format!(
            "the model is written in operator set {from}, and forebay knows {OLDEST} and newer"
        ))
        .help(REMEDY));
    }
    let old_function = model.functions.iter().find(|function| {
        (function.opset_import.iter())
            .any(|it| standard_name(&it.domain).is_empty() && it.version < OPSET_MIN)
    });
    if let Some(function) = old_function {
        return Err(GraphError::new(format!(
            "the model's function `{}` is written in an operator set older than {OPSET_MIN}",
            function.name
        ))
        .help(REMEDY));
    }
    if let Some(graph) = &mut model.graph {
        let mut taken = HashSet::new();
        names_of(graph, &mut taken);
        let mut raiser = Raiser {
            from,
            taken,
            used: HashSet::new(),
        };
        uses(graph, &mut raiser.used);
        raiser.graph(graph, &Seen::default())?;
    }
    for import in &mut model.opset_import {
        if standard_name(&import.domain).is_empty() {
            import.version = OPSET_MIN;
        }
    }
    if model.opset_import.is_empty() {
        model.opset_import.push(super::proto::Opset {
            domain: String::new(),
            version: OPSET_MIN,
        });
    }
    model.ir_version = model.ir_version.max(IR_VERSION);
    Ok(())
}

/// What to do about a model that cannot be raised.
const REMEDY: &str = "export it anew with `target_opset` (or `opset_version`) 13 or higher";

/// Raises the nodes of one model.
struct Raiser {
    /// The set that the model is written in.
    from: i64,
    /// All names of the model.
    taken: HashSet<String>,
    /// All names that some node or output uses.
    used: HashSet<String>,
}

/// What a node becomes.
#[derive(Default)]
struct Raised {
    nodes: Vec<Node>,
    constants: Vec<Tensor>,
}

impl Raiser {
    /// Raises a graph and the graphs in it; `outside` is what they see of others.
    fn graph(&mut self, graph: &mut Graph, outside: &Seen) -> Result<(), GraphError> {
        let mut seen = outside.inside(graph);
        let mut raised = Raised::default();
        for mut node in std::mem::take(&mut graph.node) {
            for inner in node.attribute.iter_mut().flat_map(walk::graphs_of) {
                self.graph(inner, &seen)?;
            }
            if standard_name(&node.domain).is_empty() {
                // What the node makes has the same type after as before.
                let before = node.clone();
                self.node(node, graph, &seen, &mut raised)?;
                seen.add(&before);
            } else {
                seen.add(&node);
                raised.nodes.push(node);
            }
        }
        graph.node = raised.nodes;
        graph.initializer.append(&mut raised.constants);
        Ok(())
    }

    fn node(
        &mut self,
        mut node: Node,
        graph: &Graph,
        seen: &Seen,
        raised: &mut Raised,
    ) -> Result<(), GraphError> {
        let from = self.from;
        let form = forms::raise(self, &mut node, seen, raised);
        form.and_then(|()| meanings::raise(self, node.clone(), graph, seen, raised))
            .map_err(|why| {
                let place = match (node.name.as_str(), node.output.first()) {
                    ("", Some(output)) => format!("the node that makes `{output}`"),
                    (name, _) => format!("node `{name}`"),
                };
                GraphError::new(format!(
                    "{place}: {} of operator set {from} {why}, which has no equal in set {OPSET_MIN}",
                    node.op_type
                ))
                .help(REMEDY)
            })
    }

    /// A name that nothing has.
    fn fresh(&mut self, node: &Node, what: &str) -> String {
        let base = node.output.first().map_or("", String::as_str);
        let mut name = format!("{base}/{what}");
        let mut number = 1;
        while !self.taken.insert(name.clone()) {
            number += 1;
            name = format!("{base}/{what}_{number}");
        }
        name
    }

    /// Adds a constant for a node, and gives its name.
    fn constant(&mut self, node: &Node, what: &str, tensor: Tensor, raised: &mut Raised) -> String {
        let name = self.fresh(node, what);
        raised.constants.push(Tensor {
            name: name.clone(),
            ..tensor
        });
        name
    }

    /// Adds a constant list of whole numbers for a node, and gives its name.
    fn ints(&mut self, node: &Node, what: &str, values: &[i64], raised: &mut Raised) -> String {
        self.constant(node, what, ints_tensor(&[values.len()], values), raised)
    }
}

/// Takes an attribute away.
fn take(node: &mut Node, name: &str) -> Option<Attribute> {
    let place = (node.attribute.iter()).position(|attribute| attribute.name == name)?;
    Some(node.attribute.remove(place))
}

/// A new node.
fn made(operator: &str, inputs: &[&str], output: &str) -> Node {
    Node {
        op_type: operator.to_owned(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        name: output.to_owned(),
        ..Node::default()
    }
}

/// A new attribute.
fn int(name: &str, value: i64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        r#type: Some(2),
        i: Some(value),
        ..Attribute::default()
    }
}

/// All names in a graph and the graphs in it.
fn names_of(graph: &Graph, into: &mut HashSet<String>) {
    into.extend(merge::made(graph));
    into.extend(graph.input.iter().map(|input| input.name.clone()));
    walk::graphs_within(graph, &mut |inner| names_of(inner, into));
}

/// All names that are used in a graph and the graphs in it.
fn uses(graph: &Graph, into: &mut HashSet<String>) {
    into.extend(graph.node.iter().flat_map(|node| &node.input).cloned());
    into.extend(graph.output.iter().map(|output| output.name.clone()));
    walk::graphs_within(graph, &mut |inner| uses(inner, into));
}
