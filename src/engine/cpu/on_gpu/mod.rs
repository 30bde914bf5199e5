//! Whether a step's model runs on a GPU, and what runs it there.

mod choice;
mod plans;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use choice::{Choice, Chooser, Refused};
use plans::Planner;

use super::{model::Model, parity};
use crate::engine::{
    Device, ModelError, ModelSource, Placed,
    cuda::{
        gpu::Gpu,
        lower::Products,
        model::{LoadError, Model as CudaModel},
        plan::Plan,
        probe,
        product::Math,
    },
    precision::Accuracy,
};

/// A model on a GPU.
#[derive(Debug)]
pub(super) struct OnGpu {
    pub(super) model: CudaModel,
    /// Which.
    pub(super) device: Device,
    /// The pipeline file wants it there and nowhere else.
    pub(super) demanded: bool,
    /// How far a fraction may be off from what the CPU gives, as a part of the largest of its output.
    pub(super) limit: f64,
    /// So that the next worker need not make them again.
    _plans: Plans,
}

/// What a model became.
#[derive(Debug)]
struct Planned {
    /// For each number of rows, how many and the plan.
    plans: Vec<(usize, Plan)>,
    products: Products,
    /// Why products are multiplied so, where there are any.
    said: Option<String>,
    /// Why it is not planned for as many rows as were asked for, where that is so.
    memory: Option<String>,
}

type Plans = Arc<Planned>;

/// What plans are made of.
#[derive(Debug, PartialEq)]
struct Made {
    source: ModelSource,
    /// The GPU's.
    number: usize,
    shapes: Vec<Vec<usize>>,
    wanted: Vec<usize>,
    max_rows: usize,
    accuracy: Accuracy,
}

/// What is wanted of a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The shape of one row of each input.
    pub(super) shapes: &'a [Vec<usize>],
    /// The places of the outputs that are needed.
    pub(super) outputs: &'a [usize],
    /// The most rows at once.
    pub(super) max_rows: usize,
    pub(super) accuracy: Accuracy,
}

/// The plans that some engine has now.
static PLANS: Mutex<Vec<(Made, Weak<Planned>)>> = Mutex::new(Vec::new());

/// Where a model that asks for this runs, where that is the CPU whatever the model is.
pub(in crate::engine) fn settled(asked: Device) -> Option<Placed> {
    let why = match asked {
        Device::Cpu => "asked for",
        Device::Auto if probe::present().is_err() => {
            "there is no GPU that can be used; `forebay doctor` says why"
        }
        Device::Auto | Device::Cuda(_) | Device::Cudas(_) => return None,
    };
    Some(Placed::new(Device::Cpu, why))
}

