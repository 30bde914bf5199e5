//! Golden rows are samples of what a model will see: where they do not pass with what `precision: auto` chose on a GPU, something
//! more exact is taken.

use super::{Golden, GoldenError, Tolerance, run};
use crate::{
    config::plan::{GoldenPlan, Plan},
    engine::{self, Engine, EngineSpec, Placed},
    pipeline::build::BuildError,
};

/// An engine, and how the golden rows went in it.
pub(in crate::pipeline) struct Settled {
    pub(in crate::pipeline) engine: Box<dyn Engine>,
    /// Nothing where the pipeline has none.
    pub(in crate::pipeline) golden: Option<Golden>,
}

/// Loads the pipeline's engine of this number, and runs the golden rows in it. As long as they do not pass, and
/// `precision: auto` chose something that is not the most exact, it is loaded anew with something more exact; what that came
/// to is in `spec` afterwards, so that other engines begin there.
///
/// # Errors
/// The models cannot be loaded, or the files of golden rows not read. Not: rows that differ.
pub(in crate::pipeline) fn settle(
    plan: &Plan,
    spec: &mut EngineSpec,
    number: usize,
) -> Result<Settled, BuildError> {
    loop {
        let mut engine = engine::load(&spec.for_engine(number), &plan.fields)?;
        let Some(golden) = &plan.golden else {
            return Ok(Settled {
                engine,
                golden: None,
            });
        };
        let ran = run(plan, golden, &mut *engine, Tolerance::of(golden));
        // What is held of the golden rows is nothing to the first messages.
        engine.forget();
        let ran = ran?;
        match spec.more_exact(&engine.placed()) {
            Some(next) if !ran.passed() => {
                tracing::info!(pipeline = plan.name, "something more exact is tried: {ran}");
                *spec = next;
            }
            _ => {
                return Ok(Settled {
                    engine,
                    golden: Some(ran),
                });
            }
        }
    }
}

/// How golden rows went, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// How they went.
    pub golden: Golden,
    /// Where each step ran.
    pub placed: Vec<Placed>,
}

/// Runs the golden rows of the pipeline, where it has any, in an engine of its own: the one that it would serve with. They are
/// compared by this tolerance.
///
/// # Errors
/// A file cannot be read or has another form; the models cannot be loaded. Not: rows that differ.
pub fn verify(
    plan: &Plan,
    tolerance: impl Fn(&GoldenPlan) -> Tolerance,
) -> Result<Option<Verified>, GoldenError> {
    let mut spec = plan.engine.clone();
    let Some(golden) = &plan.golden else {
        return Ok(None);
    };
    let settled = settle(plan, &mut spec, 0);
    let Settled {
        mut engine,
        golden: mut ran,
    } = settled.map_err(|error| GoldenError(error.to_string()))?;
    let tolerance = tolerance(golden);
    if tolerance != Tolerance::of(golden) {
        ran = Some(run(plan, golden, &mut *engine, tolerance)?);
    }
    Ok(ran.map(|golden| Verified {
        golden,
        placed: engine.placed(),
    }))
}
