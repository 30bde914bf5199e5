//! The limits of a field: range, values, default, nullable.

use super::Resolver;
use crate::{
    config::{
        raw::{At, Field as RawField, ScalarValue},
        report::Report,
    },
    contract::{Dtype, Field, Scalar},
};

impl Resolver<'_> {
    /// Reads the limits into `field`, whose name, type and shape are known.
    pub(super) fn limits(&mut self, raw: &RawField, field: &mut Field) {
        field.range = raw
            .range
            .as_ref()
            .and_then(|range| self.range(range, field));
        field.values = raw
            .values
            .as_ref()
            .and_then(|values| self.values(values, field));
        field.default = raw
            .default
            .as_ref()
            .and_then(|default| self.default(default, field));
        if let Some(nullable) = raw.nullable.as_ref().filter(|nullable| nullable.value) {
            field.nullable = matches!(field.dtype, Dtype::F32 | Dtype::F64);
            // With a default, a null becomes the default whatever the type.
            if !field.nullable && raw.default.is_none() {
                let report = Report::new(format!(
                    "`{}` cannot be nullable: {} has no NaN to stand for a null",
                    field.name, field.dtype
                ));
                self.report(
                    report
                        .at(&nullable.span(), "")
                        .help("give a `default`, or use `dtype: f32`"),
                );
            }
        }
    }

    fn range(&mut self, range: &At<Vec<At<f64>>>, field: &Field) -> Option<[f64; 2]> {
        let report = if matches!(field.dtype, Dtype::String | Dtype::Bool) {
            Report::new(format!(
                "`{}` is a {} and has no range",
                field.name, field.dtype
            ))
            .at(&range.span(), "")
            .help("list what is allowed: `values: […]`")
        } else {
            match range.value.as_slice() {
                [low, high]
                    if low.value <= high.value
                        && !has_value(field.dtype, low.value, high.value) =>
                {
                    Report::new(format!("no value is in the range of `{}`", field.name))
                        .at(&range.span(), format!("no {} is in it", field.dtype))
                }
                [low, high] if low.value <= high.value => return Some([low.value, high.value]),
                [low, high] if low.value > high.value => {
                    Report::new(format!("no value is in the range of `{}`", field.name))
                        .at(&low.span(), "the smallest value")
                        .also(&high.span(), "is larger than the largest")
                        .help(format!("did you mean `[{}, {}]`?", high.value, low.value))
                }
                [_, _] => Report::new("NaN is no end of a range")
                    .at(&range.span(), "")
                    .help("write `.inf` or `-.inf` to leave a side open"),
                _ => Report::new(format!("the range of `{}` is not two numbers", field.name))
                    .at(&range.span(), "")
                    .help("write the smallest and the largest value: `[0, 120]`"),
            }
        };
        self.report(report);
        None
    }

    fn values(&mut self, values: &At<Vec<At<ScalarValue>>>, field: &Field) -> Option<Vec<Scalar>> {
        if values.value.is_empty() {
            self.report(
                Report::new(format!("`{}` allows no value at all", field.name))
                    .at(&values.span(), "")
                    .help("list the allowed values, or leave `values` out"),
            );
            return None;
        }
        let mut all = Vec::with_capacity(values.value.len());
        for value in &values.value {
            self.check_type(value, field, "value");
            all.push(value.value.0.clone());
        }
        Some(all)
    }

    fn default(&mut self, default: &At<ScalarValue>, field: &Field) -> Option<Scalar> {
        if !self.check_type(default, field, "default") {
            return None;
        }
        let value = &default.value.0;
        if let (Some([low, high]), Some(number)) = (field.range, number(value))
            && !(low..=high).contains(&number)
        {
            self.report(
                Report::new(format!(
                    "the default of `{}` is outside its range",
                    field.name
                ))
                .at(&default.span(), format!("not in [{low}, {high}]"))
                .help("every row that leaves it out would be rejected"),
            );
        }
        if let Some(values) = &field.values
            && !values.iter().any(|allowed| same(allowed, value))
        {
            self.report(
                Report::new(format!(
                    "the default of `{}` is not one of its values",
                    field.name
                ))
                .at(&default.span(), format!("not in {}", shown(values)))
                .help("every row that leaves it out would be rejected"),
            );
        }
        Some(value.clone())
    }

    /// Reports a scalar that cannot be a value of the field.
    fn check_type(&mut self, scalar: &At<ScalarValue>, field: &Field, what: &str) -> bool {
        let (value, dtype) = (&scalar.value.0, field.dtype);
        if let Some(help) = impossible(value, dtype) {
            self.report(
                Report::new(format!(
                    "this cannot be a {what} of `{}`: no message can bring it",
                    field.name
                ))
                .at(&scalar.span(), format!("the field has dtype {dtype}"))
                .help(help),
            );
            return false;
        }
        let fits = match (value, dtype) {
            (Scalar::Integer(value), Dtype::I32) => i32::try_from(*value).is_ok(),
            (Scalar::Integer(value), Dtype::U8) => u8::try_from(*value).is_ok(),
            (Scalar::Integer(_), Dtype::I64 | Dtype::F32 | Dtype::F64)
            | (Scalar::Float(_), Dtype::F32 | Dtype::F64)
            | (Scalar::Bool(_), Dtype::Bool)
            | (Scalar::String(_), Dtype::String) => true,
            _ => false,
        };
        if !fits {
            let shown = if scalar.from_env {
                "what the environment gives".to_owned()
            } else {
                format!("`{value}`")
            };
            let help = match (value, dtype) {
                (Scalar::String(_), _) => Some("did you mean `dtype: string`?".to_owned()),
                (_, Dtype::String) => Some("put it in quotes".to_owned()),
                (Scalar::Float(_), Dtype::I32 | Dtype::I64 | Dtype::U8) => {
                    Some("did you mean `dtype: f32`?".to_owned())
                }
                _ => None,
            };
            self.report(
                Report::new(format!("{shown} cannot be a {what} of `{}`", field.name))
                    .at(&scalar.span(), format!("the field has dtype {dtype}"))
                    .maybe_help(help),
            );
        }
        fits
    }
}

