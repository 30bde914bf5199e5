//! A plan on a device: where its values lie, and one graph that does it all.

use std::sync::Arc;

use super::{
    convolution::Convolution,
    device::{
        Argument, Caching, CudaError, Cudnn, Function, Graph, Launch, Memory, Piece, Pinned, Stream,
    },
    gpu::{Constant, Gpu},
    model::LoadError,
    plan::{self, ALIGNMENT, Place, Plan, Slot, Step},
    product::Product,
    sizes::Size,
    tuning::{Filtered, Measured, Tuned, WORKSPACE, room},
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
    /// What cuBLASLt needs beside the matrices, and cuDNN beside the pictures.
    workspace: Memory,
    /// For the one stream that all buckets run on.
    cudnn: Option<Cudnn>,
}

impl Buffers {
    /// Enough for each of the plans.
    pub(super) fn for_plans<'a>(
        gpu: &Gpu,
        mut plans: impl Iterator<Item = &'a Plan> + Clone,
    ) -> Result<Self, CudaError> {
        let [inputs, outputs, arena, workspace] = needed(plans.clone());
        let convolver = if plans.any(Plan::has_convolutions) {
            gpu.convolver().ok()
        } else {
            None
        };
        Ok(Self {
            upload: gpu.pinned(inputs, Caching::WriteCombined)?,
            download: gpu.pinned(outputs, Caching::Cached)?,
            inputs: gpu.memory(inputs)?,
            outputs: gpu.memory(outputs)?,
            arena: gpu.memory(arena)?,
            workspace: gpu.memory(workspace)?,
            cudnn: convolver.map(|mut held| held.handle()).transpose()?,
        })
    }
}

/// Bytes for inputs, outputs, the arena and NVIDIA's libraries: each as much as the plan wants that wants most.
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
    let products = if plan.has_products() { WORKSPACE } else { 0 };
    let convolutions = plan
        .convolutions()
        .map(|convolution| room(&convolution.shape));
    convolutions.max().unwrap_or(0).max(products)
}

/// A kernel with the memory that it works on.
#[derive(Debug)]
struct Kernel<'p> {
    launch: &'p plan::Launch,
    function: Arc<Function>,
    arguments: Vec<Argument<'p>>,
}

impl Kernel<'_> {
    fn queue(&self, stream: &Stream) -> Result<(), CudaError> {
        let launch = self.launch;
        stream.launch(&Launch {
            function: &self.function,
            grid: launch.grid,
            block: launch.block,
            shared: launch.shared,
            params: &launch.params,
            arguments: &self.arguments,
        })
    }
}

