//! Numbers of single precision as numbers of sixteen bits.

use bytes::Bytes;

use super::Element;

/// Numbers of single precision, little-endian, rounded to the nearest of sixteen bits: [`Element::Bfloat16`], else
/// [`Element::Float16`].
pub fn shortened(singles: &[u8], to: Element) -> Bytes {
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
fn without_lowest(bits: u32, places: u32) -> u32 {
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
    low(without_lowest(value.to_bits(), 16))
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
        low(without_lowest(size - (112 << 23), 13))
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
