//! Whether a step's model runs on a GPU, and what runs it there.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use bytes::Bytes;

use super::{model::Model, optimized::Whole, parity};
use crate::engine::{
    Device, ModelError, ModelSource, Placed,
    cuda::{
        gpu::Gpu,
        lower::{Products, lower},
        model::{LoadError, Model as CudaModel, buckets},
        plan::Plan,
        probe,
    },
};

/// A model on a GPU.
#[derive(Debug)]
pub(super) struct OnGpu {
    pub(super) model: CudaModel,
    /// Which.
    pub(super) device: Device,
    /// The pipeline file wants it there and nowhere else.
    pub(super) demanded: bool,
    /// So that the next worker need not make them again.
    _plans: Plans,
}

/// For each number of rows, how many and the plan.
type Planned = Vec<(usize, Plan)>;
type Plans = Arc<Planned>;

/// What plans are made of: the model, the shape of one row of each input, the outputs that are needed, and the most rows.
type Made = (ModelSource, Vec<Vec<usize>>, Vec<usize>, usize);

/// The plans that some engine has now.
static PLANS: Mutex<Vec<(Made, Weak<Planned>)>> = Mutex::new(Vec::new());

/// Where a model that asks for this runs, where that is the CPU whatever the model is.
pub(in crate::engine) fn settled(asked: Device) -> Option<Placed> {
    let why = match asked {
        Device::Cpu => "asked for",
        Device::Auto if probe::present().is_err() => {
            "there is no GPU that can be used; `forebay doctor` says why"
        }
        Device::Auto | Device::Cuda(_) => return None,
    };
    Some(Placed::new(Device::Cpu, why))
}

/// Finds where the model of a step runs. `shapes` has the shape of one row of each input; `wanted` are the places of the
/// outputs that are needed.
///
/// # Errors
/// The file demands a GPU, and the model cannot run there.
pub(super) fn place(
    model: &mut Model,
    asked: Device,
    shapes: &[Vec<usize>],
    wanted: &[usize],
    max_rows: usize,
) -> Result<(Option<OnGpu>, Placed), ModelError> {
    if let Some(placed) = settled(asked) {
        return Ok((None, placed));
    }
    let (number, demanded) = match asked {
        Device::Cuda(number) => (number, true),
        Device::Auto | Device::Cpu => (0, false),
    };
    let device = Device::Cuda(number);
    if wanted.is_empty() {
        return Ok((None, Placed::new(Device::Cpu, "nothing of it is needed")));
    }
    match on(number, model, shapes, wanted, max_rows, demanded) {
        Ok((gpu, plans)) => {
            let on_gpu = OnGpu {
                model: gpu,
                device,
                demanded,
                _plans: plans,
            };
            let reason = if demanded {
                "asked for"
            } else {
                "the best that there is"
            };
            Ok((Some(on_gpu), Placed::new(device, reason)))
        }
        Err(why) if demanded => Err(model.error(&format!(
            "it cannot run on `device: {device}`: {why}; write `device: auto` to let it run on the CPU"
        ))),
        Err(why) => {
            tracing::warn!(model = %model.source.path.display(), "it runs on the CPU and not on {device}: {why}");
            Ok((None, Placed::new(Device::Cpu, format!("not on {device}: {why}"))))
        }
    }
}

fn on(
    number: usize,
    model: &mut Model,
    shapes: &[Vec<usize>],
    wanted: &[usize],
    max_rows: usize,
    demanded: bool,
) -> Result<(CudaModel, Plans), String> {
    let gpu = Gpu::open(number).map_err(|error| error.to_string())?;
    let plans = shared_plans(model, shapes, wanted, max_rows)?;
    let mut on_gpu = CudaModel::load(&gpu, &plans).map_err(|error| error.to_string())?;
    match parity::difference(model, &mut on_gpu, shapes, wanted) {
        Ok(None) => Ok((on_gpu, plans)),
        Ok(Some(worst)) => Err(format!("its results differ there: {worst}")),
        Err(why) if demanded => {
            let path = model.source.path.display();
            tracing::warn!(model = %path, "the results on the GPU were not compared with those on the CPU: {why}");
            Ok((on_gpu, plans))
        }
        Err(why) => Err(format!(
            "its results there cannot be compared with those on the CPU: {why}"
        )),
    }
}

/// The plans that another engine of this process has for the same, or new ones.
fn shared_plans(
    model: &Model,
    shapes: &[Vec<usize>],
    wanted: &[usize],
    max_rows: usize,
) -> Result<Plans, String> {
    let made: Made = (
        model.source.clone(),
        shapes.to_vec(),
        wanted.to_vec(),
        max_rows,
    );
    // A panic between two whole steps leaves the list sound.
    let mut known = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(_, plans)| plans.strong_count() > 0);
    let same = known.iter().find(|(other, _)| *other == made);
    if let Some(plans) = same.and_then(|(_, plans)| plans.upgrade()) {
        return Ok(plans);
    }
    let plans = Arc::new(plans(model, shapes, wanted, max_rows)?);
    known.push((made, Arc::downgrade(&plans)));
    Ok(plans)
}

/// A plan for each number of rows, the largest made first: what cannot be planned is told soon.
fn plans(
    model: &Model,
    shapes: &[Vec<usize>],
    wanted: &[usize],
    max_rows: usize,
) -> Result<Planned, String> {
    let said = |error: ModelError| error.to_string();
    let whole = Whole::read(&model.source).map_err(said)?;
    let outputs: Vec<&str> = (wanted.iter())
        .filter_map(|place| Some(model.outputs.get(*place)?.name.as_str()))
        .collect();
    let rows = match model.batch {
        Some(batch) => vec![batch],
        None => buckets(max_rows),
    };
    let mut plans = Vec::with_capacity(rows.len());
    // Each plan has its own copy of the weights; equal ones become one.
    let mut constants: HashSet<Bytes> = HashSet::new();
    for rows in rows.into_iter().rev() {
        let dims: Vec<Vec<usize>> = (shapes.iter())
            .map(|shape| std::iter::once(rows).chain(shape.iter().copied()).collect())
            .collect();
        let optimized = whole.optimized(&dims, Some(&outputs)).map_err(said)?;
        let mut plan = lower(&optimized, Products::OWN)
            .map_err(LoadError::from)
            .map_err(|error| error.to_string())?;
        // Each row has its place in every input and output.
        let slots = plan.inputs.iter().chain(&plan.outputs);
        if let Some(odd) = slots
            .into_iter()
            .find(|slot| slot.dims.first() != Some(&rows))
        {
            return Err(format!(
                "`{}` has the shape {:?} for {rows} rows",
                odd.name, odd.dims
            ));
        }
        for constant in &mut plan.constants {
            match constants.get(&constant.bytes) {
                Some(known) => constant.bytes = known.clone(),
                None => {
                    constants.insert(constant.bytes.clone());
                }
            }
        }
        plans.push((rows, plan));
    }
    plans.reverse();
    Ok(plans)
}
