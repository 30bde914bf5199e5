//! Ensembles of trees: their attributes become tables of nodes and of leaves.

use std::collections::HashMap;

use bytes::Bytes;

use super::{
    Lowered, Missing,
    call::{Call, size},
    classifiers,
    elementwise::converted,
    emit::Emitter,
    value::Value,
};
use crate::{
    engine::cuda::launch::{Spot, trees::Trees},
    graph::tensor::Element,
};

/// Bits of a node's mode, as `kernels/args.cuh` has them.
pub(super) const MISSING_YES: i32 = 8;
pub(super) const LEAF: i32 = 16;

#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) threshold: f64,
    pub(super) feature: i32,
    pub(super) yes: i32,
    pub(super) no: i32,
    pub(super) mode: i32,
}

/// Trees as the kernels take them.
#[derive(Debug, Default)]
pub(super) struct Ensemble {
    pub(super) nodes: Vec<Node>,
    /// Target and weight.
    pub(super) leaves: Vec<(i32, f64)>,
    pub(super) roots: Vec<i32>,
}

pub(super) fn small<N: TryInto<i32>>(value: N) -> Result<i32, Missing> {
    (value.try_into()).map_err(|_| Missing::new("kernel for trees that are this large"))
}

fn mode_of(name: &[u8]) -> Result<i32, Missing> {
    Ok(match name {
        b"BRANCH_LEQ" => 0,
        b"BRANCH_LT" => 1,
        b"BRANCH_GTE" => 2,
        b"BRANCH_GT" => 3,
        b"BRANCH_EQ" => 4,
        b"BRANCH_NEQ" => 5,
        b"LEAF" => LEAF,
        other => {
            let name = String::from_utf8_lossy(other).into_owned();
            return Err(Missing::new(format!("nodes of kind {name}")));
        }
    })
}

/// Numbers from an attribute that may be floats or (`_as_tensor`) a tensor.
fn numbers(call: &Call<'_>, name: &str) -> Result<Option<Vec<f64>>, Missing> {
    if let Some(tensor) = call.tensor(&format!("{name}_as_tensor"))? {
        return Ok(tensor.floats());
    }
    Ok(call
        .floats(name)
        .map(|held| held.iter().map(|value| f64::from(*value)).collect()))
}

pub(super) fn needed<'c>(call: &Call<'c>, name: &str, count: usize) -> Result<&'c [i64], Missing> {
    call.ints(name)
        .filter(|held| held.len() == count)
        .ok_or_else(|| Missing::new(format!("trees whose {name} are not {count} numbers")))
}

impl Ensemble {
    /// From the attributes of `TreeEnsembleRegressor` (`of` is `target`) and `TreeEnsembleClassifier` (`class`).
    pub(super) fn of(call: &Call<'_>, of: &str) -> Result<Self, Missing> {
        let ids = call.ints("nodes_nodeids").unwrap_or_default();
        let count = ids.len();
        let trees = needed(call, "nodes_treeids", count)?;
        let (yes, no) = (
            needed(call, "nodes_truenodeids", count)?,
            needed(call, "nodes_falsenodeids", count)?,
        );
        let features = needed(call, "nodes_featureids", count)?;
        let missing = call
            .ints("nodes_missing_value_tracks_true")
            .unwrap_or_default();
        let modes = call
            .attribute("nodes_modes")
            .map_or(&[][..], |held| &held.strings);
        let values = numbers(call, "nodes_values")?.unwrap_or_default();
        if modes.len() != count || values.len() != count {
            return Err(Missing::new(
                "trees without a mode and a value for each node",
            ));
        }
        let places: HashMap<(i64, i64), usize> = (trees.iter().zip(ids).enumerate())
            .map(|(at, (tree, id))| ((*tree, *id), at))
            .collect();
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
                Some(_) => Err(Missing::new("trees whose branches lead back")),
                None => Err(Missing::new("trees with a branch that leads nowhere")),
            };
            let (yes, no) = if mode == LEAF {
                (0, 0)
            } else {
                (child(yes)?, child(no)?)
            };
            if pick(missing) != 0 {
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
        made.weigh(call, of, &places)?;
        Ok(made)
    }