/// What is wrong with a value that has the right type, but that every message would be rejected
/// for.
#[expect(
    clippy::cast_possible_truncation,
    reason = "too large becomes infinite, and that is asked"
)]
fn impossible(value: &Scalar, dtype: Dtype) -> Option<&'static str> {
    match (value, dtype) {
        (Scalar::Float(value), Dtype::F32 | Dtype::F64) if value.is_nan() => {
            Some("`nullable: true` makes NaN of what is missing or null")
        }
        (Scalar::Float(value), Dtype::F64) if value.is_infinite() => Some("use a finite number"),
        (Scalar::Float(value), Dtype::F32) if (*value as f32).is_infinite() => {
            Some("use a number that f32 can hold, up to about 3.4e38")
        }
        (Scalar::String(text), Dtype::String) if text.contains('\0') => {
            Some("models cannot take the character U+0000")
        }
        _ => None,
    }
}

/// Whether any value of the type lies between these, which are in order.
fn has_value(dtype: Dtype, low: f64, high: f64) -> bool {
    let [least, most] = match dtype {
        Dtype::F32 => [f64::from(f32::MIN), f64::from(f32::MAX)],
        Dtype::I32 => [f64::from(i32::MIN), f64::from(i32::MAX)],
        Dtype::I64 => [i64::MIN as f64, i64::MAX as f64],
        Dtype::U8 => [0.0, 255.0],
        _ => [f64::MIN, f64::MAX],
    };
    let whole = matches!(dtype, Dtype::I32 | Dtype::I64 | Dtype::U8);
    low <= most && high >= least && (!whole || low.ceil() <= high.floor())
}

fn number(scalar: &Scalar) -> Option<f64> {
    match scalar {
        Scalar::Integer(value) => Some(*value as f64),
        Scalar::Float(value) => Some(*value),
        Scalar::Bool(_) | Scalar::String(_) => None,
    }
}

fn same(a: &Scalar, b: &Scalar) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

fn shown(values: &[Scalar]) -> String {
    let values: Vec<_> = values.iter().map(Scalar::to_string).collect();
    format!("[{}]", values.join(", "))
}
