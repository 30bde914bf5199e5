//! Ensembles of trees: tables of nodes and of leaves.

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
    graph::{
        tensor::Element,
        trees::{self, Ensemble},
    },
};

fn check(held: &Ensemble, columns: usize, targets: usize) -> Result<(), Missing> {
    let within = |value: i32, most: usize| usize::try_from(value).is_ok_and(|value| value < most);
    let branches = held.nodes.iter().filter(|node| !node.is_leaf());
    if let Some(node) = branches
        .into_iter()
        .find(|node| !within(node.feature, columns))
    {
        return Err(Missing::new(format!(
            "column {} among {columns}",
            node.feature
        )));
    }
    if let Some((target, _)) = held
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
    held: &Ensemble,
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
    check(held, columns, targets)?;
    let made = emitter.make(element, &[rows, targets]);
    let (nodes, leaves) = tables(held, double);
    let roots: Bytes = held
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
        count: held.roots.len(),
        aggregate,
        double,
    };
    emitter.push(launch.launch(), rows * targets)?;
    Ok(made)
}

/// `TreeNode32` or `TreeNode64`, and `TreeLeaf`.
fn tables(held: &Ensemble, double: bool) -> (Bytes, Bytes) {
    let mut nodes = Vec::new();
    for node in &held.nodes {
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
    for (target, weight) in &held.leaves {
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
    trees::base_values(call.node).map_err(Missing::new)
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
    let ensemble = Ensemble::of(call.node, "target").map_err(Missing::new)?;
    let scores = emit(&ensemble, emitter, x, targets, aggregate, base)?;
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
