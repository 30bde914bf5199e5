//! Ensembles of trees as the operators of `ai.onnx.ml` have them: their attributes become lists of nodes and of leaves.
//!
//! Whoever walks them (`engine/cpu/trees`, the CUDA engine) makes tables of its own of these lists. What cannot be read is
//! said as the thing that would be needed: "nodes of kind X", "trees whose branches lead back".

mod depth;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use self::{
    depth::deepest,
    tables::{aggregate_of_tables, transform_of_tables},
};
use super::{
    proto::Node as Operator,
    tensor::{Raw, Values},
};

/// Bits of a node's mode, as `kernels/args.cuh` has them; those below are the comparison, in the order of
/// [`COMPARISONS`].
pub const MISSING_YES: i32 = 8;
/// The node is a leaf.
pub const LEAF: i32 = 16;
/// What is asked of the row's number and the threshold.
pub const COMPARISONS: [&str; 6] = [
    "BRANCH_LEQ",
    "BRANCH_LT",
    "BRANCH_GTE",
    "BRANCH_GT",
    "BRANCH_EQ",
    "BRANCH_NEQ",
];

/// A branch, or a leaf.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node {
    /// What the row's number is compared with.
    pub threshold: f64,
    /// Which of the row's numbers.
    pub feature: i32,
    /// Where it goes on where the comparison holds; of a leaf, the first of its weights.
    pub yes: i32,
    /// Where it goes on otherwise; of a leaf, the end of its weights.
    pub no: i32,
    /// The comparison, [`MISSING_YES`] and [`LEAF`].
    pub mode: i32,
}

impl Node {
    /// Whether it is a leaf.
    pub fn is_leaf(&self) -> bool {
        self.mode & LEAF != 0
    }
}

/// The trees of one operator. Branches lead to nodes that come later in the list, so a way through them ends.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ensemble {
    /// All nodes, tree by tree.
    pub nodes: Vec<Node>,
    /// Target and weight.
    pub leaves: Vec<(i32, f64)>,
    /// The first node of each tree.
    pub roots: Vec<i32>,
}

/// A number as the tables hold it.
pub(super) fn small<N: TryInto<i32>>(value: N) -> Result<i32, String> {
    (value.try_into()).map_err(|_| "kernel for trees that are this large".to_owned())
}

fn mode_of(name: &[u8]) -> Result<i32, String> {
    if name == b"LEAF" {
        return Ok(LEAF);
    }
    let place = COMPARISONS.iter().position(|it| it.as_bytes() == name);
    place.map_or_else(
        || Err(format!("nodes of kind {}", String::from_utf8_lossy(name))),
        small,
    )
}

/// A tensor that is an attribute.
pub(super) fn tensor(node: &Operator, name: &str) -> Result<Option<Values>, String> {
    (node.attribute(name).and_then(|held| held.t.as_deref()))
        .map(|tensor| Raw::of(tensor).map(|raw| raw.decode().values))
        .transpose()
}

/// Numbers from an attribute that may be floats or (`_as_tensor`) a tensor.
fn numbers(node: &Operator, name: &str) -> Result<Option<Vec<f64>>, String> {
    if let Some(values) = tensor(node, &format!("{name}_as_tensor"))? {
        return Ok(match values {
            Values::Float(values) => Some(values),
            _ => None,
        });
    }
    Ok(node
        .floats(name)
        .map(|held| held.iter().map(|value| f64::from(*value)).collect()))
}

/// So many integers.
pub(super) fn needed<'n>(
    node: &'n Operator,
    name: &str,
    count: usize,
) -> Result<&'n [i64], String> {
    node.ints(name)
        .filter(|held| held.len() == count)
        .ok_or_else(|| format!("trees whose {name} are not {count} numbers"))
}

/// The base values, where there are any.
///
/// # Errors
/// They are a tensor that cannot be read.
pub fn base_values(node: &Operator) -> Result<Vec<f64>, String> {
    Ok(numbers(node, "base_values")?.unwrap_or_default())
}

