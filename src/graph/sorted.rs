//! Nodes in the order that the format asks for.

use std::{cmp::Reverse, collections::BinaryHeap, collections::HashMap};

use super::proto::{Graph, Node};

/// Puts every node behind those that it takes from, and leaves the order as it is otherwise. The format
/// asks for that; runtimes sort for themselves. A graph with a circle is left as it is.
pub fn sort(graph: &mut Graph) {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (at, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            makers.insert(output, at);
        }
    }
    let mut takers: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    let mut missing = vec![0usize; graph.node.len()];
    for (at, node) in graph.node.iter().enumerate() {
        each_taken(node, &mut |name| {
            if let Some(maker) = makers.get(name).filter(|maker| **maker != at) {
                takers[*maker].push(at);
                missing[at] += 1;
            }
        });
    }
    let ready = missing.iter().enumerate().filter(|(_, count)| **count == 0);
    let mut ready: BinaryHeap<Reverse<usize>> = ready.map(|(at, _)| Reverse(at)).collect();
    let mut order = Vec::with_capacity(graph.node.len());
    while let Some(Reverse(at)) = ready.pop() {
        order.push(at);
        for taker in &takers[at] {
            missing[*taker] -= 1;
            if missing[*taker] == 0 {
                ready.push(Reverse(*taker));
            }
        }
    }
    if order.len() == graph.node.len() {
        let mut nodes: Vec<Option<Node>> = graph.node.drain(..).map(Some).collect();
        let sorted = order.into_iter().filter_map(|at| nodes[at].take());
        graph.node = sorted.collect();
    }
}

/// The names that a node takes, those that its own graphs take from outside among them.
pub(super) fn each_taken<'n>(node: &'n Node, see: &mut impl FnMut(&'n str)) {
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        node.input.iter().for_each(|name| see(name));
        for attribute in &node.attribute {
            for graph in attribute
                .g
                .iter()
                .map(AsRef::as_ref)
                .chain(&attribute.graphs)
            {
                graph.output.iter().for_each(|output| see(&output.name));
                open.extend(&graph.node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::graph::proto::{Attribute, ValueInfo};

    fn node(name: &str, inputs: &[&str]) -> Node {
        Node {
            name: name.to_owned(),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.to_owned()],
            ..Node::default()
        }
    }

    fn sorted(nodes: Vec<Node>) -> Vec<String> {
        let mut graph = Graph {
            node: nodes,
            ..Graph::default()
        };
        sort(&mut graph);
        graph.node.into_iter().map(|node| node.name).collect()
    }

    #[test]
    fn what_is_taken_comes_first_and_else_nothing_moves() {
        let nodes = vec![
            node("d", &["b", "x"]),
            node("a", &["x"]),
            node("b", &["c"]),
            node("c", &["a", "a"]),
            node("e", &[]),
        ];
        assert_eq!(sorted(nodes), ["a", "c", "b", "d", "e"]);
        let nodes = vec![node("b", &["x"]), node("a", &["x"])];
        assert_eq!(sorted(nodes), ["b", "a"]);
    }

    #[test]
    fn a_graph_inside_takes_too() {
        let inner = Graph {
            node: vec![node("y", &["a"])],
            output: vec![ValueInfo {
                name: "b".to_owned(),
                ..ValueInfo::default()
            }],
            ..Graph::default()
        };
        let branch = Node {
            attribute: vec![Attribute {
                g: Some(Box::new(inner)),
                ..Attribute::default()
            }],
            ..node("branch", &[])
        };
        let nodes = vec![branch, node("b", &["a"]), node("a", &[])];
        assert_eq!(sorted(nodes), ["a", "b", "branch"]);
    }

    #[test]
    fn a_circle_is_left_as_it_is() {
        assert_eq!(
            sorted(vec![node("b", &["a"]), node("a", &["b"])]),
            ["b", "a"]
        );
    }

    proptest! {
        /// Each node takes from some of those before it; then they are shuffled.
        #[test]
        fn any_order_is_put_right(
            taken in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..20),
            keys in prop::collection::vec(any::<u32>(), 20),
        ) {
            let mut nodes: Vec<Node> = taken.iter().enumerate().map(|(at, taken)| {
                let inputs: Vec<String> = (taken.iter().filter(|_| at > 0))
                    .map(|index| index.index(at).to_string())
                    .collect();
                node(&at.to_string(), &inputs.iter().map(String::as_str).collect::<Vec<_>>())
            }).collect();
            nodes.sort_by_key(|node| keys[node.name.parse::<usize>().unwrap_or(0)]);
            let inputs: HashMap<String, Vec<String>> =
                nodes.iter().map(|node| (node.name.clone(), node.input.clone())).collect();
            let mut seen: Vec<String> = Vec::new();
            for name in sorted(nodes) {
                prop_assert!(inputs[&name].iter().all(|input| seen.contains(input)));
                seen.push(name);
            }
            prop_assert_eq!(seen.len(), inputs.len());
        }
    }
}
