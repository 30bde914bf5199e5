//! JSON lines, as they stand.

use std::io::{BufRead as _, BufReader, Read};

use bytes::BytesMut;

use super::{BUFFER, CHUNK_BYTES, ROW_BYTES_MAX, ReadRows, Row, SHOWN_BYTES};
use crate::{
    message::{Reject, Stage},
    rows::{RowsError, plain},
};

/// A row a line; empty lines are skipped, and counted.
pub(super) struct Lines {
    input: BufReader<Box<dyn Read + Send>>,
    name: String,
    chunk: BytesMut,
    number: u64,
    position: u64,
    limit: usize,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("name", &self.name).finish()
    }
}

impl Lines {
    pub(super) fn new(input: Box<dyn Read + Send>, name: String) -> Self {
        Self {
            input: BufReader::with_capacity(BUFFER, input),
            name,
            chunk: BytesMut::new(),
            number: 0,
            position: 0,
            limit: ROW_BYTES_MAX,
        }
    }

    /// The next line in `chunk`, without its end; whether it is too long. `None` at the end.
    fn line(&mut self) -> Result<Option<bool>, RowsError> {
        let (mut too_long, mut any) = (false, false);
        loop {
            let buffer = self.input.fill_buf().map_err(|error| {
                RowsError::Unreadable(format!("cannot read {}: {}", self.name, plain(&error)))
            })?;
            if buffer.is_empty() {
                return Ok(any.then_some(too_long));
            }
            any = true;
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            if !too_long {
                if self.chunk.len() + part.len() > self.limit {
                    too_long = true;
                    self.chunk.truncate(SHOWN_BYTES);
                } else {
                    self.chunk.extend_from_slice(part);
                }
            }
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.input.consume(used);
            self.position += used as u64;
            if end.is_some() {
                return Ok(Some(too_long));
            }
        }
    }
}

impl ReadRows for Lines {
    fn read(&mut self, most: usize, into: &mut Vec<Row>) -> Result<(), RowsError> {
        let (start, mut bytes) = (into.len(), 0);
        while into.len() - start < most && bytes < CHUNK_BYTES {
            let Some(too_long) = self.line()? else { break };
            self.number += 1;
            let mut text = self.chunk.split().freeze();
            if self.number == 1 && text.starts_with(b"\xef\xbb\xbf") {
                text = text.slice(3..);
            }
            if text.iter().all(u8::is_ascii_whitespace) && !too_long {
                continue;
            }
            bytes += text.len();
            into.push(Row {
                number: self.number,
                text,
                fault: too_long.then(|| {
                    let reason = format!("the line is longer than {} MiB", self.limit >> 20);
                    Reject::new(Stage::Source, "size", reason)
                }),
            });
        }
        Ok(())
    }

    fn position(&self) -> u64 {
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_length_come_to_their_end() {
        let text = b"\xef\xbb\xbf{}\r\n\n  \n{\"a\":1}\n0123456789\n{}".as_slice();
        let mut lines = Lines::new(Box::new(text), "it".to_owned());
        lines.limit = 8;
        let mut rows = Vec::new();
        lines.read(2, &mut rows).expect("read");
        assert_eq!(rows.len(), 2);
        lines.read(100, &mut rows).expect("read");
        let all: Vec<_> = rows
            .iter()
            .map(|row| (row.number, &row.text[..], row.fault.is_some()))
            .collect();
        let expected: [(u64, &[u8], bool); 4] = [
            (1, b"{}\r", false),
            (4, b"{\"a\":1}", false),
            (5, b"", true),
            (6, b"{}", false),
        ];
        assert_eq!(all, expected);
        lines.read(100, &mut rows).expect("read");
        assert_eq!((rows.len(), lines.position()), (4, text.len() as u64));
    }
}