    /// The leaves' weights, from the attributes that begin with `of`.
    fn weigh(
        &mut self,
        call: &Call<'_>,
        of: &str,
        places: &HashMap<(i64, i64), usize>,
    ) -> Result<(), Missing> {
        let weights = numbers(call, &format!("{of}_weights"))?.unwrap_or_default();
        let targets = needed(call, &format!("{of}_ids"), weights.len())?;
        let trees = needed(call, &format!("{of}_treeids"), weights.len())?;
        let nodes = needed(call, &format!("{of}_nodeids"), weights.len())?;
        let mut held: HashMap<usize, Vec<(i32, f64)>> = HashMap::new();
        for (((tree, node), target), weight) in trees.iter().zip(nodes).zip(targets).zip(&weights) {
            let place = (places.get(&(*tree, *node)))
                .ok_or_else(|| Missing::new("trees with weights of no node"))?;
            held.entry(*place)
                .or_default()
                .push((small(*target)?, *weight));
        }
        for (at, node) in self.nodes.iter_mut().enumerate() {
            if node.mode & LEAF != 0 {
                let own = held.remove(&at).unwrap_or_default();
                node.yes = small(self.leaves.len())?;
                self.leaves.extend(own);
                node.no = small(self.leaves.len())?;
            }
        }
        if held.is_empty() {
            Ok(())
        } else {
            Err(Missing::new("trees with weights in their branches"))
        }
    }

    /// Whether no weight is below zero.
    pub(super) fn all_positive(&self) -> bool {
        self.leaves.iter().all(|(_, weight)| *weight >= 0.0)
    }

    /// Whether a row always gets a weight for a target (`Some(true)`), never, or it depends on the row (`None`).
    pub(super) fn scores(&self, target: usize) -> Option<bool> {
        let has = |node: &Node| {
            let range = usize::try_from(node.yes).ok()?..usize::try_from(node.no).ok()?;
            let own = self.leaves.get(range)?;
            Some(
                own.iter()
                    .any(|(held, _)| usize::try_from(*held) == Ok(target)),
            )
        };
        let is_leaf = |node: &&Node| node.mode & LEAF != 0;
        let any = self
            .nodes
            .iter()
            .filter(is_leaf)
            .any(|node| has(node) == Some(true));
        let ends = self.roots.iter().skip(1).copied().chain([i32::MAX]);
        let whole = self.roots.iter().zip(ends).any(|(first, end)| {
            let range = usize::try_from(*first).unwrap_or(0)
                ..usize::try_from(end).unwrap_or(0).min(self.nodes.len());
            let own = self.nodes.get(range).unwrap_or_default();
            own.iter()
                .filter(is_leaf)
                .all(|node| has(node) == Some(true))
        });
        match (any, whole) {
            (false, _) => Some(false),
            (true, true) => Some(true),
            (true, false) => None,
        }
    }

    fn check(&self, columns: usize, targets: usize) -> Result<(), Missing> {
        let within =
            |value: i32, most: usize| usize::try_from(value).is_ok_and(|value| value < most);
        let branches = self.nodes.iter().filter(|node| node.mode & LEAF == 0);
        if let Some(node) = branches
            .into_iter()
            .find(|node| !within(node.feature, columns))
        {
            return Err(Missing::new(format!(
                "column {} among {columns}",
                node.feature
            )));
        }
        if let Some((target, _)) = self
            .leaves
            .iter()
            .find(|(target, _)| !within(*target, targets))
        {
            return Err(Missing::new(format!("target {target} among {targets}")));
        }
        Ok(())
    }

