//! Rows of a file, as JSON text.

mod cells;
mod columns;
mod csv;
mod jsonl;
mod parquet;
mod times;

use std::{fs::File, io, path::Path};

use bytes::Bytes;

use super::{Format, RowsError, plain};
use crate::{contract::Field, message::Reject};

/// A longer row is rejected, or ends the reading where the end of the row cannot be found.
const ROW_BYTES_MAX: usize = 64 << 20;
/// Once so many bytes are read, the rows are handed on.
const CHUNK_BYTES: usize = 4 << 20;
/// Of a row that is too long, what is shown.
const SHOWN_BYTES: usize = 4096;
const BUFFER: usize = 256 << 10;

/// A row as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 1: of the line in a file of JSON lines, else of the row.
    pub number: u64,
    /// Its JSON text; where there is a fault, what there is of it.
    pub text: Bytes,
    /// Why it cannot be read.
    pub fault: Option<Reject>,
}

/// Reads a file once, from its first row to its last.
pub trait ReadRows: Send + std::fmt::Debug {
    /// Appends the next rows: at most `most`, and fewer where they are large. None where the file
    /// has ended.
    ///
    /// # Errors
    /// The file cannot be read further.
    fn read(&mut self, most: usize, into: &mut Vec<Row>) -> Result<(), RowsError>;

    /// How many bytes of the file are read.
    fn position(&self) -> u64;

    /// What the reader of the result should know about the columns.
    fn notes(&self) -> &[String] {
        &[]
    }
}

/// What is wanted of a row.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// What a row must be.
    pub fields: &'a [Field],
    /// Further keys that are carried along.
    pub passed: &'a [String],
}

/// Opens a file of rows, or standard input where there is no path, and says how many bytes it has.
///
/// # Errors
/// The file cannot be opened, or has not the columns that are needed.
pub fn open(
    path: Option<&Path>,
    format: Format,
    wanted: Wanted<'_>,
) -> Result<(Box<dyn ReadRows>, Option<u64>), RowsError> {
    let Some(path) = path else {
        let name = "standard input".to_owned();
        let input = Box::new(io::stdin());
        return Ok((
            match format {
                Format::Jsonl => Box::new(jsonl::Lines::new(input, name)),
                Format::Csv => Box::new(csv::Records::open(input, name, wanted)?),
                Format::Parquet => {
                    return Err(RowsError::Unreadable(
                        "Parquet cannot be read from standard input: its table of contents stands at its end; name a file".to_owned(),
                    ));
                }
            },
            None,
        ));
    };
    let name = format!("`{}`", path.display());
    let unreadable = |what: &str| RowsError::Unreadable(format!("cannot read {name}: {what}"));
    let file = File::open(path).map_err(|error| unreadable(&plain(&error)))?;
    let about = file
        .metadata()
        .map_err(|error| unreadable(&plain(&error)))?;
    if about.is_dir() {
        return Err(unreadable("it is a folder"));
    }
    let reader: Box<dyn ReadRows> = match format {
        Format::Jsonl => Box::new(jsonl::Lines::new(Box::new(file), name)),
        Format::Csv => Box::new(csv::Records::open(Box::new(file), name, wanted)?),
        Format::Parquet => Box::new(parquet::Groups::open(file, name, wanted)?),
    };
    Ok((reader, about.is_file().then_some(about.len())))
}
