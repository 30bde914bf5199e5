//! Numbers take the type of what they meet: casts of columns, and literals that become what they
//! were meant to be, so that `0.1 * x` is exact for an f64 `x`.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use super::{Checker, FormulaError, Measure, Op, Operand, Ty, Typed};
use crate::graph::formula::ast::Arithmetic;

impl Checker<'_> {
    /// The operand in this type, which must have room for it.
    pub(super) fn coerce(&mut self, operand: &Operand, ty: Ty) -> Result<Operand, FormulaError> {
        let from = self.ty(operand);
        let id = if from == ty {
            operand.id
        } else if from.is_literal() {
            self.give_type(operand, ty)?
        } else {
            let node = self.get(operand);
            let cast = Typed {
                op: Op::Cast,
                inputs: vec![operand.id],
                ty,
                shape: node.shape.clone(),
                measure: node.measure.clone(),
            };
            self.push(cast)
        };
        Ok(Operand {
            id,
            span: operand.span.clone(),
        })
    }

    /// Writes everything that `operand` is made of again, in the type that it turned out to have.
    fn give_type(&mut self, operand: &Operand, ty: Ty) -> Result<usize, FormulaError> {
        let mut reached = BTreeSet::from([operand.id]);
        let mut next = vec![operand.id];
        while let Some(id) = next.pop() {
            for &input in &self.nodes[id].inputs {
                if self.nodes[input].ty.is_literal() && reached.insert(input) {
                    next.push(input);
                }
            }
        }
        // Inputs lie before what uses them.
        let mut new: HashMap<usize, usize> = HashMap::new();
        for id in reached {
            let mut node = self.nodes[id].clone();
            node.ty = ty;
            for input in &mut node.inputs {
                *input = new.get(input).copied().unwrap_or(*input);
            }
            node.op = literal(node.op, ty, &operand.span)?;
            let place = self.push(node);
            new.insert(id, place);
        }
        Ok(new.get(&operand.id).copied().unwrap_or(operand.id))
    }

    /// The value of a literal.
    pub(super) fn literal_value(&self, operand: &Operand) -> Option<Number> {
        match (&self.get(operand).op, self.ty(operand)) {
            (Op::Integer(value), Ty::LiteralInt) => Some(Number::Whole(*value)),
            (Op::Float(value), Ty::LiteralFloat) => Some(Number::Real(*value)),
            _ => None,
        }
    }

    /// The result of an operator on two literals, worked out here and now; `None` where that is
    /// not exact or not simple.
    ///
    /// # Errors
    /// The result is no number that fits.
    pub(super) fn fold(
        &mut self,
        op: Arithmetic,
        left: &Operand,
        right: &Operand,
        span: &Range<usize>,
    ) -> Result<Option<usize>, FormulaError> {
        let plain = |operand| *self.measure(operand) == Measure::Plain;
        let (Some(a), Some(b)) = (self.literal_value(left), self.literal_value(right)) else {
            return Ok(None);
        };
        if !plain(left) || !plain(right) {
            return Ok(None);
        }
        let too_large =
            || FormulaError::new(span.clone(), "the result of these numbers is too large");
        if let (Number::Whole(a), Number::Whole(b)) = (a, b) {
            let whole = match op {
                Arithmetic::Add => Some(a.checked_add(b)),
                Arithmetic::Subtract => Some(a.checked_sub(b)),
                Arithmetic::Multiply => Some(a.checked_mul(b)),
                _ => None,
            };
            if let Some(whole) = whole {
                let value = whole.ok_or_else(|| {
                    too_large().help("whole numbers have 64 bits; with `.0` it is a float")
                })?;
                return Ok(Some(self.constant(Op::Integer(value), Ty::LiteralInt)));
            }
        }
        let (a, b) = (a.real(), b.real());
        let value = match op {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            Arithmetic::Divide if b == 0.0 => {
                return Err(FormulaError::new(span.clone(), "this divides by zero"));
            }
            Arithmetic::Divide => a / b,
            Arithmetic::Modulo | Arithmetic::Power => return Ok(None),
        };
        if !value.is_finite() {
            return Err(too_large());
        }
        Ok(Some(self.constant(Op::Float(value), Ty::LiteralFloat)))
    }
}

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    pub(super) fn real(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Real(value) => value,
        }
    }
}

/// The operator of a node that was made of literals, in its final type.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what does not fit is an error"
)]
fn literal(op: Op, ty: Ty, span: &Range<usize>) -> Result<Op, FormulaError> {
    let value = match op {
        Op::Integer(value) if ty.is_float() => value as f64,
        Op::Float(value) => value,
        other => return Ok(other),
    };
    let narrow = value as f32;
    if ty == Ty::F32 && (narrow.is_infinite() || (narrow == 0.0 && value != 0.0)) {
        let size = if narrow == 0.0 { "small" } else { "large" };
        return Err(FormulaError::new(
            span.clone(),
            format!("{value:?} is too {size} for the type f32 that it meets here"),
        )
        .help("`f64(x)` makes f64 of a column"));
    }
    Ok(Op::Float(value))
}
