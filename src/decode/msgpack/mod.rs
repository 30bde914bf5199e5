//! MessagePack straight into typed columns, under the same contract as JSON.
//!
//! A map with text keys is one row, an array of maps many. Keys that are not text belong to no
//! field and are skipped. Binary data is taken for the elements of a u8 array. NaN counts as null.

mod read;
mod text;
mod value;

use self::read::{Item, Read, Reader, Syntax};
use crate::{
    block::{Layout, Table},
    contract::Field,
    decode::{
        Decode, Decoded, HostSteps,
        breach::{Strangers, clip, is_missing},
        order::{KeyOrder, Place, START, STRANGER},
        row::{Contract, Tally, push_passed},
    },
    message::{Message, Reject, Stage},
};

/// Reads a map as one row and an array of maps as many.
#[derive(Debug)]
pub struct MsgpackDecoder {
    contract: Contract,
    order: KeyOrder,
    /// For passed values.
    scratch: Vec<u8>,
}

/// Why a row could not be read.
#[derive(Debug)]
enum Fault {
    /// The bytes are not MessagePack: the whole message is lost.
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

/// A whole MessagePack value as JSON text; NaN and infinities are null.
///
/// # Errors
/// The bytes are not one MessagePack value, or have no JSON form.
pub fn json(bytes: &[u8]) -> Result<Vec<u8>, Reject> {
    let mut reader = Reader::new(bytes);
    let mut text = Vec::new();
    let read = text::write(&mut reader, &mut text).and_then(|()| Ok(reader.end()?));
    match read {
        Ok(()) => Ok(text),
        Err(Fault::Syntax(syntax)) => Err(syntax.reject()),
        Err(Fault::Row(reject)) => Err(*reject),
    }
}

impl MsgpackDecoder {
    /// A decoder for rows with these fields that carries the `passed` keys along.
    pub fn new(fields: &[Field], passed: &[String]) -> Self {
        Self {
            contract: Contract::new(fields, passed),
            order: KeyOrder::new(fields, passed),
            scratch: Vec::new(),
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
        reader: &mut Reader<'_>,
        table: &mut Table,
    ) -> Read<Result<Decoded, Reject>> {
        if reader.bytes.is_empty() {
            let reason = "the message is empty";
            return Ok(Err(Reject::new(Stage::Decode, "empty", reason)));
        }
        let mark = reader.mark();
        let decoded = if let Item::Array(count) = reader.item()? {
            reader.enter()?;
            let mut tally = Tally::new(self.contract.row_bytes);
            for _ in 0..count {
                if tally.is_full() {
                    reader.skip()?;
                    tally.pass_over();
                    continue;
                }
                let record = self.record(reader, table)?;
                tally.count(record, table);
            }
            reader.leave();
            tally.close()
        } else {
            reader.rewind(mark);
            self.record(reader, table)?.map(|()| Decoded {
                rows: 1,
                layout: Layout::One,
            })
        };
        reader.end()?;
        Ok(decoded)
    }

    /// Reads one record to its end, whether or not it keeps the contract.
    fn record(&mut self, reader: &mut Reader<'_>, table: &mut Table) -> Read<Result<(), Reject>> {
        let mark = reader.mark();
        let reject = match self.row(reader, table) {
            Ok(()) => return Ok(Ok(())),
            Err(Fault::Syntax(syntax)) => return Err(syntax),
            Err(Fault::Row(reject)) => reject,
        };
        reader.rewind(mark);
        let mut reject = *reject;
        if is_missing(&reject) {
            let mut strangers = Strangers::default();
            self.strangers(reader, &mut strangers)?;
            strangers.tell(&mut reject);
            reader.rewind(mark);
        }
        reader.skip()?;
        Ok(Err(reject))
    }

    /// Notes the keys of a map that are neither fields nor passed.
    #[cold]
    fn strangers(&mut self, reader: &mut Reader<'_>, strangers: &mut Strangers) -> Read<()> {
        let Item::Map(pairs) = reader.item()? else {
            return Ok(());
        };
        reader.enter()?;
        for _ in 0..pairs {
            match reader.item()? {
                Item::Text(name) if self.order.is_stranger(name) => strangers.note(name),
                item => reader.skip_rest(item)?,
            }
            reader.skip()?;
        }
        reader.leave();
        Ok(())
    }

    fn row(&mut self, reader: &mut Reader<'_>, table: &mut Table) -> Result<(), Fault> {
        let head = reader.item()?;
        let Item::Map(pairs) = head else {
            let shown = clip(&head.to_string());
            let reason = format!("{shown} is not a map with the fields of a row");
            return Err(Reject::new(Stage::Decode, "type", reason).into());
        };
        reader.enter()?;
        self.contract.begin();
        let mut place = START;
        for _ in 0..pairs {
            let rest = reader.bytes.get(reader.pos..).unwrap_or_default();
            place = match self.order.expected(place, rest) {
                Some((next, bytes)) => {
                    reader.pos += bytes;
                    next
                }
                None => self.key(reader, place)?,
            };
            let target = self.order.target(place);
            let mark = reader.mark();
            match target.field {
                Some(slot) => {
                    self.contract.arrives(slot, table);
                    let column = &mut table.series[slot].values;
                    value::read(reader, &self.contract.rules[slot], column)?;
                }
                None if target.passed.is_none() => reader.skip()?,
                None => {}
            }
            if let Some(passed) = target.passed {
                reader.rewind(mark);
                self.scratch.clear();
                text::write(reader, &mut self.scratch)?;
                self.contract.arrives(passed, table);
                let json = std::str::from_utf8(&self.scratch).unwrap_or_default();
                push_passed(&mut table.series[passed].values, json);
            }
        }
        reader.leave();
        Ok(self.contract.finish(table)?)
    }

    /// Reads a key that was not expected.
    fn key(&mut self, reader: &mut Reader<'_>, place: Place) -> Read<Place> {
        let from = reader.pos;
        let item = reader.item()?;
        let Item::Text(name) = item else {
            reader.skip_rest(item)?;
            return Ok(STRANGER);
        };
        let next = self.order.place(name);
        let between = reader.bytes.get(from..reader.pos).unwrap_or_default();
        self.order.learn(place, next, between);
        Ok(next)
    }
}

impl Decode for MsgpackDecoder {
    fn decode(&mut self, message: &Message, table: &mut Table) -> Result<Decoded, Reject> {
        self.document(&mut Reader::new(&message.payload), table)
            .unwrap_or_else(|syntax| Err(syntax.reject()))
    }
}

#[cfg(test)]
mod tests;
