//! Columns into a file of rows.
//!
//! Rows come as tables: the outputs, the fields, and the passed keys as JSON text behind them. What
//! can be done for each batch alone (text) is done by [`Form::render`], on many threads; what must
//! be done in order by [`WriteRows`], on one.

mod csv;
mod kind;
mod parquet;
mod schema;

use std::{io::Write, mem, time::Instant};

use bytes::{Bytes, BytesMut};

pub use self::kind::Kind;
use super::{Format, RowsError};
use crate::{
    block::{Column, Layout, Record, Series, Table},
    contract::Dtype,
    encode::{Encode as _, OutputField, json::JsonEncoder},
    message::{Ack, Message},
};

/// What a row of the output has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Keys of the input that are carried over, first in each row. Their series are the last ones
    /// of the tables.
    pub passed: Vec<String>,
    /// The columns behind them.
    pub columns: Vec<OutColumn>,
}

/// A column of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutColumn {
    /// Its name, and the series it is taken from.
    pub field: OutputField,
    /// The type of the elements.
    pub dtype: Dtype,
    /// Shape of one row of the series.
    pub shape: Vec<usize>,
    /// Whether NaN in it is worth a word: it is a result and no field.
    pub is_result: bool,
    /// Whether some rows may have no value.
    pub is_partial: bool,
}

impl OutColumn {
    /// Elements in one row of the series.
    fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// The elements of each row that are taken: from the first to before the last.
    fn elements(&self) -> std::ops::Range<usize> {
        match self.field.element {
            Some(element) => element..element + 1,
            None => 0..self.width(),
        }
    }

    /// Whether a row has a single value in it.
    fn is_single(&self) -> bool {
        self.field.element.is_some()
            || (self.field.labels.is_none() && matches!(self.shape.as_slice(), [] | [1]))
    }
}

/// A batch, as far as it can be made alone.
#[derive(Debug)]
pub enum Part {
    /// Lines.
    Text(Bytes),
    /// The rows themselves.
    Table(Table),
}

/// Makes the parts of an output; one for each thread.
#[derive(Debug)]
pub struct Form {
    shape: Shape,
    kind: FormKind,
}

#[derive(Debug)]
enum FormKind {
    Jsonl(Box<(JsonEncoder, Record)>),
    Csv,
    Parquet,
}

impl Form {
    /// What makes rows of this shape.
    pub fn new(format: Format, shape: Shape) -> Self {
        let kind = match format {
            Format::Jsonl => {
                let outputs = shape.columns.iter().map(|column| column.field.clone());
                let encoder = JsonEncoder::new(&shape.passed, outputs.collect());
                FormKind::Jsonl(Box::new((encoder, one_row())))
            }
            Format::Csv => FormKind::Csv,
            Format::Parquet => FormKind::Parquet,
        };
        Self { shape, kind }
    }

    /// Makes a part of all rows of the table.
    ///
    /// # Errors
    /// The table is not what was announced. A sentence.
    pub fn render(&mut self, mut table: Table) -> Result<Part, String> {
        for column in &self.shape.columns {
            let found = table.series.get(column.field.series);
            let elements = found.map(|series| (series.values.len(), series.width()));
            if elements != Some((table.rows * column.width(), column.width())) {
                return Err(format!(
                    "the model gave `{}` another shape than before: {elements:?} for {} rows of {:?}",
                    column.field.key, table.rows, column.shape
                ));
            }
        }
        match &mut self.kind {
            FormKind::Jsonl(parts) => {
                let (encoder, record) = &mut **parts;
                let mut text = BytesMut::new();
                for row in 0..table.rows {
                    encoder
                        .encode(record, row..row + 1, &table, &table, &mut text)
                        .map_err(|reject| reject.reason)?;
                    text.extend_from_slice(b"\n");
                }
                Ok(Part::Text(text.freeze()))
            }
            FormKind::Csv => Ok(Part::Text(csv::lines(&table, &self.shape))),
            FormKind::Parquet => {
                let behind = table.series.len() - self.shape.passed.len();
                for (place, series) in table.series.iter_mut().enumerate().take(behind) {
                    let taken = |column: &OutColumn| column.field.series == place;
                    if !self.shape.columns.iter().any(taken) {
                        let empty = Series::new(series.values.dtype(), series.shape.clone());
                        drop(mem::replace(series, empty));
                    }
                }
                let partial = self.shape.columns.iter().filter(|column| column.is_partial);
                for column in partial {
                    if let Some(series) = table.series.get_mut(column.field.series) {
                        series.present.get_or_insert_with(|| vec![true; table.rows]);
                    }
                }
                Ok(Part::Table(table))
            }
        }
    }
}

