//! `TreeEnsemble`, the newer form of trees.

use super::{
    Lowered, Missing,
    call::{Call, size},
    emit::Emitter,
    trees::{aggregate, emit, transformed},
};
use crate::graph::trees::{Ensemble, aggregate_of_tables, transform_of_tables};

/// `TreeEnsemble`.
pub(in super::super) fn ensemble(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let targets = size(call.int("n_targets", 1))?;
    let transform = transform_of_tables(call.node).map_err(Missing::new)?;
    let name = aggregate_of_tables(call.node).map_err(Missing::new)?;
    let held = Ensemble::of_tables(call.node).map_err(Missing::new)?;
    let scores = emit(&held, emitter, x, targets, aggregate(name)?, None)?;
    Ok(vec![transformed(emitter, &scores, transform)?])
}
