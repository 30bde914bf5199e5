//! `TreeEnsemble`, the newer form of trees: branches and leaves have tables of their own.

use super::{
    Lowered, Missing,
    call::{Call, size},
    emit::Emitter,
    trees::{Ensemble, LEAF, MISSING_YES, Node, aggregate, needed, small, transformed},
};
use crate::graph::tensor::Values;

/// `TreeEnsemble`.
pub(in super::super) fn ensemble(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let targets = size(call.int("n_targets", 1))?;
    let transforms = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"];
    let transform = (usize::try_from(call.int("post_transform", 0)).ok())
        .and_then(|at| transforms.get(at))
        .ok_or_else(|| Missing::new("transform of this number"))?;
    let aggregates = ["AVERAGE", "SUM", "MIN", "MAX"];
    let name = (usize::try_from(call.int("aggregate_function", 1)).ok())
        .and_then(|at| aggregates.get(at))
        .ok_or_else(|| Missing::new("aggregate of this number"))?;
    let held = together(call)?;
    let scores = held.emit(emitter, x, targets, aggregate(name)?, None)?;
    Ok(vec![transformed(emitter, &scores, transform)?])
}

/// The tables of `TreeEnsemble` as one: its leaves come behind its branches.
fn together(call: &Call<'_>) -> Result<Ensemble, Missing> {
    let doubles = |name: &str| -> Result<Vec<f64>, Missing> {
        let held = call.tensor(name)?.and_then(|held| held.floats());
        held.ok_or_else(|| Missing::new(format!("trees without {name}")))
    };
    let (splits, weights) = (doubles("nodes_splits")?, doubles("leaf_weights")?);
    let count = splits.len();
    let modes = match call.tensor("nodes_modes")?.and_then(|held| held.values()) {
        Some(Values::Uint(modes)) if modes.len() == count => modes,
        _ => return Err(Missing::new("trees without a mode for each node")),
    };
    let features = needed(call, "nodes_featureids", count)?;
    let (yes, no) = (
        needed(call, "nodes_truenodeids", count)?,
        needed(call, "nodes_falsenodeids", count)?,
    );
    let (yes_leaf, no_leaf) = (
        needed(call, "nodes_trueleafs", count)?,
        needed(call, "nodes_falseleafs", count)?,
    );
    let missing = call
        .ints("nodes_missing_value_tracks_true")
        .unwrap_or_default();
    let targets = needed(call, "leaf_targetids", weights.len())?;
    let mut made = Ensemble::default();
    for (at, mode) in modes.iter().enumerate() {
        if *mode > 5 {
            return Err(Missing::new("nodes that test for membership in a set"));
        }
        let pick = |from: &[i64]| from.get(at).copied().unwrap_or(0);
        let child = |to: i64, leaf: i64| {
            let to = size(to)?;
            let (place, most) = if leaf == 0 {
                (to, count)
            } else {
                (count + to, count + weights.len())
            };
            if place < most && place > at {
                small(place)
            } else {
                Err(Missing::new("trees whose branches lead nowhere or back"))
            }
        };
        made.nodes.push(Node {
            threshold: splits.get(at).copied().unwrap_or(0.0),
            feature: small(pick(features))?,
            yes: child(pick(yes), pick(yes_leaf))?,
            no: child(pick(no), pick(no_leaf))?,
            mode: small(*mode)? | if pick(missing) == 0 { 0 } else { MISSING_YES },
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
    for root in call.ints("tree_roots").unwrap_or_default() {
        let root = size(*root)?;
        if root >= count {
            return Err(Missing::new("trees that are a single leaf"));
        }
        made.roots.push(small(root)?);
    }
    Ok(made)
}