impl Ensemble {
    /// From the attributes of `TreeEnsembleRegressor` (`of` is `target`) and `TreeEnsembleClassifier` (`class`).
    ///
    /// # Errors
    /// What would be needed to walk these trees, in words.
    pub fn of(node: &Operator, of: &str) -> Result<Self, String> {
        let ids = node.ints("nodes_nodeids").unwrap_or_default();
        let count = ids.len();
        let trees = needed(node, "nodes_treeids", count)?;
        let (yes, no) = (
            needed(node, "nodes_truenodeids", count)?,
            needed(node, "nodes_falsenodeids", count)?,
        );
        let features = needed(node, "nodes_featureids", count)?;
        let missing = node
            .ints("nodes_missing_value_tracks_true")
            .unwrap_or_default();
        let modes = node
            .attribute("nodes_modes")
            .map_or(&[][..], |held| &held.strings);
        let values = numbers(node, "nodes_values")?.unwrap_or_default();
        if modes.len() != count || values.len() != count {
            return Err("trees without a mode and a value for each node".to_owned());
        }
        let places: HashMap<(i64, i64), usize> = (trees.iter().zip(ids).enumerate())
            .map(|(at, (tree, id))| ((*tree, *id), at))
            .collect();
        if places.len() != count {
            return Err("trees with two nodes of one number".to_owned());
        }
        let mut made = Self::default();
        for (at, mode) in modes.iter().enumerate() {
            let pick = |from: &[i64]| from.get(at).copied().unwrap_or(0);
            let tree = pick(trees);
            if at == 0 || trees.get(at - 1) != Some(&tree) {
                made.roots.push(small(at)?);
            }
            let mut mode = mode_of(mode)?;
            let child = |from: &[i64]| match places.get(&(tree, pick(from))) {
                Some(place) if *place > at => small(*place),
                Some(_) => Err("trees whose branches lead back".to_owned()),
                None => Err("trees with a branch that leads nowhere".to_owned()),
            };
            let (yes, no) = if mode == LEAF {
                (0, 0)
            } else {
                (child(yes)?, child(no)?)
            };
            // ONNX Runtime takes only 1 for yes.
            if pick(missing) == 1 {
                mode |= MISSING_YES;
            }
            made.nodes.push(Node {
                threshold: values.get(at).copied().unwrap_or(0.0),
                feature: small(pick(features))?,
                yes,
                no,
                mode,
            });
        }
        made.weigh(node, of, &places)?;
        Ok(made)
    }

    /// The leaves' weights, from the attributes that begin with `of`.
    fn weigh(
        &mut self,
        node: &Operator,
        of: &str,
        places: &HashMap<(i64, i64), usize>,
    ) -> Result<(), String> {
        let weights = numbers(node, &format!("{of}_weights"))?.unwrap_or_default();
        let targets = needed(node, &format!("{of}_ids"), weights.len())?;
        let trees = needed(node, &format!("{of}_treeids"), weights.len())?;
        let nodes = needed(node, &format!("{of}_nodeids"), weights.len())?;
        let mut held: HashMap<usize, Vec<(i32, f64)>> = HashMap::new();
        for (((tree, id), target), weight) in trees.iter().zip(nodes).zip(targets).zip(&weights) {
            let place = (places.get(&(*tree, *id)))
                .ok_or_else(|| "trees with weights of no node".to_owned())?;
            held.entry(*place)
                .or_default()
                .push((small(*target)?, *weight));
        }
        for (at, node) in self.nodes.iter_mut().enumerate() {
            if node.is_leaf() {
                let own = held.remove(&at).unwrap_or_default();
                node.yes = small(self.leaves.len())?;
                self.leaves.extend(own);
                node.no = small(self.leaves.len())?;
            }
        }
        if held.is_empty() {
            Ok(())
        } else {
            Err("trees with weights in their branches".to_owned())
        }
    }

    /// The targets and weights of a leaf.
    pub fn weights(&self, leaf: &Node) -> &[(i32, f64)] {
        let range = usize::try_from(leaf.yes)
            .ok()
            .zip(usize::try_from(leaf.no).ok());
        range
            .and_then(|(from, to)| self.leaves.get(from..to))
            .unwrap_or_default()
    }

    /// Whether no weight is below zero.
    pub fn all_positive(&self) -> bool {
        self.leaves.iter().all(|(_, weight)| *weight >= 0.0)
    }

    /// Whether a row always gets a weight for a target (`Some(true)`), never, or it depends on the row (`None`).
    pub fn scores(&self, target: usize) -> Option<bool> {
        let has = |node: &Node| {
            (self.weights(node).iter()).any(|(held, _)| usize::try_from(*held) == Ok(target))
        };
        let any = (self.nodes.iter()).filter(|node| node.is_leaf()).any(has);
        let ends = self.roots.iter().skip(1).copied().chain([i32::MAX]);
        let whole = self.roots.iter().zip(ends).any(|(first, end)| {
            let range = usize::try_from(*first).unwrap_or(0)
                ..usize::try_from(end).unwrap_or(0).min(self.nodes.len());
            let own = self.nodes.get(range).unwrap_or_default();
            own.iter().filter(|node| node.is_leaf()).all(has)
        });
        match (any, whole) {
            (false, _) => Some(false),
            (true, true) => Some(true),
            (true, false) => None,
        }
    }
}
