//! Numbers of single precision as numbers of sixteen bits, for products that are multiplied as such.
//!
//! A product in sixteen bits gives its result as the graph has it: in single precision, by a program behind it that
//! converts. Where another product reads that, the conversions there and back are left out, and what is in between is moved as
//! it is. A convolution takes and gives single precision; its filters are converted.

use super::{
    Missing,
    emit::{Emitter, Work, buffer_of},
    fuse::spread,
    ops::elementwise::converted,
    value::{Home, Value, dense_strides},
};
use crate::{
    engine::cuda::{
        launch::{
            Base, Spot,
            conv::Conv,
            pointwise::{Operand, Program},
        },
        product::Math,
    },
    graph::tensor::Element,
};

impl Emitter {
    /// The type that sides of products in single precision are converted to, where there is one.
    pub(super) fn half(&self) -> Option<Element> {
        Some(self.products.math.element()).filter(|element| *element != Element::Float32)
    }

    /// A value of single precision as one of sixteen bits. What is known is converted now; what is not, on the device, once
    /// for all products that want it.
    pub(super) fn as_half(&mut self, value: &Value, to: Element) -> Result<Value, Missing> {
        if let Home::Known(bytes) = &value.home {
            return Ok(Value {
                element: to,
                home: Home::Known(self.known.shortened(bytes, to)),
                ..value.clone()
            });
        }
        if let Some(made) = self.halves.iter().find(|(held, _)| held.is_same(value)) {
            return Ok(made.1.clone());
        }
        let made = match self.before_cast(value, to) {
            Some(before) => before,
            None => match self.whole_as_half(value, to)? {
                Some(view) => view,
                None => converted(self, value, to)?,
            },
        };
        // The library has one dimension of batches, which is seldom enough for views.
        let made = if self.products.library {
            self.dense(&made)?
        } else {
            made
        };
        self.halves.push((value.clone(), made.clone()));
        Ok(made)
    }

    /// The program that makes the buffer of a value, and its place.
    fn program_behind(&self, value: &Value) -> Option<(usize, &Program)> {
        let maker = *self.makers.get(&buffer_of(value)?)?;
        match &self.drafts.get(maker)?.as_ref()?.work {
            Work::Program(program, _) => Some((maker, program)),
            _ => None,
        }
    }

    fn is_read_once(&self, value: &Value) -> bool {
        buffer_of(value).and_then(|buffer| self.reads.get(&buffer)) == Some(&1)
    }

    /// What a value was before it was converted from this type, seen in the same way; where nothing else reads the converted
    /// one, it is not made.
    fn before_cast(&mut self, value: &Value, from: Element) -> Option<Value> {
        let (at, strides) = match &value.home {
            Home::At(at, strides) => (*at, strides.clone()),
            _ => return None,
        };
        let (maker, program) = self.program_behind(value)?;
        let [input] = program.inputs.as_slice() else {
            return None;
        };
        let dense = spread(&program.dims, &program.dims, &dense_strides(&program.dims));
        let converts = program.instructions.is_empty() && program.outputs.len() == 1;
        if !converts || input.element != from || input.stride != dense {
            return None;
        }
        let input = input.at;
        if self.is_read_once(value) {
            self.drop_draft(maker);
        } else if let Base::Buffer(buffer) = input.base {
            // The program and whoever asks.
            *self.reads.entry(buffer).or_default() += 1;
        }
        let spot = Spot {
            offset: input.offset + at.offset / 2,
            ..input
        };
        Some(Value {
            element: from,
            home: Home::At(spot, strides),
            ..value.clone()
        })
    }

    /// A value that is a view of what a program makes for it alone: that as a whole in sixteen bits, seen in the same way. The
    /// program then gives these at once.
    fn whole_as_half(&mut self, value: &Value, to: Element) -> Result<Option<Value>, Missing> {
        let Home::At(at, strides) = &value.home else {
            return Ok(None);
        };
        if value.is_dense() || !self.is_read_once(value) {
            return Ok(None);
        }
        let Some((_, program)) = self.program_behind(value) else {
            return Ok(None);
        };
        let (dims, one) = (program.dims.clone(), program.outputs.len() == 1);
        if !one || dims.iter().product::<usize>() != value.len() {
            return Ok(None);
        }
        let whole = Value::dense_at(value.element, &dims, at.base);
        let whole = converted(self, &whole, to)?;
        let Home::At(made, _) = whole.home else {
            return Ok(None);
        };
        self.used_once(&whole);
        let spot = Spot {
            offset: made.offset + at.offset / 2,
            ..made
        };
        Ok(Some(Value {
            element: to,
            home: Home::At(spot, strides.clone()),
            ..value.clone()
        }))
    }

    /// The elements of a value that was converted from sixteen bits side by side: moved before they are converted.
    pub(super) fn dense_before_cast(&mut self, value: &Value) -> Result<Option<Value>, Missing> {
        let Some(half) = self.half().filter(|_| self.is_read_once(value)) else {
            return Ok(None);
        };
        let Some(before) = self.before_cast(value, half) else {
            return Ok(None);
        };
        let moved = self.dense(&before)?;
        self.used_once(&moved);
        converted(self, &moved, value.element).map(Some)
    }

    /// A convolution as it is done, and what it is multiplied as: what products are, with filters of that type. In sixteen bits
    /// only where they are known; pictures stay in single precision, and are rounded as they are read.
    pub(super) fn convolved_as(&mut self, conv: Conv) -> (Conv, Math) {
        if !conv.fits_tensor_cores() {
            return (conv, Math::Single);
        }
        let math = self.products.math;
        let Some(half) = self.half() else {
            return (conv, math);
        };
        let known = match conv.w.base {
            Base::Constant(index) => self.constants.get(index),
            _ => None,
        };
        let Some(bytes) = known.map(|held| self.known.shortened(&held.bytes, half)) else {
            return (conv, Math::Single);
        };
        let w = Spot {
            // Half as wide, so half as far.
            offset: conv.w.offset / 2,
            ..self.upload(&bytes)
        };
        (Conv { w, ..conv }, math)
    }

    /// The operand in this type, where it has it or is a constant of single precision, which is then converted now.
    pub(super) fn operand_as(&mut self, operand: &Operand, to: Element) -> Option<Operand> {
        if operand.element == to {
            return Some(operand.clone());
        }
        let (Element::Float32, Element::Float16 | Element::Bfloat16) = (operand.element, to) else {
            return None;
        };
        let Base::Constant(index) = operand.at.base else {
            return None;
        };
        let bytes = (self.known).shortened(&self.constants.get(index)?.bytes, to);
        Some(Operand {
            at: Spot {
                // Half as wide, so half as far.
                offset: operand.at.offset / 2,
                ..self.upload(&bytes)
            },
            element: to,
            stride: operand.stride.clone(),
        })
    }
}
