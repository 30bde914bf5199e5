//! Raw little-endian elements of the one field: no keys, no text, only numbers.
//!
//! What the elements are comes from the pipeline file, or from the message's headers
//! `Forebay-Dtype` (`f32`) and `Forebay-Shape` (`16,64` or `16x64`, the batch dimension first).
//! Without a shape header, one row is one record and more are a list; with one, a shape that has
//! the batch dimension is a list even of one row.
//!
//! NaN is how a tensor says null: it needs a field that is nullable or has a default. Infinities
//! are always refused.

use super::{
    Decode, Decoded,
    breach::{Breach, clip},
    row::{Tally, push_passed},
    rules::{Number, Rules},
};
use crate::{
    block::{Column, Layout, Table},
    contract::{Dtype, Field},
    message::{Message, Reject, Stage},
};

/// Header that names the type of the elements.
const DTYPE_HEADER: &str = "Forebay-Dtype";
/// Header that gives the sizes of the dimensions.
const SHAPE_HEADER: &str = "Forebay-Shape";

/// Reads elements of one type as rows of the field, converting them where nothing but precision
/// (f64 to f32) can be lost.
#[derive(Debug)]
pub struct TensorDecoder {
    rules: Rules,
    field: Field,
    dtype: Dtype,
}

/// How many rows there are, and the form of the result.
struct Extent {
    rows: usize,
    list: bool,
}

impl TensorDecoder {
    /// A decoder for rows of `field` whose elements arrive as `dtype`.
    pub fn new(field: &Field, dtype: Dtype) -> Self {
        Self {
            rules: Rules::new(field),
            field: field.clone(),
            dtype,
        }
    }

    /// The type of the elements in this message, and their size.
    fn dtype(&self, message: &Message) -> Result<(Dtype, usize), Reject> {
        let dtype = match message.header(DTYPE_HEADER) {
            None => self.dtype,
            Some(name) => Dtype::from_name(name.trim()).ok_or_else(|| {
                let sized = Dtype::ALL
                    .iter()
                    .filter(|dtype| dtype.size_bytes().is_some());
                let known: Vec<&str> = sized.map(|dtype| dtype.name()).collect();
                let known = known.join(", ");
                reject(
                    "type",
                    format!("header {DTYPE_HEADER}: {name:?} is not one of {known}"),
                )
            })?,
        };
        let size = dtype.size_bytes().ok_or_else(|| {
            reject(
                "type",
                "text and bytes have no raw form; send json or msgpack".to_owned(),
            )
        })?;
        if converts(dtype, self.field.dtype) {
            return Ok((dtype, size));
        }
        let Field {
            name, dtype: to, ..
        } = &self.field;
        let reason =
            format!("field `{name}` is {to}: {dtype} elements cannot become {to} without loss");
        Err(reject("type", reason))
    }

    fn extent(&self, message: &Message, size: usize) -> Result<Extent, Reject> {
        let bytes = message.payload.len();
        if let Some(shape) = message.header(SHAPE_HEADER) {
            return self.declared_extent(shape, bytes, size);
        }
        if bytes == 0 {
            return Err(reject("empty", "the message is empty".to_owned()));
        }
        let row_bytes = self.rules.width * size;
        if !bytes.is_multiple_of(row_bytes) {
            let Field { name, .. } = &self.field;
            let reason = format!(
                "field `{name}`: expected a multiple of {row_bytes} bytes ({} elements of {size}), got {bytes}",
                self.rules.width
            );
            return Err(reject("size", reason));
        }
        let rows = bytes / row_bytes;
        Ok(Extent {
            rows,
            list: rows > 1,
        })
    }

    fn declared_extent(&self, header: &str, bytes: usize, size: usize) -> Result<Extent, Reject> {
        let shown = clip(header);
        let sizes: Option<Vec<usize>> = header
            .split([',', 'x'])
            .map(|size| size.trim().parse().ok())
            .collect();
        let Some(sizes) = sizes else {
            let reason =
                format!("header {SHAPE_HEADER}: {shown:?} is not a list of sizes like 16,64");
            return Err(reject("shape", reason));
        };
        let width = self.rules.width;
        let product = |sizes: &[usize]| {
            sizes
                .iter()
                .try_fold(1_usize, |all, size| all.checked_mul(*size))
        };
        let fits = |sizes: &[usize]| sizes == self.field.shape || sizes == [width];
        // A row's own shape is one record; anything else begins with the batch dimension. For a
        // field of single values the row's own shape would be empty, so one size is the batch.
        let (rows, list) = match sizes.split_first() {
            _ if !self.field.shape.is_empty() && sizes == self.field.shape => (1, false),
            Some((rows, row)) if fits(row) || (row.is_empty() && width == 1) => (*rows, true),
            _ => {
                let Field { name, shape, .. } = &self.field;
                let reason = format!(
                    "header {SHAPE_HEADER}: {shown:?} does not end in the shape {shape:?} of field `{name}`"
                );
                return Err(reject("shape", reason));
            }
        };
        let expected = product(&sizes).and_then(|elements| elements.checked_mul(size));
        if expected != Some(bytes) {
            let expected = expected.map_or("more".to_owned(), |bytes| bytes.to_string());
            let reason = format!("a tensor of shape {shown} has {expected} bytes, got {bytes}");
            return Err(reject("size", reason));
        }
        Ok(Extent { rows, list })
    }

