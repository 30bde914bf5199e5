//! Apache Parquet: single values as columns, vectors as lists, maps as structures. What a passed
//! key is, the first row group says; where a later one contradicts, the file is written anew.

use std::{io::Write, sync::Arc};

use parquet::{
    basic::Compression,
    data_type::{
        BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
    },
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
};

use super::{
    Kind, OutColumn, Part, Shape, WriteRows,
    kind::{self, Held},
    schema::{Levels, schema},
};
use crate::{
    block::{Column, Series, Strings, Table},
    rows::{RowsError, plain},
};

/// Rows in a row group.
const GROUP_ROWS: usize = 64 * 1024;
/// Bytes that wait for a row group, about.
const GROUP_BYTES: usize = 64 << 20;

type Out = Box<dyn Write + Send>;

/// Writes row groups.
pub(super) struct Groups {
    shape: Shape,
    kinds: Vec<Kind>,
    name: String,
    state: State,
    waiting: Option<Table>,
    /// About how large that is.
    waiting_bytes: usize,
}

enum State {
    /// The types of the columns are not known yet.
    Before(Option<Out>),
    Open(Box<SerializedFileWriter<Out>>, Vec<Held>),
}

impl Groups {
    pub(super) fn new(
        shape: &Shape,
        kinds: &[Kind],
        into: Out,
        name: &str,
    ) -> Result<Self, RowsError> {
        let odd = |column: &&OutColumn| {
            column.width() == 0 || column.field.labels.as_ref().is_some_and(Vec::is_empty)
        };
        if let Some(odd) = shape.columns.iter().find(odd) {
            return Err(RowsError::Unwritable(format!(
                "`{}` has no elements, which a Parquet column cannot hold; leave it out, or write JSON lines",
                odd.field.key
            )));
        }
        let mut kinds = kinds.to_vec();
        kinds.resize(shape.passed.len(), Kind::Nothing);
        Ok(Self {
            shape: shape.clone(),
            kinds,
            name: name.to_owned(),
            state: State::Before(Some(into)),
            waiting: None,
            waiting_bytes: 0,
        })
    }

    fn error(&self, error: &ParquetError) -> RowsError {
        if let ParquetError::External(cause) = error
            && let Some(cause) = cause.downcast_ref::<std::io::Error>()
        {
            return RowsError::write(&self.name, cause);
        }
        RowsError::Unwritable(format!("{} cannot be written: {error}", self.name))
    }

    /// The passed series.
    fn passed<'t>(&self, table: &'t Table) -> impl Iterator<Item = &'t Strings> {
        let behind = table.series.len().saturating_sub(self.shape.passed.len());
        let series = table.series.iter().skip(behind);
        series.filter_map(|series| match &series.values {
            Column::String(texts) => Some(texts),
            _ => None,
        })
    }

    fn flush(&mut self) -> Result<(), RowsError> {
        self.waiting_bytes = 0;
        let Some(table) = self.waiting.take().filter(|table| table.rows > 0) else {
            return Ok(());
        };
        let mut kinds = self.kinds.clone();
        for (kind, texts) in kinds.iter_mut().zip(self.passed(&table)) {
            for json in texts.iter() {
                *kind = kind.with(Kind::of(json));
            }
        }
        self.kinds = kinds;
        self.open()?;
        let State::Open(writer, held) = &mut self.state else {
            return Ok(());
        };
        if self
            .kinds
            .iter()
            .zip(held.iter())
            .any(|(kind, held)| kind.held() != *held)
        {
            return Err(RowsError::Widen(self.kinds.clone()));
        }
        let shape = &self.shape;
        let behind = table.series.len().saturating_sub(shape.passed.len());
        let mut write = || {
            let mut group = writer.next_row_group()?;
            for (held, series) in held.iter().zip(table.series.iter().skip(behind)) {
                if let Column::String(texts) = &series.values {
                    passed(&mut group, *held, texts)?;
                }
            }
            for column in &shape.columns {
                if let Some(series) = table.series.get(column.field.series) {
                    output(&mut group, column, series)?;
                }
            }
            group.close().map(drop)
        };
        let written: Result<(), ParquetError> = write();
        written.map_err(|error| self.error(&error))
    }

    /// Opens the file, with the kinds of now.
    fn open(&mut self) -> Result<(), RowsError> {
        let State::Before(into) = &mut self.state else {
            return Ok(());
        };
        let Some(into) = into.take() else {
            return Err(RowsError::Unwritable(format!("{} is closed", self.name)));
        };
        let held: Vec<Held> = self.kinds.iter().map(|kind| kind.held()).collect();
        let schema = schema(&self.shape, &held).map_err(|error| self.error(&error))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("forebay ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = SerializedFileWriter::new(into, Arc::new(schema), Arc::new(properties));
        let writer = writer.map_err(|error| self.error(&error))?;
        self.state = State::Open(Box::new(writer), held);
        Ok(())
    }
}

impl WriteRows for Groups {
    fn write(&mut self, part: Part) -> Result<(), RowsError> {
        let Part::Table(table) = part else {
            return Ok(());
        };
        // Of the new rows only: parts may be small and many.
        self.waiting_bytes += table.series.iter().map(series_bytes).sum::<usize>();
        let rows = match &mut self.waiting {
            Some(waiting) => {
                append(waiting, table);
                waiting.rows
            }
            None => self.waiting.insert(table).rows,
        };
        if rows >= GROUP_ROWS || self.waiting_bytes >= GROUP_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), RowsError> {
        self.flush()?;
        self.open()?;
        if let State::Open(writer, _) = &mut self.state {
            let ended = writer.finish().map(drop);
            ended.map_err(|error| self.error(&error))?;
        }
        if let State::Open(writer, _) = &mut self.state
            && let Err(error) = writer.inner_mut().flush()
        {
            return Err(RowsError::Unwritable(format!(
                "{} cannot be written: {}",
                self.name,
                plain(&error)
            )));
        }
        Ok(())
    }
}

