//! JSON straight into typed columns: no value tree, and no allocation once the columns have grown.
//!
//! The grammar is exactly serde_json's: strict RFC 8259, UTF-8, at most 127 levels, no half
//! surrogate pairs; a number that is only skipped may be of any size. What RFC 8259 leaves open:
//!
//! - Of a repeated key the last value counts, as in Python, JavaScript and serde_json's maps; the
//!   earlier ones must keep the contract too.
//! - An array is nested as its field's shape says; with two dimensions or more it may be flat
//!   instead, and with a single element it may be the bare value.
//! - An f32 is the nearest double rounded to f32, as numpy reads it. `3.0` and `3e0` are integers.
//!
//! Why a scanner of its own, and not serde: ns for a row of 30 numbers into f32 columns, best of
//! three runs on a virtual machine with two x86-64 cores, one thread (the others unchecked):
//!
//! | | 9 digits | 17 digits | integers |
//! |---|---:|---:|---:|
//! | serde_json `Value` | 3,590 | 3,880 | 3,310 |
//! | sonic-rs 0.5.10, lazy object iterator | 2,860 | 2,990 | 2,420 |
//! | serde_json, seed that pushes into columns | 1,770 | 2,010 | 1,340 |
//! | sonic-rs, the same seed | 1,270 | 1,770 | 1,040 |
//! | this one, keys in a new order in each row | 1,340 | 1,810 | 1,230 |
//! | this one | 590 | 1,020 | 470 |
//!
//! Since then plain numbers are read in one go (`plain`), which took 30 % off the instructions of the last row, and 38 %
//! off those for 17 digits; and the end of each is found by one look, on which only the next one waits: a quarter off the
//! time of what was left of the first. `benches/instructions` holds the instructions.

mod number;
mod plain;
mod scan;
mod value;

use self::{
    plain::plain,
    scan::{Scan, Scanner, Syntax},
};
use crate::{
    block::{Layout, Table},
    contract::Field,
    decode::{
        Decode, Decoded, HostSteps,
        breach::{Strangers, clip, is_missing},
        order::{KeyOrder, Place, START},
        row::{Contract, Tally, push_passed},
    },
    message::{Message, Reject, Stage},
};

/// Reads an object as one row and an array of objects as many.
#[derive(Debug)]
pub struct JsonDecoder {
    contract: Contract,
    order: KeyOrder,
    /// For strings with escapes.
    scratch: String,
}

/// Why a row could not be read. `Reject` is boxed to keep the good path's results small.
#[derive(Debug)]
enum Fault {
    /// The text is not JSON: the whole message is lost.
    Syntax(Syntax),
    /// The row breaks the contract: its neighbours go on.
    Row(Box<Reject>),
}

impl From<Syntax> for Fault {
    fn from(syntax: Syntax) -> Self {
        Self::Syntax(syntax)
    }
}

impl From<Reject> for Fault {
    fn from(reject: Reject) -> Self {
        Self::Row(Box::new(reject))
    }
}

impl JsonDecoder {
    /// A decoder for rows with these fields that carries the `passed` keys along.
    pub fn new(fields: &[Field], passed: &[String]) -> Self {
        Self {
            contract: Contract::new(fields, passed),
            order: KeyOrder::new(fields, passed),
            scratch: String::new(),
        }
    }

    /// With the steps that make the derived fields.
    #[must_use]
    pub fn with_hosts(mut self, hosts: HostSteps) -> Self {
        self.contract = self.contract.with_hosts(hosts);
        self
    }

    fn document(
        &mut self,
        scan: &mut Scanner<'_>,
        table: &mut Table,
    ) -> Scan<Result<Decoded, Reject>> {
        scan.blank();
        let decoded = match scan.peek() {
            None => {
                return Ok(Err(Reject::new(
                    Stage::Decode,
                    "empty",
                    "the message is empty",
                )));
            }
            Some(b'[') => self.list(scan, table)?,
            _ => self.record(scan, table)?.map(|()| Decoded {
                rows: 1,
                layout: Layout::One,
            }),
        };
        scan.end()?;
        Ok(decoded)
    }

    fn list(&mut self, scan: &mut Scanner<'_>, table: &mut Table) -> Scan<Result<Decoded, Reject>> {
        scan.enter()?;
        scan.pos += 1;
        let mut tally = Tally::new(self.contract.row_bytes);
        let mut first = true;
        while !scan.array_ends(first)? {
            first = false;
            if tally.is_full() {
                scan.skip()?;
                tally.pass_over();
                continue;
            }
            let record = self.record(scan, table)?;
            tally.count(record, table);
        }
        scan.leave();
        Ok(tally.close())
    }

    /// Reads one record to its end, whether or not it keeps the contract: that the message is
    /// JSON at all is checked first, so a syntax error hides no other, in either layout.
    fn record(&mut self, scan: &mut Scanner<'_>, table: &mut Table) -> Scan<Result<(), Reject>> {
        let mark = scan.mark();
        let reject = match self.row(scan, table) {
            Ok(()) => return Ok(Ok(())),
            Err(Fault::Syntax(syntax)) => return Err(syntax),
            Err(Fault::Row(reject)) => reject,
        };
        scan.rewind(mark);
        scan.skip()?;
        let mut reject = *reject;
        if is_missing(&reject) {
            let mut strangers = Strangers::default();
            // It was read once: what ends this early is no mistake of the sender's.
            self.strangers(scan.since(mark.0), &mut strangers).ok();
            strangers.tell(&mut reject);
        }
        Ok(Err(reject))
    }

