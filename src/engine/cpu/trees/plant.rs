//! Lays trees out: each tree in one chunk, level by level, the two nodes that a branch leads to side by side.

use std::{collections::HashSet, ops::Range};

use super::forest::{
    ALWAYS, Chunk, EQUAL, Forest, GREATER, LANES, LESS, NODES, Node, Tree, UNORDERED, place, single,
};
use crate::graph::trees::{self, Ensemble, MISSING_YES};

/// Slots of trees that stay in the first cache while rows go through them (16 KiB).
const BLOCK: usize = 2048;

impl Forest {
    /// Lays out all trees; `leaves` has what stands for each leaf.
    ///
    /// # Errors
    /// They do not fit; why, in words.
    pub(super) fn plant(&mut self, ensemble: &Ensemble, leaves: &[f32]) -> Result<(), String> {
        let depths = depths(ensemble);
        let mut pairs: Vec<u16> = vec![0; ensemble.nodes.len()];
        let mut slots = 0;
        for root in &ensemble.roots {
            let root = place(*root);
            let branches = reached(ensemble, root);
            let needed = 1 + 2 * branches.len();
            // Trees that share their branches with others would be copied for each.
            slots += needed;
            if slots > 2 * ensemble.nodes.len() + ensemble.roots.len() {
                return Err("they share branches".to_owned());
            }
            if needed >= NODES {
                return Err(format!("one of them has {} branches", branches.len()));
            }
            let fits = (self.chunks.last()).is_some_and(|chunk| chunk.used + needed <= NODES);
            if !fits {
                let chunk = Chunk::new().ok_or("there is no memory for them")?;
                self.chunks.push(chunk);
            }
            let Some(chunk) = self.chunks.last_mut() else {
                continue;
            };
            let (first, mut next) = (chunk.used, chunk.used + 1);
            for branch in &branches {
                if let Some(pair) = pairs.get_mut(*branch) {
                    *pair = u16::try_from(next).unwrap_or(0);
                }
                next += 2;
            }
            chunk.used = next;
            let (shallow, deep) = depths.get(root).copied().unwrap_or_default();
            let steps = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
            chunk.trees.push(Tree {
                root: u16::try_from(first).unwrap_or(0),
                shallow: steps(shallow),
                deep: steps(deep),
            });
            let write = Write {
                ensemble,
                features: &self.features,
                leaves,
                pairs: &pairs,
            };
            write.node(chunk, first, root);
            for branch in &branches {
                let Some(node) = ensemble.nodes.get(*branch) else {
                    continue;
                };
                let pair = usize::from(pairs.get(*branch).copied().unwrap_or(0));
                write.node(chunk, pair, place(node.yes));
                write.node(chunk, pair + 1, place(node.no));
            }
            chunk.block(needed);
        }
        Ok(())
    }
}

impl Chunk {
    /// Puts the last tree, of so many slots, into the last block or a new one.
    fn block(&mut self, slots: usize) {
        let end = self.trees.len();
        let held = |block: &Range<usize>| {
            let first = self
                .trees
                .get(block.start)
                .map(|tree| usize::from(tree.root));
            self.used - first.unwrap_or(0)
        };
        match self.blocks.last() {
            Some(block) if held(block) <= BLOCK.max(slots) => {
                if let Some(block) = self.blocks.last_mut() {
                    block.end = end;
                }
            }
            _ => self.blocks.push(end - 1..end),
        }
    }
}

/// Writes nodes where they go.
struct Write<'a> {
    ensemble: &'a Ensemble,
    features: &'a [usize],
    leaves: &'a [f32],
    pairs: &'a [u16],
}

impl Write<'_> {
    fn node(&self, chunk: &mut Chunk, slot: usize, of: usize) {
        let (Some(node), Some(to), Some(test)) = (
            self.ensemble.nodes.get(of),
            chunk.nodes.get_mut(slot),
            chunk.tests.get_mut(slot),
        ) else {
            return;
        };
        if node.is_leaf() {
            *to = Node {
                threshold: self.leaves.get(of).copied().unwrap_or(0.0),
                column: 0,
                next: u16::try_from(slot).unwrap_or(0),
            };
            *test = ALWAYS;
            return;
        }
        let column = self.features.binary_search(&place(node.feature));
        *to = Node {
            threshold: single(node.threshold),
            column: u16::try_from((column.unwrap_or(0) + 1) * LANES).unwrap_or(0),
            next: self.pairs.get(of).copied().unwrap_or(0),
        };
        *test = outcomes(node);
    }
}

/// The outcomes of its comparison with which a branch leads to `yes`.
fn outcomes(node: &trees::Node) -> u8 {
    let of = [
        LESS | EQUAL,
        LESS,
        GREATER | EQUAL,
        GREATER,
        EQUAL,
        LESS | GREATER | UNORDERED,
    ];
    let mode = place(node.mode & (MISSING_YES - 1));
    let missing = if node.mode & MISSING_YES == 0 {
        0
    } else {
        UNORDERED
    };
    of.get(mode).copied().unwrap_or(0) | missing
}

/// Steps to the nearest and to the farthest leaf from each node. Children come behind their parents.
fn depths(ensemble: &Ensemble) -> Vec<(usize, usize)> {
    let mut depths = vec![(0, 0); ensemble.nodes.len()];
    for (at, node) in ensemble.nodes.iter().enumerate().rev() {
        if node.is_leaf() {
            continue;
        }
        let of = |child: i32| {
            depths
                .get(place(child))
                .copied()
                .unwrap_or((0usize, 0usize))
        };
        let (yes, no) = (of(node.yes), of(node.no));
        if let Some(depth) = depths.get_mut(at) {
            *depth = (1 + yes.0.min(no.0), 1 + yes.1.max(no.1));
        }
    }
    depths
}

/// The branches of a tree, each once, nearest to the root first.
fn reached(ensemble: &Ensemble, root: usize) -> Vec<usize> {
    let is_branch = |at: &usize| ensemble.nodes.get(*at).is_some_and(|node| !node.is_leaf());
    let mut seen = HashSet::new();
    let mut found: Vec<usize> = Some(root).filter(is_branch).into_iter().collect();
    seen.extend(found.iter().copied());
    let mut next = 0;
    while let Some(node) = found.get(next).and_then(|at| ensemble.nodes.get(*at)) {
        let children = [place(node.yes), place(node.no)];
        let fresh = children.into_iter().filter(is_branch);
        let fresh: Vec<usize> = fresh.filter(|at| seen.insert(*at)).collect();
        found.extend(fresh);
        next += 1;
    }
    found
}
