//! Columns side by side become the tensor that a model takes.

use std::ops::Range;

use ort::{
    session::SessionInputValue,
    value::{Tensor, TensorRef},
};

use super::front::Front;
use crate::{
    block::{Column, Series, Strings},
    contract::Dtype,
};

/// Rows of all columns that are done before the next: what is written stays in the processor's fastest memory.
pub(super) const CHUNK: usize = 64;

/// Memory for one input tensor, used again for every batch.
#[derive(Debug)]
pub(super) enum Buffer {
    /// Numbers and truth values.
    Values(Column),
    /// Text; the runtime makes its own copy of it.
    Text(Vec<String>),
}

impl Buffer {
    /// Empty memory for elements of this type.
    pub(super) fn new(dtype: Dtype) -> Self {
        match dtype {
            Dtype::String => Self::Text(Vec::new()),
            other => Self::Values(Column::new(other)),
        }
    }

    /// Writes the given rows of `columns` side by side, and repeats the last row until there are
    /// `rows` of them.
    ///
    /// The columns are all strings where the buffer is, and none is where it is not: the engine
    /// checks that when it is made.
    pub(super) fn fill(&mut self, columns: &[&Series], from: Range<usize>, rows: usize) {
        let width: usize = columns.iter().map(|series| series.width()).sum();
        match self {
            Self::Text(text) => fill_text(text, columns, &from, rows, width),
            Self::Values(column) => {
                match column {
                    Column::F32(to) => fill_values(to, columns, &from, width),
                    Column::F64(to) => fill_values(to, columns, &from, width),
                    Column::I32(to) => fill_values(to, columns, &from, width),
                    Column::I64(to) => fill_values(to, columns, &from, width),
                    Column::U8(to) => fill_values(to, columns, &from, width),
                    Column::Bool(to) => fill_values(to, columns, &from, width),
                    Column::String(_) | Column::Bytes(_) => {}
                }
                for _ in from.len()..rows {
                    repeat_last(column, width);
                }
            }
        }
    }

    /// As [`Buffer::fill`], through the front of a graph.
    ///
    /// # Errors
    /// As [`Front::run`].
    pub(super) fn fill_by(
        &mut self,
        front: &Front,
        columns: &[&Series],
        from: Range<usize>,
        rows: usize,
    ) -> Result<(), String> {
        let Self::Values(column) = self else {
            return Err("a front makes no text: this is a bug".to_owned());
        };
        front.run(columns, &from, column)?;
        for _ in from.len()..rows {
            repeat_last(column, front.width());
        }
        Ok(())
    }

    /// The tensor of this shape that the memory holds.
    pub(super) fn tensor<'a>(&'a self, shape: &'a [usize]) -> ort::Result<SessionInputValue<'a>> {
        match self {
            Self::Values(column) => view(column, 0..column.len(), shape),
            Self::Text(text) => match Tensor::from_string_array((shape, text.as_slice())) {
                Ok(tensor) => Ok(tensor.into()),
                Err(_) if text.iter().any(|text| text.contains('\0')) => Err(ort::Error::new(
                    "a text has a NUL character in it, which ONNX Runtime cannot take",
                )),
                Err(error) => Err(error),
            },
        }
    }
}

/// A tensor that looks into a column's own memory. Not for strings.
pub(super) fn view<'a>(
    column: &'a Column,
    elements: Range<usize>,
    shape: &'a [usize],
) -> ort::Result<SessionInputValue<'a>> {
    Ok(match column {
        Column::F32(values) => TensorRef::from_array_view((shape, &values[elements]))?.into(),
        Column::F64(values) => TensorRef::from_array_view((shape, &values[elements]))?.into(),
        Column::I32(values) => TensorRef::from_array_view((shape, &values[elements]))?.into(),
        Column::I64(values) => TensorRef::from_array_view((shape, &values[elements]))?.into(),
        Column::U8(values) => TensorRef::from_array_view((shape, &values[elements]))?.into(),
        Column::Bool(values) => TensorRef::from_array_view((shape, &values[elements]))?.into(),
        Column::String(_) | Column::Bytes(_) => {
            return Err(ort::Error::new("a view of text: this is a bug"));
        }
    })
}

