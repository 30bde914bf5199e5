//! What the device does for one bucket: launches in their order, on places in memory.
//!
//! A plan knows nothing of a driver. It can be written down, compared and tested on any machine.

use std::{
    collections::HashSet,
    fmt::{self, Write as _},
    sync::Arc,
};

pub use super::constants::Constant;
use super::{convolution::Convolution, fused::Code, product::Product};
use crate::graph::tensor::Element;

/// Every buffer in an arena and every constant begins at a multiple of this many bytes.
pub const ALIGNMENT: usize = 256;

/// Where a value lies. Offsets are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// In one of [`Plan::constants`].
    Constant {
        /// Which.
        index: usize,
        /// How far into it.
        offset: usize,
    },
    /// In the arena, which holds what is made on the way.
    Arena(usize),
    /// In one of [`Plan::inputs`].
    Input {
        /// Which.
        index: usize,
        /// How far into it.
        offset: usize,
    },
    /// In one of [`Plan::outputs`].
    Output {
        /// Which.
        index: usize,
        /// How far into it.
        offset: usize,
    },
    /// One `i32` that is 0 before the first launch; kernels set it where an index is out of range.
    Fault,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, offset) = match self {
            Self::Constant { index, offset } => (format!("constant {index}"), *offset),
            Self::Arena(offset) => return write!(f, "arena+{offset}"),
            Self::Input { index, offset } => (format!("input {index}"), *offset),
            Self::Output { index, offset } => (format!("output {index}"), *offset),
            Self::Fault => return f.write_str("fault"),
        };
        f.write_str(&what)?;
        if offset > 0 {
            write!(f, "+{offset}")?;
        }
        Ok(())
    }
}

/// One kernel, launched once. `P` is how addresses are named; only lowering has another than [`Place`].
#[derive(Debug, Clone, PartialEq)]
pub struct Launch<P = Place> {
    /// The kernel's name in the module; of one that is compiled for the model, what kind it is.
    pub kernel: &'static str,
    /// What is compiled for the model, where it is no kernel that is built in.
    pub code: Option<Arc<Code>>,
    /// Blocks along x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y and z.
    pub block: [u32; 3],
    /// Dynamic shared memory, in bytes.
    pub shared: u32,
    /// The kernel's one argument, a struct of `kernels/args.cuh`; every address in it is zero.
    pub params: Vec<u8>,
    /// Where in `params` (bytes) which address goes, 8 bytes each.
    pub addresses: Vec<(usize, P)>,
    /// `name (Op)` of the node that it is for, for messages.
    pub node: String,
}

impl<P: Copy> Launch<P> {
    /// The same on other places.
    ///
    /// # Errors
    /// The first of `moved`.
    pub(super) fn moved<Q, E>(
        &self,
        mut moved: impl FnMut(&P) -> Result<Q, E>,
    ) -> Result<Launch<Q>, E> {
        let addresses = self.addresses.iter();
        Ok(Launch {
            kernel: self.kernel,
            code: self.code.clone(),
            grid: self.grid,
            block: self.block,
            shared: self.shared,
            params: self.params.clone(),
            addresses: addresses
                .map(|(at, place)| Ok((*at, moved(place)?)))
                .collect::<Result<_, E>>()?,
            node: self.node.clone(),
        })
    }
}

/// What is done in one go.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<P = Place> {
    /// A launch.
    Kernel(Launch<P>),
    /// A product, by cuBLASLt.
    Product(Product<P>),
    /// A convolution, by cuDNN.
    Convolution(Box<Convolution<P>>),
}

impl<P: Copy> Step<P> {
    /// The node that it is for.
    pub fn node(&self) -> &str {
        match self {
            Self::Kernel(launch) => &launch.node,
            Self::Product(product) => &product.node,
            Self::Convolution(convolution) => &convolution.node,
        }
    }

    /// The same for this node.
    pub(super) fn named(mut self, node: &str) -> Self {
        match &mut self {
            Self::Kernel(launch) => node.clone_into(&mut launch.node),
            Self::Product(product) => {
                node.clone_into(&mut product.node);
                if let Some(instead) = &mut product.instead {
                    node.clone_into(&mut instead.node);
                }
            }
            Self::Convolution(convolution) => convolution.named(node),
        }
        self
    }

    /// Every place that it reads or writes.
    pub(super) fn places(&self) -> Vec<P> {
        match self {
            Self::Kernel(launch) => launch.addresses.iter().map(|(_, place)| *place).collect(),
            Self::Product(product) => product.operands.each().map(|(_, place)| *place).collect(),
            Self::Convolution(convolution) => {
                (convolution.operands.each().map(|(_, place)| *place)).collect()
            }
        }
    }