/// How many results in it are not finite.
pub fn not_finite(table: &Table, shape: &Shape) -> usize {
    let columns = shape.columns.iter().filter(|column| column.is_result);
    let counts = columns.map(|column| {
        let Some(series) = table.series.get(column.field.series) else {
            return 0;
        };
        match &series.values {
            Column::F32(values) => count(series, column, |at| !values[at].is_finite()),
            Column::F64(values) => count(series, column, |at| !values[at].is_finite()),
            _ => 0,
        }
    });
    counts.sum()
}

/// How many of the elements that are taken are bad.
fn count(series: &Series, column: &OutColumn, is_bad: impl Fn(usize) -> bool) -> usize {
    let width = column.width();
    let rows = series.values.len() / width.max(1);
    let rows = (0..rows).filter(|row| series.is_present(*row));
    let elements = rows.flat_map(|row| column.elements().map(move |at| row * width + at));
    elements.filter(|at| is_bad(*at)).count()
}

/// Writes parts in the order of the rows.
pub trait WriteRows: Send {
    /// Writes a part.
    ///
    /// # Errors
    /// The output cannot be written; or its columns must be written anew ([`RowsError::Widen`]).
    fn write(&mut self, part: Part) -> Result<(), RowsError>;

    /// Writes what is left, and ends the file.
    ///
    /// # Errors
    /// As for [`WriteRows::write`].
    fn finish(self: Box<Self>) -> Result<(), RowsError>;
}

/// A writer into `into`, which is called `name` in messages. `kinds` are those of the passed keys,
/// as far as they are known.
///
/// # Errors
/// The output cannot be written, or not in this form.
pub fn writer(
    format: Format,
    shape: &Shape,
    kinds: &[Kind],
    into: Box<dyn Write + Send>,
    name: &str,
) -> Result<Box<dyn WriteRows>, RowsError> {
    Ok(match format {
        Format::Jsonl => Box::new(Lines::new(into, name)),
        Format::Csv => {
            let mut lines = Lines::new(into, name);
            lines.write(Part::Text(csv::header(shape)))?;
            Box::new(lines)
        }
        Format::Parquet => Box::new(parquet::Groups::new(shape, kinds, into, name)?),
    })
}

/// Writes text.
struct Lines {
    into: Box<dyn Write + Send>,
    name: String,
}

impl Lines {
    fn new(into: Box<dyn Write + Send>, name: &str) -> Self {
        Self {
            into,
            name: name.to_owned(),
        }
    }
}

impl WriteRows for Lines {
    fn write(&mut self, part: Part) -> Result<(), RowsError> {
        if let Part::Text(text) = part {
            let written = self.into.write_all(&text);
            written.map_err(|error| RowsError::write(&self.name, &error))?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), RowsError> {
        let flushed = self.into.flush();
        flushed.map_err(|error| RowsError::write(&self.name, &error))
    }
}

/// Stands for a record of a single row; the encoder looks at its form only.
fn one_row() -> Record {
    Record {
        message: Message {
            subject: Bytes::new(),
            reply: None,
            payload: Bytes::new(),
            headers: None,
            position: None,
            received: Instant::now(),
            ack: Ack::none(),
        },
        rows: 1,
        layout: Layout::One,
    }
}
