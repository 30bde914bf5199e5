//! Operators between numbers.

use super::{Emitter, Op, Ty, Typed};
use crate::graph::{build::Attr, formula::ast::Arithmetic};

impl Emitter<'_> {
    pub(super) fn arithmetic(&mut self, op: Arithmetic, node: &Typed, inputs: &[&str]) -> String {
        match op {
            Arithmetic::Add => self.op("Add", inputs),
            Arithmetic::Subtract => self.op("Sub", inputs),
            Arithmetic::Multiply => self.op("Mul", inputs),
            Arithmetic::Divide => self.op("Div", inputs),
            Arithmetic::Power => self.op("Pow", inputs),
            Arithmetic::Modulo => {
                let [left, right] = inputs else {
                    return String::new();
                };
                let by = node.inputs.get(1).map(|id| &self.outcome.nodes[*id].op);
                match (node.ty, by) {
                    (Ty::Int, by) => {
                        let safe =
                            matches!(by, Some(Op::Integer(value)) if !matches!(value, 0 | -1));
                        self.modulo_whole(left, right, safe)
                    }
                    (_, Some(Op::Float(by))) if *by > 0.0 => {
                        self.modulo_positive(node.ty, left, right)
                    }
                    (ty, _) => self.modulo(ty, left, right),
                }
            }
        }
    }

    /// `Mod` of whole numbers has the sign of the divisor. By 0, and the smallest number by -1, it
    /// would end the process: the processor traps. Both give 0 here, as by 1.
    fn modulo_whole(&mut self, left: &str, right: &str, safe: bool) -> String {
        if safe {
            return self.op("Mod", &[left, right]);
        }
        let (zero, minus_one, one) = (self.whole(0), self.whole(-1), self.whole(1));
        let is_zero = self.op("Equal", &[right, &zero]);
        let is_minus_one = self.op("Equal", &[right, &minus_one]);
        let traps = self.op("Or", &[&is_zero, &is_minus_one]);
        let by = self.op("Where", &[&traps, &one, right]);
        self.op("Mod", &[left, &by])
    }

    /// The remainder of floats that C knows: it has the sign of the dividend.
    fn remainder(&mut self, left: &str, right: &str) -> String {
        self.graph
            .node("Mod", &[left, right], vec![("fmod", Attr::Int(1))])
    }

    fn modulo_positive(&mut self, ty: Ty, left: &str, right: &str) -> String {
        let rest = self.remainder(left, right);
        let zero = self.number(ty, 0.0);
        let negative = self.op("Less", &[&rest, &zero]);
        let moved = self.op("Add", &[&rest, right]);
        self.op("Where", &[&negative, &moved, &rest])
    }

    fn modulo(&mut self, ty: Ty, left: &str, right: &str) -> String {
        let rest = self.remainder(left, right);
        let zero = self.number(ty, 0.0);
        let rest_negative = self.op("Less", &[&rest, &zero]);
        let by_negative = self.op("Less", &[right, &zero]);
        let differ = self.op("Xor", &[&rest_negative, &by_negative]);
        let exact = self.op("Equal", &[&rest, &zero]);
        let inexact = self.op("Not", &[&exact]);
        let wrong = self.op("And", &[&differ, &inexact]);
        let moved = self.op("Add", &[&rest, right]);
        self.op("Where", &[&wrong, &moved, &rest])
    }
}
