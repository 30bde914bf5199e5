//! One field's part of the contract, compiled: limits in the field's own type, the value set
//! ready to search, and the sentence said when a value breaks a rule.
//!
//! Checks return a [`Breach`], which costs nothing; the sentence is made only for a reject.

use std::{collections::HashSet, fmt::Write as _};

use crate::{
    block::Column,
    contract::{Dtype, Field, Scalar},
    message::{Reject, Stage},
};

/// Values in a sentence are cut to so many characters.
const SHOWN_CHARS_MAX: usize = 40;
/// The list of allowed values in a sentence is cut to about so many bytes.
const LISTED_BYTES_MAX: usize = 120;

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

/// Which rule a value breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breach {
    /// The key is not there, and nothing stands in for it.
    Missing,
    /// Null (or NaN in a format that has it), and nothing stands in for it.
    Null,
    /// Another type altogether.
    Type,
    /// A number in quotes.
    Quoted,
    /// A fraction in an integer field.
    Fraction,
    /// Too large for the type.
    Overflow,
    /// An infinity.
    Infinite,
    /// Outside the declared range.
    Range,
    /// Not in the declared set.
    Value,
    /// Not an array where the shape asks for one, or nested the wrong way.
    Form,
    /// An array with this many elements where the shape asks for another number.
    Length(usize),
}

impl Breach {
    /// The fixed word for metrics.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Null => "null",
            Self::Type | Self::Quoted | Self::Fraction => "type",
            Self::Overflow | Self::Infinite | Self::Range => "range",
            Self::Value => "value",
            Self::Form | Self::Length(_) => "shape",
        }
    }
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
            Column::Bool(_) | Column::String(_) => return Err(Breach::Type),
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
        let mut place = format!("field `{}`", self.field.name);
        if let Some(element) = element {
            // Writing to a string cannot fail.
            let _infallible = write!(place, ", element {element}");
        }
        let shown = clip(shown);
        let dtype = self.field.dtype;
        let noun = noun(dtype);
        let reason = match breach {
            Breach::Missing => format!("{place} is missing"),
            Breach::Null => format!("{place} is null"),
            Breach::Type => format!("{place}: {shown} is not {noun}"),
            Breach::Quoted => {
                format!("{place}: {shown} is text, not {noun}; send it without quotes")
            }
            Breach::Fraction => format!("{place}: {shown} is not a whole number"),
            Breach::Overflow => format!("{place}: {shown} does not fit in {dtype}"),
            Breach::Infinite => format!("{place}: {shown} is not a finite number"),
            Breach::Range => format!("{place}: {shown} is outside the range {}", self.range()),
            Breach::Value => format!(
                "{place}: {shown} is not one of the allowed values {}",
                list(self.field.values.as_deref().unwrap_or_default())
            ),
            Breach::Form => format!("{place}: {shown} is not {}", self.form()),
            Breach::Length(found) => format!(
                "{place}: expected {}, found an array of {found}",
                self.form()
            ),
        };
        Reject::new(Stage::Decode, breach.kind(), reason)
    }

    fn range(&self) -> String {
        match self.field.range {
            Some([low, high]) if low == f64::NEG_INFINITY => format!("up to {high}"),
            Some([low, f64::INFINITY]) => format!("from {low} up"),
            Some([low, high]) => format!("{low} to {high}"),
            None => "of its type".to_owned(),
        }
    }

    fn form(&self) -> String {
        let things = match self.field.dtype {
            Dtype::String => "texts",
            Dtype::Bool => "truth values",
            _ => "numbers",
        };
        let width = self.width;
        match self.shape() {
            [] => noun(self.field.dtype).to_owned(),
            [_] => format!("an array of {width} {things}"),
            shape => {
                let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
                let sizes = sizes.join("x");
                format!("an array of shape {sizes} or a flat array of {width} {things}")
            }
        }
    }
}

fn noun(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 | Dtype::F64 => "a number",
        Dtype::I32 | Dtype::I64 | Dtype::U8 => "a whole number",
        Dtype::Bool => "true or false",
        Dtype::String => "text",
    }
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
    reason = "limits take the field's precision"
)]
fn float_bounds(field: &Field) -> [f64; 2] {
    let narrow = field.dtype == Dtype::F32;
    let most = if narrow {
        f64::from(f32::MAX)
    } else {
        f64::MAX
    };
    let Some([low, high]) = field.range else {
        return [-most, most];
    };
    let round = |bound: f64| {
        if narrow {
            f64::from(bound as f32)
        } else {
            bound
        }
    };
    [round(low).max(-most), round(high).min(most)]
}

fn type_bounds(dtype: Dtype) -> [i64; 2] {
    match dtype {
        Dtype::I32 => [i64::from(i32::MIN), i64::from(i32::MAX)],
        Dtype::U8 => [0, i64::from(u8::MAX)],
        _ => [i64::MIN, i64::MAX],
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturating is what a bound needs"
)]
fn integer_bounds(field: &Field) -> [i64; 2] {
    let [least, most] = type_bounds(field.dtype);
    match field.range {
        Some([low, high]) => [least.max(low.ceil() as i64), most.min(high.floor() as i64)],
        None => [least, most],
    }
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

/// The first characters of a value, on one line.
pub(super) fn clip(value: &str) -> String {
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    if value.chars().nth(SHOWN_CHARS_MAX).is_none() {
        return value.chars().map(one_line).collect();
    }
    let start = value.chars().take(SHOWN_CHARS_MAX - 1);
    start.map(one_line).chain(['…']).collect()
}

fn list(values: &[Scalar]) -> String {
    let mut listed = String::new();
    for (index, value) in values.iter().enumerate() {
        if listed.len() > LISTED_BYTES_MAX {
            let _infallible = write!(listed, " and {} more", values.len() - index);
            break;
        }
        if index > 0 {
            listed.push_str(", ");
        }
        listed.push_str(&clip(&value.to_string()));
    }
    listed
}
