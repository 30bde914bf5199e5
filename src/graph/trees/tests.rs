use super::*;
use crate::graph::proto::Attribute;

fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        ints: values.to_vec(),
        ..Attribute::default()
    }
}

/// Two trees: a branch with two leaves, and a leaf.
fn node(weighed: &[i64]) -> Operator {
    let modes = ["BRANCH_LT", "LEAF", "LEAF", "LEAF"];
    let floats = |name: &str, values: &[f32]| Attribute {
        name: name.to_owned(),
        floats: values.to_vec(),
        ..Attribute::default()
    };
    Operator {
        attribute: vec![
            ints("nodes_treeids", &[0, 0, 0, 4]),
            ints("nodes_nodeids", &[0, 1, 2, 0]),
            ints("nodes_featureids", &[3, 0, 0, 0]),
            ints("nodes_truenodeids", &[1, 0, 0, 0]),
            ints("nodes_falsenodeids", &[2, 0, 0, 0]),
            ints("nodes_missing_value_tracks_true", &[1, 0, 0, 0]),
            floats("nodes_values", &[0.5, 0.0, 0.0, 0.0]),
            Attribute {
                name: "nodes_modes".to_owned(),
                strings: modes.iter().map(|mode| (*mode).into()).collect(),
                ..Attribute::default()
            },
            ints("class_treeids", &[0, 0, 4]),
            ints("class_nodeids", &[1, 2, 0]),
            ints("class_ids", weighed),
            floats("class_weights", &[1.0, -2.0, 3.0]),
        ],
        ..Operator::default()
    }
}

#[test]
fn attributes_become_nodes_and_leaves() {
    let read = Ensemble::of(&node(&[0, 1, 1]), "class").expect("trees");
    assert_eq!(read.roots, [0, 3]);
    assert_eq!(read.leaves, [(0, 1.0), (1, -2.0), (1, 3.0)]);
    let [branch, first, ..] = read.nodes.as_slice() else {
        panic!("{read:?}");
    };
    assert_eq!((branch.yes, branch.no, branch.feature), (1, 2, 3));
    assert_eq!(branch.mode, 1 | MISSING_YES);
    assert_eq!(read.weights(first), [(0, 1.0)]);
    assert!(!read.all_positive());
}

#[test]
fn a_class_is_scored_always_never_or_for_some_rows() {
    let scores = |weighed: &[i64]| {
        let read = Ensemble::of(&node(weighed), "class").expect("trees");
        [0, 1, 2].map(|class| read.scores(class))
    };
    assert_eq!(scores(&[0, 0, 1]), [Some(true), Some(true), Some(false)]);
    assert_eq!(scores(&[0, 1, 1]), [None, Some(true), Some(false)]);
}
