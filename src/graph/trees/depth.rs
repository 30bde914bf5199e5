//! How deep trees go, whatever else they are.

use std::collections::HashMap;

use super::{super::proto::Node as Operator, COMPARISONS};

/// The branches on the longest way from a root to a leaf. What leads nowhere or in circles is not counted: it is refused elsewhere.
pub fn deepest(node: &Operator) -> usize {
    let numbers = |name: &str| node.ints(name).unwrap_or_default();
    let (yes, no) = (numbers("nodes_truenodeids"), numbers("nodes_falsenodeids"));
    if node.op_type == "TreeEnsemble" {
        let (yes_leaf, no_leaf) = (numbers("nodes_trueleafs"), numbers("nodes_falseleafs"));
        let way = |to: &[i64], leaf: &[i64], at: usize| {
            let is_leaf = leaf.get(at).is_some_and(|leaf| *leaf != 0);
            let to = usize::try_from(*to.get(at)?).ok()?;
            (!is_leaf && to < yes.len()).then_some(to)
        };
        return longest(vec![true; yes.len()], |at| {
            [way(yes, yes_leaf, at), way(no, no_leaf, at)]
        });
    }
    let (trees, ids) = (numbers("nodes_treeids"), numbers("nodes_nodeids"));
    let places: HashMap<(i64, i64), usize> = (trees.iter().copied().zip(ids.iter().copied()))
        .enumerate()
        .map(|(at, name)| (name, at))
        .collect();
    let modes = node
        .attribute("nodes_modes")
        .map_or(&[][..], |held| &held.strings);
    let is_branch = |at: usize| {
        let mode = modes.get(at);
        mode.is_some_and(|mode| COMPARISONS.iter().any(|it| it.as_bytes() == mode))
    };
    let way = |to: &[i64], at: usize| {
        let to = places.get(&(*trees.get(at)?, *to.get(at)?))?;
        is_branch(*to).then_some(*to)
    };
    let branches: Vec<bool> = (0..ids.len()).map(is_branch).collect();
    longest(branches, |at| [way(yes, at), way(no, at)])
}

/// The nodes on the longest way among those that are branches, in the order of Kahn ("Topological sorting of large
/// networks", 1962).
fn longest(branches: Vec<bool>, ways: impl Fn(usize) -> [Option<usize>; 2]) -> usize {
    let mut before = vec![0_usize; branches.len()];
    let all = || (branches.iter().enumerate()).filter_map(|(at, branch)| branch.then_some(at));
    for to in all().flat_map(&ways).flatten() {
        if let Some(before) = before.get_mut(to) {
            *before += 1;
        }
    }
    let mut ready: Vec<usize> = all().filter(|at| before.get(*at) == Some(&0)).collect();
    let (mut depths, mut most) = (vec![1_usize; branches.len()], 0);
    while let Some(at) = ready.pop() {
        let depth = depths.get(at).copied().unwrap_or(1);
        most = most.max(depth);
        for to in ways(at).into_iter().flatten() {
            if let (Some(left), Some(below)) = (before.get_mut(to), depths.get_mut(to)) {
                *below = (*below).max(depth + 1);
                *left -= 1;
                if *left == 0 {
                    ready.push(to);
                }
            }
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::proto::Attribute;

    fn ints(name: &str, values: &[i64]) -> Attribute {
        Attribute {
            name: name.to_owned(),
            ints: values.to_vec(),
            ..Attribute::default()
        }
    }

    #[test]
    fn the_longest_way_counts() {
        let modes = ["LEAF", "BRANCH_LT", "BRANCH_EQ", "LEAF", "BRANCH_LEQ"];
        // Tree 7 has three branches, 4 above 1 above 2, and they come in no order.
        let trees = Operator {
            op_type: "TreeEnsembleRegressor".to_owned(),
            attribute: vec![
                ints("nodes_treeids", &[7, 7, 7, 7, 7]),
                ints("nodes_nodeids", &[0, 1, 2, 3, 4]),
                ints("nodes_truenodeids", &[0, 0, 3, 0, 1]),
                ints("nodes_falsenodeids", &[0, 2, 3, 0, 3]),
                Attribute {
                    name: "nodes_modes".to_owned(),
                    strings: modes.iter().map(|mode| (*mode).into()).collect(),
                    ..Attribute::default()
                },
            ],
            ..Operator::default()
        };
        assert_eq!(deepest(&trees), 3);
        let tables = Operator {
            op_type: "TreeEnsemble".to_owned(),
            attribute: vec![
                ints("nodes_truenodeids", &[1, 0, 0]),
                ints("nodes_falsenodeids", &[2, 1, 1]),
                ints("nodes_trueleafs", &[0, 1, 1]),
                ints("nodes_falseleafs", &[0, 1, 1]),
            ],
            ..Operator::default()
        };
        assert_eq!(deepest(&tables), 2);
        assert_eq!(deepest(&Operator::default()), 0);
    }

    #[test]
    fn circles_end() {
        let tables = Operator {
            op_type: "TreeEnsemble".to_owned(),
            attribute: vec![
                ints("nodes_truenodeids", &[1, 2, 1]),
                ints("nodes_falsenodeids", &[-1, 9, 0]),
            ],
            ..Operator::default()
        };
        assert_eq!(deepest(&tables), 0);
    }
}
