//! One field's part of the contract, compiled: limits in the field's own type, the value set
//! ready to search, and the sentence said when a value breaks a rule.
//!
//! Checks return a [`Breach`], which costs nothing; its sentence is made only for a reject.

use std::collections::HashSet;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::{
    block::{Blobs, Column},
    contract::{Dtype, Field, Scalar},
    decode::{
        bounds::{float_bounds, integer_bounds, type_bounds},
        breach::{self, Breach},
    },
    message::Reject,
};

/// A number as it arrived, before it takes the field's type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// A whole number, exactly.
    Integer(i64),
    /// Any other number, or a whole one beyond 64 bits.
    Float(f64),
    /// A number with decimal places whose nearest float hides them.
    Rounded(f64),
}

/// The declared value set, in the field's own type.
#[derive(Debug)]
enum Allowed {
    Anything,
    Floats(Vec<f64>),
    /// Sorted.
    Integers(Vec<i64>),
    Bools(Vec<bool>),
    Strings(HashSet<Box<str>>),
}

/// The compiled rules of one field.
#[derive(Debug)]
pub(super) struct Rules {
    field: Field,
    /// Elements in one row.
    pub(super) width: usize,
    /// Bounds for floats: the range in the field's precision, or all that the type holds.
    floats: [f64; 2],
    /// Bounds for integers: the range and the type's limits together.
    integers: [i64; 2],
    allowed: Allowed,
}

impl Rules {
    /// Compiles the rules of `field`.
    pub(super) fn new(field: &Field) -> Self {
        Self {
            width: field.width(),
            floats: float_bounds(field),
            integers: integer_bounds(field),
            allowed: allowed(field),
            field: field.clone(),
        }
    }

    /// Shape of one row's value.
    pub(super) fn shape(&self) -> &[usize] {
        &self.field.shape
    }

    /// Bytes that one row of the field takes as a column; of text, what does not come with the
    /// message: where each value ends, and the default.
    pub(super) fn row_bytes(&self) -> usize {
        let element = match (self.field.dtype.size_bytes(), &self.field.default) {
            (Some(bytes), _) => bytes,
            (None, Some(Scalar::String(default))) => size_of::<usize>() + default.len(),
            (None, _) => size_of::<usize>(),
        };
        self.width.saturating_mul(element)
    }

    /// Whether a step makes the field, and no message brings it.
    pub(super) fn is_derived(&self) -> bool {
        self.field.derived
    }

    /// Whether every value of the type keeps the contract.
    pub(super) fn takes_anything(&self) -> bool {
        self.field.range.is_none() && self.field.values.is_none()
    }

    /// The bounds of a field of single floats (an f32's hold after rounding), where every number within is good.
    pub(super) fn plain_floats(&self) -> Option<[f64; 2]> {
        let floats = matches!(self.field.dtype, Dtype::F32 | Dtype::F64);
        let plain = floats && self.shape().is_empty() && self.field.values.is_none();
        plain.then_some(self.floats)
    }

