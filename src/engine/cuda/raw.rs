//! A model as it is on a device: one run, start to end, with nothing kept. For checking models and the engine, not for
//! serving.

use std::collections::HashMap;

use super::{
    device::{Argument, CudaError, Device, Launch, Memory, Module, Priority, Stream},
    lower::lower,
    plan::{Place, Plan, Slot, Step},
};
use crate::{
    engine::{
        ModelSource,
        cpu::optimized::optimized,
        raw::{Kind, Port, RawError, RawModel, Value},
    },
    graph::{
        self,
        proto::{self, Graph},
        tensor::{Data, Raw, Tensor, Values},
    },
};

/// A model that is lowered anew for the shapes of every run.
#[derive(Debug)]
pub struct CudaRaw {
    device: Device,
    module: Module,
    source: ModelSource,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl CudaRaw {
    /// Reads the model; `kernels` is the image that has the kernels of `kernels/`.
    ///
    /// # Errors
    /// The file is no model, or the device does not take the kernels.
    pub fn load(device: Device, kernels: &[u8], source: ModelSource) -> Result<Self, RawError> {
        let failed = |why: String| RawError::Failed(why);
        let model = match &source.graph {
            Some(graph) => graph::parse(graph.clone()),
            None => graph::read(&source.path),
        };
        let model = model.map_err(|error| failed(error.to_string()))?;
        let graph = model.graph.unwrap_or_default();
        let module = device.module(kernels).map_err(lost)?;
        Ok(Self {
            device,
            module,
            source,
            inputs: ports(&graph, &graph.input),
            outputs: ports(&graph, &graph.output),
        })
    }

    /// The plan for inputs of these shapes, in the order of [`RawModel::inputs`].
    ///
    /// # Errors
    /// The model does not take them, or the plan would need what there is none of.
    pub fn plan(&self, dims: &[Vec<usize>]) -> Result<Plan, RawError> {
        let optimized = optimized(&self.source, dims);
        let optimized = optimized.map_err(|error| RawError::Failed(error.to_string()))?;
        lower(&optimized.model).map_err(|error| RawError::NotSupported(error.to_string()))
    }
}

fn lost(error: CudaError) -> RawError {
    RawError::Failed(error.to_string())
}

/// What the graph declares, without constants that may be overridden.
fn ports(graph: &Graph, declared: &[proto::ValueInfo]) -> Vec<Port> {
    let is_constant = |name: &str| graph.initializer.iter().any(|held| held.name == name);
    (declared.iter())
        .filter(|port| !is_constant(&port.name))
        .map(|port| Port {
            name: port.name.clone(),
            kind: match port.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
                Some(proto::Kind::Sequence(_)) => Kind::Sequence,
                Some(proto::Kind::Map(_)) => Kind::Map,
                Some(proto::Kind::Optional(_)) => Kind::Optional,
                _ => Kind::Tensor,
            },
        })
        .collect()
}

impl RawModel for CudaRaw {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[(String, Value<Raw>)]) -> Result<Vec<Value<Tensor>>, RawError> {
        if let Some(port) = self.outputs.iter().find(|port| port.kind != Kind::Tensor) {
            let why = format!("output `{}`: only tensors come from the device", port.name);
            return Err(RawError::NotSupported(why));
        }
        let mut fed: HashMap<&str, &Raw> = HashMap::new();
        for (name, value) in inputs {
            let Value::Tensor(raw) = value else {
                let why = format!("input `{name}`: only tensors can be on the device");
                return Err(RawError::CannotBeFed(why));
            };
            fed.insert(name, raw);
        }
        let missing = |name: &str| RawError::Failed(format!("there is no input `{name}`"));
        let dims = (self.inputs.iter())
            .map(|port| fed.get(port.name.as_str()).map(|raw| raw.shape.clone()))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| missing("for each of the model's"))?;
        let plan = self.plan(&dims)?;
        let bytes = (plan.inputs.iter())
            .map(
                |slot| match fed.get(slot.name.as_str()).map(|raw| &raw.data) {
                    Some(Data::Packed(bytes)) => Ok(&bytes[..]),
                    _ => Err(missing(&slot.name)),
                },
            )
            .collect::<Result<Vec<_>, _>>()?;
        let found = Run::new(&self.device, &plan)
            .and_then(|run| run.run(&self.module, &plan, &bytes))
            .map_err(lost)?;
        let (outputs, fault) = found;
        if fault != 0 {
            return Err(RawError::Failed(format!(
                "an index is out of range (the {fault}. of its operator)"
            )));
        }
        let named: HashMap<&str, (&Slot, Vec<u8>)> = (plan.outputs.iter().zip(outputs))
            .map(|(slot, bytes)| (slot.name.as_str(), (slot, bytes)))
            .collect();
        (self.outputs.iter())
            .map(|port| match named.get(port.name.as_str()) {
                Some((slot, bytes)) => Ok(Value::Tensor(tensor(slot, bytes))),
                None => Err(missing(&port.name)),
            })
            .collect()
    }
}

