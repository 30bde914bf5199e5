//! What numbers measure. Units are converted to the unit on the left, and the conversion becomes a
//! part of the formula.
//!
//! A unit with an offset (`Cel`, `[degF]`), or a logarithm (`[pH]`), says where on a scale something is. Two such places have
//! a difference, which is in `K` or `[degR]`, and a difference moves a place. They have no sum, no
//! product and no sign.

use std::ops::Range;

use super::{Checker, FormulaError, Measure, Op, Operand, Typed, literals::Number};
use crate::{
    graph::formula::ast::Arithmetic,
    units::{Affine, Unit},
};

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
fn needed(by: Affine) -> Option<Affine> {
    (!by.is_identity()).then_some(by)
}

/// Whether values in this unit are places on a scale, and not amounts.
fn is_place(measure: &Measure) -> bool {
    matches!(measure, Measure::Of { unit, difference: false } if !unit.is_linear())
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
            Measure::Of { unit, .. } if is_place(self.measure(operand)) => Err(FormulaError::new(
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
                    difference &= matches!(
                        measure,
                        Measure::Of {
                            difference: true,
                            ..
                        }
                    );
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
            (Measure::Plain, Measure::Of { unit, .. }) if is_place(b) && subtract => {
                Ok(Scaling::none(difference(unit, span)?))
            }
            (Measure::Of { unit: u, .. }, Measure::Of { unit: v, .. })
                if is_place(a) || is_place(b) =>
            {
                // What measures something else is said first.
                conversion(v, u, &right.span)?;
                self.measure_of_places(subtract, (a, u), (b, v), right, span)
            }
            _ => self.measure_in_common(&[left.clone(), right.clone()]),
        }
    }

    /// A sum with a place in it.
    fn measure_of_places(
        &self,
        subtract: bool,
        (a, u): (&Measure, &Unit),
        (b, v): (&Measure, &Unit),
        right: &Operand,
        span: &Range<usize>,
    ) -> Result<Scaling, FormulaError> {
        let moves = |measure: &Measure| {
            matches!(
                measure,
                Measure::Of {
                    difference: true,
                    ..
                }
            )
        };
        let error =
            |what: String, help: String| Err(FormulaError::new(span.clone(), what).help(help));
        if is_place(a) && is_place(b) && subtract {
            return Ok(Scaling {
                measure: difference(u, span)?,
                by: vec![None, needed(conversion(v, u, &right.span)?)],
            });
        }
        if is_place(a) && is_place(b) {
            return error(
                format!(
                    "two values in `{u}` and `{v}`, which are scales and no amounts, have no sum"
                ),
                format!("for a mean, {}", other_than(u)),
            );
        }
        if is_place(a) && moves(b) {
            let by = v
                .difference_conversion(u)
                .map_err(|wrong| FormulaError::new(right.span.clone(), wrong.to_string()))?;
            return Ok(Scaling {
                measure: a.clone(),
                by: vec![None, needed(by)],
            });
        }
        if is_place(b) && moves(a) && !subtract {
            let by = u
                .difference_conversion(v)
                .map_err(|wrong| FormulaError::new(span.clone(), wrong.to_string()))?;
            return Ok(Scaling {
                measure: b.clone(),
                by: vec![needed(by), None],
            });
        }
        let (place, other) = if is_place(a) { (u, v) } else { (v, u) };
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

    pub(super) fn measure_of_product(
        &self,
        op: Arithmetic,
        left: &Operand,
        right: &Operand,
        span: &Range<usize>,
    ) -> Result<Scaling, FormulaError> {
        let divide = op == Arithmetic::Divide;
        let does = if divide {
            "is part of a quotient"
        } else {
            "is part of a product"
        };
        self.no_offset(left, does, span)?;
        self.no_offset(right, does, span)?;
        let made = |unit: Result<Unit, _>| made(unit, span);
        let measure = match (self.measure(left), self.measure(right)) {
            (Measure::Of { unit: u, .. }, Measure::Of { unit: v, .. }) => {
                made(if divide { u.divide(v) } else { u.multiply(v) })?
            }
            (bare @ Measure::Bare(_), _) | (_, bare @ Measure::Bare(_)) => bare.clone(),
            (Measure::Plain, Measure::Of { unit, .. }) if divide => made(Unit::one().divide(unit))?,
            (of, Measure::Plain) | (Measure::Plain, of) => of.clone(),
        };
        Ok(Scaling::none(measure))
    }

    pub(super) fn measure_of_power(
        &self,
        base: &Operand,
        exponent: &Operand,
        span: &Range<usize>,
    ) -> Result<Scaling, FormulaError> {
        let by_exponent = self.plain_number(exponent, "an exponent")?;
        let Measure::Of { unit, .. } = self.measure(base) else {
            let bare = [base, exponent]
                .map(|operand| self.measure(operand))
                .into_iter()
                .find(|measure| matches!(measure, Measure::Bare(_)));
            return Ok(Scaling {
                measure: bare.cloned().unwrap_or(Measure::Plain),
                by: vec![None, by_exponent],
            });
        };
        self.no_offset(base, "is raised to a power", span)?;
        if unit.is_dimensionless() {
            let by = needed(conversion(unit, &Unit::one(), &base.span)?);
            return Ok(Scaling {
                measure: Measure::of(Unit::one()),
                by: vec![by, by_exponent],
            });
        }
        let unit = match self.literal_value(exponent).map(Number::real) {
            Some(0.5) => unit.root(2),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a whole number below a thousand"
            )]
            Some(power) if power.fract() == 0.0 && power.abs() < 1000.0 => unit.power(power as i32),
            _ => {
                return Err(FormulaError::new(
                    exponent.span.clone(),
                    format!(
                        "a value in `{unit}` is raised to a power that is no fixed whole number, \
                         so the unit of the result is not known"
                    ),
                )
                .help(format!(
                    "make a plain number of it first: `number(x, '{unit}')`"
                )));
            }
        };
        Ok(Scaling::none(made(unit, span)?))
    }

    /// How the operand becomes a plain number.
    ///
    /// # Errors
    /// It measures something.
    pub(super) fn plain_number(
        &self,
        operand: &Operand,
        what: &str,
    ) -> Result<Option<Affine>, FormulaError> {
        let Measure::Of { unit, .. } = self.measure(operand) else {
            return Ok(None);
        };
        if !unit.is_dimensionless() {
            return Err(FormulaError::new(
                operand.span.clone(),
                format!(
                    "{what} is a plain number, and this is in `{unit}`, which measures {}",
                    unit.dimension()
                ),
            )
            .help(format!(
                "divide it by something of the same unit, or make a plain number of it: \
                 `number(x, '{unit}')`"
            )));
        }
        Ok(needed(conversion(unit, &Unit::one(), &operand.span)?))
    }

    /// How an angle, or a plain number, becomes radians.
    pub(super) fn radians(
        &self,
        operand: &Operand,
        what: &str,
    ) -> Result<Option<Affine>, FormulaError> {
        if let (Measure::Of { unit, .. }, Ok(radian)) = (self.measure(operand), Unit::parse("rad"))
            && unit.is_linear()
            && let Ok(by) = unit.conversion(&radian)
        {
            return Ok(needed(by));
        }
        self.plain_number(operand, what)
    }

    /// `number(x, 'unit')` and `unit(x, 'unit')`: the value in this unit, as a plain number or
    /// with the unit.
    pub(super) fn in_unit(
        &mut self,
        operand: &Operand,
        wanted: &Operand,
        keep: bool,
    ) -> Result<usize, FormulaError> {
        let Op::Text(text) = &self.get(wanted).op else {
            return Err(FormulaError::new(
                wanted.span.clone(),
                "the second argument is a fixed unit",
            )
            .help("write it in quotes: `'kg/har'`"));
        };
        let unit = Unit::parse(text)
            .map_err(|wrong| FormulaError::new(wanted.span.clone(), wrong.to_string()))?;
        let by = match self.measure(operand) {
            Measure::Of {
                unit: own,
                difference: true,
            } => own
                .difference_conversion(&unit)
                .map_err(|wrong| FormulaError::new(operand.span.clone(), wrong.to_string()))?,
            Measure::Of { unit: own, .. } => conversion(own, &unit, &operand.span)?,
            _ if keep => Affine::IDENTITY,
            _ => {
                return Err(FormulaError::new(
                    operand.span.clone(),
                    "this has no unit, so it is a plain number already",
                )
                .help("leave `number` out, or give the column a `unit`"));
            }
        };
        if keep
            && matches!(
                self.measure(operand),
                Measure::Of {
                    difference: true,
                    ..
                }
            )
            && !unit.is_linear()
        {
            return Err(FormulaError::new(
                operand.span.clone(),
                format!("this is a difference, and `{unit}` is a scale"),
            )
            .help(format!("`number(x, '{unit}')` gives it as a plain number")));
        }
        let difference = matches!(
            self.measure(operand),
            Measure::Of {
                difference: true,
                ..
            }
        );
        let measure = if keep {
            Measure::Of { unit, difference }
        } else {
            Measure::of(Unit::one())
        };
        let mut operand = operand.clone();
        if let Some(by) = needed(by) {
            let ty = self.ty(&operand).to_float();
            operand = self.coerce(&operand, ty)?;
            operand = self.scale(&operand, by);
        }
        // A node of its own, since the column may be used elsewhere as it is.
        let node = Typed {
            measure,
            ..self.get(&operand).clone()
        };
        Ok(self.push(node))
    }
}

