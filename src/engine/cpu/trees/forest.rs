//! Trees as they are walked: nodes of eight bytes, the two a branch leads to side by side, so that a step is a load, a
//! comparison and a sum, without a jump that depends on the row.

use std::ops::Range;

use crate::graph::trees::{self, Ensemble, MISSING_YES};

/// Rows that go through a tree at the same time, or trees that a row goes through: a step waits for memory, and so
/// many wait together.
pub(super) const LANES: usize = 16;
/// Nodes of a chunk. A place in it is a `u16`, so none is outside.
pub(super) const NODES: usize = 1 << 16;
/// Bits of a test: which outcomes of a comparison lead to `next`.
pub(super) const LESS: u8 = 1;
pub(super) const EQUAL: u8 = 2;
pub(super) const GREATER: u8 = 4;
pub(super) const UNORDERED: u8 = 8;
pub(super) const ALWAYS: u8 = LESS | EQUAL | GREATER | UNORDERED;

/// A branch: to `next`, or where the comparison does not hold to the node behind it. A leaf leads to itself: it compares
/// the first column, which is made for that, with its own weight (or its number).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Node {
    pub(super) threshold: f32,
    /// Where the first lane of its column begins.
    pub(super) column: u16,
    pub(super) next: u16,
}

/// A tree of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) root: u16,
    /// Steps to its nearest leaf.
    pub(super) shallow: u16,
    /// Steps to its farthest.
    pub(super) deep: u16,
}

/// Trees whose nodes are numbered together. The first node is a leaf of no tree.
pub(super) struct Chunk {
    pub(super) nodes: Box<[Node; NODES]>,
    /// What leads to `next`, for each node: for comparisons of several kinds, and where numbers are missing.
    pub(super) tests: Box<[u8; NODES]>,
    pub(super) trees: Vec<Tree>,
    /// Trees that are walked by many rows before the next ones.
    pub(super) blocks: Vec<Range<usize>>,
    pub(super) used: usize,
}

/// The comparison of all branches, where they have one in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    AtMost,
    Less,
    AtLeast,
    Greater,
}

impl Comparison {
    /// What the first column has, so that every leaf leads to itself.
    fn resting(self) -> f32 {
        match self {
            Self::AtMost | Self::Less => f32::NEG_INFINITY,
            Self::AtLeast | Self::Greater => f32::INFINITY,
        }
    }
}

/// All trees of an operator.
pub(super) struct Forest {
    pub(super) chunks: Vec<Chunk>,
    pub(super) comparison: Option<Comparison>,
    /// Whether a missing number may lead elsewhere than the comparison says.
    pub(super) missing: bool,
    /// The features that are compared, by column from the second on.
    pub(super) features: Vec<usize>,
    /// The largest feature that is compared; what a leaf names is not looked at.
    pub(super) largest: usize,
    pub(super) resting: f32,
    /// Where the weights of each leaf begin; empty where a leaf is its weight.
    pub(super) starts: Vec<u32>,
    /// Targets and weights, leaf by leaf.
    pub(super) weights: Vec<(u32, f32)>,
}

impl std::fmt::Debug for Forest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forest")
            .field("trees", &self.trees())
            .field("comparison", &self.comparison)
            .field("missing", &self.missing)
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}

impl Chunk {
    pub(super) fn new() -> Option<Self> {
        let mut chunk = Self {
            nodes: vec![Node::default(); NODES]
                .into_boxed_slice()
                .try_into()
                .ok()?,
            tests: vec![0; NODES].into_boxed_slice().try_into().ok()?,
            trees: Vec::new(),
            blocks: Vec::new(),
            used: 1,
        };
        *chunk.tests.first_mut()? = ALWAYS;
        Some(chunk)
    }
}

/// What a file has as a double, as the single that ONNX Runtime walks with.
#[expect(
    clippy::cast_possible_truncation,
    reason = "files have singles; what has doubles for singles is refused by ONNX Runtime"
)]
pub(super) fn single(value: f64) -> f32 {
    value as f32
}

pub(super) fn place(of: i32) -> usize {
    usize::try_from(of).unwrap_or(usize::MAX)
}

/// Rows that are tried have a number for each column, compared or not: with more, that would be too much memory.
const WIDEST: usize = 1 << 18;

