//! What feeds an input of a step's graph: columns side by side, as they are or through the graph's front.

use std::ops::Range;

use ort::session::SessionInputValue;

use super::{
    front::Front,
    gather::{self, Buffer},
    step::Step,
};
use crate::{
    block::{Series, Table},
    contract::{Dtype, Field},
    engine::{
        ColumnRef, Dim, InputInfo, InputSpec,
        cuda::{cells, texts::Texts},
    },
    graph::front::Made,
};

/// What feeds one input.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) columns: Vec<Source>,
    /// Shape of the tensor; the first number is set for every run.
    shape: Vec<usize>,
    /// Memory where the columns are put side by side.
    buffer: Buffer,
    /// The one column has the type that the model takes: its memory is the tensor.
    direct: bool,
    /// What becomes of the columns on the way, where that was taken off the graph.
    front: Option<Front>,
    /// The part of each row that goes in this time, where it is not all of it.
    part: Option<Range<usize>>,
    /// Shape of a row, all of it.
    whole: Vec<usize>,
}

/// Where the columns of feeds are taken from.
#[derive(Clone, Copy)]
pub(super) enum From<'a> {
    /// All rows of the batch.
    All {
        table: &'a Table,
        earlier: &'a [Step],
    },
    /// Some rows of it, for each feed's columns.
    Picked(&'a [Vec<Series>]),
}

impl<'a> From<'a> {
    pub(super) fn series(self, feed: usize, column: usize, source: Source) -> Option<&'a Series> {
        match self {
            Self::All { table, earlier } => source.series(table, earlier),
            Self::Picked(feeds) => feeds.get(feed)?.get(column),
        }
    }
}

/// What a table has that comes in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken<'a> {
    pub(super) fields: &'a [Field],
    /// What is held of the row before, behind the fields.
    pub(super) state: &'a [Field],
}

/// A column, found without a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A field, or behind all fields what is held of the row before.
    Field(usize),
    Result {
        step: usize,
        place: usize,
    },
}

impl Source {
    /// Where a column is taken from, and its type as far as it is known.
    ///
    /// # Errors
    /// There is no such column.
    pub(super) fn of(
        column: ColumnRef,
        taken: Taken<'_>,
        earlier: &[Step],
    ) -> Result<(Self, Option<Dtype>), &'static str> {
        match column {
            ColumnRef::Field(place) => {
                let field = (taken.fields)
                    .get(place)
                    .ok_or("is fed by a field that does not exist")?;
                Ok((Self::Field(place), Some(field.dtype)))
            }
            ColumnRef::State(place) => {
                let held = (taken.state)
                    .get(place)
                    .ok_or("is fed by a state value that does not exist")?;
                Ok((Self::Field(taken.fields.len() + place), Some(held.dtype)))
            }
            ColumnRef::Output(output) => {
                let step = earlier
                    .get(output.step)
                    .ok_or("is fed by a step that does not come before")?;
                let place = step
                    .place_of(output.output)
                    .ok_or("is fed by an output that does not exist")?;
                let from = step.result(place).map(|series| series.values.dtype());
                let source = Self::Result {
                    step: output.step,
                    place,
                };
                Ok((source, from))
            }
        }
    }

    pub(super) fn series<'a>(self, table: &'a Table, earlier: &'a [Step]) -> Option<&'a Series> {
        match self {
            Self::Field(field) => table.series.get(field),
            Self::Result { step, place } => earlier.get(step)?.result(place),
        }
    }
}

impl Feed {
    /// Columns as they are.
    ///
    /// # Errors
    /// They do not fit the input; says how it is fed.
    pub(super) fn new(
        spec: &InputSpec,
        input: &InputInfo,
        taken: Taken<'_>,
        earlier: &[Step],
    ) -> Result<Self, String> {
        let dtype = input.dtype;
        let fits = |(declared, fed): (&Dim, &usize)| match declared {
            Dim::Fixed(size) => size == fed,
            Dim::Free(_) => true,
        };
        let declared = input.row_dims();
        if declared.len() != spec.shape.len() || !declared.iter().zip(&spec.shape).all(fits) {
            return Err(format!(
                "takes rows of shape {} and is fed with {:?}",
                shape_name(declared),
                spec.shape
            ));
        }
        let mut columns = Vec::with_capacity(spec.columns.len());
        let mut same = true;
        for column in &spec.columns {
            let (source, from) = Source::of(*column, taken, earlier)?;
            let from = from.unwrap_or(dtype);
            if (from == Dtype::String) != (dtype == Dtype::String) || from == Dtype::Bytes {
                return Err(format!("takes {dtype} and cannot be fed with {from}"));
            }
            same &= from == dtype;
            columns.push(source);
        }
        Ok(Self {
            direct: same && columns.len() == 1 && dtype != Dtype::String,
            columns,
            shape: std::iter::once(0)
                .chain(spec.shape.iter().copied())
                .collect(),
            buffer: Buffer::new(dtype),
            front: None,
            part: None,
            whole: spec.shape.clone(),
        })
    }