    /// Checks a number for an f32 field. Its limits hold after rounding to f32, so that a value
    /// is judged alike whichever format brought it.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "too large is infinite, and caught"
    )]
    pub(super) fn f32(&self, value: f64) -> Result<f32, Breach> {
        let narrow = value as f32;
        self.float(f64::from(narrow), value).map(|()| narrow)
    }

    /// Whether all these numbers are good for an f32 field. None is left out once one is bad: so several are looked
    /// at together.
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "without a branch, several are compared at once"
    )]
    pub(super) fn all_f32(&self, values: &[f32]) -> bool {
        if matches!(self.allowed, Allowed::Floats(_)) {
            return values
                .iter()
                .all(|value| self.f32(f64::from(*value)).is_ok());
        }
        let [least, most] = self.floats;
        values.iter().fold(true, |good, value| {
            let value = f64::from(*value);
            good & (value >= least) & (value <= most)
        })
    }

    /// Checks a number for an f64 field.
    #[inline]
    pub(super) fn f64(&self, value: f64) -> Result<f64, Breach> {
        self.float(value, value).map(|()| value)
    }

    #[inline]
    fn float(&self, value: f64, arrived: f64) -> Result<(), Breach> {
        // One comparison for the usual case: NaN and infinities fail it too.
        if value >= self.floats[0] && value <= self.floats[1] {
            return match &self.allowed {
                Allowed::Floats(set) if !set.contains(&value) => Err(Breach::Value),
                _ => Ok(()),
            };
        }
        Err(if arrived.is_infinite() {
            Breach::Infinite
        } else if value.is_infinite() {
            Breach::Overflow
        } else {
            Breach::Range
        })
    }

    /// Checks a whole number for an integer field of any size.
    fn integer(&self, value: i64) -> Result<i64, Breach> {
        if value < self.integers[0] || value > self.integers[1] {
            let [least, most] = type_bounds(self.field.dtype);
            return Err(if value < least || value > most {
                Breach::Overflow
            } else {
                Breach::Range
            });
        }
        match &self.allowed {
            Allowed::Integers(set) if set.binary_search(&value).is_err() => Err(Breach::Value),
            _ => Ok(value),
        }
    }

    fn whole(&self, number: Number) -> Result<i64, Breach> {
        match number {
            Number::Integer(value) => self.integer(value),
            Number::Rounded(_) => Err(Breach::Fraction),
            Number::Float(value) if value.is_infinite() => Err(Breach::Infinite),
            Number::Float(value) if value.fract() != 0.0 => Err(Breach::Fraction),
            Number::Float(value) => match exact_integer(value) {
                Some(value) => self.integer(value),
                None => Err(Breach::Overflow),
            },
        }
    }

    /// Appends a number to the field's column. NaN counts as null.
    pub(super) fn push_number(&self, column: &mut Column, number: Number) -> Result<(), Breach> {
        let float = match number {
            Number::Integer(value) => value as f64,
            Number::Float(value) if value.is_nan() => return self.push_null(column),
            Number::Float(value) | Number::Rounded(value) => value,
        };
        match column {
            Column::F32(values) => values.push(self.f32(float)?),
            Column::F64(values) => values.push(self.f64(float)?),
            Column::I32(values) => values.push(fit(self.whole(number)?)?),
            Column::I64(values) => values.push(self.whole(number)?),
            Column::U8(values) => values.push(fit(self.whole(number)?)?),
            Column::Bool(_) | Column::String(_) | Column::Bytes(_) => return Err(Breach::Type),
        }
        Ok(())
    }

    /// Appends a truth value to the field's column.
    pub(super) fn push_bool(&self, column: &mut Column, value: bool) -> Result<(), Breach> {
        let Column::Bool(values) = column else {
            return Err(Breach::Type);
        };
        if matches!(&self.allowed, Allowed::Bools(set) if !set.contains(&value)) {
            return Err(Breach::Value);
        }
        values.push(value);
        Ok(())
    }

    /// Appends text to the field's column.
    pub(super) fn push_text(&self, column: &mut Column, value: &str) -> Result<(), Breach> {
        if let Column::Bytes(values) = column {
            return push_base64(values, value);
        }
        let Column::String(values) = column else {
            let numeric = !matches!(column, Column::Bool(_)) && value.trim().parse::<f64>().is_ok();
            return Err(if numeric {
                Breach::Quoted
            } else {
                Breach::Type
            });
        };
        if matches!(&self.allowed, Allowed::Strings(set) if !set.contains(value)) {
            return Err(Breach::Value);
        }
        if value.contains('\0') {
            return Err(Breach::Nul);
        }
        values.push(value);
        Ok(())
    }

    /// Appends bytes to the field's column.
    pub(super) fn push_bytes(column: &mut Column, value: &[u8]) -> Result<(), Breach> {
        let Column::Bytes(values) = column else {
            return Err(Breach::Type);
        };
        values.push(value);
        Ok(())
    }

    /// Appends what stands for one null element.
    pub(super) fn push_null(&self, column: &mut Column) -> Result<(), Breach> {
        self.fill(column, 1, Breach::Null)
    }

    /// Appends what stands for a whole value that is null.
    pub(super) fn push_null_value(&self, column: &mut Column) -> Result<(), Breach> {
        self.fill(column, self.width, Breach::Null)
    }

    /// Appends what stands for a value whose key is missing.
    pub(super) fn push_missing(&self, column: &mut Column) -> Result<(), Breach> {
        self.fill(column, self.width, Breach::Missing)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the default was checked with the file"
    )]
    fn fill(&self, column: &mut Column, count: usize, otherwise: Breach) -> Result<(), Breach> {
        let number = match &self.field.default {
            Some(Scalar::Integer(value)) => Some(*value as f64),
            Some(Scalar::Float(value)) => Some(*value),
            None if self.field.nullable => Some(f64::NAN),
            _ => None,
        };
        let whole = match &self.field.default {
            Some(Scalar::Integer(value)) => Some(*value),
            Some(Scalar::Float(value)) => exact_integer(*value),
            _ => None,
        };
        let spread = |len: usize| len + count;
        match (column, &self.field.default) {
            (Column::F32(to), _) => {
                let value = number.ok_or(otherwise)? as f32;
                to.resize(spread(to.len()), value);
            }
            (Column::F64(to), _) => to.resize(spread(to.len()), number.ok_or(otherwise)?),
            (Column::I32(to), _) => {
                let value = fit(whole.ok_or(otherwise)?)?;
                to.resize(spread(to.len()), value);
            }
            (Column::I64(to), _) => to.resize(spread(to.len()), whole.ok_or(otherwise)?),
            (Column::U8(to), _) => {
                let value = fit(whole.ok_or(otherwise)?)?;
                to.resize(spread(to.len()), value);
            }
            (Column::Bool(to), Some(Scalar::Bool(value))) => to.resize(spread(to.len()), *value),
            (Column::String(to), Some(Scalar::String(value))) => {
                (0..count).for_each(|_| to.push(value));
            }
            _ => return Err(otherwise),
        }
        Ok(())
    }

    /// The reject for a value that breaks a rule. `shown` is the value as text; `element` its
    /// place in the row's array, where the field is one.
    #[cold]
    pub(super) fn reject(&self, breach: Breach, shown: &str, element: Option<usize>) -> Reject {
        breach::reject(&self.field, breach, shown, element)
    }
}