/// Finds where the model of a step runs.
///
/// # Errors
/// The file demands a GPU, and the model cannot run there.
pub(super) fn place(
    model: &mut Model,
    asked: Device,
    wanted: &Wanted<'_>,
) -> Result<(Option<OnGpu>, Placed), ModelError> {
    if let Some(placed) = settled(asked) {
        return Ok((None, placed));
    }
    let (number, demanded) = match asked.for_engine(0) {
        Device::Cuda(number) => (number, true),
        _ => (0, false),
    };
    let device = Device::Cuda(number);
    if wanted.outputs.is_empty() {
        return Ok((None, Placed::new(Device::Cpu, "nothing of it is needed")));
    }
    match on(number, model, wanted, demanded) {
        Ok((gpu, plans, parts)) => {
            let mut reason = if demanded {
                "asked for".to_owned()
            } else {
                "the best that there is".to_owned()
            };
            for said in plans.said.iter().chain(&parts) {
                reason += &format!("; {said}");
            }
            let on_gpu = OnGpu {
                model: gpu,
                device,
                demanded,
                limit: wanted.accuracy.limit(plans.products.math),
                _plans: plans,
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

/// What is loaded, of which plans, and what is said where it takes fewer rows at once than was asked for.
fn on(
    number: usize,
    model: &mut Model,
    there: &Wanted<'_>,
    demanded: bool,
) -> Result<(CudaModel, Plans, Option<String>), String> {
    let Wanted {
        shapes,
        outputs,
        accuracy,
        ..
    } = *there;
    let gpu = Gpu::open(number).map_err(|error| error.to_string())?;
    let planned = shared_plans(&gpu, number, model, there)?;
    let (mut on_gpu, left_out) =
        what_fits(&gpu, &planned.plans).map_err(|error| error.to_string())?;
    let parts = planned.memory.as_ref().or(left_out.as_ref()).map(|why| {
        let most = on_gpu.most_rows();
        let path = model.source.path.display();
        tracing::warn!(model = %path, "batches of more than {most} rows run in parts on the GPU: {why}");
        format!("batches of more than {most} rows run in parts: {why}")
    });
    let math = planned.products.math;
    let asked = parity::Asked {
        limit: accuracy.limit(math),
        scale: 1.0,
    };
    match parity::difference(model, &mut on_gpu, shapes, outputs, asked) {
        Ok(None) => Ok((on_gpu, planned, parts)),
        Ok(Some(worst)) => {
            let with = match math {
                Math::Single => String::new(),
                _ => format!(" with products in {}", math.name()),
            };
            Err(format!("its results differ there{with}: {worst}"))
        }
        Err(why) if demanded => {
            let path = model.source.path.display();
            tracing::warn!(model = %path, "the results on the GPU were not compared with those on the CPU: {why}");
            Ok((on_gpu, planned, parts))
        }
        Err(why) => Err(format!(
            "its results there cannot be compared with those on the CPU: {why}"
        )),
    }
}

/// Loads as many of the plans as the device's memory has room for, the smallest first; and why the others were left out.
///
/// # Errors
/// Not even the smallest can be loaded: why the largest could not, where that was for want of memory.
fn what_fits(
    gpu: &Arc<Gpu>,
    plans: &[(usize, Plan)],
) -> Result<(CudaModel, Option<String>), LoadError> {
    let mut first: Option<LoadError> = None;
    let mut count = plans.len();
    loop {
        let some = plans.get(..count).unwrap_or(plans);
        match CudaModel::load(gpu, some) {
            Ok(model) => return Ok((model, first.map(|error| error.to_string()))),
            Err(error) if error.is_memory() && count > 1 => {
                first.get_or_insert(error);
                // Every other plan is for half the rows of one.
                count = count.saturating_sub(2).max(1);
            }
            Err(error) => return Err(first.unwrap_or(error)),
        }
    }
}

/// The plans that another engine of this process has for the same, or new ones.
fn shared_plans(
    gpu: &Arc<Gpu>,
    number: usize,
    model: &mut Model,
    there: &Wanted<'_>,
) -> Result<Plans, String> {
    let made = Made {
        source: model.source.clone(),
        number,
        shapes: there.shapes.to_vec(),
        wanted: there.outputs.to_vec(),
        max_rows: there.max_rows,
        accuracy: there.accuracy,
    };
    // A panic between two whole steps leaves the list sound.
    let mut known = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(_, plans)| plans.strong_count() > 0);
    let same = known.iter().find(|(other, _)| *other == made);
    if let Some(plans) = same.and_then(|(_, plans)| plans.upgrade()) {
        return Ok(plans);
    }
    let plans = Arc::new(planned(gpu, model, there)?);
    known.push((made, Arc::downgrade(&plans)));
    Ok(plans)
}

/// A plan for each number of rows, the largest made first: what cannot be planned is told soon, and by that it is chosen what
/// products are multiplied as.
fn planned(gpu: &Arc<Gpu>, model: &mut Model, there: &Wanted<'_>) -> Result<Planned, String> {
    let mut planner = Planner::new(model, there.shapes, there.outputs, there.max_rows)?;
    let mut chooser = Chooser {
        gpu,
        model,
        shapes: there.shapes,
        wanted: there.outputs,
        accuracy: there.accuracy,
    };
    let mut memory = None;
    let choice = loop {
        let optimized = planner.optimized(planner.most())?;
        match chooser.choose(&mut planner, &optimized) {
            Ok(choice) => break choice,
            Err(Refused { why, memory: true }) => {
                let why = memory.get_or_insert(why);
                if !planner.fewer() {
                    return Err(std::mem::take(why));
                }
            }
            Err(refused) => return Err(refused.why),
        }
    };
    let Choice {
        products,
        plan,
        said,
        ..
    } = choice;
    let plans = planner.all(plan, products)?;
    // Those of few rows may need kernels that those of many have not.
    match gpu.fuse(plans.iter().flat_map(|(_, plan)| plan.codes())) {
        Ok(()) => Ok(Planned {
            plans,
            products,
            said,
            memory,
        }),
        Err(why) => {
            let path = model.source.path.display();
            tracing::warn!(model = %path, "general kernels run it: {why}");
            let products = Products {
                fused: false,
                ..products
            };
            let optimized = planner.optimized(planner.most())?;
            let largest = planner.plan(&optimized, planner.most(), products)?;
            Ok(Planned {
                plans: planner.all(largest, products)?,
                products,
                said: Some(format!("general kernels, since {why}")),
                memory,
            })
        }
    }
}
