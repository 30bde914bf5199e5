//! Files that nobody trained: whatever they say, reading them ends, walking them ends, and nothing panics.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{floats, int, ints, ours, strings};
use crate::graph::proto::{Attribute, Node};

/// A regressor with one tree: a branch and two leaves.
fn small() -> Node {
    Node {
        op_type: "TreeEnsembleRegressor".to_owned(),
        domain: "ai.onnx.ml".to_owned(),
        attribute: vec![
            int("n_targets", 1),
            ints("nodes_treeids", [0, 0, 0]),
            ints("nodes_nodeids", [0, 1, 2]),
            ints("nodes_featureids", [1, 0, 0]),
            floats("nodes_values", [0.5, 0.0, 0.0]),
            strings("nodes_modes", ["BRANCH_LEQ", "LEAF", "LEAF"]),
            ints("nodes_truenodeids", [1, 0, 0]),
            ints("nodes_falsenodeids", [2, 0, 0]),
            ints("target_treeids", [0, 0]),
            ints("target_nodeids", [1, 2]),
            ints("target_ids", [0, 0]),
            floats("target_weights", [1.0, 2.0]),
        ],
        ..Node::default()
    }
}

fn with(attribute: Attribute) -> Node {
    let mut node = small();
    node.attribute.retain(|held| held.name != attribute.name);
    node.attribute.push(attribute);
    node
}

fn run(node: &Node) -> Result<Vec<f32>, String> {
    let given = ours(node, &[9.0, 0.5, 9.0, 0.6], 2, 2)?;
    Ok(given.scores.into_iter().map(f32::from_bits).collect())
}

#[test]
fn a_small_tree_is_walked() {
    assert_eq!(run(&small()), Ok(vec![1.0, 2.0]));
}

/// ONNX Runtime looks at that no more than we do.
#[test]
fn what_a_leaf_would_compare_is_nothing() {
    for column in [99, i64::from(i32::MAX), -1] {
        let node = with(ints("nodes_featureids", [1, column, 0]));
        assert_eq!(run(&node), Ok(vec![1.0, 2.0]), "{column}");
    }
}

/// Whether a number is 1, else whether it is 2: both lead to leaves whose first weights are the same, and no others.
#[test]
fn chains_of_equals_stay_with_onnx_runtime_where_leaves_have_several_weights() {
    let chain = |second: &'static str| Node {
        op_type: "TreeEnsembleRegressor".to_owned(),
        domain: "ai.onnx.ml".to_owned(),
        attribute: vec![
            int("n_targets", 2),
            ints("nodes_treeids", [0; 5]),
            ints("nodes_nodeids", 0..5),
            ints("nodes_featureids", [1, 0, 1, 0, 0]),
            floats("nodes_values", [1.0, 0.0, 2.0, 0.0, 0.0]),
            strings("nodes_modes", ["BRANCH_EQ", "LEAF", second, "LEAF", "LEAF"]),
            ints("nodes_truenodeids", [1, 0, 3, 0, 0]),
            ints("nodes_falsenodeids", [2, 0, 4, 0, 0]),
            ints("target_treeids", [0; 6]),
            ints("target_nodeids", [1, 1, 3, 3, 4, 4]),
            ints("target_ids", [0, 1, 0, 1, 0, 1]),
            floats("target_weights", [5.0, 1.0, 5.0, 2.0, 7.0, 3.0]),
        ],
        ..Node::default()
    };
    let x = [9.0, 1.0, 9.0, 2.0, 9.0, 3.0];
    let said = ours(&chain("BRANCH_EQ"), &x, 2, 3).expect_err("a chain");
    assert_eq!(said, "chains of == end in several weights");
    let other = ours(&chain("BRANCH_NEQ"), &x, 2, 3).expect("no chain");
    assert_eq!(other, super::theirs(&chain("BRANCH_NEQ"), 3, &x, 2, 3));
}

/// Nodes that lead to none, or to no place of a row.
fn astray() -> Vec<(&'static str, Node)> {
    vec![
        (
            "branch to itself",
            with(ints("nodes_truenodeids", [0, 0, 0])),
        ),
        (
            "branch nowhere",
            with(ints("nodes_falsenodeids", [7, 0, 0])),
        ),
        (
            "negative branch",
            with(ints("nodes_falsenodeids", [-1, 0, 0])),
        ),
        ("column below 0", with(ints("nodes_featureids", [-1, 0, 0]))),
        (
            "column beyond the rows",
            with(ints("nodes_featureids", [2, 0, 0])),
        ),
        (
            "a column that would take too much memory",
            with(ints("nodes_featureids", [1 << 30, 0, 0])),
        ),
        (
            "huge column",
            with(ints("nodes_featureids", [i64::MAX, 0, 0])),
        ),
        ("one node twice", with(ints("nodes_nodeids", [0, 1, 1]))),
        (
            "fewer values than nodes",
            with(floats("nodes_values", [0.5])),
        ),
        ("no values", with(floats("nodes_values", []))),
        (
            "another kind of node",
            with(strings("nodes_modes", ["BRANCH_MEMBER", "LEAF", "LEAF"])),
        ),
    ]
}

