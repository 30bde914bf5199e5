//! Row by row: which keys came, what stands in for those that did not, and what a list of rows
//! amounts to. Shared by every format whose records have keys.

use crate::{
    block::{Column, Layout, Table},
    contract::Field,
    decode::{Decoded, rules::Rules},
    message::{Reject, Stage},
};

/// The contract of a pipeline and the account of the row being read.
///
/// A *slot* is the index of a series: the fields, then the passed keys.
#[derive(Debug)]
pub(super) struct Contract {
    /// One for each field.
    pub(super) rules: Vec<Rules>,
    /// Per slot, the number of the last row in which it came.
    seen: Vec<u64>,
    row: u64,
    missing: usize,
}

impl Contract {
    pub(super) fn new(fields: &[Field], passed: &[String]) -> Self {
        Self {
            rules: fields.iter().map(Rules::new).collect(),
            seen: vec![0; fields.len() + passed.len()],
            row: 0,
            missing: 0,
        }
    }

    /// A new row begins.
    pub(super) fn begin(&mut self) {
        self.row += 1;
        self.missing = self.seen.len();
    }

    /// A value for `slot` comes. Of a repeated key the last value counts, so what an earlier one
    /// left in the table is cut off.
    #[inline]
    pub(super) fn arrives(&mut self, slot: usize, table: &mut Table) {
        let seen = &mut self.seen[slot];
        if *seen == self.row {
            let series = &mut table.series[slot];
            let elements = table.rows * series.width();
            series.values.truncate(elements);
        } else {
            *seen = self.row;
            self.missing -= 1;
        }
    }

    /// The row ends: fills in what did not come and counts the row.
    pub(super) fn finish(&mut self, table: &mut Table) -> Result<(), Reject> {
        if self.missing > 0 {
            self.fill_missing(table)?;
        }
        table.rows += 1;
        Ok(())
    }

    fn fill_missing(&self, table: &mut Table) -> Result<(), Reject> {
        for (slot, seen) in self.seen.iter().enumerate() {
            if *seen == self.row {
                continue;
            }
            let column = &mut table.series[slot].values;
            match self.rules.get(slot) {
                Some(rules) => rules
                    .push_missing(column)
                    .map_err(|breach| rules.reject(breach, "", None))?,
                None => push_passed(column, ""),
            }
        }
        Ok(())
    }
}

/// Appends the JSON text of a passed value. Line ends outside strings become spaces, so that a
/// result stays one line where lines matter (inside strings JSON has none).
pub(super) fn push_passed(column: &mut Column, json: &str) {
    if let Column::String(values) = column {
        if json.bytes().any(|byte| byte == b'\n' || byte == b'\r') {
            values.push(&json.replace(['\n', '\r'], " "));
        } else {
            values.push(json);
        }
    }
}

/// What became of the records of one list.
#[derive(Debug, Default)]
pub(super) struct Tally {
    records: usize,
    rejected: Vec<(usize, Reject)>,
}

impl Tally {
    /// Counts the next record. A bad one leaves nothing in the table.
    pub(super) fn count(&mut self, record: Result<(), Reject>, table: &mut Table) {
        if let Err(reject) = record {
            table.truncate(table.rows);
            self.rejected.push((self.records, reject));
        }
        self.records += 1;
    }

    /// The list has ended. Without a single good record (but with bad ones) it is an error.
    pub(super) fn close(self) -> Result<Decoded, Reject> {
        let Self {
            records,
            mut rejected,
        } = self;
        let rows = records - rejected.len();
        if rows == 0 && records > 0 {
            let (_, first) = rejected.swap_remove(0);
            let reason = match records {
                1 => format!("the only row of the list: {}", first.reason),
                _ => format!(
                    "none of the {records} rows is good; the first: {}",
                    first.reason
                ),
            };
            return Err(Reject::new(Stage::Decode, first.kind, reason));
        }
        Ok(Decoded {
            rows,
            layout: Layout::Many { rejected },
        })
    }
}
