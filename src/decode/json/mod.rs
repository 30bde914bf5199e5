//! JSON straight into typed columns: no value tree, and no allocation once the columns have grown.

mod number;
mod scan;
mod value;

use self::scan::{Scan, Scanner, Syntax};
use crate::{
    block::{Layout, Table},
    contract::Field,
    decode::{
        Decode, Decoded,
        breach::clip,
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
        let mut tally = Tally::default();
        let mut first = true;
        while !scan.array_ends(first)? {
            first = false;
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
        Ok(Err(*reject))
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
