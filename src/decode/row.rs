//! Row by row: which keys came, what stands in for those that did not, and what a list of rows
//! amounts to. Shared by every format whose records have keys.

use crate::{
    block::{Column, Layout, Table},
    contract::Field,
    decode::{Decoded, host::HostSteps, rules::Rules},
    message::{Reject, Stage},
};

/// What the rows of one message may become, in bytes of columns. A few bytes of a list can stand
/// for a large array by its default or NaN; without a limit they would take all memory.
const DECODED_BYTES_MAX: usize = 256 << 20;
/// What a bad row counts for in that limit: its reason, here and in the result.
const BAD_ROW_BYTES: usize = 256;
/// So many bad rows of a message are described; the others only by the kind of their reason.
const REASONS_MAX: usize = 100;

/// The contract of a pipeline and the account of the row being read.
///
/// A *slot* is the index of a series: the fields, then the passed keys.
#[derive(Debug)]
pub(super) struct Contract {
    /// One for each field.
    pub(super) rules: Vec<Rules>,
    /// Bytes of one row's columns that need not come with the message.
    pub(super) row_bytes: usize,
    slots: Vec<Slot>,
    row: u64,
    missing: usize,
    /// Slots that a message can bring.
    expected: usize,
    hosts: HostSteps,
}

/// What is looked at for each value that comes.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The number of the last row in which it came.
    seen: u64,
    /// Bounds of single floats, where they say all that the contract does; NaN, which nothing is within, for others.
    floats: [f64; 2],
}

impl Contract {
    pub(super) fn new(fields: &[Field], passed: &[String]) -> Self {
        let rules: Vec<Rules> = fields.iter().map(Rules::new).collect();
        let passed_bytes = passed.len() * size_of::<usize>();
        let floats = (rules.iter().map(Rules::plain_floats)).chain(passed.iter().map(|_| None));
        let slots = floats.map(|floats| Slot {
            seen: 0,
            floats: floats.unwrap_or([f64::NAN; 2]),
        });
        Self {
            slots: slots.collect(),
            row_bytes: (rules.iter().map(Rules::row_bytes))
                .fold(passed_bytes, usize::saturating_add),
            rules,
            row: 0,
            missing: 0,
            expected: passed.len() + fields.iter().filter(|field| !field.derived).count(),
            hosts: HostSteps::default(),
        }
    }

    /// With the steps that make the derived fields.
    pub(super) fn with_hosts(mut self, hosts: HostSteps) -> Self {
        self.hosts = hosts;
        self
    }

    /// A new row begins.
    pub(super) fn begin(&mut self) {
        self.row += 1;
        self.missing = self.expected;
    }

    /// A value for `slot` comes. Of a repeated key the last value counts, so what an earlier one
    /// left in the table is cut off.
    #[inline]
    pub(super) fn arrives(&mut self, slot: usize, table: &mut Table) {
        let seen = &mut self.slots[slot].seen;
        if *seen == self.row {
            let series = &mut table.series[slot];
            let elements = table.rows * series.width();
            series.values.truncate(elements);
        } else {
            *seen = self.row;
            self.missing -= 1;
        }
    }

    /// The number that comes for a field of single floats. Says no, and changes nothing, where it needs a closer look.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "too large is infinite, and no bounds have it within"
    )]
    pub(super) fn float(&mut self, slot: usize, value: f64, table: &mut Table) -> bool {
        let of_slot = &mut self.slots[slot];
        if of_slot.seen == self.row {
            return false;
        }
        let [least, most] = of_slot.floats;
        let within = |value: f64| value >= least && value <= most;
        match &mut table.series[slot].values {
            Column::F32(values) if within(f64::from(value as f32)) => values.push(value as f32),
            Column::F64(values) if within(value) => values.push(value),
            _ => return false,
        }
        of_slot.seen = self.row;
        self.missing -= 1;
        true
    }

    /// The row ends: fills in what did not come and counts the row.
    pub(super) fn finish(&mut self, table: &mut Table) -> Result<(), Reject> {
        if self.missing > 0 {
            self.fill_missing(table)?;
        }
        self.hosts.run(table)?;
        table.rows += 1;
        Ok(())
    }

    fn fill_missing(&self, table: &mut Table) -> Result<(), Reject> {
        for (slot, Slot { seen, .. }) in self.slots.iter().enumerate() {
            let derived = self.rules.get(slot).is_some_and(Rules::is_derived);
            if *seen == self.row || derived {
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
#[derive(Debug)]
pub(super) struct Tally {
    row_bytes: usize,
    records: usize,
    /// Records that were not read any more.
    passed_over: usize,
    rejected: Vec<(usize, Reject)>,
}

impl Tally {
    /// A list of rows that take so many bytes each.
    pub(super) fn new(row_bytes: usize) -> Self {
        Self {
            row_bytes,
            records: 0,
            passed_over: 0,
            rejected: Vec::new(),
        }
    }

    /// Whether the next record would be more than one message may become. The first one always
    /// has room: how large a single row is, the pipeline file says.
    pub(super) fn is_full(&self) -> bool {
        let bad = self.rejected.len();
        let good = self.records - bad + 1;
        let bytes = (good.saturating_mul(self.row_bytes)).saturating_add(bad * BAD_ROW_BYTES);
        self.records > 0 && bytes > DECODED_BYTES_MAX
    }

    /// Counts a record that was not read, since there is no room for it.
    pub(super) fn pass_over(&mut self) {
        self.passed_over += 1;
    }

    fn too_much(&self) -> Reject {
        let (bad, rows) = (self.rejected.len(), self.records + self.passed_over);
        let found = if self.row_bytes.saturating_mul(rows) > DECODED_BYTES_MAX {
            format!("{rows} rows of {} bytes", self.row_bytes)
        } else {
            format!(
                "{rows} rows, of which the first {} had {bad} bad ones,",
                self.records
            )
        };
        let reason = format!(
            "{found} are more than the {DECODED_BYTES_MAX} bytes that one message may become; send them in several messages"
        );
        Reject::new(Stage::Decode, "size", reason)
    }

    /// Counts the next record. A bad one leaves nothing in the table.
    pub(super) fn count(&mut self, record: Result<(), Reject>, table: &mut Table) {
        if let Err(mut reject) = record {
            table.truncate(table.rows);
            if self.rejected.len() >= REASONS_MAX {
                reject.kind.clone_into(&mut reject.reason);
            }
            self.rejected.push((self.records, reject));
        }
        self.records += 1;
    }

    /// The list has ended. Without a single good record (but with bad ones) it is an error.
    pub(super) fn close(self) -> Result<Decoded, Reject> {
        if self.passed_over > 0 {
            return Err(self.too_much());
        }
        let Self {
            records,
            mut rejected,
            ..
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
