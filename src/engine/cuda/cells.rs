//! Columns to the bytes of a device's memory, and back.

use std::ops::Range;

use crate::{block::Column, graph::tensor::Element};

/// Writes the given elements, little-endian, to the beginning of `to`, and gives the number of bytes.
/// Text, blobs, and what does not fit are not written.
pub(in crate::engine) fn write(column: &Column, elements: Range<usize>, to: &mut [u8]) -> usize {
    match column {
        Column::F32(values) => put(values.get(elements), to, f32::to_le_bytes),
        Column::F64(values) => put(values.get(elements), to, f64::to_le_bytes),
        Column::I32(values) => put(values.get(elements), to, i32::to_le_bytes),
        Column::I64(values) => put(values.get(elements), to, i64::to_le_bytes),
        Column::U8(values) => put(values.get(elements), to, u8::to_le_bytes),
        Column::Bool(values) => put(values.get(elements), to, |value| [u8::from(value)]),
        Column::String(_) | Column::Bytes(_) => 0,
    }
}

/// The compiler makes it one copy.
fn put<T: Copy, const SIZE: usize>(
    values: Option<&[T]>,
    to: &mut [u8],
    bytes: impl Fn(T) -> [u8; SIZE],
) -> usize {
    let values = values.unwrap_or_default();
    let (cells, _) = to.as_chunks_mut::<SIZE>();
    for (cell, value) in cells.iter_mut().zip(values) {
        *cell = bytes(*value);
    }
    values.len().min(cells.len()) * SIZE
}

/// Appends elements of this type; small integers widen to the column's type. `text` is what
/// an index stands for where the column is text.
///
/// # Errors
/// The column cannot hold them, or an index has no label; in words that follow an output's name.
pub(in crate::engine) fn append<'t>(
    to: &mut Column,
    element: Element,
    text: impl Fn(i64) -> Option<&'t str>,
    from: &[u8],
) -> Result<(), String> {
    match (&mut *to, element) {
        (Column::F32(to), Element::Float32) => take(to, from, f32::from_le_bytes),
        (Column::F64(to), Element::Float64) => take(to, from, f64::from_le_bytes),
        (Column::I32(to), Element::Int32) => take(to, from, i32::from_le_bytes),
        (Column::I64(to), Element::Int64) => take(to, from, i64::from_le_bytes),
        (Column::U8(to), Element::Uint8) => take(to, from, u8::from_le_bytes),
        (Column::Bool(to), Element::Bool) => take(to, from, |[byte]| byte != 0),
        (Column::I32(to), Element::Int8) => take(to, from, |byte| i8::from_le_bytes(byte).into()),
        (Column::I32(to), Element::Int16) => take(to, from, |cell| i16::from_le_bytes(cell).into()),
        (Column::I32(to), Element::Uint16) => {
            take(to, from, |cell| u16::from_le_bytes(cell).into());
        }
        (Column::I64(to), Element::Uint32) => {
            take(to, from, |cell| u32::from_le_bytes(cell).into());
        }
        (Column::String(to), Element::Int64) => {
            let mut indices = Vec::new();
            take(&mut indices, from, i64::from_le_bytes);
            for index in indices {
                to.push(
                    text(index).ok_or_else(|| format!("is label {index}, which there is not"))?,
                );
            }
        }
        (column, element) => {
            return Err(format!(
                "has elements of type {}, and {} is kept",
                element.name(),
                column.dtype()
            ));
        }
    }
    Ok(())
}

fn take<T, const SIZE: usize>(to: &mut Vec<T>, from: &[u8], value: impl Fn([u8; SIZE]) -> T) {
    let (cells, _) = from.as_chunks::<SIZE>();
    to.extend(cells.iter().map(|cell| value(*cell)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{block::Strings, contract::Dtype};

    fn none(_: i64) -> Option<&'static str> {
        None
    }

    fn there_and_back(column: &Column, element: Element, size: usize) {
        let mut bytes = vec![0xAA; column.len() * size + 3];
        let written = write(column, 0..column.len(), &mut bytes);
        assert_eq!(written, column.len() * size);
        assert_eq!(bytes[written..], [0xAA; 3], "nothing behind is touched");
        let mut back = Column::new(column.dtype());
        append(&mut back, element, none, &bytes[..written]).expect("the same type");
        assert_eq!(format!("{back:?}"), format!("{column:?}"));
    }

    proptest! {
        #[test]
        fn elements_come_back_as_they_were(floats: Vec<f32>, doubles: Vec<f64>, ints: Vec<i64>, truths: Vec<bool>) {
            there_and_back(&Column::F32(floats), Element::Float32, 4);
            there_and_back(&Column::F64(doubles), Element::Float64, 8);
            #[expect(clippy::cast_possible_truncation, reason = "any values will do")]
            {
                there_and_back(&Column::I32(ints.iter().map(|value| *value as i32).collect()), Element::Int32, 4);
                there_and_back(&Column::U8(ints.iter().map(|value| value.to_le_bytes()[0]).collect()), Element::Uint8, 1);
            }
            there_and_back(&Column::I64(ints), Element::Int64, 8);
            there_and_back(&Column::Bool(truths), Element::Bool, 1);
        }
    }

    #[test]
    fn what_does_not_fit_is_left() {
        let mut bytes = [0; 5];
        assert_eq!(write(&Column::I32(vec![1, 2, 3]), 1..3, &mut bytes), 4);
        assert_eq!(bytes, [2, 0, 0, 0, 0]);
        assert_eq!(
            write(&Column::I32(vec![1]), 1..3, &mut bytes),
            0,
            "past the end"
        );
    }

    #[test]
    fn small_integers_widen_and_labels_become_text() {
        let mut wide = Column::new(Dtype::I32);
        append(&mut wide, Element::Int8, none, &[0xFF]).expect("it widens");
        append(&mut wide, Element::Uint16, none, &[0xFF, 0xFF]).expect("it widens");
        assert_eq!(wide, Column::I32(vec![-1, 65535]));
        let label = |index| match index {
            1 => Some("b"),
            -2 => Some("a"),
            _ => None,
        };
        let mut text = Column::new(Dtype::String);
        append(&mut text, Element::Int64, label, &1i64.to_le_bytes()).expect("a label");
        let mut b = Strings::default();
        b.push("b");
        assert_eq!(text, Column::String(b.clone()));
        append(&mut text, Element::Int64, label, &(-2i64).to_le_bytes()).expect("from the end");
        b.push("a");
        assert_eq!(text, Column::String(b));
        let odd = append(&mut text, Element::Int64, label, &7i64.to_le_bytes());
        assert_eq!(odd, Err("is label 7, which there is not".to_owned()));
        let odd = append(&mut Column::new(Dtype::F32), Element::Float64, none, &[]);
        assert_eq!(
            odd,
            Err("has elements of type double, and f32 is kept".to_owned())
        );
    }
}