    fn row(&self, elements: &[u8], dtype: Dtype, column: &mut Column) -> Result<(), Reject> {
        if self.copied(elements, dtype, column) {
            return Ok(());
        }
        let size = dtype.size_bytes().unwrap_or(1);
        for (index, element) in elements.chunks_exact(size).enumerate() {
            let value = Element::read(element, dtype);
            let kept = match value {
                Element::Bool(value) => self.rules.push_bool(column, value),
                Element::Number(number) => self.rules.push_number(column, number),
                Element::NotBool(_) => Err(Breach::Type),
            };
            kept.map_err(|breach| {
                let place = (!self.field.shape.is_empty()).then_some(index);
                self.rules.reject(breach, &value.shown(), place)
            })?;
        }
        Ok(())
    }

    /// The short way for f32 and u8 as they are: false when an element needs a closer look.
    fn copied(&self, elements: &[u8], dtype: Dtype, column: &mut Column) -> bool {
        match (dtype, column) {
            (Dtype::F32, Column::F32(values)) => {
                let before = values.len();
                let (floats, _) = elements.as_chunks::<4>();
                let read = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
                values.extend(floats.iter().map(read));
                let all_good = self.rules.all_f32(&values[before..]);
                if !all_good {
                    values.truncate(before);
                }
                all_good
            }
            (Dtype::U8, Column::U8(values)) if self.rules.takes_anything() => {
                values.extend_from_slice(elements);
                true
            }
            _ => false,
        }
    }
}

impl TensorDecoder {
    fn rows(
        &self,
        payload: &[u8],
        rows: usize,
        (dtype, size): (Dtype, usize),
        table: &mut Table,
    ) -> Result<Decoded, Reject> {
        let row_bytes = self.rules.width * size;
        // All at once, where no element of the message needs a closer look.
        let all = payload.get(..rows * row_bytes).unwrap_or_default();
        if self.copied(all, dtype, &mut table.series[0].values) {
            table.rows += rows;
            let rejected = Vec::new();
            return Ok(Decoded {
                rows,
                layout: Layout::Many { rejected },
            });
        }
        // Every element comes with the message, so only bad rows take more than they bring.
        let mut tally = Tally::new(0);
        for elements in payload.chunks_exact(row_bytes).take(rows) {
            if tally.is_full() {
                tally.pass_over();
                continue;
            }
            let kept = self.row(elements, dtype, &mut table.series[0].values);
            table.rows += usize::from(kept.is_ok());
            tally.count(kept, table);
        }
        tally.close()
    }
}

impl Decode for TensorDecoder {
    fn decode(&mut self, message: &Message, table: &mut Table) -> Result<Decoded, Reject> {
        let (dtype, size) = self.dtype(message)?;
        if self.rules.width == 0 {
            let reason = format!("field `{}` has no elements", self.field.name);
            return Err(reject("shape", reason));
        }
        let Extent { rows, list } = self.extent(message, size)?;
        let decoded = if list {
            self.rows(&message.payload, rows, (dtype, size), table)?
        } else {
            self.row(&message.payload, dtype, &mut table.series[0].values)?;
            table.rows += 1;
            Decoded {
                rows: 1,
                layout: Layout::One,
            }
        };
        // A tensor has no keys, so passed ones are missing.
        for series in table.series.iter_mut().skip(1) {
            for _ in series.values.len()..table.rows {
                push_passed(&mut series.values, "");
            }
        }
        Ok(decoded)
    }
}

/// One element as it arrived.
#[derive(Debug, Clone, Copy)]
enum Element {
    Number(Number),
    Bool(bool),
    /// A truth value that is neither 0 nor 1.
    NotBool(u8),
}

impl Element {
    /// Reads one element from exactly its bytes.
    fn read(bytes: &[u8], dtype: Dtype) -> Self {
        fn exactly<const N: usize>(bytes: &[u8]) -> [u8; N] {
            bytes.first_chunk().copied().unwrap_or([0; N])
        }
        let number = match dtype {
            Dtype::F32 => Number::Float(f64::from(f32::from_le_bytes(exactly(bytes)))),
            Dtype::F64 => Number::Float(f64::from_le_bytes(exactly(bytes))),
            Dtype::I32 => Number::Integer(i64::from(i32::from_le_bytes(exactly(bytes)))),
            Dtype::I64 => Number::Integer(i64::from_le_bytes(exactly(bytes))),
            Dtype::U8 => Number::Integer(i64::from(exactly::<1>(bytes)[0])),
            Dtype::Bool | Dtype::String | Dtype::Bytes => {
                return match exactly::<1>(bytes) {
                    [0] => Self::Bool(false),
                    [1] => Self::Bool(true),
                    [other] => Self::NotBool(other),
                };
            }
        };
        Self::Number(number)
    }

    fn shown(self) -> String {
        match self {
            Self::Number(Number::Integer(value)) => value.to_string(),
            Self::Number(Number::Float(value) | Number::Rounded(value)) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::NotBool(value) => format!("the byte {value}"),
        }
    }
}

/// Whether every element of one type has its like in the other; f64 may lose precision in f32.
fn converts(from: Dtype, to: Dtype) -> bool {
    use Dtype::{F32, F64, I32, I64, U8};
    from == to
        || matches!(
            (from, to),
            (F32 | I32, F64) | (F64, F32) | (I32, I64) | (U8, F32 | F64 | I32 | I64)
        )
}

fn reject(kind: &'static str, reason: String) -> Reject {
    Reject::new(Stage::Decode, kind, reason)
}

#[cfg(test)]
mod tests;
