//! A plan on a device: where its values lie, and one graph that does it all.

use std::sync::Arc;

use super::{
    device::{
        Argument, Caching, CudaError, Function, Graph, Launch, Memory, Piece, Pinned, Stream,
    },
    gpu::{Constant, Gpu},
    model::LoadError,
    plan::{self, ALIGNMENT, Place, Plan, Slot, Step},
    product::Product,
    sizes::Size,
    tuning::{Tuned, WORKSPACE},
};

/// Memory that all buckets of a model use in turn: one batch runs at a time.
#[derive(Debug)]
pub(super) struct Buffers {
    /// What goes up. Written by the host only, and in order.
    pub(super) upload: Pinned,
    /// What comes down.
    pub(super) download: Pinned,
    inputs: Memory,
    /// The fault flag, then the outputs.
    outputs: Memory,
    arena: Memory,
    /// What cuBLASLt needs beside the matrices.
    workspace: Memory,
}

impl Buffers {
    /// Enough for each of the plans.
    pub(super) fn for_plans<'a>(
        gpu: &Gpu,
        plans: impl Iterator<Item = &'a Plan> + Clone,
    ) -> Result<Self, CudaError> {
        let [inputs, outputs, arena, workspace] = needed(plans);
        Ok(Self {
            upload: gpu.pinned(inputs, Caching::WriteCombined)?,
            download: gpu.pinned(outputs, Caching::Cached)?,
            inputs: gpu.memory(inputs)?,
            outputs: gpu.memory(outputs)?,
            arena: gpu.memory(arena)?,
            workspace: gpu.memory(workspace)?,
        })
    }
}

/// Bytes for inputs, outputs, the arena and cuBLASLt: each as much as the plan wants that wants most.
fn needed<'a>(plans: impl Iterator<Item = &'a Plan> + Clone) -> [usize; 4] {
    let bytes: [fn(&Plan) -> usize; 4] = [
        |plan| Layout::of(&plan.inputs, 0).bytes,
        |plan| Layout::of(&plan.outputs, ALIGNMENT).bytes,
        |plan| plan.arena,
        workspace,
    ];
    bytes.map(|bytes| plans.clone().map(bytes).max().unwrap_or(0))
}

/// What plans take of a device's memory in bytes, without constants.
pub(super) fn footprint<'a>(plans: impl Iterator<Item = &'a Plan> + Clone) -> usize {
    needed(plans).iter().sum()
}

fn workspace(plan: &Plan) -> usize {
    if plan.has_products() { WORKSPACE } else { 0 }
}

/// A step with the memory that it works on.
#[derive(Debug)]
enum Ready<'p> {
    Kernel(&'p plan::Launch, Arc<Function>, Vec<Argument<'p>>),
    Product(Box<Tuned>),
}

/// Values one after another.
#[derive(Debug)]
struct Layout {
    offsets: Vec<usize>,
    bytes: usize,
}

impl Layout {
    fn of(slots: &[Slot], from: usize) -> Self {
        let mut bytes = from;
        let offsets = slots.iter().map(|slot| {
            let offset = bytes;
            bytes += slot.bytes().next_multiple_of(ALIGNMENT);
            offset
        });
        Self {
            offsets: offsets.collect(),
            bytes,
        }
    }
}

/// What runs for one size.
#[derive(Debug)]
pub(super) struct Bucket {
    /// How much it takes.
    pub(super) size: Size,
    /// With the place of each among the bytes that go up.
    pub(super) inputs: Vec<(Slot, usize)>,
    /// With the place of each among the bytes that come down.
    pub(super) outputs: Vec<(Slot, usize)>,
    graph: Graph,
    /// The device reads them as long as this is there.
    _constants: Vec<Arc<Constant>>,
}

