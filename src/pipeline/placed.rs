//! Where the steps of a pipeline run on this machine.

use crate::{
    config::Plan,
    engine::{self, ModelError, Placed},
};

/// Where each step would run here, found by loading the models as for serving.
///
/// # Errors
/// A model cannot be loaded, or not on the device that the file demands.
pub fn placed(plan: &Plan) -> Result<Vec<Placed>, ModelError> {
    engine::load(&plan.engine, &plan.fields).map(|engine| engine.placed())
}
