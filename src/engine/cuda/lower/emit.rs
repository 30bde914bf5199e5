//! Collects steps, buffers and constants.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use super::{
    Missing, Products,
    texts::Texts,
    value::{Home, LISTS, Value},
};
use crate::{
    engine::cuda::{
        constants::{Address, Constants},
        convolution::Convolution,
        launch::{
            Base, Spot, TooLarge, conv::Conv, gemm::Gemm, moves, pointwise::Program, type_number,
        },
        plan::{Constant, Launch},
    },
    graph::tensor::Element,
};

/// A step that may still be joined with others.
#[derive(Debug, Clone)]
pub(super) enum Work {
    Launch(Launch<Spot>),
    /// A program, and how many of the graph's uses each of its inputs stands for.
    Program(Program, Vec<usize>),
    Gemm(Gemm),
    Conv(Conv),
    /// By cuDNN.
    Convolution(Box<Convolution<Spot>>),
}

/// A step and the node that it is for.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) work: Work,
    pub(super) node: String,
}

/// What was emitted so far.
#[derive(Debug)]
pub(super) struct Emitter {
    /// Steps that were joined into later ones are gone.
    pub(super) drafts: Vec<Option<Draft>>,
    /// Bytes of each buffer.
    pub(super) buffers: Vec<usize>,
    pub(super) constants: Vec<Constant>,
    /// Where each of them lies.
    places: HashMap<Address, usize>,
    /// Those of all plans of the model.
    pub(super) known: Arc<Constants>,
    /// The step that makes a buffer, where that step may be joined with what reads it.
    pub(super) makers: HashMap<usize, usize>,
    /// How often the graph reads each buffer, under whatever name.
    pub(super) reads: HashMap<usize, usize>,
    /// How often the graph asks for each name.
    uses: HashMap<String, usize>,
    /// What numbers that stand for texts are places of, unless a value has a list of its own.
    pub(super) vocabulary: Texts,
    /// Dense copies of strided values: they are made once.
    copies: Vec<(Value, Value)>,
    /// The same for values in sixteen bits.
    pub(super) halves: Vec<(Value, Value)>,
    pub(super) products: Products,
    node: String,
}

impl Emitter {
    pub(super) fn new(
        uses: HashMap<String, usize>,
        vocabulary: Texts,
        products: Products,
        known: Arc<Constants>,
    ) -> Self {
        Self {
            drafts: Vec::new(),
            buffers: Vec::new(),
            constants: Vec::new(),
            places: HashMap::new(),
            known,
            makers: HashMap::new(),
            reads: HashMap::new(),
            uses,
            vocabulary,
            copies: Vec::new(),
            halves: Vec::new(),
            products,
            node: String::new(),
        }
    }

    /// Whether the graph reads a value of this name, or gives it.
    pub(super) fn is_asked_for(&self, name: &str) -> bool {
        self.uses.contains_key(name)
    }

    /// What follows is for this node.
    pub(super) fn begin(&mut self, node: String) {
        self.node = node;
    }

    /// A node gave this value a name. Where it is a view of one of the node's inputs, that use did not read anything;
    /// that counts once for each node (`first`).
    pub(super) fn bind(
        &mut self,
        name: &str,
        value: &Value,
        inputs: &[Option<Value>],
        first: bool,
    ) {
        let Some(buffer) = buffer_of(value) else {
            return;
        };
        let uses = self.uses.get(name).copied().unwrap_or(0);
        let reads = self.reads.entry(buffer).or_default();
        *reads += uses;
        let viewed = inputs
            .iter()
            .flatten()
            .any(|input| buffer_of(input) == Some(buffer));
        if first && viewed {
            *reads = reads.saturating_sub(1);
        }
    }

    /// A value to be filled by what is pushed next.
    pub(super) fn make(&mut self, element: Element, dims: &[usize]) -> Value {
        let bytes = dims.iter().product::<usize>() * element.bits().div_ceil(8);
        self.buffers.push(bytes);
        Value::dense_at(element, dims, Base::Buffer(self.buffers.len() - 1))
    }

    /// A constant with these bytes.
    pub(super) fn upload(&mut self, bytes: &Bytes) -> Spot {
        let constant = self.known.constant(bytes);
        let constants = &mut self.constants;
        let address = Address::of(&constant.bytes);
        let index = *self.places.entry(address).or_insert_with(|| {
            constants.push(constant);
            constants.len() - 1
        });
        Spot {
            base: Base::Constant(index),
            offset: 0,
        }
    }

    /// Where the value begins, and its strides; known values are uploaded.
    pub(super) fn view(&mut self, value: &Value) -> Result<(Spot, Vec<i64>), Missing> {
        if type_number(value.element).is_none() {
            return Err(Missing::new(format!("type {}", value.element.name())));
        }
        match &value.home {
            Home::At(spot, strides) => Ok((*spot, strides.clone())),
            Home::Known(bytes) => {
                Ok((self.upload(bytes), super::value::dense_strides(&value.dims)))
            }
            Home::Texts(_) => Err(Missing::new("strings")),
            Home::Boxes { .. } => Err(Missing::new(LISTS)),
        }
    }