/// Appends rows, and which of their values are there.
fn append(waiting: &mut Table, mut table: Table) {
    for (to, from) in waiting.series.iter_mut().zip(&mut table.series) {
        if let (Some(to), Some(from)) = (&mut to.present, from.present.take()) {
            to.extend(from);
        }
    }
    waiting.append(table);
}

fn series_bytes(series: &Series) -> usize {
    let element = series.values.dtype().size_bytes();
    match (&series.values, element) {
        (Column::String(texts), _) => texts.iter().map(|text| text.len() + 8).sum(),
        (values, element) => values.len() * element.unwrap_or(8),
    }
}

fn passed(
    group: &mut SerializedRowGroupWriter<'_, Out>,
    held: Held,
    texts: &Strings,
) -> Result<(), ParquetError> {
    let definitions: Vec<i16> = (texts.iter())
        .map(|json| i16::from(Kind::of(json) != Kind::Nothing))
        .collect();
    let there = || texts.iter().filter(|json| Kind::of(json) != Kind::Nothing);
    let lost = || ParquetError::General("a passed value of another kind: this is a bug".to_owned());
    let levels = (Some(definitions.as_slice()), None);
    match held {
        Held::Bool => {
            let values: Vec<bool> = there().map(|json| json == "true").collect();
            put::<BoolType>(group, &values, levels)
        }
        Held::I64 => {
            let values = there().map(|json| json.parse::<i64>().map_err(|_| lost()));
            put::<Int64Type>(group, &values.collect::<Result<Vec<_>, _>>()?, levels)
        }
        Held::F64 => {
            let values = there().map(|json| json.parse::<f64>().map_err(|_| lost()));
            put::<DoubleType>(group, &values.collect::<Result<Vec<_>, _>>()?, levels)
        }
        Held::Text => {
            let texts = there().filter_map(kind::text);
            let values: Vec<ByteArray> =
                texts.map(|text| text.as_bytes().to_vec().into()).collect();
            put::<ByteArrayType>(group, &values, levels)
        }
    }
}

fn output(
    group: &mut SerializedRowGroupWriter<'_, Out>,
    column: &OutColumn,
    series: &Series,
) -> Result<(), ParquetError> {
    let width = column.width();
    let present = series.present.as_deref().filter(|_| column.is_partial);
    let there = present.map(|present| only(&series.values, width, present));
    let all = there.as_ref().unwrap_or(&series.values);
    if let Some(labels) = column.field.labels.as_ref().filter(|_| !column.is_single()) {
        let levels = Levels::single(present);
        for element in 0..labels.len().min(width) {
            values(group, all, Some((element, width)), &levels)?;
        }
        return Ok(());
    }
    if column.is_single() {
        let picked = column.field.element.map(|element| (element, width));
        return values(group, all, picked, &Levels::single(present));
    }
    let rows = series.values.len() / width.max(1);
    let levels = Levels::list(rows, &column.shape, present);
    values(group, all, None, &levels)
}

/// The elements of the rows that have a value.
fn only(values: &Column, width: usize, present: &[bool]) -> Column {
    let mut there = Column::new(values.dtype());
    for (row, _) in present.iter().enumerate().filter(|(_, there)| **there) {
        there.extend_from(values, row * width..(row + 1) * width);
    }
    there
}

type LevelSlices<'a> = (Option<&'a [i16]>, Option<&'a [i16]>);

/// Writes all elements, or of each row of `width` the one that is picked.
fn values(
    group: &mut SerializedRowGroupWriter<'_, Out>,
    values: &Column,
    picked: Option<(usize, usize)>,
    levels: &Levels,
) -> Result<(), ParquetError> {
    fn pick<T: Clone>(values: &[T], picked: Option<(usize, usize)>) -> std::borrow::Cow<'_, [T]> {
        match picked {
            None => values.into(),
            Some((element, width)) => {
                let picked = values.iter().skip(element).step_by(width);
                picked.cloned().collect::<Vec<T>>().into()
            }
        }
    }
    let levels: LevelSlices<'_> = (levels.definitions.as_deref(), levels.repetitions.as_deref());
    match values {
        Column::F32(all) => put::<FloatType>(group, &pick(all, picked), levels),
        Column::F64(all) => put::<DoubleType>(group, &pick(all, picked), levels),
        Column::I32(all) => put::<Int32Type>(group, &pick(all, picked), levels),
        Column::I64(all) => put::<Int64Type>(group, &pick(all, picked), levels),
        Column::U8(all) => {
            let all: Vec<i32> = all.iter().map(|value| i32::from(*value)).collect();
            put::<Int32Type>(group, &pick(&all, picked), levels)
        }
        Column::Bool(all) => put::<BoolType>(group, &pick(all, picked), levels),
        Column::String(all) => {
            let all: Vec<ByteArray> = all
                .iter()
                .map(|text| text.as_bytes().to_vec().into())
                .collect();
            put::<ByteArrayType>(group, &pick(&all, picked), levels)
        }
        Column::Bytes(all) => {
            let all: Vec<ByteArray> = all.iter().map(|bytes| bytes.to_vec().into()).collect();
            put::<ByteArrayType>(group, &pick(&all, picked), levels)
        }
    }
}

fn put<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Out>,
    values: &[T::T],
    (definitions, repetitions): LevelSlices<'_>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General(
            "too many columns: this is a bug".to_owned(),
        ));
    };
    column
        .typed::<T>()
        .write_batch(values, definitions, repetitions)?;
    column.close()
}