/// Appends what base64 text stands for.
fn push_base64(values: &mut Blobs, text: &str) -> Result<(), Breach> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let bytes = LENIENT.decode(text).map_err(|_| Breach::Base64)?;
    values.push(&bytes);
    Ok(())
}

fn fit<T: TryFrom<i64>>(value: i64) -> Result<T, Breach> {
    T::try_from(value).map_err(|_| Breach::Overflow)
}

/// The integer that this float is, if it is one of 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "guarded by the bounds")]
pub(super) fn exact_integer(value: f64) -> Option<i64> {
    // −2⁶³ is a float, 2⁶³ − 1 is not: 2⁶³ is the first one too large.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (value.fract() == 0.0 && (-LIMIT..LIMIT).contains(&value)).then_some(value as i64)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "members take the field's precision"
)]
fn allowed(field: &Field) -> Allowed {
    let Some(values) = &field.values else {
        return Allowed::Anything;
    };
    let floats = values.iter().filter_map(|value| match value {
        Scalar::Integer(value) => Some(*value as f64),
        Scalar::Float(value) => Some(*value),
        _ => None,
    });
    match field.dtype {
        Dtype::F32 => Allowed::Floats(floats.map(|value| f64::from(value as f32)).collect()),
        Dtype::F64 => Allowed::Floats(floats.collect()),
        Dtype::I32 | Dtype::I64 | Dtype::U8 => {
            let mut set: Vec<i64> = values
                .iter()
                .filter_map(|value| match value {
                    Scalar::Integer(value) => Some(*value),
                    Scalar::Float(value) => exact_integer(*value),
                    _ => None,
                })
                .collect();
            set.sort_unstable();
            Allowed::Integers(set)
        }
        Dtype::Bool => Allowed::Bools(
            values
                .iter()
                .filter_map(|value| match value {
                    Scalar::Bool(value) => Some(*value),
                    _ => None,
                })
                .collect(),
        ),
        Dtype::Bytes => Allowed::Anything,
        Dtype::String => Allowed::Strings(
            values
                .iter()
                .filter_map(|value| match value {
                    Scalar::String(value) => Some(value.as_str().into()),
                    _ => None,
                })
                .collect(),
        ),
    }
}