/// Repeats the last row.
fn repeat_last(column: &mut Column, width: usize) {
    let start = column.len().saturating_sub(width);
    match column {
        Column::F32(values) => values.extend_from_within(start..),
        Column::F64(values) => values.extend_from_within(start..),
        Column::I32(values) => values.extend_from_within(start..),
        Column::I64(values) => values.extend_from_within(start..),
        Column::U8(values) => values.extend_from_within(start..),
        Column::Bool(values) => values.extend_from_within(start..),
        Column::String(_) | Column::Bytes(_) => {}
    }
}

fn fill_text(
    text: &mut Vec<String>,
    columns: &[&Series],
    from: &Range<usize>,
    rows: usize,
    width: usize,
) {
    // Strings keep their memory: only the letters are copied.
    text.resize_with(rows * width, String::new);
    let last = from.end.saturating_sub(1);
    let mut offset = 0;
    for series in columns {
        let Column::String(strings) = &series.values else {
            continue;
        };
        let columns = series.width();
        for (place, row) in from
            .clone()
            .chain(std::iter::repeat(last))
            .take(rows)
            .enumerate()
        {
            for column in 0..columns {
                let Some(to) = text.get_mut(place * width + offset + column) else {
                    return;
                };
                to.clear();
                to.push_str(text_at(strings, row * columns + column));
            }
        }
        offset += columns;
    }
}

pub(super) fn text_at(strings: &Strings, index: usize) -> &str {
    strings.get(index).unwrap_or_default()
}

fn fill_values<T: Number>(to: &mut Vec<T>, columns: &[&Series], from: &Range<usize>, width: usize) {
    to.clear();
    to.resize(from.len() * width, T::default());
    let chunks = from.clone().step_by(CHUNK);
    for (start, to) in chunks.zip(to.chunks_mut(CHUNK * width.max(1))) {
        let chunk = start..from.end.min(start + CHUNK);
        let mut offset = 0;
        for series in columns {
            let own = series.width();
            let rows = chunk.start * own..chunk.end * own;
            let place = Place { offset, own, width };
            match &series.values {
                Column::F32(values) => place.spread(to, &values[rows], T::from_f32),
                Column::F64(values) => place.spread(to, &values[rows], T::from_f64),
                Column::I32(values) => place.spread(to, &values[rows], T::from_i32),
                Column::I64(values) => place.spread(to, &values[rows], T::from_i64),
                Column::U8(values) => place.spread(to, &values[rows], T::from_u8),
                Column::Bool(values) => place.spread(to, &values[rows], T::from_bool),
                Column::String(_) | Column::Bytes(_) => {}
            }
            offset += own;
        }
    }
}

/// Where a column's elements go in each row of a tensor.
#[derive(Clone, Copy)]
struct Place {
    offset: usize,
    /// Elements of the column in a row.
    own: usize,
    /// Elements of the tensor in a row.
    width: usize,
}

impl Place {
    fn spread<S: Copy, T>(self, to: &mut [T], from: &[S], convert: impl Fn(S) -> T) {
        if self.own == self.width {
            for (to, from) in to.iter_mut().zip(from) {
                *to = convert(*from);
            }
        } else if self.own == 1 {
            assert!(
                self.offset < self.width,
                "a column behind its row: this is a bug"
            );
            // Twice as fast as stepping over the elements between.
            for (to, from) in to.chunks_exact_mut(self.width).zip(from) {
                to[self.offset] = convert(*from);
            }
        } else if self.own > 1 {
            let rows = to
                .chunks_exact_mut(self.width)
                .zip(from.chunks_exact(self.own));
            for (to, from) in rows {
                for (to, from) in to.iter_mut().skip(self.offset).zip(from) {
                    *to = convert(*from);
                }
            }
        }
    }
}

/// An element of a tensor that can be made from every other. What does not fit takes the nearest
/// value that does, and NaN becomes 0 in an integer: the contract has ranges where that matters.
trait Number: Copy + Default {
    fn from_f32(value: f32) -> Self;
    fn from_f64(value: f64) -> Self;
    fn from_i32(value: i32) -> Self;
    fn from_i64(value: i64) -> Self;
    fn from_u8(value: u8) -> Self;
    fn from_bool(value: bool) -> Self;
}

