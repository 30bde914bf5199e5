//! Numbers of single precision as numbers of sixteen bits, for products that are multiplied as such.
//!
//! A product in sixteen bits gives its result as the graph has it: in single precision, by a program behind it that
//! converts. Where another product reads that, the conversions there and back are left out, and what is in between is moved as
//! it is.

use bytes::Bytes;

use super::{
    Missing,
    emit::{Emitter, Work, buffer_of},
    fuse::spread,
    ops::elementwise::converted,
    value::{Home, Value, dense_strides},
};
use crate::{
    engine::cuda::launch::{
        Base, Spot,
        pointwise::{Operand, Program},
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
                home: Home::Known(rounded(bytes, to)),
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
        let bytes = rounded(&self.constants.get(index)?.bytes, to);
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

/// Numbers of single precision, rounded to sixteen bits.
fn rounded(singles: &[u8], to: Element) -> Bytes {
    let round = if to == Element::Bfloat16 {
        bfloat
    } else {
        half
    };
    let cells = singles.as_chunks().0.iter();
    cells
        .flat_map(|cell| round(f32::from_le_bytes(*cell)).to_le_bytes())
        .collect()
}

/// Drops the lowest `places` bits, to the nearest; from the middle to the even one.
fn shortened(bits: u32, places: u32) -> u32 {
    let half = (1_u32 << (places - 1)) - 1 + ((bits >> places) & 1);
    (bits + half) >> places
}

fn low(bits: u32) -> u16 {
    u16::try_from(bits & 0xFFFF).unwrap_or(0)
}

fn bfloat(value: f32) -> u16 {
    if value.is_nan() {
        return 0x7FC0;
    }
    low(shortened(value.to_bits(), 16))
}

fn half(value: f32) -> u16 {
    // The smallest that rounds to more than the largest, 65504.
    const TOO_LARGE: u32 = 0x477F_F000;
    // 2^-14, below which the steps stay the same.
    const NORMAL: u32 = 0x3880_0000;
    let sign = low(value.to_bits() >> 16) & 0x8000;
    let size = value.to_bits() & 0x7FFF_FFFF;
    let magnitude = if value.is_nan() {
        0x7E00
    } else if size >= TOO_LARGE {
        0x7C00
    } else if size >= NORMAL {
        // The exponents begin 112 apart.
        low(shortened(size - (112 << 23), 13))
    } else {
        // Steps of 2^-24. Adding what has that as its last place rounds as the processor does, to the even one.
        let moved = f32::from_bits(size) + 0.5;
        low(moved.to_bits() - 0.5_f32.to_bits())
    };
    sign | magnitude
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "rounding is exact")]

    use proptest::prelude::*;

    use super::*;
    use crate::graph::tensor::{Data, Raw, Values};

    fn number(bits: u16, element: Element) -> f64 {
        let raw = Raw {
            element,
            shape: vec![],
            data: Data::Packed(bits.to_le_bytes().to_vec().into()),
        };
        let Values::Float(values) = raw.decode().values else {
            panic!("{element:?}")
        };
        values[0]
    }

    fn neighbours(bits: u16, element: Element) -> [f64; 3] {
        [bits.wrapping_sub(1), bits, bits.wrapping_add(1)].map(|bits| number(bits, element))
    }

    fn is_nearest(value: f32, bits: u16, element: Element) -> bool {
        let value = f64::from(value);
        let [before, rounded, after] = neighbours(bits, element);
        if !rounded.is_finite() {
            return false;
        }
        let off = (rounded - value).abs();
        [before, after].iter().all(|other| {
            let theirs = (other - value).abs();
            // NaN beside the largest, or beside zero with its sign.
            !other.is_finite()
                || off < theirs
                || off == theirs && bits.is_multiple_of(2)
                || other == &rounded
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn the_nearest_number_is_taken(bits in any::<u32>(), scale in -30i32..17) {
            let fraction = f32::from_bits(bits & 0x007F_FFFF | 0x3F80_0000);
            let sign = if bits >> 31 == 1 { -1.0 } else { 1.0 };
            let value = sign * fraction * 2f32.powi(scale);
            prop_assert!(is_nearest(value, bfloat(value), Element::Bfloat16), "{value}");
            if value.abs() < 65_520.0 {
                prop_assert!(is_nearest(value, half(value), Element::Float16), "{value} {:x}", half(value));
            } else {
                prop_assert_eq!(half(value) & 0x7FFF, 0x7C00);
            }
        }
    }

    #[test]
    fn every_half_stays_what_it_is() {
        for bits in 0..=u16::MAX {
            for (element, round) in [
                (Element::Float16, half as fn(f32) -> u16),
                (Element::Bfloat16, bfloat),
            ] {
                #[allow(clippy::cast_possible_truncation, reason = "it is one")]
                let value = number(bits, element) as f32;
                if value.is_nan() {
                    assert!(number(round(value), element).is_nan());
                } else {
                    assert_eq!(round(value), bits, "{value}");
                }
            }
        }
    }

    #[test]
    fn what_is_beyond_is_infinite_and_the_middle_goes_to_the_even_one() {
        assert_eq!(half(65_519.9), 0x7BFF);
        assert_eq!(half(65_520.0), 0x7C00);
        assert_eq!(half(f32::NEG_INFINITY), 0xFC00);
        assert_eq!(half(-0.0), 0x8000);
        assert_eq!(half(2f32.powi(-25)), 0);
        assert_eq!(half(1.0 + 2f32.powi(-11)), 0x3C00);
        assert_eq!(half(1.0 + 3.0 * 2f32.powi(-11)), 0x3C02);
        assert_eq!(bfloat(f32::MAX), 0x7F80);
        assert_eq!(bfloat(1.0 + 2f32.powi(-8)), 0x3F80);
    }
}
