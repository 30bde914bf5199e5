//! The values of one Parquet column, as JSON.

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use bytes::{BufMut as _, BytesMut};
use parquet::{
    basic::{LogicalType, TimeUnit, Type as Physical},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, DataType},
    errors::ParquetError,
    schema::types::ColumnDescriptor,
};

use super::times;
use crate::{
    encode::json::{integer, text},
    rows::json,
};

/// How the values of a column are written.
#[derive(Debug)]
pub(super) struct Look {
    form: Form,
    /// Below this level there is no value at all.
    there: i16,
    /// From this level on a list has an element.
    list: Option<i16>,
    /// At this level there is a value.
    full: i16,
    repeats: bool,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Plain,
    /// Whole numbers without a sign.
    Unsigned,
    Date,
    /// A time; so many parts are a second.
    Time {
        parts: i64,
        utc: bool,
    },
    Base64,
}

impl Look {
    /// # Errors
    /// What the column is, where it cannot be read.
    pub(super) fn new(
        about: &ColumnDescriptor,
        (there, list): (i16, Option<i16>),
        bytes: bool,
    ) -> Result<Self, String> {
        let form = match (about.physical_type(), about.logical_type_ref()) {
            (
                Physical::BOOLEAN
                | Physical::INT32
                | Physical::INT64
                | Physical::FLOAT
                | Physical::DOUBLE,
                None,
            ) => Form::Plain,
            (Physical::INT32 | Physical::INT64, Some(LogicalType::Integer(kind))) => {
                if kind.is_signed {
                    Form::Plain
                } else {
                    Form::Unsigned
                }
            }
            (Physical::INT32, Some(LogicalType::Date)) => Form::Date,
            (Physical::INT64, Some(LogicalType::Timestamp(kind))) => Form::Time {
                parts: match kind.unit {
                    TimeUnit::MILLIS => 1000,
                    TimeUnit::MICROS => 1_000_000,
                    TimeUnit::NANOS => 1_000_000_000,
                },
                utc: kind.is_adjusted_to_u_t_c,
            },
            (Physical::BYTE_ARRAY, None) if bytes => Form::Base64,
            (
                Physical::BYTE_ARRAY,
                None | Some(LogicalType::String | LogicalType::Enum | LogicalType::Json),
            ) => Form::Plain,
            (Physical::INT96, _) => return Err("INT96".to_owned()),
            (_, Some(LogicalType::Decimal(_))) => return Err("decimal numbers".to_owned()),
            (physical, Some(logical)) => return Err(format!("{physical} as {logical:?}")),
            (physical, None) => return Err(physical.to_string()),
        };
        Ok(Self {
            form,
            there,
            list,
            full: about.max_def_level(),
            repeats: about.max_rep_level() > 0,
        })
    }
}

/// Values that were read and not written yet.
#[derive(Default)]
pub(super) struct Cells {
    reader: Option<ColumnReader>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    values: Values,
    level: usize,
    value: usize,
}

#[derive(Default)]
enum Values {
    #[default]
    None,
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes(Vec<ByteArray>),
}

impl Cells {
    pub(super) fn new(reader: ColumnReader) -> Self {
        let values = match &reader {
            ColumnReader::BoolColumnReader(_) => Values::Bool(Vec::new()),
            ColumnReader::Int32ColumnReader(_) => Values::I32(Vec::new()),
            ColumnReader::Int64ColumnReader(_) => Values::I64(Vec::new()),
            ColumnReader::FloatColumnReader(_) => Values::F32(Vec::new()),
            ColumnReader::DoubleColumnReader(_) => Values::F64(Vec::new()),
            ColumnReader::ByteArrayColumnReader(_) => Values::Bytes(Vec::new()),
            _ => Values::None,
        };
        Self {
            reader: Some(reader),
            values,
            ..Self::default()
        }
    }

    /// Reads the values of so many rows, and says how many rows there were.
    pub(super) fn read(&mut self, rows: usize) -> Result<usize, ParquetError> {
        self.definitions.clear();
        self.repetitions.clear();
        (self.level, self.value) = (0, 0);
        let levels = (&mut self.definitions, &mut self.repetitions);
        match (self.reader.as_mut(), &mut self.values) {
            (Some(ColumnReader::BoolColumnReader(from)), Values::Bool(to)) => {
                fill(from, rows, levels, to)
            }
            (Some(ColumnReader::Int32ColumnReader(from)), Values::I32(to)) => {
                fill(from, rows, levels, to)
            }
            (Some(ColumnReader::Int64ColumnReader(from)), Values::I64(to)) => {
                fill(from, rows, levels, to)
            }
            (Some(ColumnReader::FloatColumnReader(from)), Values::F32(to)) => {
                fill(from, rows, levels, to)
            }
            (Some(ColumnReader::DoubleColumnReader(from)), Values::F64(to)) => {
                fill(from, rows, levels, to)
            }
            (Some(ColumnReader::ByteArrayColumnReader(from)), Values::Bytes(to)) => {
                fill(from, rows, levels, to)
            }
            _ => Ok(0),
        }
    }

