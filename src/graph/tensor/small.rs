//! Numbers of 16, 8 and 4 bits as `f64`, which holds each of them exactly.
//!
//! After IEEE 754 for half precision, <https://onnx.ai/onnx/technical/float8.html> and
//! <https://onnx.ai/onnx/technical/float4.html> for the rest.

/// What the largest exponent stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Top {
    /// Infinity and NaN, as in IEEE 754.
    Ieee,
    /// Numbers, but for the very last code, which is NaN.
    LastIsNan,
    /// Numbers; what would be minus zero is NaN.
    MinusZeroIsNan,
    /// Numbers.
    Numbers,
}

/// How a small number is made up: sign (where there is one), exponent, mantissa.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    exponent: u32,
    mantissa: u32,
    bias: i32,
    top: Top,
    signed: bool,
}

const fn format(exponent: u32, mantissa: u32, bias: i32, top: Top) -> Format {
    Format {
        exponent,
        mantissa,
        bias,
        top,
        signed: true,
    }
}

pub(super) const FLOAT16: Format = format(5, 10, 15, Top::Ieee);
pub(super) const BFLOAT16: Format = format(8, 7, 127, Top::Ieee);
pub(super) const FLOAT8E4M3FN: Format = format(4, 3, 7, Top::LastIsNan);
pub(super) const FLOAT8E4M3FNUZ: Format = format(4, 3, 8, Top::MinusZeroIsNan);
pub(super) const FLOAT8E5M2: Format = format(5, 2, 15, Top::Ieee);
pub(super) const FLOAT8E5M2FNUZ: Format = format(5, 2, 16, Top::MinusZeroIsNan);
pub(super) const FLOAT4E2M1: Format = format(2, 1, 1, Top::Numbers);
pub(super) const FLOAT8E8M0: Format = Format {
    signed: false,
    ..format(8, 0, 127, Top::LastIsNan)
};

/// The number that `bits` (in the lowest places) stand for.
pub(super) fn number(bits: u32, format: Format) -> f64 {
    let Format {
        exponent: e,
        mantissa: m,
        bias,
        top,
        signed,
    } = format;
    let mantissa = bits & ((1 << m) - 1);
    let exponent = (bits >> m) & ((1 << e) - 1);
    let negative = signed && (bits >> (m + e)) & 1 == 1;
    let last = exponent == (1 << e) - 1;
    let full = mantissa == (1 << m) - 1;
    let size = match top {
        Top::Ieee if last && mantissa == 0 => f64::INFINITY,
        Top::Ieee if last => f64::NAN,
        Top::LastIsNan if last && full => f64::NAN,
        Top::MinusZeroIsNan if negative && exponent == 0 && mantissa == 0 => f64::NAN,
        _ => {
            let unit = 1.0 / f64::from(1u32 << m);
            // Without a sign there is no zero, and the smallest exponent is like the others.
            let below = signed && exponent == 0;
            let fraction = f64::from(mantissa) * unit + if below { 0.0 } else { 1.0 };
            let power = exponent.cast_signed() - bias + i32::from(below);
            fraction * f64::from(power).exp2()
        }
    };
    if negative { -size } else { size }
}