    /// Sums (or whatever `aggregate` is) of the leaves that each row meets: `[rows, targets]`, in double precision
    /// where the rows are.
    pub(super) fn emit(
        &self,
        emitter: &mut Emitter,
        x: &Value,
        targets: usize,
        aggregate: i32,
        base: Option<&[f64]>,
    ) -> Result<Value, Missing> {
        let double = x.element == Element::Float64;
        let element = if double {
            Element::Float64
        } else {
            Element::Float32
        };
        let x = converted(emitter, x, element)?;
        let (rows, columns) = match *x.dims.as_slice() {
            [columns] => (1, columns),
            [rows, columns] => (rows, columns),
            _ => return Err(Missing::new("trees on other than rows of numbers")),
        };
        self.check(columns, targets)?;
        let made = emitter.make(element, &[rows, targets]);
        let (nodes, leaves) = self.tables(double);
        let roots: Bytes = self
            .roots
            .iter()
            .flat_map(|root| root.to_le_bytes())
            .collect();
        let base: Option<Spot> = base.map(|base| {
            let bytes: Bytes = base.iter().flat_map(|value| value.to_le_bytes()).collect();
            emitter.upload(&bytes)
        });
        let launch = Trees {
            x: emitter.dense_spot(&x)?,
            y: emitter.view(&made)?.0,
            nodes: emitter.upload(&nodes),
            leaves: emitter.upload(&leaves),
            roots: emitter.upload(&roots),
            base,
            rows,
            columns,
            targets,
            count: self.roots.len(),
            aggregate,
            double,
        };
        emitter.push(launch.launch(), rows * targets)?;
        Ok(made)
    }

    /// `TreeNode32` or `TreeNode64`, and `TreeLeaf`.
    fn tables(&self, double: bool) -> (Bytes, Bytes) {
        let mut nodes = Vec::new();
        for node in &self.nodes {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "that is how the file has it"
            )]
            if double {
                nodes.extend(node.threshold.to_le_bytes());
            } else {
                nodes.extend((node.threshold as f32).to_le_bytes());
            }
            for value in [node.feature, node.yes, node.no, node.mode] {
                nodes.extend(value.to_le_bytes());
            }
        }
        let mut leaves = Vec::new();
        for (target, weight) in &self.leaves {
            leaves.extend(target.to_le_bytes());
            #[expect(
                clippy::cast_possible_truncation,
                reason = "that is how the file has it"
            )]
            leaves.extend((*weight as f32).to_le_bytes());
            leaves.extend(weight.to_le_bytes());
        }
        (nodes.into(), leaves.into())
    }
}

pub(super) fn aggregate(name: &str) -> Result<i32, Missing> {
    Ok(match name {
        "SUM" => 0,
        "AVERAGE" => 1,
        "MIN" => 2,
        "MAX" => 3,
        other => return Err(Missing::new(format!("aggregate {other}"))),
    })
}

/// The base values, one for each target, where there are any.
pub(super) fn base_values(call: &Call<'_>) -> Result<Vec<f64>, Missing> {
    Ok(numbers(call, "base_values")?.unwrap_or_default())
}

/// `TreeEnsembleRegressor`.
pub(in super::super) fn regressor(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let targets = size(call.int("n_targets", 1))?;
    let base = base_values(call)?;
    let base = match base.len() {
        0 => None,
        count if count == targets => Some(base.as_slice()),
        count => {
            return Err(Missing::new(format!(
                "{count} base values for {targets} targets"
            )));
        }
    };
    let aggregate = aggregate(&call.text("aggregate_function", "SUM"))?;
    let ensemble = Ensemble::of(call, "target")?;
    let scores = ensemble.emit(emitter, x, targets, aggregate, base)?;
    let transform = call.text("post_transform", "NONE");
    let made = transformed(emitter, &scores, &transform)?;
    Ok(vec![converted(emitter, &made, Element::Float32)?])
}

/// Scores through the transform, as ONNX Runtime has it: of the scores of a single target only probit changes anything.
pub(super) fn transformed(
    emitter: &mut Emitter,
    scores: &Value,
    transform: &str,
) -> Result<Value, Missing> {
    match (scores.dim(1), transform) {
        (1, "PROBIT") => classifiers::transformed(emitter, scores, transform),
        (1, _) => Ok(scores.clone()),
        _ => classifiers::transformed(emitter, scores, transform),
    }
}
