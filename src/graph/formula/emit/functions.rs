//! Functions, most of them one node.

use super::{Emitter, Ty, Typed};
use crate::{contract::Dtype, graph::formula::typed::Function};

impl Emitter<'_> {
    pub(super) fn function(&mut self, function: Function, node: &Typed, inputs: &[&str]) -> String {
        let first = inputs.first().copied().unwrap_or_default();
        let wide = node.ty == Ty::F64;
        match function {
            Function::If => self.choose(node.ty, inputs),
            Function::Min => self.op("Min", inputs),
            Function::Max => self.op("Max", inputs),
            Function::Clip => {
                let [of, low, high] = inputs else {
                    return String::new();
                };
                let raised = self.op("Max", &[of, low]);
                self.op("Min", &[&raised, high])
            }
            Function::Coalesce => self.coalesce(inputs),
            Function::IsNan => self.op("IsNaN", inputs),
            Function::Abs => self.op("Abs", inputs),
            Function::Sign => self.op("Sign", inputs),
            Function::Floor => self.op("Floor", inputs),
            Function::Ceil => self.op("Ceil", inputs),
            Function::Round => self.op("Round", inputs),
            Function::Sqrt => self.op("Sqrt", inputs),
            Function::Exp => self.op("Exp", inputs),
            Function::Expm1 => self.expm1(node.ty, first),
            Function::Log => self.op("Log", inputs),
            Function::Log2 => self.log_of_base(node.ty, 2.0, first),
            Function::Log10 => self.log_of_base(node.ty, 10.0, first),
            Function::Log1p => self.log1p(node.ty, first),
            Function::Sin => self.op("Sin", inputs),
            Function::Cos => self.op("Cos", inputs),
            Function::Tanh => self.op("Tanh", inputs),
            // ONNX Runtime has these for f32 alone.
            Function::Tan if wide => self.tan(first),
            Function::Asin if wide => self.asin(first),
            Function::Acos if wide => self.acos(first),
            Function::Atan if wide => self.atan(first),
            Function::Sinh if wide => self.sinh(first),
            Function::Cosh if wide => self.cosh(first),
            Function::Tan => self.op("Tan", inputs),
            Function::Asin => self.op("Asin", inputs),
            Function::Acos => self.op("Acos", inputs),
            Function::Atan => self.op("Atan", inputs),
            Function::Sinh => self.op("Sinh", inputs),
            Function::Cosh => self.op("Cosh", inputs),
            // The check makes casts, powers and conversions of them.
            Function::Pow => self.op("Pow", inputs),
            Function::F32 | Function::F64 | Function::Number | Function::Unit => first.to_owned(),
        }
    }

    fn choose(&mut self, ty: Ty, inputs: &[&str]) -> String {
        let [condition, yes, no] = inputs else {
            return String::new();
        };
        if ty != Ty::Bool {
            return self.op("Where", inputs);
        }
        // ONNX Runtime has no `Where` of truth values.
        let if_true = self.op("And", &[condition, yes]);
        let otherwise = self.op("Not", &[condition]);
        let if_false = self.op("And", &[&otherwise, no]);
        self.op("Or", &[&if_true, &if_false])
    }

    fn coalesce(&mut self, inputs: &[&str]) -> String {
        let mut backwards = inputs.iter().rev();
        let mut result = backwards
            .next()
            .map_or_else(String::new, |last| (*last).to_owned());
        for input in backwards {
            let missing = self.op("IsNaN", &[input]);
            result = self.op("Where", &[&missing, &result, input]);
        }
        result
    }

    /// `exp(x) - 1` without losing the digits of a small `x`: `(u - 1) * x / log(u)` with
    /// `u = exp(x)` (W. Kahan; see N. Higham, "Accuracy and Stability of Numerical Algorithms",
    /// 2nd edition, section 1.14.1).
    pub(super) fn expm1(&mut self, ty: Ty, of: &str) -> String {
        let one = self.number(ty, 1.0);
        let u = self.op("Exp", &[of]);
        let less = self.op("Sub", &[&u, &one]);
        let log = self.op("Log", &[&u]);
        let correction = self.op("Div", &[of, &log]);
        let corrected = self.op("Mul", &[&less, &correction]);
        let size = self.op("Abs", &[of]);
        let is_small = self.op("Less", &[&size, &one]);
        let is_tiny = self.op("Equal", &[&u, &one]);
        let result = self.op("Where", &[&is_small, &corrected, &less]);
        self.op("Where", &[&is_tiny, of, &result])
    }

    /// `log(1 + x)` without losing the digits of a small `x`: `log(u) * x / (u - 1)` with
    /// `u = 1 + x` (D. Goldberg, "What every computer scientist should know about floating-point
    /// arithmetic", 1991, theorem 4).
    fn log1p(&mut self, ty: Ty, of: &str) -> String {
        let one = self.number(ty, 1.0);
        let u = self.op("Add", &[of, &one]);
        let log = self.op("Log", &[&u]);
        let less = self.op("Sub", &[&u, &one]);
        let correction = self.op("Div", &[of, &less]);
        let corrected = self.op("Mul", &[&log, &correction]);
        let is_tiny = self.op("Equal", &[&u, &one]);
        // Infinity, among others, where the correction is not a number.
        let is_huge = self.op("Equal", &[&u, of]);
        let result = self.op("Where", &[&is_huge, &log, &corrected]);
        self.op("Where", &[&is_tiny, of, &result])
    }

    /// A quotient of logarithms in f64, which f32 rounds to the nearest; where f64 is asked for,
    /// the log of a whole power of the base is made whole.
    fn log_of_base(&mut self, ty: Ty, base: f64, of: &str) -> String {
        let wide = if ty == Ty::F64 {
            of.to_owned()
        } else {
            self.cast(of, Dtype::F64)
        };
        let log = self.op("Log", &[&wide]);
        let log_of_base = self.number(Ty::F64, base.ln());
        let quotient = self.op("Div", &[&log, &log_of_base]);
        if ty != Ty::F64 {
            return self.cast(&quotient, ty.dtype());
        }
        let base = self.number(Ty::F64, base);
        let whole = self.op("Round", &[&quotient]);
        let power = self.op("Pow", &[&base, &whole]);
        let is_whole = self.op("Equal", &[&power, of]);
        self.op("Where", &[&is_whole, &whole, &quotient])
    }
}