    /// The same on other places.
    ///
    /// # Errors
    /// The first of `moved`.
    pub(super) fn moved<Q, E>(
        &self,
        mut moved: impl FnMut(&P) -> Result<Q, E>,
    ) -> Result<Step<Q>, E> {
        Ok(match self {
            Self::Kernel(launch) => Step::Kernel(launch.moved(moved)?),
            Self::Product(product) => Step::Product(Product {
                shape: product.shape,
                alpha: product.alpha,
                beta: product.beta,
                operands: product.operands.moved(&mut moved)?,
                instead: product
                    .instead
                    .as_ref()
                    .map(|launch| launch.moved(&mut moved))
                    .transpose()?,
                node: product.node.clone(),
            }),
            Self::Convolution(convolution) => {
                Step::Convolution(Box::new(convolution.moved(moved)?))
            }
        })
    }
}

/// An input or an output of the whole plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// The graph's name for it.
    pub name: String,
    /// The type of its elements.
    pub element: Element,
    /// Its shape, rows first; the rows are those of the bucket.
    pub dims: Vec<usize>,
    /// Where the model takes or gives strings: the elements are then indices into these. What is taken and not there has an
    /// index behind them.
    pub labels: Option<Arc<Vec<String>>>,
}

impl Slot {
    /// Its size.
    pub fn bytes(&self) -> usize {
        self.dims.iter().product::<usize>() * self.element.bits().div_ceil(8)
    }
}

/// The label at a place; from the end where the place is negative, as `Gather` counts.
pub(super) fn label(labels: &[String], place: i64) -> Option<&String> {
    let end = i64::try_from(labels.len()).unwrap_or(i64::MAX);
    let place = if place < 0 { place + end } else { place };
    usize::try_from(place)
        .ok()
        .and_then(|place| labels.get(place))
}

/// What runs for one bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// In the graph's order.
    pub inputs: Vec<Slot>,
    /// In the graph's order.
    pub outputs: Vec<Slot>,
    /// What kernels read and nothing writes.
    pub constants: Vec<Constant>,
    /// Bytes of the arena.
    pub arena: usize,
    /// In the order they run; each sees what those before it wrote.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether a kernel whose name begins like this is launched.
    pub fn launches(&self, kernel: &str) -> bool {
        (self.steps.iter())
            .any(|step| matches!(step, Step::Kernel(launch) if launch.kernel.starts_with(kernel)))
    }

    /// The kernels that are compiled for the model, one for each launch.
    pub fn codes(&self) -> impl Iterator<Item = &Arc<Code>> {
        self.steps.iter().filter_map(|step| match step {
            Step::Kernel(launch) => launch.code.as_ref(),
            Step::Product(_) | Step::Convolution(_) => None,
        })
    }

    /// How many kernels are compiled for the model.
    pub fn fused(&self) -> usize {
        let names: HashSet<&str> = self.codes().map(|code| code.name()).collect();
        names.len()
    }

    /// What cuDNN does in it.
    pub fn convolutions(&self) -> impl Iterator<Item = &Convolution> {
        self.steps.iter().filter_map(|step| match step {
            Step::Convolution(convolution) => Some(&**convolution),
            Step::Kernel(_) | Step::Product(_) => None,
        })
    }

    /// Whether cuDNN does anything in it.
    pub fn has_convolutions(&self) -> bool {
        self.convolutions().next().is_some()
    }

    /// Whether cuBLASLt does anything in it.
    pub fn has_products(&self) -> bool {
        (self.steps.iter()).any(|step| matches!(step, Step::Product(_)))
    }
}

impl fmt::Display for Plan {
    /// The plan as text, a line for each launch.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, slots) in [("input", &self.inputs), ("output", &self.outputs)] {
            for (at, slot) in slots.iter().enumerate() {
                let element = slot.element.name();
                write!(f, "{what} {at}: {} {element}{:?}", slot.name, slot.dims)?;
                match &slot.labels {
                    Some(labels) => writeln!(f, " of {labels:?}")?,
                    None => writeln!(f)?,
                }
            }
        }
        let bytes: usize = (self.constants.iter().map(|held| held.bytes.len())).sum();
        writeln!(f, "constants: {} of {bytes} bytes", self.constants.len())?;
        writeln!(f, "arena: {} bytes", self.arena)?;
        for step in &self.steps {
            let launch = match step {
                Step::Kernel(launch) => launch,
                Step::Product(product) => {
                    writeln!(f, "{product}")?;
                    continue;
                }
                Step::Convolution(convolution) => {
                    writeln!(f, "{convolution}")?;
                    continue;
                }
            };
            let mut places = String::new();
            for (at, place) in &launch.addresses {
                write!(places, " @{at}={place}")?;
            }
            let ([x, y, z], [threads, ..]) = (launch.grid, launch.block);
            write!(f, "{} <<<{x},{y},{z} x {threads}", launch.kernel)?;
            if launch.shared > 0 {
                write!(f, ", {} shared", launch.shared)?;
            }
            writeln!(f, ">>>{places}  {}", launch.node)?;
        }
        Ok(())
    }
}
