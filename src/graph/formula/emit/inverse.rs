//! Functions of f64 for which ONNX Runtime has no kernel, made of those that it has.

use std::f64::consts::{FRAC_PI_2, PI};

use super::{Emitter, Ty};
use crate::contract::Dtype;

impl Emitter<'_> {
    pub(super) fn tan(&mut self, of: &str) -> String {
        let sine = self.op("Sin", &[of]);
        let cosine = self.op("Cos", &[of]);
        self.op("Div", &[&sine, &cosine])
    }

    /// Half of `expm1(x) - expm1(-x)`: the two have opposite signs, so no digits are lost.
    pub(super) fn sinh(&mut self, of: &str) -> String {
        let negative = self.op("Neg", &[of]);
        let up = self.expm1(Ty::F64, of);
        let down = self.expm1(Ty::F64, &negative);
        let both = self.op("Sub", &[&up, &down]);
        self.half(&both)
    }

    pub(super) fn cosh(&mut self, of: &str) -> String {
        let negative = self.op("Neg", &[of]);
        let up = self.op("Exp", &[of]);
        let down = self.op("Exp", &[&negative]);
        let both = self.op("Add", &[&up, &down]);
        self.half(&both)
    }

    fn half(&mut self, of: &str) -> String {
        let half = self.number(Ty::F64, 0.5);
        self.op("Mul", &[of, &half])
    }

    /// The arctangent in f32, and one step towards the exact one: with `y` near `atan(z)`,
    /// `atan(z) = y + atan((z - tan y) / (1 + z tan y))`, and the argument on the right is so small
    /// (1e-7) that it is its own arctangent. Beyond 1 it is `pi/2 - atan(1/x)`.
    pub(super) fn atan(&mut self, of: &str) -> String {
        let one = self.number(Ty::F64, 1.0);
        let size = self.op("Abs", &[of]);
        let beyond = self.op("Greater", &[&size, &one]);
        let inverse = self.op("Reciprocal", &[of]);
        let z = self.op("Where", &[&beyond, &inverse, of]);
        let narrow = self.cast(&z, Dtype::F32);
        let narrow = self.op("Atan", &[&narrow]);
        let near = self.cast(&narrow, Dtype::F64);
        let sine = self.op("Sin", &[&near]);
        let cosine = self.op("Cos", &[&near]);
        let z_cosine = self.op("Mul", &[&z, &cosine]);
        let z_sine = self.op("Mul", &[&z, &sine]);
        let above = self.op("Sub", &[&z_cosine, &sine]);
        let below = self.op("Add", &[&cosine, &z_sine]);
        let step = self.op("Div", &[&above, &below]);
        let angle = self.op("Add", &[&near, &step]);
        let quarter = self.number(Ty::F64, FRAC_PI_2);
        let sign = self.op("Sign", &[of]);
        let quarter = self.op("Mul", &[&sign, &quarter]);
        let other = self.op("Sub", &[&quarter, &angle]);
        self.op("Where", &[&beyond, &other, &angle])
    }

    /// `atan(x / sqrt((1 - x) (1 + x)))`.
    pub(super) fn asin(&mut self, of: &str) -> String {
        let one = self.number(Ty::F64, 1.0);
        let less = self.op("Sub", &[&one, of]);
        let more = self.op("Add", &[&one, of]);
        let product = self.op("Mul", &[&less, &more]);
        let root = self.op("Sqrt", &[&product]);
        let tangent = self.op("Div", &[of, &root]);
        self.atan(&tangent)
    }

    /// `2 atan(sqrt((1 - x) / (1 + x)))`.
    pub(super) fn acos(&mut self, of: &str) -> String {
        let one = self.number(Ty::F64, 1.0);
        let less = self.op("Sub", &[&one, of]);
        let more = self.op("Add", &[&one, of]);
        let quotient = self.op("Div", &[&less, &more]);
        let tangent = self.op("Sqrt", &[&quotient]);
        let angle = self.atan(&tangent);
        let doubled = self.op("Add", &[&angle, &angle]);
        // Rounding must not take it beyond half a turn.
        let most = self.number(Ty::F64, PI);
        self.op("Min", &[&doubled, &most])
    }
}
