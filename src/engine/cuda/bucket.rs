//! A plan on a device: where its values lie, and one graph that does it all.

use std::sync::Arc;

use super::{
    device::{Argument, Caching, CudaError, Graph, Launch, Memory, Pinned, Stream},
    gpu::{Constant, Gpu},
    model::LoadError,
    plan::{ALIGNMENT, Place, Plan, Slot, Step},
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
}

impl Buffers {
    /// Enough for each of the plans.
    pub(super) fn for_plans<'a>(
        gpu: &Gpu,
        plans: impl Iterator<Item = &'a Plan> + Clone,
    ) -> Result<Self, CudaError> {
        let most = |bytes: fn(&Plan) -> usize| plans.clone().map(bytes).max().unwrap_or(0);
        let inputs = most(|plan| Layout::of(&plan.inputs, 0).bytes);
        let outputs = most(|plan| Layout::of(&plan.outputs, ALIGNMENT).bytes);
        Ok(Self {
            upload: gpu.pinned(inputs, Caching::WriteCombined)?,
            download: gpu.pinned(outputs, Caching::Cached)?,
            inputs: gpu.memory(inputs)?,
            outputs: gpu.memory(outputs)?,
            arena: gpu.memory(most(|plan| plan.arena))?,
        })
    }
}

/// What a plan takes of a device's memory in bytes, without constants.
pub(super) fn footprint(plan: &Plan) -> usize {
    Layout::of(&plan.inputs, 0).bytes + Layout::of(&plan.outputs, ALIGNMENT).bytes + plan.arena
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

/// What runs for one number of rows.
#[derive(Debug)]
pub(super) struct Bucket {
    /// The number of rows.
    pub(super) rows: usize,
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
        rows: usize,
        plan: &Plan,
    ) -> Result<Self, LoadError> {
        let constants = (plan.constants.iter())
            .map(|constant| gpu.constant(&constant.bytes, stream))
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
        let mut launches = Vec::with_capacity(plan.steps.len());
        for Step::Kernel(launch) in &plan.steps {
            let arguments = launch.addresses.iter().map(|(at, named)| {
                let (memory, offset) = place(*named).ok_or_else(|| {
                    let name = &launch.node;
                    LoadError::Bug(format!("node `{name}` uses {named}, which there is not"))
                })?;
                Ok(Argument {
                    at: *at,
                    memory,
                    offset,
                })
            });
            let arguments = arguments.collect::<Result<Vec<_>, LoadError>>()?;
            launches.push((launch, gpu.function(launch.kernel)?, arguments));
        }
        let graph = stream.capture(|stream| {
            stream.copy_up(&buffers.upload, 0..inputs.bytes, &buffers.inputs, 0)?;
            stream.fill(&buffers.outputs, 0..ALIGNMENT, 0)?;
            for (launch, function, arguments) in &launches {
                stream.launch(&Launch {
                    function,
                    grid: launch.grid,
                    block: launch.block,
                    shared: launch.shared,
                    params: &launch.params,
                    arguments,
                })?;
            }
            stream.copy_down(&buffers.outputs, 0..outputs.bytes, &buffers.download, 0)
        })?;
        Ok(Self {
            rows,
            inputs: plan.inputs.iter().cloned().zip(inputs.offsets).collect(),
            outputs: plan.outputs.iter().cloned().zip(outputs.offsets).collect(),
            graph,
            _constants: constants,
        })
    }

    /// Runs the graph and waits for it.
    pub(super) fn run(&self, stream: &Stream) -> Result<(), CudaError> {
        self.graph.launch(stream)?;
        stream.synchronize()
    }
}