macro_rules! float {
    ($($type:ty),*) => {$(
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_lossless,
            clippy::unnecessary_cast,
            reason = "one body for all pairs of types; the trait says what is lost"
        )]
        impl Number for $type {
            fn from_f32(value: f32) -> Self {
                value as Self
            }
            fn from_f64(value: f64) -> Self {
                value as Self
            }
            fn from_i32(value: i32) -> Self {
                value as Self
            }
            fn from_i64(value: i64) -> Self {
                value as Self
            }
            fn from_u8(value: u8) -> Self {
                value as Self
            }
            fn from_bool(value: bool) -> Self {
                u8::from(value) as Self
            }
        }
    )*};
}
float!(f32, f64);

macro_rules! integer {
    ($($type:ty),*) => {$(
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::unnecessary_fallible_conversions,
            clippy::useless_conversion,
            reason = "one body for all pairs of types; the trait says what is lost"
        )]
        impl Number for $type {
            fn from_f32(value: f32) -> Self {
                value as Self
            }
            fn from_f64(value: f64) -> Self {
                value as Self
            }
            fn from_i32(value: i32) -> Self {
                Self::try_from(value).unwrap_or(if value < 0 { Self::MIN } else { Self::MAX })
            }
            fn from_i64(value: i64) -> Self {
                Self::try_from(value).unwrap_or(if value < 0 { Self::MIN } else { Self::MAX })
            }
            fn from_u8(value: u8) -> Self {
                Self::from(value)
            }
            fn from_bool(value: bool) -> Self {
                Self::from(value)
            }
        }
    )*};
}
integer!(i32, i64, u8);

impl Number for bool {
    fn from_f32(value: f32) -> Self {
        value != 0.0
    }
    fn from_f64(value: f64) -> Self {
        value != 0.0
    }
    fn from_i32(value: i32) -> Self {
        value != 0
    }
    fn from_i64(value: i64) -> Self {
        value != 0
    }
    fn from_u8(value: u8) -> Self {
        value != 0
    }
    fn from_bool(value: bool) -> Self {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: Column, shape: &[usize]) -> Series {
        Series {
            values,
            shape: shape.to_vec(),
            present: None,
        }
    }

    #[test]
    fn columns_lie_side_by_side_and_the_last_row_is_repeated() {
        let a = series(Column::I64(vec![1, 2, 3]), &[]);
        let b = series(Column::F64(vec![0.1, 0.2, 1.1, 1.2, 2.1, 2.2]), &[2]);
        let c = series(Column::Bool(vec![true, false, true]), &[1]);
        let mut buffer = Buffer::new(Dtype::F32);
        for _ in 0..2 {
            buffer.fill(&[&a, &b, &c], 1..3, 4);
            let Buffer::Values(Column::F32(values)) = &buffer else {
                panic!("made for f32");
            };
            let last = [3.0, 2.1, 2.2, 1.0];
            assert_eq!(values[..4], [2.0, 1.1, 1.2, 0.0]);
            assert_eq!(values[4..], [last, last, last].concat());
        }
    }

    #[test]
    fn integers_do_not_wrap() {
        let wide = series(Column::I64(vec![i64::MAX, -1, 300]), &[]);
        let mut buffer = Buffer::new(Dtype::U8);
        buffer.fill(&[&wide], 0..3, 3);
        let Buffer::Values(values) = buffer else {
            panic!("made for u8");
        };
        assert_eq!(values, Column::U8(vec![255, 0, 255]));
    }

    #[test]
    fn text_lies_side_by_side_too() {
        let mut names = Strings::default();
        for name in ["a", "b", "c", "d"] {
            names.push(name);
        }
        let pairs = series(Column::String(names), &[2]);
        let mut buffer = Buffer::new(Dtype::String);
        buffer.fill(&[&pairs, &pairs], 1..2, 2);
        let Buffer::Text(text) = buffer else {
            panic!("made for text");
        };
        assert_eq!(text, ["c", "d", "c", "d", "c", "d", "c", "d"]);
    }
}