impl Forest {
    /// The trees, for so many targets.
    ///
    /// # Errors
    /// They are not walked here; why, in words.
    pub(super) fn of(ensemble: &Ensemble, targets: usize) -> Result<Self, String> {
        sound(ensemble, targets)?;
        let branches = || ensemble.nodes.iter().filter(|node| !node.is_leaf());
        let mut features: Vec<usize> = branches().map(|node| place(node.feature)).collect();
        features.sort_unstable();
        features.dedup();
        if (features.len() + 1) * LANES > NODES {
            return Err(format!("they compare {} columns", features.len()));
        }
        let largest = features.last().copied().unwrap_or(0);
        if largest >= WIDEST {
            return Err(format!("they compare column {largest}"));
        }
        let comparison = comparison(ensemble);
        let mut made = Self {
            chunks: Vec::new(),
            comparison,
            missing: branches().any(|node| node.mode & MISSING_YES != 0),
            features,
            largest,
            resting: comparison.map_or(0.0, Comparison::resting),
            starts: Vec::new(),
            weights: Vec::new(),
        };
        let leaves = made.weigh(ensemble, targets)?;
        made.plant(ensemble, &leaves)?;
        Ok(made)
    }

    pub(super) fn trees(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.trees.len()).sum()
    }

    /// What stands for each leaf: its weight, or its number.
    fn weigh(&mut self, ensemble: &Ensemble, targets: usize) -> Result<Vec<f32>, String> {
        let mut held = vec![0.0; ensemble.nodes.len()];
        let leaves = (ensemble.nodes.iter().zip(&mut held)).filter(|(node, _)| node.is_leaf());
        for (node, held) in leaves {
            let weights = ensemble.weights(node);
            if targets == 1 {
                *held = weights.first().map_or(0.0, |(_, weight)| single(*weight));
                continue;
            }
            // Every whole number up to here is a float.
            let number = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
            if number >= 1 << 24 {
                return Err("they have more than 16777216 leaves".to_owned());
            }
            *held = number as f32;
            self.starts
                .push(u32::try_from(self.weights.len()).unwrap_or(u32::MAX));
            let weights = weights.iter().map(|(target, weight)| {
                (u32::try_from(*target).unwrap_or(u32::MAX), single(*weight))
            });
            self.weights.extend(weights);
        }
        if targets > 1 {
            self.starts
                .push(u32::try_from(self.weights.len()).unwrap_or(u32::MAX));
        }
        Ok(held)
    }
}

/// The comparison that all branches have, missing numbers aside.
fn comparison(ensemble: &Ensemble) -> Option<Comparison> {
    let branches = ensemble.nodes.iter().filter(|node| !node.is_leaf());
    let mut modes = branches.map(|node| node.mode & (MISSING_YES - 1));
    let first = modes.next().unwrap_or(0);
    if modes.any(|mode| mode != first) {
        return None;
    }
    match first {
        0 => Some(Comparison::AtMost),
        1 => Some(Comparison::Less),
        2 => Some(Comparison::AtLeast),
        3 => Some(Comparison::Greater),
        _ => None,
    }
}

/// Whether a walk through the trees ends at weights that are there, and means what ONNX Runtime means.
fn sound(ensemble: &Ensemble, targets: usize) -> Result<(), String> {
    if ensemble.roots.is_empty() {
        return Err("there are none".to_owned());
    }
    for node in &ensemble.nodes {
        if node.is_leaf() {
            let weights = ensemble.weights(node);
            if weights.is_empty() || (targets == 1 && weights.len() > 1) {
                return Err(format!("a leaf has {} weights", weights.len()));
            }
            let wrong = weights
                .iter()
                .find(|(target, weight)| place(*target) >= targets || !single(*weight).is_finite());
            if let Some((target, weight)) = wrong {
                return Err(format!("a leaf has weight {weight} for target {target}"));
            }
        } else if node.feature < 0 {
            return Err(format!("one compares column {}", node.feature));
        } else if node.threshold.is_nan() {
            return Err("one compares with NaN".to_owned());
        }
    }
    merged(ensemble)
}

/// Branches by `==` on one column, one behind the other, are one question whether a number is in a set for ONNX Runtime (1.31) where
/// their leaves are the same, of which it compares the first weight alone: so it may take leaves for the same that are not.
fn merged(ensemble: &Ensemble) -> Result<(), String> {
    const EQUAL: i32 = 4;
    let equal = |node: &trees::Node| !node.is_leaf() && node.mode & (MISSING_YES - 1) == EQUAL;
    let next = |node: &trees::Node| ensemble.nodes.get(place(node.no));
    let chained = |node: &trees::Node| {
        equal(node) && next(node).is_some_and(|next| equal(next) && next.feature == node.feature)
    };
    let several = |node: &trees::Node| node.is_leaf() && ensemble.weights(node).len() > 1;
    if ensemble.nodes.iter().any(chained) && ensemble.nodes.iter().any(several) {
        return Err("chains of == end in several weights".to_owned());
    }
    Ok(())
}