impl Bucket {
    /// Uploads what the plan needs and records it as one graph: copies up, kernels, copies down.
    pub(super) fn record(
        gpu: &Gpu,
        stream: &Stream,
        buffers: &Buffers,
        size: Size,
        plan: &Plan,
    ) -> Result<Self, LoadError> {
        let constants = (plan.constants.iter())
            .map(|constant| gpu.constant(constant, stream))
            .collect::<Result<Vec<_>, _>>()?;
        let (inputs, outputs) = (
            Layout::of(&plan.inputs, 0),
            Layout::of(&plan.outputs, ALIGNMENT),
        );
        let place = |place: Place| match place {
            Place::Constant { index, offset } => {
                constants.get(index).map(|held| (&held.memory, offset))
            }
            Place::Arena(offset) => Some((&buffers.arena, offset)),
            Place::Input { index, offset } => {
                let start = inputs.offsets.get(index)?;
                Some((&buffers.inputs, start + offset))
            }
            Place::Output { index, offset } => {
                let start = outputs.offsets.get(index)?;
                Some((&buffers.outputs, start + offset))
            }
            Place::Fault => Some((&buffers.outputs, 0)),
        };
        let steps = (plan.steps.iter())
            .map(|step| ready(gpu, stream, &buffers.workspace, step, &place))
            .collect::<Result<Vec<_>, _>>()?;
        let graph = stream.capture(|stream| {
            stream.copy_up(&buffers.upload, 0..inputs.bytes, &buffers.inputs, 0)?;
            stream.fill(&buffers.outputs, 0..ALIGNMENT, 0)?;
            for step in &steps {
                match step {
                    Ready::Kernel(launch, function, arguments) => {
                        stream.launch(&queued(launch, function, arguments))?;
                    }
                    Ready::Product(tuned) => {
                        let Tuned {
                            multiplication,
                            algorithm,
                        } = &**tuned;
                        stream.multiply(multiplication, algorithm, &buffers.workspace)?;
                    }
                }
            }
            stream.copy_down(&buffers.outputs, 0..outputs.bytes, &buffers.download, 0)
        })?;
        Ok(Self {
            size,
            inputs: plan.inputs.iter().cloned().zip(inputs.offsets).collect(),
            outputs: plan.outputs.iter().cloned().zip(outputs.offsets).collect(),
            graph,
            _constants: constants,
        })
    }

    /// Queues the graph.
    pub(super) fn queue(&self, stream: &Stream) -> Result<(), CudaError> {
        self.graph.launch(stream)
    }

    /// Runs the graph and waits for it.
    pub(super) fn run(&self, stream: &Stream) -> Result<(), CudaError> {
        self.queue(stream)?;
        stream.synchronize()
    }
}

/// A launch as the driver is asked for it.
fn queued<'l>(
    launch: &'l plan::Launch,
    function: &'l Function,
    arguments: &'l [Argument<'l>],
) -> Launch<'l> {
    Launch {
        function,
        grid: launch.grid,
        block: launch.block,
        shared: launch.shared,
        params: &launch.params,
        arguments,
    }
}

/// The memory of a place, and how many bytes into it.
type Found<'m> = Option<(&'m Memory, usize)>;

/// A step as it will be queued. Products are measured here, where that was not done before.
fn ready<'p>(
    gpu: &Gpu,
    stream: &Stream,
    workspace: &Memory,
    step: &'p Step,
    place: &impl Fn(Place) -> Found<'p>,
) -> Result<Ready<'p>, LoadError> {
    let find = |named: Place| {
        place(named).ok_or_else(|| {
            let name = step.node();
            LoadError::Bug(format!("node `{name}` uses {named}, which there is not"))
        })
    };
    let kernel = |launch: &'p plan::Launch| {
        let arguments = launch.addresses.iter().map(|(at, named)| {
            let (memory, offset) = find(*named)?;
            Ok(Argument {
                at: *at,
                memory,
                offset,
            })
        });
        let arguments = arguments.collect::<Result<Vec<_>, LoadError>>()?;
        let function = match &launch.code {
            None => gpu.function(launch.kernel)?,
            Some(code) => gpu.fused(code.name()).ok_or_else(|| {
                LoadError::Bug(format!("the kernel {} was not compiled", code.name()))
            })?,
        };
        Ok::<_, LoadError>((launch, function, arguments))
    };
    let product = match step {
        Step::Kernel(launch) => {
            let (launch, function, arguments) = kernel(launch)?;
            return Ok(Ready::Kernel(launch, function, arguments));
        }
        Step::Product(product) => product,
    };
    let Product { operands, .. } = product;
    let operands = operands.moved(|named| {
        let (memory, offset) = find(*named)?;
        let memory = memory.clone();
        Ok::<_, LoadError>(Piece { memory, offset })
    })?;
    let library = gpu.library();
    let mut library = library.map_err(|why| LoadError::Bug(format!("no cuBLASLt: {why}")))?;
    let own = product.instead.as_ref().map(kernel).transpose()?;
    let run = (own.as_ref()).map(|(launch, function, arguments)| {
        |stream: &Stream| stream.launch(&queued(launch, function, arguments))
    });
    let run = run.as_ref().map(|run| run as &dyn Fn(&Stream) -> _);
    match (
        library.tuned(product, operands, stream, workspace, run)?,
        own,
    ) {
        (Some(tuned), _) => Ok(Ready::Product(Box::new(tuned))),
        (None, Some((launch, function, arguments))) => {
            Ok(Ready::Kernel(launch, function, arguments))
        }
        (None, None) => Err(LoadError::NoAlgorithm {
            node: product.node.clone(),
            shape: product.shape.to_string(),
        }),
    }
}
