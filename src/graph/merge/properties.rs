//! Random models with graphs in graphs, put into another graph, against a small interpreter.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has done its work"
)]

use std::collections::HashMap;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;

use super::{
    rename::made,
    tests::{host, model, node, number, value, with_graph},
};
use crate::{
    contract::Dtype,
    graph::{Value, parse, proto::Graph},
};

/// Names as odd as a file may have them, few enough to meet often.
const NAMES: [&str; 8] = ["a", "b", "x", "y", "m/a", "über x", "a:0", "rows"];

/// Decisions, out of random bytes; zeros where they end.
struct Dice(Vec<u8>);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        usize::from(self.0.pop().unwrap_or_default()) % end.max(1)
    }

    fn name(&mut self) -> String {
        NAMES[self.below(NAMES.len())].to_owned()
    }
}

/// A graph that sees `outside`, takes `inputs` and makes some names of its own, shadowing what they meet.
fn random_graph(dice: &mut Dice, outside: &[String], inputs: &[String], depth: usize) -> Graph {
    let mut graph = Graph::default();
    let mut wanted: Vec<String> = (0..=dice.below(4)).map(|_| dice.name()).collect();
    wanted.sort();
    wanted.dedup();
    wanted.retain(|name| !inputs.contains(name));
    if wanted.is_empty() {
        wanted.push("z".to_owned());
    }
    let hidden = |name: &&String| !wanted.contains(name) && !inputs.contains(name);
    let mut seen: Vec<String> = outside.iter().filter(hidden).cloned().collect();
    seen.extend(inputs.iter().cloned());
    graph.input = inputs.iter().map(|name| value(name)).collect();
    for name in &wanted {
        let one = seen.get(dice.below(seen.len())).cloned();
        let two = seen.get(dice.below(seen.len())).cloned();
        let made = match (dice.below(5), one, two) {
            (0, Some(one), Some(two)) => node("Add", &[&one, &two], &[name]),
            (1, Some(one), _) => node("Neg", &[&one], &[name]),
            (2, Some(one), _) if depth > 0 => {
                let then = random_graph(dice, &seen, &[], depth - 1);
                let other = random_graph(dice, &seen, &[], depth - 1);
                let choice = with_graph(node("If", &[&one], &[name]), "then_branch", then);
                with_graph(choice, "else_branch", other)
            }
            (3, Some(one), _) if depth > 0 => {
                let input = dice.name();
                let body = random_graph(dice, &seen, &[input], depth - 1);
                with_graph(node("Loop", &[&one], &[name]), "body", body)
            }
            _ => {
                let value = i64::try_from(dice.below(100)).unwrap();
                graph.initializer.push(number(name, value));
                seen.push(name.clone());
                continue;
            }
        };
        graph.node.push(made);
        seen.push(name.clone());
    }
    graph.output = vec![value(seen.last().unwrap())];
    graph
}

/// What the first output of such a graph is: the meaning that renaming must not change.
fn evaluate(graph: &Graph, outside: &HashMap<String, i64>, fed: &[i64]) -> i64 {
    let mut seen = outside.clone();
    for (input, value) in graph.input.iter().zip(fed) {
        seen.insert(input.name.clone(), *value);
    }
    for constant in &graph.initializer {
        let raw = constant.raw_data.as_deref().unwrap();
        let value = i64::from_le_bytes(raw.try_into().unwrap());
        seen.insert(constant.name.clone(), value);
    }
    for node in &graph.node {
        let at = |place: usize| {
            let name = &node.input[place];
            *seen
                .get(name)
                .unwrap_or_else(|| panic!("{name:?} is made by nothing"))
        };
        let inner = |place: usize, fed: &[i64]| {
            evaluate(node.attribute[place].g.as_deref().unwrap(), &seen, fed)
        };
        let result = match node.op_type.as_str() {
            "Add" => at(0).wrapping_add(at(1)),
            "Neg" => at(0).wrapping_neg(),
            "Identity" => at(0),
            "If" => inner(usize::from(at(0) % 2 == 0), &[]),
            "Loop" => inner(0, &[at(0)]),
            other => panic!("{other}"),
        };
        seen.insert(node.output[0].clone(), result);
    }
    seen[&graph.output[0].name]
}

/// All names that a graph and the graphs in it make.
fn all_made(graph: &Graph, names: &mut Vec<String>) {
    names.extend(made(graph));
    names.extend(graph.input.iter().map(|input| input.name.clone()));
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        all_made(attribute.g.as_deref().unwrap(), names);
    }
}

proptest! {
    /// A model means the same inside another graph, whatever its names hide, and no name is there twice.
    #[test]
    fn a_model_means_the_same_inside(bytes in prop::collection::vec(any::<u8>(), 0..200), fed in any::<i64>()) {
        let mut dice = Dice(bytes);
        let graph = random_graph(&mut dice, &[], &["x".to_owned()], 3);
        let output = graph.output[0].name.clone();
        prop_assume!(output != "a");
        let alone = evaluate(&graph, &HashMap::new(), &[fed]);
        let (mut builder, feeds) = host();
        builder.insert(model(graph), "m", &feeds).unwrap();
        let result = Value::new(format!("m/{output}"), Dtype::I64, Vec::new());
        let merged = builder.finish(&[("result".to_owned(), result)]).graph.unwrap();
        prop_assert_eq!(evaluate(&merged, &HashMap::new(), &[fed]), alone);
        let mut names = Vec::new();
        all_made(&merged, &mut names);
        let count = names.len();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), count, "{:?}", names);
        for name in names {
            prop_assert!(name.starts_with("m/") || name == "x" || name == "result", "{}", name);
        }
    }

    /// Damaged files are refused or read, and never make this panic.
    #[test]
    fn damage_never_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let graph = random_graph(&mut Dice(bytes), &[], &["x".to_owned()], 3);
        let mut file = model(graph).encode_to_vec();
        for (place, byte) in hits {
            let place = place.index(file.len());
            file[place] = byte;
        }
        if let Ok(model) = parse(Bytes::from(file)) {
            let (mut builder, feeds) = host();
            let inserted = builder.insert(model, "m", &feeds);
            if inserted.is_ok() {
                builder.finish(&[]);
            }
        }
    }
}
