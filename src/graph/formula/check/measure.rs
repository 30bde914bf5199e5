//! What numbers measure. Units are converted to the unit on the left, and the conversion becomes a
//! part of the formula.
//!
//! A unit with an offset (`Cel`, `[degF]`), or a logarithm (`[pH]`), says where on a scale something is. Two such places have
//! a difference, which is in `K` or `[degR]`, and a difference moves a place. They have no sum, no
//! product and no sign.

use std::ops::Range;

use super::{Checker, FormulaError, Measure, Op, Operand};
use crate::units::{Affine, Unit};

/// What comes out, and how each operand is converted before.
#[derive(Debug, Clone)]
pub(super) struct Scaling {
    pub(super) measure: Measure,
    pub(super) by: Vec<Option<Affine>>,
}

impl Scaling {
    pub(super) fn none(measure: Measure) -> Self {
        Self {
            measure,
            by: Vec::new(),
        }
    }

    pub(super) fn any(&self) -> bool {
        self.by.iter().any(Option::is_some)
    }
}

/// `None` where nothing changes.
pub(super) fn needed(by: Affine) -> Option<Affine> {
    (!by.is_identity()).then_some(by)
}

impl Checker<'_> {
    /// The operand in another unit; its measure stays to be set by what uses it.
    pub(super) fn scale(&mut self, operand: &Operand, by: Affine) -> Operand {
        let op = Op::Scale {
            factor: by.factor,
            offset: by.offset,
        };
        Operand {
            id: self.map(op, operand),
            span: operand.span.clone(),
        }
    }

    /// # Errors
    /// The operand's unit has an offset.
    pub(super) fn no_offset(
        &self,
        operand: &Operand,
        does: &str,
        span: &Range<usize>,
    ) -> Result<(), FormulaError> {
        match self.measure(operand) {
            Measure::Of { unit, .. } if self.measure(operand).is_place() => Err(FormulaError::new(
                span.clone(),
                format!("a value in `{unit}`, which is a scale and no amount, {does}"),
            )
            .help(other_than(unit))),
            _ => Ok(()),
        }
    }

    /// All operands in the unit of the first that has one.
    pub(super) fn measure_in_common(&self, operands: &[Operand]) -> Result<Scaling, FormulaError> {
        let first = operands
            .iter()
            .find(|operand| matches!(self.measure(operand), Measure::Of { .. }));
        let Some(first) = first else {
            let bare = operands
                .iter()
                .map(|operand| self.measure(operand))
                .find(|measure| matches!(measure, Measure::Bare(_)));
            return Ok(Scaling::none(bare.cloned().unwrap_or(Measure::Plain)));
        };
        let target = self.measure(first);
        let Measure::Of { unit, .. } = target else {
            return Ok(Scaling::none(target.clone()));
        };
        let mut by = Vec::with_capacity(operands.len());
        let mut difference = true;
        for operand in operands {
            let measure = self.measure(operand);
            by.push(match measure {
                Measure::Plain => None,
                Measure::Bare(column) => {
                    without_unit(unit, column, operand)?;
                    None
                }
                Measure::Of { unit: own, .. } => {
                    difference &= measure.is_difference();
                    meet(target, measure, operand)?;
                    needed(conversion(own, unit, &operand.span)?)
                }
            });
        }
        let measure = Measure::Of {
            unit: unit.clone(),
            difference,
        };
        Ok(Scaling { measure, by })
    }
}

/// # Errors
/// The two measure different things.
pub(super) fn conversion(
    from: &Unit,
    to: &Unit,
    span: &Range<usize>,
) -> Result<Affine, FormulaError> {
    from.conversion(to).map_err(|wrong| {
        let error = FormulaError::new(span.clone(), wrong.to_string());
        if wrong.needs_density() {
            return error.help(
                "give the field a `density` and write `unit(FIELD, 'kg/har')`, or multiply by one: \
                 `FIELD * unit(48, '[lb_av]/[bu_us]')`",
            );
        }
        error
    })
}

/// # Errors
/// A column without a unit stands beside one with a unit that is more than a number.
fn without_unit(unit: &Unit, column: &str, operand: &Operand) -> Result<(), FormulaError> {
    if unit.conversion(&Unit::one()).is_ok_and(Affine::is_identity) {
        return Ok(());
    }
    Err(FormulaError::new(
        operand.span.clone(),
        format!("`{column}` has no unit, and stands beside a value in `{unit}`"),
    )
    .help(if operand.span.len() == column.len() {
        format!(
            "give `{column}` a `unit` (`unit: 1` for a plain number), or write `unit({column}, \
             '{unit}')`"
        )
    } else {
        // What it must be is for the rest of the operand to say.
        format!(
            "give `{column}` the `unit` that it has (`unit: 1` for a plain number), so that this \
             comes out in `{unit}`"
        )
    }))
}

/// # Errors
/// One is a difference and the other a place.
fn meet(target: &Measure, measure: &Measure, operand: &Operand) -> Result<(), FormulaError> {
    let mixed = target.is_difference() && measure.is_place()
        || target.is_place() && measure.is_difference();
    if !mixed {
        return Ok(());
    }
    Err(FormulaError::new(
        operand.span.clone(),
        "a difference stands beside a value whose unit is a scale",
    )
    .help("make plain numbers of both with `number(x, 'K')`"))
}

/// What to make of a value that is a place on a scale.
pub(super) fn other_than(unit: &Unit) -> String {
    let kelvin = Unit::parse("K").is_ok_and(|kelvin| unit.conversion(&kelvin).is_ok());
    let plain = format!("make a plain number of it: `number(x, '{unit}')`");
    if kelvin {
        format!("convert it: `unit(x, 'K')`; or {plain}")
    } else {
        plain
    }
}