/// A step with the memory that it works on.
#[derive(Debug)]
enum Ready<'p> {
    Kernel(Kernel<'p>),
    Product(Box<Tuned>),
    /// With what follows it.
    Convolution(Box<Filtered>, Option<Kernel<'p>>),
}

impl Ready<'_> {
    fn queue(&self, stream: &Stream, workspace: &Memory) -> Result<(), CudaError> {
        match self {
            Self::Kernel(kernel) => kernel.queue(stream),
            Self::Product(tuned) => {
                stream.multiply(&tuned.multiplication, &tuned.algorithm, workspace)
            }
            Self::Convolution(tuned, rest) => {
                stream.convolve(&tuned.filtering, &tuned.method, workspace)?;
                rest.as_ref().map_or(Ok(()), |rest| rest.queue(stream))
            }
        }
    }
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
        let maker = Maker {
            gpu,
            stream,
            buffers,
            place,
        };
        let steps = (plan.steps.iter())
            .map(|step| maker.ready(step))
            .collect::<Result<Vec<_>, _>>()?;
        let graph = stream.capture(|stream| {
            stream.copy_up(&buffers.upload, 0..inputs.bytes, &buffers.inputs, 0)?;
            stream.fill(&buffers.outputs, 0..ALIGNMENT, 0)?;
            for step in &steps {
                step.queue(stream, &buffers.workspace)?;
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

/// The memory of a place, and how many bytes into it.
type Found<'m> = Option<(&'m Memory, usize)>;

/// Makes steps ready on a device.
struct Maker<'m, F> {
    gpu: &'m Gpu,
    stream: &'m Stream,
    buffers: &'m Buffers,
    /// Where places are.
    place: F,
}

impl<'p, F: Fn(Place) -> Found<'p>> Maker<'_, F> {
    /// A step as it will be queued. What a library may do is measured here, where that was not done before.
    fn ready(&self, step: &'p Step) -> Result<Ready<'p>, LoadError> {
        match step {
            Step::Kernel(launch) => Ok(Ready::Kernel(self.kernel(launch)?)),
            Step::Product(product) => self.product(product),
            Step::Convolution(convolution) => self.convolution(convolution),
        }
    }

    fn find(&self, node: &str, named: Place) -> Result<(&'p Memory, usize), LoadError> {
        (self.place)(named).ok_or_else(|| {
            LoadError::Bug(format!("node `{node}` uses {named}, which there is not"))
        })
    }

    fn piece(&self, node: &str, named: Place) -> Result<Piece, LoadError> {
        let (memory, offset) = self.find(node, named)?;
        let memory = memory.clone();
        Ok(Piece { memory, offset })
    }

    fn kernel(&self, launch: &'p plan::Launch) -> Result<Kernel<'p>, LoadError> {
        let arguments = launch.addresses.iter().map(|(at, named)| {
            let (memory, offset) = self.find(&launch.node, *named)?;
            Ok(Argument {
                at: *at,
                memory,
                offset,
            })
        });
        let arguments = arguments.collect::<Result<Vec<_>, LoadError>>()?;
        let function = match &launch.code {
            None => self.gpu.function(launch.kernel)?,
            Some(code) => self.gpu.fused(code.name()).ok_or_else(|| {
                LoadError::Bug(format!("the kernel {} was not compiled", code.name()))
            })?,
        };
        Ok(Kernel {
            launch,
            function,
            arguments,
        })
    }

    fn product(&self, product: &'p Product) -> Result<Ready<'p>, LoadError> {
        let operands = (product.operands).moved(|named| self.piece(&product.node, *named))?;
        let library = self.gpu.library();
        let mut library = library.map_err(|why| LoadError::Bug(format!("no cuBLASLt: {why}")))?;
        let own = product.instead.as_ref().map(|own| self.kernel(own));
        let own = own.transpose()?;
        let run = own.as_ref().map(|own| |stream: &Stream| own.queue(stream));
        let run = run.as_ref().map(|run| run as &dyn Fn(&Stream) -> _);
        let workspace = &self.buffers.workspace;
        let tuned = library.tuned(product, operands, self.stream, workspace, run)?;
        match (tuned, own) {
            (Some(tuned), _) => Ok(Ready::Product(Box::new(tuned))),
            (None, Some(own)) => Ok(Ready::Kernel(own)),
            (None, None) => Err(LoadError::NoAlgorithm {
                node: product.node.clone(),
                library: "cuBLASLt",
                what: format!("the product {}", product.shape),
            }),
        }
    }

    fn convolution(&self, convolution: &'p Convolution) -> Result<Ready<'p>, LoadError> {
        let node = &convolution.node;
        let operands = (convolution.operands).moved(|named| self.piece(node, *named))?;
        let bug = |why: &str| LoadError::Bug(format!("no cuDNN: {why}"));
        let mut convolver = self.gpu.convolver().map_err(bug)?;
        let cudnn = self.buffers.cudnn.as_ref();
        let cudnn = cudnn.ok_or_else(|| bug("nobody has opened it"))?;
        let kernel = |launch: &'p Option<plan::Launch>| {
            let launch = launch.as_ref();
            launch.map(|launch| self.kernel(launch)).transpose()
        };
        let (rest, own) = (kernel(&convolution.rest)?, kernel(&convolution.instead)?);
        let run_rest = rest
            .as_ref()
            .map(|rest| |stream: &Stream| rest.queue(stream));
        let run_own = own.as_ref().map(|own| |stream: &Stream| own.queue(stream));
        let on = Measured {
            stream: self.stream,
            workspace: &self.buffers.workspace,
            rest: run_rest.as_ref().map(|run| run as &dyn Fn(&Stream) -> _),
            own: run_own.as_ref().map(|run| run as &dyn Fn(&Stream) -> _),
        };
        let tuned = convolver.tuned(cudnn, convolution, operands, on)?;
        match (tuned, own) {
            (Some(tuned), _) => Ok(Ready::Convolution(Box::new(tuned), rest)),
            (None, Some(own)) => Ok(Ready::Kernel(own)),
            (None, None) => Err(LoadError::NoAlgorithm {
                node: node.clone(),
                library: "cuDNN",
                what: format!("the convolution {}", convolution.shape),
            }),
        }
    }
}
