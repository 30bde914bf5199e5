//! Signs and words between operands.

use std::ops::Range;

use super::{
    Checker, FormulaError, Measure, Op, Operand, Ty, Typed, literals::Number, measure::Scaling,
};
use crate::graph::formula::ast::{Arithmetic, Comparison, Logic};

impl Checker<'_> {
    /// # Errors
    /// The operand is no number.
    pub(super) fn number(&self, operand: &Operand, what: &str) -> Result<(), FormulaError> {
        let error = |found: &str| {
            FormulaError::new(
                operand.span.clone(),
                format!("{what} wants a number, and this is {found}"),
            )
        };
        match self.ty(operand) {
            Ty::Bool => {
                Err(error("a truth value")
                    .help("a truth value becomes a number with `if(flag, 1, 0)`"))
            }
            Ty::Text => Err(error("text").help("text can only be compared with `==` and `!=`")),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// The operand is no truth value.
    pub(super) fn truth(&self, operand: &Operand, what: &str) -> Result<(), FormulaError> {
        let found = match self.ty(operand) {
            Ty::Bool => return Ok(()),
            Ty::Text => "text",
            _ => "a number",
        };
        Err(FormulaError::new(
            operand.span.clone(),
            format!("{what} wants a truth value, and this is {found}"),
        )
        .help("a comparison gives one: `x > 0`"))
    }

    /// The shape that the operands have together.
    ///
    /// # Errors
    /// Two of them differ, and neither is a single value.
    pub(super) fn shape(&self, operands: &[Operand]) -> Result<Vec<usize>, FormulaError> {
        let single = |shape: &[usize]| matches!(shape, [] | [1]);
        let mut joined: &[usize] = &[];
        for operand in operands {
            let shape = &self.get(operand).shape;
            if single(joined) && (!single(shape) || shape.len() > joined.len()) {
                joined = shape;
            } else if !single(shape) && shape.as_slice() != joined {
                return Err(FormulaError::new(
                    operand.span.clone(),
                    format!("the shapes differ: {joined:?} before, and {shape:?} here"),
                )
                .help(
                    "operands have the same shape, or one is a single value; an element is \
                     `name[2]`",
                ));
            }
        }
        Ok(joined.to_vec())
    }

    pub(super) fn negate(
        &mut self,
        of: &Operand,
        span: &Range<usize>,
    ) -> Result<usize, FormulaError> {
        self.number(of, "`-`")?;
        match self.literal_value(of) {
            Some(Number::Whole(value)) if *self.measure(of) == Measure::Plain => {
                return Ok(self.constant(Op::Integer(-value), Ty::LiteralInt));
            }
            Some(Number::Real(value)) if *self.measure(of) == Measure::Plain => {
                return Ok(self.constant(Op::Float(-value), Ty::LiteralFloat));
            }
            _ => {}
        }
        self.no_offset(of, "changes its sign", span)?;
        Ok(self.map(Op::Negate, of))
    }

    /// A node of the same type, shape and measure as its operand.
    pub(super) fn map(&mut self, op: Op, of: &Operand) -> usize {
        let node = Typed {
            op,
            inputs: vec![of.id],
            ..self.get(of).clone()
        };
        self.push(node)
    }

    pub(super) fn not(&mut self, of: &Operand) -> Result<usize, FormulaError> {
        self.truth(of, "`not`")?;
        Ok(self.map(Op::Not, of))
    }

    pub(super) fn logic(
        &mut self,
        op: Logic,
        left: &Operand,
        right: &Operand,
    ) -> Result<usize, FormulaError> {
        let what = format!("`{}`", op.word());
        self.truth(left, &what)?;
        self.truth(right, &what)?;
        self.truths(Op::Logic(op), &[left.clone(), right.clone()])
    }

    /// A node that gives truth values.
    pub(super) fn truths(&mut self, op: Op, operands: &[Operand]) -> Result<usize, FormulaError> {
        let shape = self.shape(operands)?;
        Ok(self.push(Typed {
            op,
            inputs: operands.iter().map(|operand| operand.id).collect(),
            ty: Ty::Bool,
            shape,
            measure: Measure::Plain,
        }))
    }

    pub(super) fn arithmetic(
        &mut self,
        op: Arithmetic,
        left: &Operand,
        right: &Operand,
        span: &Range<usize>,
    ) -> Result<usize, FormulaError> {
        let what = format!("`{}`", op.sign());
        self.number(left, &what)?;
        self.number(right, &what)?;
        let zero = self.literal_value(right).map(Number::real) == Some(0.0);
        if op == Arithmetic::Modulo && zero {
            return Err(FormulaError::new(
                right.span.clone(),
                "this divides by zero",
            ));
        }
        if let Some(folded) = self.fold(op, left, right, span)? {
            return Ok(folded);
        }
        let scaling = match op {
            Arithmetic::Add | Arithmetic::Subtract => self.measure_of_sum(op, left, right, span)?,
            Arithmetic::Multiply | Arithmetic::Divide => {
                self.measure_of_product(op, left, right, span)?
            }
            Arithmetic::Modulo => {
                self.no_offset(left, "is divided", span)?;
                self.no_offset(right, "divides", span)?;
                self.measure_in_common(&[left.clone(), right.clone()])?
            }
            Arithmetic::Power => self.measure_of_power(left, right, span)?,
        };
        let mut ty = self.ty(left).join(self.ty(right));
        if matches!(op, Arithmetic::Divide | Arithmetic::Power) {
            ty = ty.to_float();
        }
        self.combine(
            Op::Arithmetic(op),
            &[left.clone(), right.clone()],
            ty,
            scaling,
        )
    }

    /// A node of numbers that all have one type, after their units were made one.
    pub(super) fn combine(
        &mut self,
        op: Op,
        operands: &[Operand],
        ty: Ty,
        scaling: Scaling,
    ) -> Result<usize, FormulaError> {
        let ty = if scaling.any() { ty.to_float() } else { ty };
        let shape = self.shape(operands)?;
        let inputs = self.in_one_type(operands, ty, &scaling)?;
        Ok(self.push(Typed {
            op,
            inputs: inputs.iter().map(|operand| operand.id).collect(),
            ty,
            shape,
            measure: scaling.measure,
        }))
    }

    /// The operands in this type and converted.
    pub(super) fn in_one_type(
        &mut self,
        operands: &[Operand],
        ty: Ty,
        scaling: &Scaling,
    ) -> Result<Vec<Operand>, FormulaError> {
        let mut inputs = Vec::with_capacity(operands.len());
        for (place, operand) in operands.iter().enumerate() {
            let typed = self.coerce(operand, ty)?;
            inputs.push(match scaling.by.get(place).copied().flatten() {
                Some(by) => self.scale(&typed, by),
                None => typed,
            });
        }
        Ok(inputs)
    }

    /// `a < b <= c` is `a < b and b <= c`.
    pub(super) fn compare(
        &mut self,
        operands: &[Operand],
        ops: &[Comparison],
        span: &Range<usize>,
    ) -> Result<usize, FormulaError> {
        let mut all: Option<Operand> = None;
        for (pair, op) in std::iter::zip(operands.windows(2), ops) {
            let [left, right] = pair else { continue };
            let id = self.compare_two(*op, left, right)?;
            let this = Operand {
                id,
                span: left.span.start..right.span.end,
            };
            let id = match &all {
                Some(before) => {
                    self.truths(Op::Logic(Logic::And), &[before.clone(), this.clone()])?
                }
                None => id,
            };
            all = Some(Operand { id, ..this });
        }
        all.map(|all| all.id)
            .ok_or_else(|| FormulaError::new(span.clone(), "nothing is compared: this is a bug"))
    }

    fn compare_two(
        &mut self,
        op: Comparison,
        left: &Operand,
        right: &Operand,
    ) -> Result<usize, FormulaError> {
        let span = left.span.start..right.span.end;
        let (a, b) = (self.ty(left), self.ty(right));
        let both = [left.clone(), right.clone()];
        if a.is_number() && b.is_number() {
            let scaling = self.measure_in_common(&both)?;
            let mut ty = a.join_to_compare(b);
            if scaling.any() && ty == Ty::Int {
                ty = Ty::F64;
            } else if scaling.any() {
                ty = ty.to_float();
            }
            // Literals alone: no result shows their type.
            let ty = if ty.is_literal() { ty.settled() } else { ty };
            let both = self.in_one_type(&both, ty, &scaling)?;
            return self.truths(Op::Compare(op), &both);
        }
        if a != b {
            return Err(FormulaError::new(
                span,
                format!("{} is compared with {}", described(a), described(b)),
            )
            .help(match (a, b) {
                (Ty::Text, _) | (_, Ty::Text) => "text is compared with text: `crop == 'maize'`",
                _ => "a truth value becomes a number with `if(flag, 1, 0)`",
            }));
        }
        if !op.is_equality() {
            return Err(
                FormulaError::new(span, format!("{} has no order", described(a)))
                    .help("it can be compared with `==` and `!=`"),
            );
        }
        let fixed = |operand: &Operand| matches!(self.get(operand).op, Op::Text(_));
        if fixed(left) && fixed(right) {
            return Err(FormulaError::new(span, "two fixed texts are compared")
                .help("a column is written without quotes, or in backticks"));
        }
        self.truths(Op::Compare(op), &both)
    }
}

fn described(ty: Ty) -> &'static str {
    match ty {
        Ty::Bool => "a truth value",
        Ty::Text => "text",
        _ => "a number",
    }
}