/// # Errors
/// The two measure different things.
fn conversion(from: &Unit, to: &Unit, span: &Range<usize>) -> Result<Affine, FormulaError> {
    from.conversion(to)
        .map_err(|wrong| FormulaError::new(span.clone(), wrong.to_string()))
}

fn made<E: ToString>(unit: Result<Unit, E>, span: &Range<usize>) -> Result<Measure, FormulaError> {
    unit.map(Measure::of)
        .map_err(|wrong| FormulaError::new(span.clone(), wrong.to_string()))
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
    .help(format!(
        "give `{column}` a `unit` (`unit: 1` for a plain number), or write `unit({column}, \
         '{unit}')`"
    )))
}

/// # Errors
/// One is a difference and the other a place.
fn meet(target: &Measure, measure: &Measure, operand: &Operand) -> Result<(), FormulaError> {
    let difference = |measure: &Measure| {
        matches!(
            measure,
            Measure::Of {
                difference: true,
                ..
            }
        )
    };
    let mixed = difference(target) && is_place(measure) || is_place(target) && difference(measure);
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
fn other_than(unit: &Unit) -> String {
    let kelvin = Unit::parse("K").is_ok_and(|kelvin| unit.conversion(&kelvin).is_ok());
    let plain = format!("make a plain number of it: `number(x, '{unit}')`");
    if kelvin {
        format!("convert it: `unit(x, 'K')`; or {plain}")
    } else {
        plain
    }
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
            unit,
            difference: true,
        }),
        None => Err(FormulaError::new(
            span.clone(),
            format!("the difference of two values in `{unit}` has no unit"),
        )
        .help(format!("make plain numbers of them: `number(x, '{unit}')`"))),
    }
}
