//! Outputs become bytes. Encoders know tables; they know no channel and no broker.

pub mod json;
pub mod msgpack;
pub mod tensor;

use std::ops::Range;

use bytes::BytesMut;

use crate::{
    block::{Column, Layout, Record, Series, Table},
    message::{Headers, Reject, Stage},
};

/// Turns the rows of one message into the bytes of its result. Each encode thread owns one.
pub trait Encode: Send {
    /// Appends the result of `record` to `into`. Its rows are `rows` of both tables: `input` as
    /// the decoder filled it (passed keys included), `output` as the engine did.
    ///
    /// On `Err` the caller cuts `into` back. Returns how many scores were not finite (they become
    /// null where the format has no other way).
    ///
    /// # Errors
    /// The result cannot be written in this format.
    fn encode(
        &mut self,
        record: &Record,
        rows: Range<usize>,
        input: &Table,
        output: &Table,
        into: &mut BytesMut,
    ) -> Result<NonFinite, Reject>;

    /// Headers for the result that [`Encode::encode`] wrote last, where the bytes alone do not say
    /// what they are.
    fn headers(&self, _rows: usize, _layout: &Layout) -> Headers {
        Headers::new()
    }
}

/// How many scores of a result were NaN or infinite.
pub type NonFinite = usize;

/// One value of the result: which output, and which part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputField {
    /// The key in the result.
    pub key: String,
    /// The series of the output table.
    pub series: usize,
    /// One element of each row; `None` for the whole row value.
    pub element: Option<usize>,
    /// Keys of the elements where the value is a map (ZipMap): written as an object.
    pub labels: Option<Vec<String>>,
}

/// One place of a result list.
#[derive(Debug, Clone, Copy)]
enum Item<'a> {
    /// A row of the tables.
    Row(usize),
    /// A record that broke the contract.
    Rejected(&'a Reject),
}

/// The places of a result list in order: the good rows, and between them the rejected records.
fn items(
    mut rows: Range<usize>,
    rejected: &[(usize, Reject)],
) -> impl Iterator<Item = Item<'_>> + '_ {
    let mut bad = rejected.iter().peekable();
    (0..rows.len() + rejected.len()).filter_map(move |place| {
        if let Some((_, reject)) = bad.next_if(|(at, _)| *at == place) {
            return Some(Item::Rejected(reject));
        }
        let row = rows.next().map(Item::Row);
        row.or_else(|| bad.next().map(|(_, reject)| Item::Rejected(reject)))
    })
}

/// The series of one output, after checking that it has what the result needs, so that the rows
/// can be read without looking again.
fn series<'t>(
    field: &OutputField,
    output: &'t Table,
    rows: &Range<usize>,
) -> Result<&'t Series, Reject> {
    let fail = |what: String| {
        let reason = format!("output `{}`: {what}", field.key);
        Err(Reject::new(Stage::Encode, "shape", reason))
    };
    let Some(series) = output.series.get(field.series) else {
        return fail("the model gave no such output".to_owned());
    };
    let width = series.width();
    if series.values.len() < rows.end * width {
        let (found, end) = (series.values.len(), rows.end);
        return fail(format!("{found} elements for {end} rows of {width}"));
    }
    match field.element {
        Some(element) if element >= width => {
            fail(format!("no element {element} in rows of {width}"))
        }
        _ => Ok(series),
    }
}

/// The JSON text of a passed value; empty when the key was missing.
fn passed(input: &Table, passed_keys: usize, index: usize, row: usize) -> &str {
    let behind_the_fields = input.series.len().checked_sub(passed_keys);
    let series = behind_the_fields.and_then(|fields| input.series.get(fields + index));
    match series.map(|series| &series.values) {
        Some(Column::String(texts)) => texts.get(row).unwrap_or_default(),
        _ => "",
    }
}

/// The row of a result that is a single record.
fn only_row(rows: &Range<usize>) -> Result<usize, Reject> {
    if rows.len() == 1 {
        return Ok(rows.start);
    }
    let reason = format!("one record has {} rows", rows.len());
    Err(Reject::new(Stage::Encode, "rows", reason))
}

#[cfg(test)]
mod tests;
