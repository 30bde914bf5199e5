//! The limits of a field's numbers, in the field's own type.

use crate::contract::{Dtype, Field};

/// What a float may be: the range, rounded to the field's precision, or all that the type holds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "limits take the field's precision"
)]
pub(super) fn float_bounds(field: &Field) -> [f64; 2] {
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

/// What an integer type holds.
pub(super) fn type_bounds(dtype: Dtype) -> [i64; 2] {
    match dtype {
        Dtype::I32 => [i64::from(i32::MIN), i64::from(i32::MAX)],
        Dtype::U8 => [0, i64::from(u8::MAX)],
        _ => [i64::MIN, i64::MAX],
    }
}

/// What an integer may be: the range and the type's limits together.
#[expect(
    clippy::cast_possible_truncation,
    reason = "saturating is what a bound needs"
)]
pub(super) fn integer_bounds(field: &Field) -> [i64; 2] {
    let [least, most] = type_bounds(field.dtype);
    match field.range {
        Some([low, high]) => [least.max(low.ceil() as i64), most.min(high.floor() as i64)],
        None => [least, most],
    }
}