    /// Writes the value of the next row, and says whether there is one.
    ///
    /// # Errors
    /// The value cannot be written, and why; or there is none left.
    pub(super) fn write(
        &mut self,
        look: &Look,
        into: &mut BytesMut,
    ) -> Result<bool, Option<&'static str>> {
        let Some(list) = look.list.filter(|_| look.repeats) else {
            let definition = self.definition(look.full)?;
            return if definition < look.full {
                Ok(false)
            } else {
                self.element(look, into).map(|()| true)
            };
        };
        let mut definition = self.definition(look.full)?;
        let is_there = definition >= look.there;
        let (mut any, mut fault) = (false, None);
        into.put_u8(b'[');
        loop {
            if definition >= list {
                if any {
                    into.put_u8(b',');
                }
                any = true;
                if definition < look.full {
                    into.put_slice(b"null");
                } else if let Err(what) = self.element(look, into) {
                    fault = Some(what);
                }
            }
            if self
                .repetitions
                .get(self.level)
                .is_none_or(|repeats| *repeats == 0)
            {
                break;
            }
            definition = self.definition(look.full)?;
        }
        into.put_u8(b']');
        fault.map_or(Ok(is_there), Err)
    }

    /// The definition level of the next value.
    fn definition(&mut self, full: i16) -> Result<i16, Option<&'static str>> {
        let level = self.level;
        self.level += 1;
        if full == 0 && self.repetitions.is_empty() {
            return Ok(0);
        }
        self.definitions.get(level).copied().ok_or(None)
    }

    /// Writes the next value.
    fn element(&mut self, look: &Look, into: &mut BytesMut) -> Result<(), Option<&'static str>> {
        let at = self.value;
        self.value += 1;
        match &self.values {
            Values::None => return Err(None),
            Values::Bool(values) => {
                let value = values.get(at).ok_or(None)?;
                into.put_slice(if *value { b"true" } else { b"false" });
            }
            Values::I32(values) => {
                let value = *values.get(at).ok_or(None)?;
                match look.form {
                    Form::Unsigned => integer(value.cast_unsigned(), into),
                    Form::Date => text(&times::date(i64::from(value)), into),
                    _ => integer(value, into),
                }
            }
            Values::I64(values) => {
                let value = *values.get(at).ok_or(None)?;
                match look.form {
                    Form::Unsigned => integer(value.cast_unsigned(), into),
                    Form::Time { parts, utc } => {
                        text(&times::timestamp(value, parts, utc), into);
                    }
                    _ => integer(value, into),
                }
            }
            Values::F32(values) => {
                let value = *values.get(at).ok_or(None)?;
                float(
                    value,
                    value.is_nan(),
                    value.is_infinite(),
                    value < 0.0,
                    into,
                );
            }
            Values::F64(values) => {
                let value = *values.get(at).ok_or(None)?;
                float(
                    value,
                    value.is_nan(),
                    value.is_infinite(),
                    value < 0.0,
                    into,
                );
            }
            Values::Bytes(values) => {
                let value = values.get(at).ok_or(None)?.data();
                if let Form::Base64 = look.form {
                    text(&Base64Display::new(value, &STANDARD).to_string(), into);
                } else {
                    let value = std::str::from_utf8(value);
                    text(value.map_err(|_| Some("is not UTF-8 text"))?, into);
                }
            }
        }
        Ok(())
    }
}

/// NaN is missing, as in every format that has it; what is infinite is left to the contract.
fn float(value: impl zmij::Float, nan: bool, infinite: bool, negative: bool, into: &mut BytesMut) {
    if nan {
        into.put_slice(b"null");
    } else if infinite {
        json::infinite(negative, into);
    } else {
        into.put_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    }
}

fn fill<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    (definitions, repetitions): (&mut Vec<i16>, &mut Vec<i16>),
    values: &mut Vec<T::T>,
) -> Result<usize, ParquetError> {
    values.clear();
    let mut read = 0;
    while read < rows {
        let (records, _, levels) = reader.read_records(
            rows - read,
            Some(&mut *definitions),
            Some(&mut *repetitions),
            values,
        )?;
        if records == 0 && levels == 0 {
            break;
        }
        read += records;
    }
    Ok(read)
}