    /// Notes the keys of an object that are neither fields nor passed.
    #[cold]
    fn strangers(&mut self, record: &str, strangers: &mut Strangers) -> Scan<()> {
        let mut scan = Scanner::new(record);
        scan.expect(b'{', "expected an object")?;
        scan.blank();
        while scan.peek() == Some(b'"') {
            let name = scan.string(&mut self.scratch)?;
            if self.order.is_stranger(name) {
                strangers.note(name);
            }
            scan.blank();
            scan.expect(b':', "expected `:`")?;
            scan.blank();
            scan.skip()?;
            scan.blank();
            if scan.peek() != Some(b',') {
                break;
            }
            scan.pos += 1;
            scan.blank();
        }
        Ok(())
    }

    fn row(&mut self, scan: &mut Scanner<'_>, table: &mut Table) -> Result<(), Fault> {
        if scan.peek() != Some(b'{') {
            let start = scan.pos;
            scan.skip()?;
            let shown = clip(scan.since(start));
            let reason = format!("{shown} is not an object with the fields of a row");
            return Err(Reject::new(Stage::Decode, "type", reason).into());
        }
        scan.enter()?;
        self.contract.begin();
        let mut place = START;
        loop {
            place = match self.order.expected(place, &scan.bytes[scan.pos..]) {
                Some((next, bytes)) => {
                    let from = scan.pos;
                    if self.order.target(next).float.is_some() {
                        place = self.numbers(scan, table, place);
                    }
                    if scan.pos > from {
                        continue;
                    }
                    scan.pos += bytes;
                    next
                }
                None => match self.key(scan, place)? {
                    Some(next) => next,
                    None => break,
                },
            };
            scan.blank();
            let target = self.order.target(place);
            match (target.field, target.passed) {
                (Some(slot), None) => self.field(scan, table, slot)?,
                (None, None) => scan.skip()?,
                (field, Some(passed)) => {
                    let start = scan.pos;
                    match field {
                        Some(slot) => self.field(scan, table, slot)?,
                        None => scan.skip()?,
                    }
                    self.contract.arrives(passed, table);
                    push_passed(&mut table.series[passed].values, scan.since(start));
                }
            }
        }
        scan.leave();
        Ok(self.contract.finish(table)?)
    }

    /// Reads the values of single floats for as long as their keys come as the last time; gives the last of these. Most
    /// rows have nothing else, so this is a loop of its own, which needs few registers.
    #[inline(never)]
    fn numbers(&mut self, scan: &mut Scanner<'_>, table: &mut Table, mut place: Place) -> Place {
        let mut rest = scan.bytes.get(scan.pos..).unwrap_or_default();
        while let Some(way) = self.order.to_float(place, rest)
            && let Some(number) = rest.get(way.bytes..)
            && let Some((value, len)) = plain(number)
            && let Some(behind) = number.get(len..)
            && self.contract.float(way.slot, value, table)
        {
            rest = behind;
            place = way.place;
        }
        scan.pos = scan.bytes.len() - rest.len();
        place
    }

    /// Reads up to the next key's value, or over the row's end (`None`).
    fn key(&mut self, scan: &mut Scanner<'_>, place: Place) -> Scan<Option<Place>> {
        let from = scan.pos;
        scan.blank();
        match scan.peek() {
            Some(b'{') if place == START => {
                scan.pos += 1;
                scan.blank();
                if scan.peek() == Some(b'}') {
                    scan.pos += 1;
                    return Ok(None);
                }
            }
            Some(b',') if place != START => {
                scan.pos += 1;
                scan.blank();
            }
            Some(b'}') => {
                scan.pos += 1;
                return Ok(None);
            }
            _ => return scan.fail("expected `,` or `}`"),
        }
        scan.at_key()?;
        let next = self.order.place(scan.string(&mut self.scratch)?);
        scan.blank();
        scan.expect(b':', "expected `:`")?;
        scan.blank();
        self.order.learn(place, next, scan.since(from).as_bytes());
        Ok(Some(next))
    }

    #[inline]
    fn field(
        &mut self,
        scan: &mut Scanner<'_>,
        table: &mut Table,
        slot: usize,
    ) -> Result<(), Fault> {
        self.contract.arrives(slot, table);
        let rules = &self.contract.rules[slot];
        value::read(
            scan,
            rules,
            &mut table.series[slot].values,
            &mut self.scratch,
        )
    }
}

impl Decode for JsonDecoder {
    fn decode(&mut self, message: &Message, table: &mut Table) -> Result<Decoded, Reject> {
        let text = std::str::from_utf8(&message.payload).map_err(|error| {
            let at = error.valid_up_to();
            let reason = format!("not JSON: the text is not UTF-8 at byte {at}");
            Reject::new(Stage::Decode, "syntax", reason)
        })?;
        self.document(&mut Scanner::new(text), table)
            .unwrap_or_else(|syntax| Err(syntax.reject(text)))
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
