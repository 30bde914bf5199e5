//! Comma-separated values (RFC 4180, lines that end in `\n`): a vector has a column for each element.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{OutColumn, Shape, kind};
use crate::{
    block::{Column, Table},
    encode::json::integer,
};

/// The line that names the columns.
pub(super) fn header(shape: &Shape) -> Bytes {
    let mut line = Line::default();
    for key in &shape.passed {
        line.text(key);
    }
    for column in &shape.columns {
        let key = &column.field.key;
        if column.is_single() {
            line.text(key);
        } else if let Some(labels) = &column.field.labels {
            for label in labels {
                line.text(&format!("{key}_{label}"));
            }
        } else {
            for element in column.elements() {
                line.text(&format!("{key}_{element}"));
            }
        }
    }
    line.end();
    line.out.freeze()
}

/// The rows of a table, a line each.
pub(super) fn lines(table: &Table, shape: &Shape) -> Bytes {
    let mut line = Line::default();
    let behind = table.series.len() - shape.passed.len();
    for row in 0..table.rows {
        for passed in table.series.iter().skip(behind) {
            if let Column::String(texts) = &passed.values {
                match kind::text(texts.get(row).unwrap_or_default()) {
                    Some(value) => line.text(&value),
                    None => line.begin(),
                }
            }
        }
        for column in &shape.columns {
            cells(column, table, row, &mut line);
        }
        line.end();
    }
    line.out.freeze()
}

fn cells(column: &OutColumn, table: &Table, row: usize, line: &mut Line) {
    let Some(series) = table.series.get(column.field.series) else {
        return;
    };
    if !series.is_present(row) {
        column.elements().for_each(|_| line.begin());
        return;
    }
    let start = row * column.width();
    for at in column.elements() {
        let at = start + at;
        match &series.values {
            Column::F32(values) => line.float(values[at], values[at].is_finite()),
            Column::F64(values) => line.float(values[at], values[at].is_finite()),
            Column::I32(values) => line.integer(values[at]),
            Column::I64(values) => line.integer(values[at]),
            Column::U8(values) => line.integer(values[at]),
            Column::Bool(values) => line.text(if values[at] { "true" } else { "false" }),
            Column::String(values) => line.text(values.get(at).unwrap_or_default()),
            Column::Bytes(_) => line.begin(),
        }
    }
}

/// Lines in the making.
#[derive(Default)]
struct Line {
    out: BytesMut,
    /// Cells of this line.
    cells: usize,
}

impl Line {
    fn begin(&mut self) {
        if self.cells > 0 {
            self.out.put_u8(b',');
        }
        self.cells += 1;
    }

    /// What is not finite is an empty cell, which is read as missing.
    fn float(&mut self, value: impl zmij::Float, finite: bool) {
        self.begin();
        if finite {
            let mut buffer = zmij::Buffer::new();
            self.out.put_slice(buffer.format_finite(value).as_bytes());
        }
    }

    fn integer(&mut self, value: impl itoa::Integer) {
        self.begin();
        integer(value, &mut self.out);
    }

    fn text(&mut self, value: &str) {
        self.begin();
        let quoted = value.is_empty()
            || value.starts_with(' ')
            || value.ends_with(' ')
            || value
                .bytes()
                .any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r'));
        if !quoted {
            self.out.put_slice(value.as_bytes());
            return;
        }
        self.out.put_u8(b'"');
        for (place, part) in value.split('"').enumerate() {
            if place > 0 {
                self.out.put_slice(b"\"\"");
            }
            self.out.put_slice(part.as_bytes());
        }
        self.out.put_u8(b'"');
    }

    fn end(&mut self) {
        // A line of one empty cell would be no line at all.
        if self.cells == 1 && matches!(self.out.last(), None | Some(b'\n')) {
            self.out.put_slice(b"\"\"");
        }
        self.out.put_u8(b'\n');
        self.cells = 0;
    }
}