    /// The value with its elements side by side.
    pub(super) fn dense(&mut self, value: &Value) -> Result<Value, Missing> {
        if let Home::Known(bytes) = &value.home {
            let spot = self.upload(bytes);
            let strides = super::value::dense_strides(&value.dims);
            return Ok(Value {
                home: Home::At(spot, strides),
                ..value.clone()
            });
        }
        if value.is_dense() {
            self.view(value)?;
            return Ok(value.clone());
        }
        if let Some((_, copy)) = self.copies.iter().find(|(held, _)| held.is_same(value)) {
            return Ok(copy.clone());
        }
        if let Some(made) = self.dense_before_cast(value)? {
            self.copies.push((value.clone(), made.clone()));
            return Ok(made);
        }
        let copy = self.make(value.element, &value.dims);
        if !self.written_so(value, &copy) {
            self.copy_into(value, &copy)?;
        }
        self.copies.push((value.clone(), copy.clone()));
        Ok(copy)
    }

    /// Where the value begins once its elements lie side by side.
    pub(super) fn dense_spot(&mut self, value: &Value) -> Result<Spot, Missing> {
        let dense = self.dense(value)?;
        Ok(self.view(&dense)?.0)
    }

    /// Copies a value to where `to` is, which has the same shape.
    pub(super) fn copy_into(&mut self, from: &Value, to: &Value) -> Result<(), Missing> {
        let (source, source_strides) = self.view(from)?;
        let (target, target_strides) = self.view(to)?;
        let (size, strides) = crate::engine::cuda::launch::pointwise::joined(
            &from.dims,
            &[&source_strides, &target_strides],
        );
        let [from_stride, to_stride] = strides.as_slice() else {
            return Ok(());
        };
        let launch = moves::copy(source, target, from.width(), &size, from_stride, to_stride);
        self.push(launch, from.len())
    }

    /// A step; none where there is nothing to do for it (`count` of 0).
    pub(super) fn push(
        &mut self,
        launch: Result<Launch<Spot>, TooLarge>,
        count: usize,
    ) -> Result<(), Missing> {
        let launch = launch?;
        if count > 0 {
            self.push_work(Work::Launch(launch), None);
        }
        Ok(())
    }

    /// A step that what comes later may be joined with, by the value that it makes.
    pub(super) fn push_work(&mut self, work: Work, makes: Option<&Value>) {
        let node = self.node.clone();
        self.drafts.push(Some(Draft { work, node }));
        if let Some(buffer) = makes.and_then(buffer_of) {
            self.makers.insert(buffer, self.drafts.len() - 1);
        }
    }

    /// An address some elements further.
    pub(super) fn further(spot: Spot, elements: i64, width: usize) -> Spot {
        Spot {
            offset: spot.offset + elements * super::call::signed(width),
            ..spot
        }
    }
}

/// The buffer that a value lies in.
pub(super) fn buffer_of(value: &Value) -> Option<usize> {
    match value.home {
        Home::At(
            Spot {
                base: Base::Buffer(buffer),
                ..
            },
            _,
        ) => Some(buffer),
        _ => None,
    }
}

impl Emitter {
    /// Says that the operator itself reads this value, which has no name, just once.
    pub(super) fn used_once(&mut self, value: &Value) {
        if let Some(buffer) = buffer_of(value) {
            self.reads.insert(buffer, 1);
        }
    }
}

impl Emitter {
    /// Has the product that makes a value write it in the order of `copy` at once, where nothing else reads it and
    /// its columns stay side by side.
    fn written_so(&mut self, value: &Value, copy: &Value) -> bool {
        let (Home::At(from, strides), Home::At(to, dense)) = (&value.home, &copy.home) else {
            return false;
        };
        let Some((at, draft)) = self.maker(*from, 1) else {
            return false;
        };
        let Work::Gemm(gemm) = &draft.work else {
            return false;
        };
        let mut gemm = gemm.clone();
        let size = gemm.m * gemm.n * gemm.batches[0] * gemm.batches[1];
        // Each dimension of the product is one of the value's.
        let places = |size: usize, stride: i64| match size {
            1 => Some(0),
            _ => (value.dims.iter().zip(strides).zip(dense))
                .find(|((dim, own), _)| **dim == size && **own == stride)
                .map(|(_, dense)| *dense),
        };
        let d = gemm.d;
        let found = [
            places(gemm.n, 1),
            places(gemm.m, d.row),
            places(gemm.batches[0], d.batch[0]),
            places(gemm.batches[1], d.batch[1]),
        ];
        let [Some(0 | 1), Some(row), Some(inner), Some(outer)] = found else {
            return false;
        };
        if size != value.len()
            || value
                .dims
                .iter()
                .zip(strides)
                .any(|(dim, stride)| *dim > 1 && *stride == 0)
        {
            return false;
        }
        gemm.d.at = *to;
        gemm.d.row = row;
        gemm.d.batch = [inner, outer];
        let node = draft.node.clone();
        self.drop_draft(at);
        let work = Work::Gemm(gemm);
        // What follows cannot be joined with it: its rows are not in the order of a product any more.
        self.drafts.push(Some(Draft { work, node }));
        true
    }

    /// The value somewhere on the device.
    pub(super) fn located(&mut self, value: &Value) -> Result<Value, Missing> {
        let (spot, strides) = self.view(value)?;
        Ok(Value {
            home: Home::At(spot, strides),
            ..value.clone()
        })
    }
}
