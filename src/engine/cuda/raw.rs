//! A model file as it is, on a GPU: lowered for the inputs it is given, and run once.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    convolution::Order,
    gpu::Gpu,
    lower::{Products, lower},
    model::{Model, RunError},
    plan::Slot,
    product::Math,
    sizes::Size,
    texts::Texts,
};
use crate::{
    engine::{
        ModelSource,
        cpu::{
            optimized::{ReadError, Whole},
            raw::CpuRaw,
        },
        raw::{Kind, Port, RawError, RawModel, Value},
    },
    graph::{
        proto::{self, ValueInfo},
        tensor::{Data, Element, Raw, Tensor, Values},
    },
};

/// A model that is lowered anew for each run: shapes may differ from one to the next.
#[derive(Debug)]
pub struct CudaRaw {
    gpu: Arc<Gpu>,
    math: Math,
    order: Order,
    path: PathBuf,
    model: Whole,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl CudaRaw {
    /// Reads a file that is to run on the GPU of this number.
    ///
    /// # Errors
    /// There is no such GPU, or the file cannot be read or has branches.
    pub fn load(path: &Path, number: usize) -> Result<Self, RawError> {
        Self::load_as(path, number, Math::Single)
    }

    /// As [`CudaRaw::load`], with products of single precision multiplied as this.
    ///
    /// # Errors
    /// As [`CudaRaw::load`].
    pub fn load_as(path: &Path, number: usize, math: Math) -> Result<Self, RawError> {
        let gpu = Gpu::open(number).map_err(|error| RawError::Failed(error.to_string()))?;
        let model = Whole::read(&ModelSource::file(path)).map_err(|error| match error {
            ReadError::Branches(why) => RawError::NotSupported(why.to_string()),
            ReadError::Model(error) => RawError::Failed(error.to_string()),
        })?;
        let Some(graph) = model.graph() else {
            return Err(RawError::Failed("it has no graph".to_owned()));
        };
        let constant =
            |input: &&ValueInfo| !graph.initializer.iter().any(|it| it.name == input.name);
        let inputs = graph.input.iter().filter(constant).map(port).collect();
        // What are lists of maps in the file are tensors in this graph.
        let declared = |output: &ValueInfo| match port(output) {
            map if model.was_map(&map.name) => Port {
                kind: Kind::Sequence,
                ..map
            },
            other => other,
        };
        let outputs = graph.output.iter().map(declared).collect();
        Ok(Self {
            gpu,
            math,
            order: Order::Planes,
            path: path.to_owned(),
            model,
            inputs,
            outputs,
        })
    }
}

impl CudaRaw {
    /// The same with pictures in this order for cuDNN, where that is there.
    #[must_use]
    pub fn with_pictures(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// cuDNN's order, where it is there and has anything to do: it takes long to load.
    fn cudnn(&self, optimized: &proto::Model) -> Option<Order> {
        let graph = optimized.graph.as_ref()?;
        let convolves = graph.node.iter().any(|node| node.op_type.contains("Conv"));
        (convolves && self.gpu.has_convolver().is_ok()).then_some(self.order)
    }

    /// What the optimiser refused: with the words of the CPU engine where the runtime knows no such operator, type or version.
    fn refused(&self, why: String) -> RawError {
        match CpuRaw::load(&self.path) {
            Err(lacking @ RawError::NotSupported(_)) => lacking,
            _ => RawError::Failed(why),
        }
    }

    /// The model for these shapes, with kernels of its own where they can be compiled. The whole is one row.
    fn loaded(&self, optimized: &proto::Model) -> Result<Model, RawError> {
        let cudnn = self.cudnn(optimized);
        let products = |fused| Products {
            math: self.math,
            library: self.gpu.has_library().is_ok(),
            cudnn,
            fused,
        };
        let load = |products| {
            let plan = lower(optimized, products);
            let plan = plan.map_err(|why| RawError::NotSupported(why.to_string()))?;
            let model = Model::load(&self.gpu, &[(Size::whole(1), &plan)]);
            model.map_err(|error| RawError::Failed(error.to_string()))
        };
        if self.gpu.can_fuse().is_ok() {
            match load(products(true)) {
                Ok(model) => return Ok(model),
                // Where that is the reason, the next says so, too.
                Err(why) => tracing::debug!("general kernels run it: {why}"),
            }
        }
        load(products(false))
    }
}

fn port(value: &ValueInfo) -> Port {
    let declared = value.r#type.as_ref().and_then(|ty| ty.value.as_ref());
    Port {
        name: value.name.clone(),
        kind: match declared {
            Some(proto::Kind::Sequence(_)) => Kind::Sequence,
            Some(proto::Kind::Map(_)) => Kind::Map,
            Some(proto::Kind::Optional(_)) => Kind::Optional,
            _ => Kind::Tensor,
        },
    }
}

impl RawModel for CudaRaw {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[(String, Value<Raw>)]) -> Result<Vec<Value<Tensor>>, RawError> {
        if let Some(odd) = self.outputs.iter().find(|port| port.kind != Kind::Tensor) {
            return Err(RawError::NotSupported(format!(
                "output `{}`: only tensors come from the device",
                odd.name
            )));
        }
        let fed: Vec<(&str, &Raw)> = (inputs.iter())
            .map(|(name, value)| match value {
                Value::Tensor(raw) => Ok((name.as_str(), raw)),
                _ => Err(RawError::NotSupported(format!(
                    "input `{name}` is no tensor, and the CUDA engine takes tensors"
                ))),
            })
            .collect::<Result<_, _>>()?;
        // Such as one that may be missing, though here it is a tensor.
        if let Some(odd) = self.inputs.iter().find(|port| port.kind != Kind::Tensor) {
            return Err(RawError::NotSupported(format!(
                "input `{}` is no tensor, and the CUDA engine takes tensors",
                odd.name
            )));
        }
        let shapes: Vec<Vec<usize>> = (self.inputs.iter())
            .filter_map(|port| fed.iter().find(|(name, _)| *name == port.name))
            .map(|(_, raw)| raw.shape.clone())
            .collect();
        let optimized = self.model.optimized(&shapes, None);
        let optimized = optimized.map_err(|error| self.refused(error.to_string()))?;
        let mut model = self.loaded(&optimized)?;
        let mut given = Vec::with_capacity(self.outputs.len());
        let names: Vec<String> = model
            .inputs()
            .iter()
            .map(|slot| slot.name.clone())
            .collect();
        let fill = |place: usize, _, to: &mut [u8], texts: &mut Texts| {
            let name = names.get(place).map_or("", String::as_str);
            let fed = fed.iter().find(|(fed, _)| *fed == name);
            match fed.map(|(_, raw)| &raw.data) {
                Some(Data::Texts(held)) if held.len() * 8 == to.len() => {
                    let held: Result<Vec<&str>, _> =
                        held.iter().map(|text| str::from_utf8(text)).collect();
                    let held = held.map_err(|_| format!("input `{name}` is not UTF-8"))?;
                    texts.write(held, to);
                    Ok(())
                }
                Some(Data::Packed(bytes)) if bytes.len() == to.len() => {
                    to.copy_from_slice(bytes);
                    Ok(())
                }
                _ => Err(format!("input `{name}` was not given as it wants it")),
            }
        };
        let take = |_, slot: &Slot, bytes: &[u8], texts: &Texts| {
            given.push(Value::Tensor(tensor(slot, bytes, texts)?));
            Ok(())
        };
        model
            .run(Size::whole(1), fill, take)
            .map_err(|error| match error {
                RunError::Values(why) => RawError::CannotBeFed(why),
                error => RawError::Failed(error.to_string()),
            })?;
        Ok(given)
    }
}

/// What came down, as the file's types have it.
fn tensor(slot: &Slot, bytes: &[u8], texts: &Texts) -> Result<Tensor, String> {
    if slot.labels.is_none() {
        let raw = Raw {
            element: slot.element,
            shape: slot.dims.clone(),
            data: Data::Packed(Bytes::copy_from_slice(bytes)),
        };
        return Ok(raw.decode());
    }
    let indices = bytes
        .as_chunks()
        .0
        .iter()
        .map(|cell| i64::from_le_bytes(*cell));
    let texts = indices.map(|index| {
        let label = (texts.text(slot, index))
            .ok_or_else(|| format!("`{}` is label {index}, which there is not", slot.name))?;
        Ok(Bytes::copy_from_slice(label.as_bytes()))
    });
    Ok(Tensor {
        element: Element::Text,
        shape: slot.dims.clone(),
        values: Values::Text(texts.collect::<Result<_, String>>()?),
    })
}
