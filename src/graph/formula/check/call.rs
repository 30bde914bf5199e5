//! Calls of functions.

use std::ops::Range;

use super::{
    Checker, FormulaError, Measure, Op, Operand, Ty, Typed,
    functions::{FUNCTIONS, Signature, other_name},
    literals::Number,
    measure::Scaling,
};
use crate::{
    graph::formula::{ast::Arithmetic, error::nearest, typed::Function},
    units::Unit,
};

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        name: &str,
        arguments: &[Operand],
        span: &Range<usize>,
    ) -> Result<usize, FormulaError> {
        let signature = find(name, span)?;
        count(signature, arguments, span)?;
        match (signature.function, arguments) {
            (Function::If, [condition, rest @ ..]) => self.choose(condition, rest),
            (Function::Min | Function::Max | Function::Clip, _) => {
                self.of_numbers(signature, arguments, span)
            }
            (Function::Coalesce, _) => self.coalesce(signature, arguments),
            (Function::IsNan, [of]) => self.is_nan(of),
            (Function::Pow, [base, exponent]) => {
                self.arithmetic(Arithmetic::Power, base, exponent, span)
            }
            (Function::F32 | Function::F64, [of]) => self.cast(signature, of),
            (Function::Number | Function::Unit, [of, unit]) => {
                self.number(of, signature.name)?;
                self.in_unit(of, unit, signature.function == Function::Unit)
            }
            (_, [of]) => self.of_number(signature, of, span),
            _ => Err(FormulaError::new(
                span.clone(),
                format!("`{name}` cannot be called so: this is a bug"),
            )),
        }
    }

    /// A function of one number.
    fn of_number(
        &mut self,
        signature: &Signature,
        of: &Operand,
        span: &Range<usize>,
    ) -> Result<usize, FormulaError> {
        let function = signature.function;
        let what = format!("`{}`", signature.name);
        self.number(of, &what)?;
        let ty = self.ty(of);
        let rounds = matches!(function, Function::Floor | Function::Ceil | Function::Round);
        if rounds && matches!(ty, Ty::Int | Ty::LiteralInt) {
            return Ok(of.id);
        }
        let mut ty = ty;
        if !rounds && !matches!(function, Function::Abs | Function::Sign) {
            ty = ty.to_float();
        }
        let scaling = match function {
            Function::Floor | Function::Ceil | Function::Round => {
                Scaling::none(self.measure(of).clone())
            }
            Function::Abs | Function::Sign => {
                self.no_offset(of, "loses its sign", span)?;
                let measure = match self.measure(of) {
                    Measure::Of { .. } if function == Function::Sign => Measure::of(Unit::one()),
                    other => other.clone(),
                };
                Scaling::none(measure)
            }
            Function::Sqrt => self.measure_of_root(of, span)?,
            Function::Sin | Function::Cos | Function::Tan => {
                let by = self.radians(of, &format!("the argument of {what}"))?;
                self.pure(of, by)
            }
            _ => {
                let by = self.plain_number(of, &format!("the argument of {what}"))?;
                self.pure(of, by)
            }
        };
        let mut scaling = scaling;
        let inverse = matches!(function, Function::Asin | Function::Acos | Function::Atan);
        if inverse
            && matches!(scaling.measure, Measure::Of { .. })
            && let Ok(radian) = Unit::parse("rad")
        {
            scaling.measure = Measure::of(radian);
        }
        self.combine(
            Op::Function(function),
            std::slice::from_ref(of),
            ty,
            scaling,
        )
    }

    /// A plain number comes out where a unit went in.
    fn pure(&self, of: &Operand, by: Option<crate::units::Affine>) -> Scaling {
        Scaling {
            measure: match self.measure(of) {
                Measure::Of { .. } => Measure::of(Unit::one()),
                other => other.clone(),
            },
            by: vec![by],
        }
    }

    fn measure_of_root(&self, of: &Operand, span: &Range<usize>) -> Result<Scaling, FormulaError> {
        self.no_offset(of, "has no root", span)?;
        let Measure::Of { unit, .. } = self.measure(of) else {
            return Ok(Scaling::none(self.measure(of).clone()));
        };
        if unit.is_dimensionless() {
            let by = self.plain_number(of, "this")?;
            return Ok(self.pure(of, by));
        }
        let root = unit
            .root(2)
            .map_err(|wrong| FormulaError::new(of.span.clone(), wrong.to_string()))?;
        Ok(Scaling::none(Measure::of(root)))
    }

    /// `min`, `max` and `clip`.
    fn of_numbers(
        &mut self,
        signature: &Signature,
        arguments: &[Operand],
        span: &Range<usize>,
    ) -> Result<usize, FormulaError> {
        let ty = self.common_type(&format!("`{}`", signature.name), arguments)?;
        if signature.function == Function::Clip
            && let [_, low, high] = arguments
            && let (Some(low), Some(high)) = (self.literal_value(low), self.literal_value(high))
            && low.real() > high.real()
        {
            return Err(FormulaError::new(
                span.clone(),
                format!("nothing is between {low} and {high}"),
            )
            .help("the lower limit comes first: `clip(x, low, high)`"));
        }
        let scaling = self.measure_in_common(arguments)?;
        self.combine(Op::Function(signature.function), arguments, ty, scaling)
    }

    fn common_type(&self, what: &str, operands: &[Operand]) -> Result<Ty, FormulaError> {
        let mut joined: Option<Ty> = None;
        for operand in operands {
            self.number(operand, what)?;
            let ty = self.ty(operand);
            joined = Some(joined.map_or(ty, |joined| joined.join(ty)));
        }
        Ok(joined.unwrap_or(Ty::F32))
    }

    fn coalesce(
        &mut self,
        signature: &Signature,
        arguments: &[Operand],
    ) -> Result<usize, FormulaError> {
        let ty = self.common_type("`coalesce`", arguments)?;
        let (_, before) = arguments.split_last().unwrap_or((&arguments[0], &[]));
        for operand in before {
            self.can_be_nan(operand, "so what stands behind it is never taken")?;
        }
        let scaling = self.measure_in_common(arguments)?;
        self.combine(Op::Function(signature.function), arguments, ty, scaling)
    }

    /// # Errors
    /// The operand is a whole number or a literal.
    fn can_be_nan(&self, operand: &Operand, so: &str) -> Result<(), FormulaError> {
        let what = match self.ty(operand) {
            Ty::F32 | Ty::F64 => return Ok(()),
            Ty::Int => "a whole number",
            _ if self.get(operand).inputs.is_empty() => "a literal",
            _ => return Ok(()),
        };
        Err(FormulaError::new(
            operand.span.clone(),
            format!("{what} is never NaN, {so}"),
        ))
    }

    fn is_nan(&mut self, of: &Operand) -> Result<usize, FormulaError> {
        self.number(of, "`is_nan`")?;
        self.can_be_nan(of, "so there is nothing to ask")?;
        let ty = self.ty(of).to_float().settled();
        let of = self.coerce(of, ty)?;
        self.truths(Op::Function(Function::IsNan), &[of])
    }

    fn cast(&mut self, signature: &Signature, of: &Operand) -> Result<usize, FormulaError> {
        self.number(of, &format!("`{}`", signature.name))?;
        let ty = match signature.function {
            Function::F32 => Ty::F32,
            _ => Ty::F64,
        };
        Ok(self.coerce(of, ty)?.id)
    }

    fn choose(&mut self, condition: &Operand, branches: &[Operand]) -> Result<usize, FormulaError> {
        self.truth(condition, "the condition of `if`")?;
        let [yes, no] = branches else {
            return Err(FormulaError::new(
                condition.span.clone(),
                "`if` has two branches: this is a bug",
            ));
        };
        let all = [condition.clone(), yes.clone(), no.clone()];
        let shape = self.shape(&all)?;
        let (inputs, ty, measure) = match (self.ty(yes), self.ty(no)) {
            (Ty::Bool, Ty::Bool) => (branches.to_vec(), Ty::Bool, Measure::Plain),
            (a, b) if a.is_number() && b.is_number() => {
                let scaling = self.measure_in_common(branches)?;
                let joined = a.join(b);
                let ty = if scaling.any() {
                    joined.to_float()
                } else {
                    joined
                };
                let inputs = self.in_one_type(branches, ty, &scaling)?;
                (inputs, ty, scaling.measure)
            }
            (Ty::Text, Ty::Text) => {
                return Err(FormulaError::new(
                    yes.span.start..no.span.end,
                    "both branches are text, and a formula works with numbers and truth values",
                )
                .help("compare in the condition: `if(crop == 'maize', a, b)`"));
            }
            _ => {
                return Err(FormulaError::new(
                    yes.span.start..no.span.end,
                    "the branches of `if` are of different kinds",
                )
                .help("both are numbers, or both are truth values"));
            }
        };
        let inputs = std::iter::once(condition.id)
            .chain(inputs.iter().map(|operand| operand.id))
            .collect();
        Ok(self.push(Typed {
            op: Op::Function(Function::If),
            inputs,
            ty,
            shape,
            measure,
        }))
    }
}

