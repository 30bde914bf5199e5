//! What sums and differences measure.

use std::ops::Range;

use super::{
    Checker, FormulaError, Measure, Operand,
    measure::{Scaling, conversion, needed, other_than},
};
use crate::{graph::formula::ast::Arithmetic, units::Unit};

impl Checker<'_> {
    pub(super) fn measure_of_sum(
        &self,
        op: Arithmetic,
        left: &Operand,
        right: &Operand,
        span: &Range<usize>,
    ) -> Result<Scaling, FormulaError> {
        let subtract = op == Arithmetic::Subtract;
        let (a, b) = (self.measure(left), self.measure(right));
        match (a, b) {
            // `20 - temp`: the literal is a place, too.
            (Measure::Plain, Measure::Of { unit, .. }) if b.is_place() && subtract => {
                Ok(Scaling::none(difference(unit, span)?))
            }
            (Measure::Of { unit: u, .. }, Measure::Of { unit: v, .. })
                if a.is_place() || b.is_place() =>
            {
                // What measures something else is said first.
                conversion(v, u, &right.span)?;
                measure_of_places(subtract, (a, u), (b, v), right, span)
            }
            _ => self.measure_in_common(&[left.clone(), right.clone()]),
        }
    }
}

/// A sum with a place in it.
fn measure_of_places(
    subtract: bool,
    (a, u): (&Measure, &Unit),
    (b, v): (&Measure, &Unit),
    right: &Operand,
    span: &Range<usize>,
) -> Result<Scaling, FormulaError> {
    let error = |what: String, help: String| Err(FormulaError::new(span.clone(), what).help(help));
    if a.is_place() && b.is_place() && subtract {
        return Ok(Scaling {
            measure: difference(u, span)?,
            by: vec![None, needed(conversion(v, u, &right.span)?)],
        });
    }
    if a.is_place() && b.is_place() {
        return error(
            format!("two values in `{u}` and `{v}`, which are scales and no amounts, have no sum"),
            format!("for a mean, {}", other_than(u)),
        );
    }
    if a.is_place() && b.is_difference() {
        let by = v
            .difference_conversion(u)
            .map_err(|wrong| FormulaError::new(right.span.clone(), wrong.to_string()))?;
        return Ok(Scaling {
            measure: a.clone(),
            by: vec![None, needed(by)],
        });
    }
    if b.is_place() && a.is_difference() && !subtract {
        let by = u
            .difference_conversion(v)
            .map_err(|wrong| FormulaError::new(span.clone(), wrong.to_string()))?;
        return Ok(Scaling {
            measure: b.clone(),
            by: vec![needed(by), None],
        });
    }
    let (place, other) = if a.is_place() { (u, v) } else { (v, u) };
    error(
        format!(
            "is the value in `{other}` a difference, or counted from the zero of `{other}`? \
             Beside one in `{place}` it could be both"
        ),
        format!(
            "write `unit(x, '{place}')` around it if it is counted from zero, and work with \
             `number(x, '{place}')` and `number(y, '{other}')` if it is a difference"
        ),
    )
}

/// The unit of a difference of two values in `unit`: a linear one with steps of the same size.
fn difference(unit: &Unit, span: &Range<usize>) -> Result<Measure, FormulaError> {
    let linear = ["K", "[degR]"].into_iter().find_map(|text| {
        let linear = Unit::parse(text).ok()?;
        let by = unit.difference_conversion(&linear).ok()?;
        by.is_identity().then_some(linear)
    });
    match linear {
        Some(unit) => Ok(Measure::Of {
            unit: Box::new(unit),
            difference: true,
        }),
        None => Err(FormulaError::new(
            span.clone(),
            format!("the difference of two values in `{unit}` has no unit"),
        )
        .help(format!("make plain numbers of them: `number(x, '{unit}')`"))),
    }
}
