//! Whether a step's model runs on a GPU, and what runs it there.

mod choice;
pub(super) mod micro;
mod plans;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use choice::{Choice, Chooser, Refused};
use plans::Planner;

use super::{
    model::Model,
    optimized::Whole,
    parity::{self, Known, Ports},
    trim::Cut,
};
use crate::engine::{
    Device, ModelError, ModelSource, Placed,
    cuda::{
        gpu::Gpu,
        lower::Products,
        model::{LoadError, Model as CudaModel},
        plan::Plan,
        probe,
        product::Math,
        sizes::{self, Size},
    },
    precision::{Accuracy, Precision},
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
    /// Rows are cut to the tokens that they have.
    pub(super) is_cut: bool,
    /// Tokens of the rows that go in now; 1 where they stay whole.
    pub(super) length: usize,
    /// So that the next worker need not make them again.
    _plans: Plans,
}

/// What a model became.
#[derive(Debug)]
struct Planned {
    /// In the order of their sizes.
    plans: Vec<(Size, Plan)>,
    products: Products,
    /// Why products are multiplied so, and which kernels do the rest, where there is a choice.
    said: Vec<String>,
    /// Why it is not planned for as many rows as were asked for, where that is so.
    memory: Option<String>,
    /// Rows are cut to the tokens that they have.
    is_cut: bool,
    /// What made-up rows came to on the CPU. Each worker compares.
    known: Mutex<Known>,
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
    cut: Option<Cut>,
}

/// What is wanted of a model.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    /// The shape of one row of each input.
    pub(super) shapes: &'a [Vec<usize>],
    /// The places of the outputs that are needed.
    pub(super) outputs: &'a [usize],
    /// The most rows at once.
    pub(super) max_rows: usize,
    pub(super) accuracy: Accuracy,
    /// Inputs whose rows give the same where they are cut to the tokens that they have.
    pub(super) cut: Option<Cut>,
}

impl Wanted<'_> {
    fn ports<'a>(&'a self, cut: Option<&'a Cut>) -> Ports<'a> {
        Ports {
            shapes: self.shapes,
            outputs: self.outputs,
            cut,
        }
    }
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
            let math = plans.products.math;
            let on_gpu = OnGpu {
                model: gpu,
                device,
                demanded,
                limit: wanted.accuracy.limit(math),
                is_cut: plans.is_cut,
                length: 1,
                _plans: plans,
            };
            let automatic = wanted.accuracy.precision == Precision::Auto;
            let placed = Placed {
                chosen: automatic.then_some(math),
                ..Placed::new(device, reason)
            };
            Ok((Some(on_gpu), placed))
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

/// What is loaded, of which plans, and what is said of how many these are and how much they take.
fn on(
    number: usize,
    model: &mut Model,
    there: &Wanted<'_>,
    demanded: bool,
) -> Result<(CudaModel, Plans, Vec<String>), String> {
    let gpu = Gpu::open(number).map_err(|error| error.to_string())?;
    let planned = shared_plans(&gpu, number, model, there)?;
    let (mut on_gpu, left_out) =
        what_fits(&gpu, &planned.plans).map_err(|error| error.to_string())?;
    let why = planned.memory.as_ref().or(left_out.as_ref());
    let sizes: Vec<Size> = on_gpu.sizes().collect();
    let said = said_of(&sizes, planned.is_cut, why);
    if let (Some(_), Some(parts)) = (why, said.last()) {
        tracing::warn!(model = %model.source.path.display(), "on the GPU {parts}");
    }
    let math = planned.products.math;
    let asked = parity::Asked {
        limit: there.accuracy.limit(math),
        scale: 1.0,
    };
    let ports = there.ports(there.cut.as_ref().filter(|_| planned.is_cut));
    let mut known = planned.known.lock().unwrap_or_else(PoisonError::into_inner);
    let differs = parity::difference(model, &mut on_gpu, ports, asked, &mut known);
    drop(known);
    match differs {
        Ok(None) => Ok((on_gpu, planned, said)),
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
            Ok((on_gpu, planned, said))
        }
        Err(why) => Err(format!(
            "its results there cannot be compared with those on the CPU: {why}"
        )),
    }
}