/// The bytes of an output as a tensor; indices into labels become the labels.
fn tensor(slot: &Slot, bytes: &[u8]) -> Tensor {
    let raw = Raw {
        element: slot.element,
        shape: slot.dims.clone(),
        data: Data::Packed(bytes.to_vec().into()),
    };
    let found = raw.decode();
    let (Some(labels), Values::Int(places)) = (&slot.labels, &found.values) else {
        return found;
    };
    let label = |place: &i64| {
        let label = usize::try_from(*place).ok().and_then(|at| labels.get(at));
        label.cloned().unwrap_or_default().into()
    };
    Tensor {
        element: graph::tensor::Element::Text,
        shape: found.shape,
        values: Values::Text(places.iter().map(label).collect()),
    }
}

/// The memory of a plan.
struct Run {
    stream: Stream,
    constants: Vec<Memory>,
    inputs: Vec<Memory>,
    outputs: Vec<Memory>,
    arena: Memory,
    fault: Memory,
}

/// Bytes of the flag for indices out of range.
const FAULT: usize = 4;

impl Run {
    fn new(device: &Device, plan: &Plan) -> Result<Self, CudaError> {
        let stream = device.stream(Priority::Normal)?;
        let slots = |slots: &[Slot]| -> Result<Vec<Memory>, CudaError> {
            // Memory of no bytes has no address.
            (slots.iter())
                .map(|slot| device.memory(slot.bytes().max(1)))
                .collect()
        };
        let mut constants = Vec::with_capacity(plan.constants.len());
        for constant in &plan.constants {
            let memory = device.memory(constant.bytes.len().max(1))?;
            stream.upload(&constant.bytes, &memory, 0)?;
            constants.push(memory);
        }
        let fault = device.memory(FAULT)?;
        stream.fill(&fault, 0..FAULT, 0)?;
        Ok(Self {
            stream,
            constants,
            inputs: slots(&plan.inputs)?,
            outputs: slots(&plan.outputs)?,
            arena: device.memory(plan.arena.max(1))?,
            fault,
        })
    }

    /// Runs the plan, and gives the bytes of its outputs and the flag.
    fn run(
        &self,
        module: &Module,
        plan: &Plan,
        inputs: &[&[u8]],
    ) -> Result<(Vec<Vec<u8>>, i32), CudaError> {
        for (bytes, memory) in inputs.iter().zip(&self.inputs) {
            self.stream.upload(bytes, memory, 0)?;
        }
        for Step::Kernel(launch) in &plan.steps {
            let arguments = (launch.addresses.iter())
                .map(|(at, place)| self.argument(*at, *place))
                .collect::<Option<Vec<_>>>()
                .unwrap_or_default();
            self.stream.launch(&Launch {
                function: &module.function(launch.kernel)?,
                grid: launch.grid,
                block: launch.block,
                shared: launch.shared,
                params: &launch.params,
                arguments: &arguments,
            })?;
        }
        let mut outputs = Vec::with_capacity(plan.outputs.len());
        for (slot, memory) in plan.outputs.iter().zip(&self.outputs) {
            let mut bytes = vec![0; slot.bytes()];
            self.stream.download(memory, 0, &mut bytes)?;
            outputs.push(bytes);
        }
        let mut fault = [0; FAULT];
        self.stream.download(&self.fault, 0, &mut fault)?;
        Ok((outputs, i32::from_le_bytes(fault)))
    }

    fn argument(&self, at: usize, place: Place) -> Option<Argument<'_>> {
        let (memory, offset) = match place {
            Place::Constant { index, offset } => (self.constants.get(index)?, offset),
            Place::Input { index, offset } => (self.inputs.get(index)?, offset),
            Place::Output { index, offset } => (self.outputs.get(index)?, offset),
            Place::Arena(offset) => (&self.arena, offset),
            Place::Fault => (&self.fault, 0),
        };
        Some(Argument { at, memory, offset })
    }
}
