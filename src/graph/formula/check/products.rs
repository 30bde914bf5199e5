//! What products, powers and functions measure, and units that a formula names.

use std::ops::Range;

use super::{
    Checker, ColumnDensity, FormulaError, Measure, Op, Operand, Typed,
    literals::Number,
    measure::{Scaling, conversion, needed},
};
use crate::{
    graph::formula::ast::Arithmetic,
    units::{Affine, Density, Unit},
};

/// How a value comes into another unit.
enum By {
    /// The same way in every row.
    Same(Affine),
    /// By a factor for each text of a column, given by its place in the list of those that are used.
    Text {
        column: usize,
        factors: Vec<(String, f64)>,
    },
}

impl Checker<'_> {
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
            let measure = match (self.measure(base), self.measure(exponent)) {
                (bare @ Measure::Bare(_), _) | (_, bare @ Measure::Bare(_)) => bare.clone(),
                (_, Measure::Of { .. }) => Measure::of(Unit::one()),
                _ => Measure::Plain,
            };
            return Ok(Scaling {
                measure,
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

    /// Between a volume and a mass by the density of the column, where it has one; any other
    /// conversion needs none.
    fn by_density(
        &mut self,
        operand: &Operand,
        from: &Unit,
        to: &Unit,
    ) -> Result<By, FormulaError> {
        let needs = from
            .conversion(to)
            .is_err_and(|error| error.needs_density());
        let density = match &self.get(operand).op {
            Op::Column(at) | Op::Element { column: at, .. } if needs => self
                .used
                .get(*at)
                .and_then(|used| used.column.density.clone()),
            _ => None,
        };
        let affine = |density: &Density| {
            density
                .conversion(from, to)
                .map_err(|wrong| FormulaError::new(operand.span.clone(), wrong.to_string()))
        };
        match density {
            Some(ColumnDensity::Fixed(density)) => affine(&density).map(By::Same),
            Some(ColumnDensity::By { column, of }) => {
                let factor = |(kind, density): &(String, Density)| {
                    Ok((kind.clone(), affine(density)?.factor))
                };
                let factors = of.iter().map(factor).collect::<Result<_, FormulaError>>()?;
                let column = self.column(&column, &operand.span)?;
                Ok(By::Text { column, factors })
            }
            None => conversion(from, to, &operand.span).map(By::Same),
        }
    }

    /// The operand times the factor of each row's text.
    fn times(
        &mut self,
        operand: &Operand,
        column: usize,
        factors: Vec<(String, f64)>,
    ) -> Result<Operand, FormulaError> {
        let ty = self.ty(operand).to_float();
        let operand = self.coerce(operand, ty)?;
        let factor = self.push(Typed {
            op: Op::LookUp { column, factors },
            inputs: Vec::new(),
            ty,
            shape: Vec::new(),
            measure: Measure::Plain,
        });
        let product = Typed {
            op: Op::Arithmetic(Arithmetic::Multiply),
            inputs: vec![operand.id, factor],
            ..self.get(&operand).clone()
        };
        Ok(Operand {
            id: self.push(product),
            span: operand.span,
        })
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
        let by = match self.measure(operand).clone() {
            Measure::Of {
                unit: own,
                difference: true,
            } => own
                .difference_conversion(&unit)
                .map(By::Same)
                .map_err(|wrong| FormulaError::new(operand.span.clone(), wrong.to_string()))?,
            Measure::Of { unit: own, .. } => self.by_density(operand, &own, &unit)?,
            _ if keep => By::Same(Affine::IDENTITY),
            _ => {
                return Err(FormulaError::new(
                    operand.span.clone(),
                    "this has no unit, so it is a plain number already",
                )
                .help("leave `number` out, or give the column a `unit`"));
            }
        };
        let difference = self.measure(operand).is_difference();
        if keep && difference && !unit.is_linear() {
            return Err(FormulaError::new(
                operand.span.clone(),
                format!("this is a difference, and `{unit}` is a scale"),
            )
            .help(format!("`number(x, '{unit}')` gives it as a plain number")));
        }
        let measure = if keep {
            Measure::Of {
                unit: Box::new(unit),
                difference,
            }
        } else {
            Measure::of(Unit::one())
        };
        let mut operand = operand.clone();
        match by {
            By::Same(by) => {
                if let Some(by) = needed(by) {
                    let ty = self.ty(&operand).to_float();
                    operand = self.coerce(&operand, ty)?;
                    operand = self.scale(&operand, by);
                }
            }
            By::Text { column, factors } => operand = self.times(&operand, column, factors)?,
        }
        // A node of its own, since the column may be used elsewhere as it is.
        let node = Typed {
            measure,
            ..self.get(&operand).clone()
        };
        Ok(self.push(node))
    }
}

fn made<E: ToString>(unit: Result<Unit, E>, span: &Range<usize>) -> Result<Measure, FormulaError> {
    unit.map(Measure::of)
        .map_err(|wrong| FormulaError::new(span.clone(), wrong.to_string()))
}