/// What `check` says of plans: how many there are where rows are cut, and why batches run in parts where they do.
fn said_of(sizes: &[Size], is_cut: bool, why: Option<&String>) -> Vec<String> {
    let mut said = Vec::new();
    if let (true, Some(first), Some(last)) = (is_cut, sizes.first(), sizes.last()) {
        said.push(format!(
            "{} plans for rows of {} to {} tokens",
            sizes.len(),
            first.length,
            last.length
        ));
    }
    if let Some(why) = why {
        let most = sizes.iter().map(|size| size.tokens()).max().unwrap_or(0);
        let what = if is_cut { "tokens" } else { "rows" };
        said.push(format!(
            "batches of more than {most} {what} run in parts: {why}"
        ));
    }
    said
}

/// Loads as many of the plans as the device's memory has room for, the smallest first; and why the others were left out.
///
/// # Errors
/// Not even the smallest can be loaded: why the largest could not, where that was for want of memory.
fn what_fits(
    gpu: &Arc<Gpu>,
    plans: &[(Size, Plan)],
) -> Result<(CudaModel, Option<String>), LoadError> {
    let mut first: Option<LoadError> = None;
    let mut fits: Vec<Size> = plans.iter().map(|(size, _)| *size).collect();
    loop {
        let some = plans.iter().filter(|(size, _)| fits.contains(size));
        let some: Vec<(Size, &Plan)> = some.map(|(size, plan)| (*size, plan)).collect();
        match CudaModel::load(gpu, &some) {
            Ok(model) => return Ok((model, first.map(|error| error.to_string()))),
            Err(error) if error.is_memory() => match sizes::fewer(&fits) {
                Some(fewer) => {
                    first.get_or_insert(error);
                    fits = fewer;
                }
                None => return Err(first.unwrap_or(error)),
            },
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
        cut: there.cut.clone(),
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

/// A plan for each size, for rows that are cut where they can be; where that cannot be planned, for whole ones.
fn planned(gpu: &Arc<Gpu>, model: &mut Model, there: &Wanted<'_>) -> Result<Planned, String> {
    // Read once, whichever way it is planned: its weights are written beside it.
    let whole = Whole::read(&model.source).map_err(|error| error.to_string())?;
    let longer = |cut: &&Cut| cut.length > sizes::SHORTEST && model.batch.is_none();
    if let Some(cut) = there.cut.as_ref().filter(longer) {
        match planned_as(gpu, model, &whole, there, Some(cut)) {
            Ok(planned) => return Ok(planned),
            // Where that is not the reason, whole rows have the same.
            Err(why) => {
                let path = model.source.path.display();
                tracing::debug!(model = %path, "rows are not cut on the GPU: {why}");
            }
        }
    }
    planned_as(gpu, model, &whole, there, None)
}

/// A plan for each size, the largest made first: what cannot be planned is told soon, and by that it is chosen what products are
/// multiplied as.
fn planned_as(
    gpu: &Arc<Gpu>,
    model: &mut Model,
    whole: &Whole,
    there: &Wanted<'_>,
    cut: Option<&Cut>,
) -> Result<Planned, String> {
    let mut planner = Planner::new(model, whole, there, cut);
    let mut chooser = Chooser {
        gpu,
        model,
        ports: there.ports(cut),
        accuracy: there.accuracy,
        known: Known::default(),
    };
    let mut memory = None;
    let (choice, optimized) = loop {
        let optimized = planner.optimized(planner.largest())?;
        match chooser.choose(&planner, &optimized) {
            Ok(choice) => break (choice, optimized),
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
        mut products,
        plan,
        said,
        mut kernels,
        ..
    } = choice;
    let mut plans = planner.all(plan, products)?;
    // Those of few rows may need kernels that those of many have not.
    if let Err(why) = gpu.fuse(plans.iter().flat_map(|(_, plan)| plan.codes())) {
        let path = chooser.model.source.path.display();
        tracing::warn!(model = %path, "general kernels run it: {why}");
        kernels = Some(format!("general kernels, since {why}"));
        products.fused = false;
        let largest = planner.plan(&optimized, planner.largest(), products)?;
        plans = planner.all(largest, products)?;
    }
    Ok(Planned {
        plans,
        products,
        said: said.into_iter().chain(kernels).collect(),
        memory,
        is_cut: cut.is_some(),
        known: Mutex::new(chooser.known),
    })
}
