//! `TreeEnsemble`, the newer form of trees: branches and leaves have tables of their own.

use super::{
    super::{proto::Node as Operator, tensor::Values},
    Ensemble, LEAF, MISSING_YES, Node, needed, small, tensor,
};

/// The name of `TreeEnsemble`'s `post_transform`.
///
/// # Errors
/// It has no name.
pub fn transform_of_tables(node: &Operator) -> Result<&'static str, String> {
    let names = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"];
    let name = (usize::try_from(node.int("post_transform", 0)).ok()).and_then(|at| names.get(at));
    name.copied()
        .ok_or_else(|| "transform of this number".to_owned())
}

/// The name of `TreeEnsemble`'s `aggregate_function`.
///
/// # Errors
/// It has no name.
pub fn aggregate_of_tables(node: &Operator) -> Result<&'static str, String> {
    let names = ["AVERAGE", "SUM", "MIN", "MAX"];
    let name =
        (usize::try_from(node.int("aggregate_function", 1)).ok()).and_then(|at| names.get(at));
    name.copied()
        .ok_or_else(|| "aggregate of this number".to_owned())
}

fn size(value: i64) -> Result<usize, String> {
    usize::try_from(value).map_err(|_| format!("a size of {value}"))
}

impl Ensemble {
    /// From the tables of `TreeEnsemble`: its leaves come behind its branches.
    ///
    /// # Errors
    /// What would be needed to walk these trees, in words.
    pub fn of_tables(node: &Operator) -> Result<Self, String> {
        let doubles = |name: &str| match tensor(node, name)? {
            Some(Values::Float(values)) => Ok(values),
            _ => Err(format!("trees without {name}")),
        };
        let (splits, weights) = (doubles("nodes_splits")?, doubles("leaf_weights")?);
        let count = splits.len();
        let modes = match tensor(node, "nodes_modes")? {
            Some(Values::Uint(modes)) if modes.len() == count => modes,
            _ => return Err("trees without a mode for each node".to_owned()),
        };
        let features = needed(node, "nodes_featureids", count)?;
        let (yes, no) = (
            needed(node, "nodes_truenodeids", count)?,
            needed(node, "nodes_falsenodeids", count)?,
        );
        let (yes_leaf, no_leaf) = (
            needed(node, "nodes_trueleafs", count)?,
            needed(node, "nodes_falseleafs", count)?,
        );
        let missing = node
            .ints("nodes_missing_value_tracks_true")
            .unwrap_or_default();
        let targets = needed(node, "leaf_targetids", weights.len())?;
        let mut made = Self::default();
        for (at, mode) in modes.iter().enumerate() {
            if *mode > 5 {
                return Err("nodes that test for membership in a set".to_owned());
            }
            let pick = |from: &[i64]| from.get(at).copied().unwrap_or(0);
            let child = |to: i64, leaf: i64| {
                let to = size(to)?;
                let (place, most) = if leaf == 0 {
                    (Some(to), count)
                } else {
                    (count.checked_add(to), count + weights.len())
                };
                match place {
                    Some(place) if place < most && place > at => small(place),
                    _ => Err("trees whose branches lead nowhere or back".to_owned()),
                }
            };
            made.nodes.push(Node {
                threshold: splits.get(at).copied().unwrap_or(0.0),
                feature: small(pick(features))?,
                yes: child(pick(yes), pick(yes_leaf))?,
                no: child(pick(no), pick(no_leaf))?,
                mode: small(*mode)? | if pick(missing) == 1 { MISSING_YES } else { 0 },
            });
        }
        for (at, (target, weight)) in targets.iter().zip(&weights).enumerate() {
            made.leaves.push((small(*target)?, *weight));
            made.nodes.push(Node {
                threshold: 0.0,
                feature: 0,
                yes: small(at)?,
                no: small(at + 1)?,
                mode: LEAF,
            });
        }
        for root in node.ints("tree_roots").unwrap_or_default() {
            let root = size(*root)?;
            if root >= count {
                return Err("trees that are a single leaf".to_owned());
            }
            made.roots.push(small(root)?);
        }
        Ok(made)
    }
}