/// Numbers that mean nothing.
fn meaningless() -> Vec<(&'static str, Node)> {
    vec![
        (
            "compares with NaN",
            with(floats("nodes_values", [f32::NAN, 0.0, 0.0])),
        ),
        ("weight of a branch", with(ints("target_nodeids", [0, 2]))),
        ("weight of no node", with(ints("target_nodeids", [1, 9]))),
        (
            "two weights of a leaf",
            with(ints("target_nodeids", [1, 1])),
        ),
        (
            "weight for another target",
            with(ints("target_ids", [0, 1])),
        ),
        (
            "weight that is no number",
            with(floats("target_weights", [f32::NAN, 0.0])),
        ),
        (
            "infinite weight",
            with(floats("target_weights", [f32::INFINITY, 0.0])),
        ),
        ("no targets", with(int("n_targets", 0))),
        ("more targets than memory", with(int("n_targets", i64::MAX))),
        (
            "three base values",
            with(floats("base_values", [1.0, 2.0, 3.0])),
        ),
        (
            "unknown transform",
            with(super::string("post_transform", "CUBE")),
        ),
        (
            "unknown aggregate",
            with(super::string("aggregate_function", "MEDIAN")),
        ),
        (
            "nothing at all",
            Node {
                attribute: vec![],
                ..small()
            },
        ),
    ]
}

#[test]
fn what_cannot_be_walked_stays_with_onnx_runtime_for_a_reason() {
    let said = astray().into_iter().chain(meaningless());
    let said = said.map(|(what, node)| match run(&node) {
        Ok(given) => panic!("{what}: {given:?}"),
        Err(why) => format!("{what}: {why}"),
    });
    let said: Vec<String> = said.collect();
    insta::assert_snapshot!(said.join("\n"));
}

/// Each branch has both its ways lead to the next: two nodes, and as many ways as there are numbers.
#[test]
fn branches_that_meet_again_are_walked_once_each() {
    let deep = 30_000;
    let nodes = || 0..=deep;
    let mode = |at: i64| if at < deep { "BRANCH_LT" } else { "LEAF" };
    let mut node = small();
    node.attribute = vec![
        int("n_targets", 1),
        ints("nodes_treeids", nodes().map(|_| 0)),
        ints("nodes_nodeids", nodes()),
        ints("nodes_featureids", nodes().map(|_| 1)),
        floats("nodes_values", nodes().map(|_| 0.5)),
        strings("nodes_modes", nodes().map(mode)),
        ints("nodes_truenodeids", nodes().map(|at| at + 1)),
        ints("nodes_falsenodeids", nodes().map(|at| at + 1)),
        ints("target_treeids", [0]),
        ints("target_nodeids", [deep]),
        ints("target_ids", [0]),
        floats("target_weights", [4.0]),
    ];
    let start = Instant::now();
    assert_eq!(run(&node), Ok(vec![4.0, 4.0]));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn rows_that_are_too_short_are_refused() {
    let said = ours(&small(), &[1.0, 2.0], 1, 2).expect_err("too short");
    insta::assert_snapshot!(said, @"its trees compare number 1 of a row (the first is 0), and rows have 1");
}

proptest! {
    /// Whatever the numbers of an attribute are, this ends and does not panic.
    #[test]
    fn damaged_attributes_do_no_harm(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), -3i64..5), 1..6),
        cut in prop::option::of((any::<prop::sample::Index>(), 0usize..4)),
    ) {
        let mut node = small();
        for (attribute, place, value) in hits {
            let attribute = attribute.get_mut(&mut node.attribute);
            if !attribute.ints.is_empty() {
                *place.get_mut(&mut attribute.ints) = value;
            } else if !attribute.floats.is_empty() {
                *place.get_mut(&mut attribute.floats) = [f32::NAN, f32::INFINITY, 0.0, 1.0][place.index(4)];
            } else if !attribute.strings.is_empty() {
                let modes = ["LEAF", "BRANCH_NEQ", "BRANCH_EQ", "?"];
                *place.get_mut(&mut attribute.strings) = modes[place.index(4)].into();
            } else {
                attribute.i = Some(value);
            }
        }
        if let Some((attribute, length)) = cut {
            attribute.get_mut(&mut node.attribute).ints.truncate(length);
        }
        drop(run(&node));
    }
}