    /// Columns through the front of a graph whose inputs are fed by `specs`.
    ///
    /// # Errors
    /// There is no such column; says how the input is fed.
    pub(super) fn made(
        made: &Made,
        specs: &[InputSpec],
        taken: Taken<'_>,
        earlier: &[Step],
    ) -> Result<Self, String> {
        let mut columns = Vec::new();
        let mut ranges = vec![0..0; specs.len()];
        for part in &made.parts {
            let (Some(spec), Some(range)) = (specs.get(part.input), ranges.get_mut(part.input))
            else {
                return Err("is made of an input that does not exist".to_owned());
            };
            if range.start == range.end {
                let start = columns.len();
                for column in &spec.columns {
                    columns.push(Source::of(*column, taken, earlier)?.0);
                }
                *range = start..columns.len();
            }
        }
        let range = |input: usize| ranges.get(input).cloned().unwrap_or_default();
        Ok(Self {
            direct: false,
            columns,
            shape: std::iter::once(0)
                .chain(made.shape.iter().copied())
                .collect(),
            buffer: Buffer::new(made.dtype),
            front: Some(Front::new(made, range)),
            part: None,
            whole: made.shape.clone(),
        })
    }

    /// Shape of one row of the tensor, all of it.
    pub(super) fn row_shape(&self) -> Vec<usize> {
        self.whole.clone()
    }

    /// Whether it is columns as they are.
    pub(super) fn is_plain(&self) -> bool {
        self.front.is_none()
    }

    /// From now on this part of each row goes in, which is one dimension; or all of it.
    pub(super) fn keep(&mut self, part: Option<Range<usize>>) {
        self.shape.truncate(1);
        match &part {
            Some(part) => self.shape.push(part.len()),
            None => self.shape.extend(&self.whole),
        }
        self.part = part;
    }

    /// Whether the tensor is the column's own memory: nothing to convert, nothing to pad.
    fn is_view(&self, rows: &Range<usize>) -> bool {
        self.direct && self.part.is_none() && self.shape.first() == Some(&rows.len())
    }

    /// Puts these rows into the feed's memory, and repeats the last until there are `fed`; not where the column's own
    /// memory will do.
    ///
    /// # Errors
    /// A column is not as wide as it was said to be.
    pub(super) fn fill(
        &mut self,
        place: usize,
        from: From<'_>,
        rows: Range<usize>,
        fed: usize,
    ) -> Result<(), String> {
        if let Some(first) = self.shape.first_mut() {
            *first = fed;
        }
        if !self.is_view(&rows) {
            let columns: Vec<&Series> = (self.columns.iter().enumerate())
                .filter_map(|(column, source)| from.series(place, column, *source))
                .collect();
            match (&self.front, &self.part, columns.as_slice()) {
                (Some(front), ..) => self.buffer.fill_by(front, &columns, rows, fed)?,
                (None, Some(part), [column]) => {
                    let cut = column.cut(rows.clone(), part);
                    self.buffer.fill(&[&cut], 0..rows.len(), fed);
                }
                (None, ..) => self.buffer.fill(&columns, rows, fed),
            }
        }
        Ok(())
    }

    /// Writes the rows to the memory of a device, as `fed` rows: the last one again behind them.
    ///
    /// # Errors
    /// As [`Feed::fill`].
    pub(super) fn upload(
        &mut self,
        place: usize,
        from: From<'_>,
        rows: Range<usize>,
        fed: usize,
        (to, texts): (&mut [u8], &mut Texts),
    ) -> Result<(), String> {
        let own = self.columns.first().filter(|_| self.direct);
        let Some(series) = own.and_then(|source| from.series(place, 0, *source)) else {
            self.fill(place, from, rows, fed)?;
            match &self.buffer {
                Buffer::Values(column) => cells::write(column, 0..column.len(), to),
                Buffer::Text(text) => texts.write(text.iter().map(String::as_str), to),
            };
            return Ok(());
        };
        let width = series.width();
        let mut at = 0;
        let mut write = |elements: Range<usize>| {
            let rest = to.get_mut(at..).unwrap_or_default();
            at += cells::write(&series.values, elements, rest);
        };
        let row = |row: usize| match &self.part {
            Some(part) => row * width + part.start..row * width + part.end,
            None => row * width..(row + 1) * width,
        };
        if self.part.is_some() {
            rows.clone().map(row).for_each(&mut write);
        } else {
            write(rows.start * width..rows.end * width);
        }
        for _ in rows.len()..fed {
            write(row(rows.end.saturating_sub(1)));
        }
        Ok(())
    }

    /// The tensor that [`Feed::fill`] made ready.
    pub(super) fn tensor<'a>(
        &'a self,
        place: usize,
        from: From<'a>,
        rows: Range<usize>,
    ) -> ort::Result<SessionInputValue<'a>> {
        let own = self.columns.first().filter(|_| self.is_view(&rows));
        match own.and_then(|source| from.series(place, 0, *source)) {
            Some(series) => {
                let width = series.width();
                gather::view(
                    &series.values,
                    rows.start * width..rows.end * width,
                    &self.shape,
                )
            }
            None => self.buffer.tensor(&self.shape),
        }
    }
}

/// A declared shape as messages write it.
fn shape_name(dims: &[Dim]) -> String {
    let names: Vec<String> = (dims.iter())
        .map(|dim| match dim {
            Dim::Fixed(size) => size.to_string(),
            Dim::Free(name) if name.is_empty() => "?".to_owned(),
            Dim::Free(name) => name.clone(),
        })
        .collect();
    format!("[{}]", names.join(", "))
}
