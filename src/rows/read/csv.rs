//! Comma-separated values (RFC 4180): the first record names the columns.

use std::io::{self, Read};

use bytes::{BufMut as _, BytesMut};
use csv::{ByteRecord, ReaderBuilder};

use super::{
    BUFFER, CHUNK_BYTES, ROW_BYTES_MAX, ReadRows, Row, Wanted,
    columns::{At, Place, places},
};
use crate::{
    encode::json::text,
    message::{Reject, Stage},
    rows::{RowsError, json::cell, plain},
};

/// Records with their cells as JSON values. An empty cell is missing.
pub(super) struct Records {
    input: csv::Reader<Bounded>,
    name: String,
    places: Vec<Prepared>,
    columns: usize,
    notes: Vec<String>,
    record: ByteRecord,
    chunk: BytesMut,
    number: u64,
}

/// A place and `"key":`.
struct Prepared {
    place: Place,
    lead: Vec<u8>,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("name", &self.name).finish()
    }
}

/// Input that ends with an error where a record has no end: a quote that is never closed would
/// take the whole file into memory.
struct Bounded {
    input: Box<dyn Read + Send>,
    left: usize,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(format!(
                "it is longer than {} MiB; is a quote missing?",
                ROW_BYTES_MAX >> 20
            )));
        }
        let count = self.input.read(buffer)?;
        self.left = self.left.saturating_sub(count);
        Ok(count)
    }
}

impl Records {
    pub(super) fn open(
        input: Box<dyn Read + Send>,
        name: String,
        wanted: Wanted<'_>,
    ) -> Result<Self, RowsError> {
        let left = ROW_BYTES_MAX;
        let mut input = ReaderBuilder::new()
            .buffer_capacity(BUFFER)
            .flexible(true)
            .from_reader(Bounded { input, left });
        let header = input.byte_headers();
        let header = header.map_err(|error| broken(&name, "the first line", error))?;
        let names = header.iter().map(|key| String::from_utf8(key.to_vec()));
        let names: Vec<String> = names.collect::<Result<_, _>>().map_err(|_| {
            RowsError::Columns(format!(
                "the first line of {name} is not UTF-8 text; save the file as UTF-8"
            ))
        })?;
        let (places, notes) = places(&names, wanted, true, &name)?;
        let places = places.into_iter().map(|place| {
            let mut lead = BytesMut::new();
            text(&place.key, &mut lead);
            lead.put_u8(b':');
            Prepared {
                place,
                lead: lead.to_vec(),
            }
        });
        Ok(Self {
            input,
            name,
            places: places.collect(),
            columns: names.len(),
            notes,
            record: ByteRecord::new(),
            chunk: BytesMut::new(),
            number: 0,
        })
    }

    /// Writes the record into `chunk`.
    fn row(&mut self) -> Result<(), Reject> {
        let found = self.record.len();
        if found != self.columns {
            return Err(syntax(format!(
                "the row has {found} cells, and the first line names {} columns",
                self.columns
            )));
        }
        self.chunk.put_u8(b'{');
        let mut first = true;
        for Prepared { place, lead } in &self.places {
            let cell_at = |at: usize| {
                let bytes = self.record.get(at).unwrap_or_default();
                std::str::from_utf8(bytes)
                    .map_err(|_| syntax(format!("the cell of `{}` is not UTF-8 text", place.key)))
            };
            let mut begin = |chunk: &mut BytesMut| {
                if !std::mem::take(&mut first) {
                    chunk.put_u8(b',');
                }
                chunk.put_slice(lead);
            };
            match &place.at {
                At::One(at) => {
                    let value = cell_at(*at)?;
                    if !value.is_empty() {
                        begin(&mut self.chunk);
                        cell(value, place.want, &mut self.chunk);
                    }
                }
                At::Each(columns) => {
                    let is_empty = |at: &usize| self.record.get(*at).is_none_or(<[u8]>::is_empty);
                    if columns.iter().all(is_empty) {
                        continue;
                    }
                    begin(&mut self.chunk);
                    for (element, at) in columns.iter().enumerate() {
                        self.chunk.put_u8(if element == 0 { b'[' } else { b',' });
                        match cell_at(*at)? {
                            "" => self.chunk.put_slice(b"null"),
                            value => cell(value, place.element, &mut self.chunk),
                        }
                    }
                    self.chunk.put_u8(b']');
                }
            }
        }
        self.chunk.put_u8(b'}');
        Ok(())
    }

    /// The cells of a record that is no row, as a list of texts.
    fn cells(&mut self) {
        self.chunk.clear();
        self.chunk.put_u8(b'[');
        for (at, cell) in self.record.iter().enumerate() {
            if at > 0 {
                self.chunk.put_u8(b',');
            }
            text(&String::from_utf8_lossy(cell), &mut self.chunk);
        }
        self.chunk.put_u8(b']');
    }
}

impl ReadRows for Records {
    fn read(&mut self, most: usize, into: &mut Vec<Row>) -> Result<(), RowsError> {
        let (start, mut bytes) = (into.len(), 0);
        while into.len() - start < most && bytes < CHUNK_BYTES {
            self.input.get_mut().left = ROW_BYTES_MAX;
            let more = self.input.read_byte_record(&mut self.record);
            let more = more
                .map_err(|error| broken(&self.name, &format!("row {}", self.number + 1), error))?;
            if !more {
                break;
            }
            self.number += 1;
            let fault = self.row().err();
            if fault.is_some() {
                self.cells();
            }
            let text = self.chunk.split().freeze();
            bytes += text.len();
            into.push(Row {
                number: self.number,
                text,
                fault,
            });
        }
        Ok(())
    }

    fn position(&self) -> u64 {
        self.input.position().byte()
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}

fn syntax(reason: String) -> Reject {
    Reject::new(Stage::Source, "syntax", reason)
}

fn broken(name: &str, what: &str, error: csv::Error) -> RowsError {
    let why = match error.into_kind() {
        csv::ErrorKind::Io(error) => plain(&error),
        _ => "it is no CSV".to_owned(),
    };
    RowsError::Unreadable(format!("cannot read {what} of {name}: {why}"))
}
