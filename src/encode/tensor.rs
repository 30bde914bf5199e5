//! One output as raw little-endian elements, with headers that say what they are.

use std::{fmt::Write as _, ops::Range};

use bytes::{BufMut as _, BytesMut};
use serde_json::Value;

use super::{Encode, NonFinite, OutputField, only_row, series};
use crate::{
    block::{Column, Layout, Record, Table},
    contract::Dtype,
    message::{Headers, Reject, Stage},
};

/// Header with the type of the elements.
pub const DTYPE_HEADER: &str = "Forebay-Dtype";
/// Header with the sizes of the dimensions, outermost first.
pub const SHAPE_HEADER: &str = "Forebay-Shape";

/// Writes the rows of one output one after the other. Strings have no raw form and are refused;
/// so is a list of which some rows were rejected, since the rest would move up into their places.
#[derive(Debug)]
pub struct TensorEncoder {
    output: OutputField,
    /// Type and row shape of the result written last, for its headers.
    last: Option<(Dtype, Vec<usize>)>,
}

impl TensorEncoder {
    /// An encoder for this output. A label → value map is written as its values.
    pub fn new(output: OutputField) -> Self {
        Self { output, last: None }
    }
}

impl Encode for TensorEncoder {
    fn encode(
        &mut self,
        record: &Record,
        rows: Range<usize>,
        _input: &Table,
        output: &Table,
        into: &mut BytesMut,
    ) -> Result<NonFinite, Reject> {
        match &record.layout {
            Layout::One => {
                only_row(&rows)?;
            }
            Layout::Many { rejected } => {
                if let Some((place, reject)) = rejected.first() {
                    let reason = format!(
                        "a tensor has no place for the {} rejected rows; row {place}: {}",
                        rejected.len(),
                        reject.reason
                    );
                    return Err(Reject::new(Stage::Encode, "rows", reason));
                }
            }
        }
        if rows.is_empty() && output.series.is_empty() {
            // Nothing has run yet that could say what the elements are.
            return Ok(0);
        }
        let series = series(&self.output, output, &rows)?;
        let dtype = series.values.dtype();
        if !matches!(&self.last, Some((last, shape)) if *last == dtype && *shape == series.shape) {
            self.last = Some((dtype, series.shape.clone()));
        }
        let width = series.width();
        match self.output.element {
            None => put(&series.values, rows.start * width..rows.end * width, into),
            Some(element) => rows
                .map(|row| row * width + element)
                .try_fold(
                    0,
                    |sum, at| Ok(sum + put(&series.values, at..at + 1, into)?),
                ),
        }
    }

    fn headers(&self, rows: usize, layout: &Layout) -> Headers {
        let Some((dtype, row_shape)) = &self.last else {
            return Headers::new();
        };
        let mut shape = String::new();
        // Writing to a string cannot fail.
        if *layout != Layout::One {
            let _infallible = write!(shape, "{rows}");
        }
        if self.output.element.is_none() {
            for size in row_shape {
                let comma = if shape.is_empty() { "" } else { "," };
                let _infallible = write!(shape, "{comma}{size}");
            }
        }
        if shape.is_empty() {
            shape.push('1');
        }
        vec![
            (DTYPE_HEADER.to_owned(), dtype.name().to_owned()),
            (SHAPE_HEADER.to_owned(), shape),
        ]
    }
}

fn put(values: &Column, elements: Range<usize>, into: &mut BytesMut) -> Result<NonFinite, Reject> {
    let mut non_finite = 0;
    match values {
        Column::F32(values) => {
            let values = &values[elements];
            non_finite = values.iter().filter(|value| !value.is_finite()).count();
            raw(values, |value| value.to_le_bytes(), into);
        }
        Column::F64(values) => {
            let values = &values[elements];
            non_finite = values.iter().filter(|value| !value.is_finite()).count();
            raw(values, |value| value.to_le_bytes(), into);
        }
        Column::I32(values) => raw(&values[elements], |value| value.to_le_bytes(), into),
        Column::I64(values) => raw(&values[elements], |value| value.to_le_bytes(), into),
        Column::U8(values) => into.put_slice(&values[elements]),
        Column::Bool(values) => raw(&values[elements], |value| [u8::from(*value)], into),
        Column::String(_) | Column::Bytes(_) => {
            let reason = "strings cannot be written as a tensor; encode json or msgpack instead";
            return Err(Reject::new(Stage::Encode, "type", reason));
        }
    }
    Ok(non_finite)
}

/// Appends the bytes of all values: room is made once, so that the rest is a plain copy.
fn raw<T, const N: usize>(values: &[T], bytes: impl Fn(&T) -> [u8; N], into: &mut BytesMut) {
    let before = into.len();
    into.resize(before + values.len() * N, 0);
    let (room, _) = into[before..].as_chunks_mut::<N>();
    for (room, value) in room.iter_mut().zip(values) {
        *room = bytes(value);
    }
}

/// Appends an element that is written in JSON, little-endian; `None` when the type cannot hold it.
pub fn put_json(value: &Value, dtype: Dtype, bytes: &mut BytesMut) -> Option<()> {
    match dtype {
        Dtype::F32 => {
            #[expect(clippy::cast_possible_truncation, reason = "rounding is what f32 does")]
            let element = value.as_f64()? as f32;
            element.is_finite().then(|| bytes.put_f32_le(element))
        }
        Dtype::F64 => {
            bytes.put_f64_le(value.as_f64()?);
            Some(())
        }
        Dtype::I32 => {
            bytes.put_i32_le(whole(value)?.try_into().ok()?);
            Some(())
        }
        Dtype::I64 => {
            bytes.put_i64_le(whole(value)?);
            Some(())
        }
        Dtype::U8 => {
            bytes.put_u8(whole(value)?.try_into().ok()?);
            Some(())
        }
        Dtype::Bool => {
            bytes.put_u8(u8::from(value.as_bool()?));
            Some(())
        }
        Dtype::String | Dtype::Bytes => None,
    }
}

/// A whole number, written `5` or `5.0`.
fn whole(value: &Value) -> Option<i64> {
    /// Beyond this a double skips whole numbers.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is whole and small enough"
        )]
        (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
    })
}
