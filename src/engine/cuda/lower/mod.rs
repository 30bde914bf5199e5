//! From an optimised ONNX graph to a plan.
//!
//! The graph comes from ONNX Runtime's optimiser: shapes are static, constants are folded. Each operator has a
//! function in `ops/` that works out the shape of its results and emits what makes them. What is not covered is an
//! error that names node, operator and what was missing: such a model runs on the CPU as a whole.
//!
//! - `value` is a tensor while a plan is made, known or on the device, dense or by strides
//! - `call` is a node with its inputs looked up
//! - `texts` makes numbers of texts
//! - `emit` collects the steps; `fuse` joins elementwise chains and puts them behind products; `half` converts what is
//!   multiplied in sixteen bits
//! - `table` has every covered operator, `ops/` a file for each family
//! - `pictures` says how convolutions are done; `beside` has those that cuDNN does with channels side by side
//! - `pieces` makes steps of what was emitted: by the library, by a kernel, or by one that is compiled for the model
//! - `finish` gives outputs their places and lays out the arena (`arena`)

mod arena;
mod beside;
mod call;
mod emit;
mod finish;
mod fuse;
mod half;
mod ops;
mod patterns;
mod pictures;
mod pieces;
pub mod table;
#[cfg(test)]
mod tests;
mod texts;
mod value;

use std::{collections::HashMap, sync::Arc};

use self::{call::Call, emit::Emitter, table::find, value::Value};
use super::{
    constants::Constants,
    convolution::Order,
    launch::{Base, TooLarge},
    plan::{Plan, Slot},
    product::Math,
};
use crate::graph::{
    proto::{self, Graph, Kind, Model, Node, Size},
    tensor::{Element, Raw},
};

/// Why a model cannot be lowered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}` ({op}): the CUDA engine has no {missing}")]
pub struct Uncovered {
    /// Name of the node, or of its first output where it has none. For an input or an output of the graph, that.
    pub node: String,
    /// The operator, with its domain unless that is the standard one; `input` or `output`.
    pub op: String,
    /// What there is no way to do.
    pub missing: String,
}

/// What an operator's lowering found missing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Missing(String);

impl Missing {
    fn new(missing: impl Into<String>) -> Self {
        Self(missing.into())
    }
}

impl From<TooLarge> for Missing {
    fn from(_: TooLarge) -> Self {
        Self::new("kernel for tensors that are this large or have this many dimensions")
    }
}

/// What a lowering gives: a value for each output of the node, or as many as are asked for.
type Lowered = Result<Vec<Value>, Missing>;

/// How products of matrices are done, and by which kernels the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Products {
    /// What those of single precision are multiplied as.
    pub math: Math,
    /// Whether cuBLASLt does what it can; else forebay's own kernels do.
    pub library: bool,
    /// In which order pictures lie for cuDNN, where it does the convolutions that it can; else forebay's own kernels do all.
    pub cudnn: Option<Order>,
    /// Whether chains of elementwise operators and small MLPs become kernels that NVRTC compiles for this model.
    pub fused: bool,
}

impl Products {
    /// As the model has them, by forebay's own kernels.
    pub const OWN: Self = Self {
        math: Math::Single,
        library: false,
        cudnn: None,
        fused: false,
    };
}

/// Lowers an optimised model whose inputs all have a fixed shape.
///
/// # Errors
/// The first node that cannot be lowered, and why.
pub fn lower(model: &Model, products: Products) -> Result<Plan, Uncovered> {
    lower_with(model, products, &Arc::default())
}

/// As [`lower`], where other plans of the same model are made too: what is known of its constants is not found out again.
///
/// # Errors
/// As [`lower`].
pub fn lower_with(
    model: &Model,
    products: Products,
    known: &Arc<Constants>,
) -> Result<Plan, Uncovered> {
    let nothing = Graph::default();
    let graph = model.graph.as_ref().unwrap_or(&nothing);
    let mut lowering = Lowering {
        opsets: (model.opset_import.iter())
            .map(|import| (standard(&import.domain).to_owned(), import.version))
            .collect(),
        values: HashMap::new(),
        emitter: Emitter::new(
            uses(graph),
            texts::vocabulary(graph),
            products,
            Arc::clone(known),
        ),
    };
    lowering.constants(graph)?;
    let inputs = lowering.inputs(graph)?;
    for node in &graph.node {
        let about = |missing: Missing| uncovered(node, missing);
        lowering.node(node).map_err(about)?;
    }
    let mut outputs = Vec::with_capacity(graph.output.len());
    for output in &graph.output {
        let value = lowering.values.get(&output.name).cloned();
        let value = value.ok_or_else(|| at_edge(output, "output", "node that gives it"))?;
        let value = (lowering.emitter.going_out(value))
            .map_err(|missing| at_edge(output, "output", missing.0))?;
        outputs.push((output.name.clone(), value));
    }
    lowering.emitter.finish(inputs, outputs)
}

/// The first `If`, wherever it is in the model. None can be lowered, and they are found before a model is optimised.
pub(in crate::engine) fn branches(model: &Model) -> Option<Uncovered> {
    let is = |node: &Node| node.op_type == "If" && standard(&node.domain).is_empty();
    let node = model.find_node(is)?;
    Some(uncovered(node, Missing::new("such operator")))
}

