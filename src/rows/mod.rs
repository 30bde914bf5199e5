//! Files of rows: JSON lines, CSV and Parquet, read row by row as the JSON text that the decoder
//! takes, and written as columns. Nothing here knows models or what a row must be.

pub mod json;
pub mod read;
pub mod write;

use std::{fmt, io, path::Path};

/// The form of a file of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A JSON object a line.
    Jsonl,
    /// Comma-separated values, the names of the columns first (RFC 4180).
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The form that the ending of a path stands for.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Why rows could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowsError {
    /// The file is not there, or is damaged. A sentence.
    Unreadable(String),
    /// The columns are not those that are needed. A sentence.
    Columns(String),
    /// The output cannot be written. A sentence.
    Unwritable(String),
    /// Nobody reads standard output any more.
    Gone,
    /// A passed key turned out to be of another kind than its column, which must be written anew
    /// with these kinds.
    Widen(Vec<write::Kind>),
}

impl RowsError {
    /// An error of the output named `name`.
    pub fn write(name: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Gone;
        }
        Self::Unwritable(format!("{name} cannot be written: {}", plain(error)))
    }
}

impl fmt::Display for RowsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(text) | Self::Columns(text) | Self::Unwritable(text) => {
                f.write_str(text)
            }
            Self::Gone => f.write_str("nobody reads standard output"),
            Self::Widen(_) => f.write_str("a passed key is of several kinds"),
        }
    }
}

impl std::error::Error for RowsError {}

/// The system's words without its numbers.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