fn find(name: &str, span: &Range<usize>) -> Result<&'static Signature, FormulaError> {
    let known = FUNCTIONS.iter().find(|known| known.name == name);
    known.ok_or_else(|| {
        let names = || FUNCTIONS.iter().map(|known| known.name);
        let help = match (other_name(&name.to_lowercase()), nearest(name, names())) {
            (Some(help), _) => help.to_owned(),
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => format!(
                "the functions are {}",
                names().collect::<Vec<_>>().join(", ")
            ),
        };
        FormulaError::new(
            span.start..span.start + name.len(),
            format!("there is no function `{name}`"),
        )
        .help(help)
    })
}

/// # Errors
/// Too few arguments, or too many.
fn count(
    signature: &Signature,
    arguments: &[Operand],
    span: &Range<usize>,
) -> Result<(), FormulaError> {
    let (least, most) = signature.arguments;
    if (least..=most).contains(&arguments.len()) {
        return Ok(());
    }
    let wanted = match (least, most) {
        (1, 1) => "1 argument".to_owned(),
        (least, most) if least == most => format!("{least} arguments"),
        (least, _) => format!("{least} or more arguments"),
    };
    let here = match arguments.len() {
        0 => "there is none".to_owned(),
        1 => "there is 1".to_owned(),
        more => format!("there are {more}"),
    };
    let help = match (signature.function, arguments.len()) {
        (Function::Round, 2) => "write `round(x * 100) / 100` for two places".to_owned(),
        (Function::Log, 2) => "write `log(x) / log(base)`, `log2(x)` or `log10(x)`".to_owned(),
        _ => format!("it is written `{}`", signature.usage),
    };
    Err(FormulaError::new(
        span.clone(),
        format!("`{}` takes {wanted}, and {here}", signature.name),
    )
    .help(help))
}

/// A literal as an error shows it.
impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
        }
    }
}