/// How often the graph asks for each value.
fn uses(graph: &Graph) -> HashMap<String, usize> {
    let mut uses: HashMap<String, usize> = HashMap::new();
    let asked = (graph.node.iter()).flat_map(|node| &node.input);
    for name in asked.chain(graph.output.iter().map(|output| &output.name)) {
        *uses.entry(name.clone()).or_default() += 1;
    }
    uses
}

fn standard(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn uncovered(node: &Node, missing: Missing) -> Uncovered {
    Uncovered {
        node: called(node),
        op: operator(node),
        missing: missing.0,
    }
}

fn at_edge(port: &proto::ValueInfo, op: &str, missing: impl Into<String>) -> Uncovered {
    Uncovered {
        node: port.name.clone(),
        op: op.to_owned(),
        missing: missing.into(),
    }
}

/// What to call a node in messages.
fn called(node: &Node) -> String {
    if node.name.is_empty() {
        node.output.first().cloned().unwrap_or_default()
    } else {
        node.name.clone()
    }
}

fn operator(node: &Node) -> String {
    match standard(&node.domain) {
        "" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    }
}

/// A model on its way to a plan.
#[derive(Debug)]
struct Lowering {
    opsets: HashMap<String, i64>,
    values: HashMap<String, Value>,
    emitter: Emitter,
}

impl Lowering {
    fn constants(&mut self, graph: &Graph) -> Result<(), Uncovered> {
        for tensor in &graph.initializer {
            let raw = Raw::of(tensor).map_err(|why| Uncovered {
                node: tensor.name.clone(),
                op: "constant".to_owned(),
                missing: format!("way to read it: {why}"),
            })?;
            self.values.insert(tensor.name.clone(), Value::known(&raw));
        }
        match graph
            .sparse_initializer
            .first()
            .and_then(|sparse| sparse.values.as_ref())
        {
            Some(sparse) => Err(Uncovered {
                node: sparse.name.clone(),
                op: "constant".to_owned(),
                missing: "sparse tensors".to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn inputs(&mut self, graph: &Graph) -> Result<Vec<Slot>, Uncovered> {
        let mut slots = Vec::new();
        for input in &graph.input {
            if self.values.contains_key(&input.name) {
                continue;
            }
            let (element, dims) =
                fixed(input).map_err(|missing| at_edge(input, "input", missing))?;
            let (element, labels) = match element {
                Element::Text => (Element::Int64, Some(Arc::clone(&self.emitter.vocabulary))),
                number => (number, None),
            };
            let value = Value {
                labels: labels.clone(),
                ..Value::dense_at(element, &dims, Base::Input(slots.len()))
            };
            self.values.insert(input.name.clone(), value);
            slots.push(Slot {
                name: input.name.clone(),
                element,
                dims,
                labels,
            });
        }
        Ok(slots)
    }

    fn node(&mut self, node: &Node) -> Result<(), Missing> {
        let domain = standard(&node.domain);
        let opset = self.opsets.get(domain).copied().unwrap_or(1);
        let op = find(domain, &node.op_type, opset)?;
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            let value = self.values.get(name).cloned();
            if value.is_none() && !name.is_empty() {
                return Err(Missing::new(format!("value `{name}` for its input")));
            }
            inputs.push(value);
        }
        self.emitter
            .begin(format!("{} ({})", called(node), operator(node)));
        let texts = texts::prepared(&mut self.emitter, (domain, &node.op_type), &mut inputs)?;
        let call = Call {
            node,
            inputs,
            asked: (node.output.iter())
                .map(|name| !name.is_empty() && self.emitter.is_asked_for(name))
                .collect(),
            opset,
        };
        let made = (op.lower)(&mut self.emitter, &call)?;
        let mut made = made.into_iter();
        for (at, name) in node.output.iter().enumerate() {
            match made.next() {
                _ if name.is_empty() => {}
                Some(mut value) => {
                    if texts.is_some() {
                        value.labels.clone_from(&texts);
                    }
                    self.emitter.bind(name, &value, &call.inputs, at == 0);
                    self.values.insert(name.clone(), value);
                }
                None => return Err(Missing::new(format!("output {} of it", at + 1))),
            }
        }
        Ok(())
    }
}

/// Type and shape of an input, where both are fixed.
fn fixed(input: &proto::ValueInfo) -> Result<(Element, Vec<usize>), String> {
    let kind = input.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(Kind::Tensor(tensor)) = kind else {
        return Err("inputs that are not tensors".to_owned());
    };
    let element = Element::of_number(tensor.elem_type).ok_or("inputs of an unknown type")?;
    if element != Element::Text && super::launch::type_number(element).is_none() {
        return Err(format!("inputs of type {}", element.name()));
    }
    let shape = tensor.shape.as_ref().ok_or("inputs without a shape")?;
    let dims = (shape.dim.iter())
        .map(|dim| match dim.value {
            Some(Size::Value(size)) => usize::try_from(size).ok(),
            _ => None,
        })
        .collect::<Option<Vec<usize>>>();
    Ok((element, dims.ok_or("inputs with a free dimension")?))
}
