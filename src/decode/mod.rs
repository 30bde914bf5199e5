//! Bytes become typed columns, and the contract is enforced. Decoders know messages and tables;
//! they know no channel and no model.

mod bounds;
mod breach;
pub mod bytes;
mod host;
pub mod json;
pub mod key;
pub mod msgpack;
mod order;
mod row;
mod rules;
pub mod tensor;

use std::ops::Range;

pub use self::host::{HostSteps, Placed};
use crate::{
    block::{Block, Layout, Record, Table},
    message::{Message, Reject},
};

/// Turns payloads into rows. Each decode thread owns one, so it may keep scratch memory and learn
/// (the order of keys, say) from message to message.
pub trait Decode: Send {
    /// Appends the message's rows to `table`, which has one series for each field and then one
    /// string series for each passed key (JSON text of the value; empty when the key is missing).
    ///
    /// On `Err` the caller cuts `table` back to where it was: half a row may be left in it. Never
    /// panics, whatever the bytes.
    ///
    /// # Errors
    /// The whole message can never be decoded. In a list of records, bad ones are listed in the
    /// layout instead, and only a list without a single good record is an error.
    fn decode(&mut self, message: &Message, table: &mut Table) -> Result<Decoded, Reject>;
}

/// What a decoder made of one message.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Rows appended to the table.
    pub rows: usize,
    /// The form the result takes.
    pub layout: Layout,
}

/// Decodes messages into a block, whose rows are appended to `table`. `check` sees a message whose rows are in the
/// table, may add to them, and may refuse it; what it refuses and what cannot be decoded goes to `reject`, and its rows are cut off again.
pub fn block(
    decoder: &mut dyn Decode,
    messages: impl IntoIterator<Item = Message>,
    table: Table,
    check: impl FnMut(&Message, &mut Table, Range<usize>) -> Result<(), Reject>,
    reject: impl FnMut(Message, Reject),
) -> Block {
    let mut messages = messages.into_iter();
    block_of(decoder, &mut messages, table, usize::MAX, check, reject)
}

/// As [`block`], of as many messages as it takes until there are `enough` rows, or of one.
pub fn block_of(
    decoder: &mut dyn Decode,
    messages: &mut impl Iterator<Item = Message>,
    table: Table,
    enough: usize,
    mut check: impl FnMut(&Message, &mut Table, Range<usize>) -> Result<(), Reject>,
    mut reject: impl FnMut(Message, Reject),
) -> Block {
    let mut block = Block {
        records: Vec::with_capacity(messages.size_hint().0),
        table,
    };
    let mut rows = block.table.rows;
    while rows < enough.max(1)
        && let Some(message) = messages.next()
    {
        let decoded = decoder.decode(&message, &mut block.table);
        let decoded = decoded.and_then(|decoded| {
            check(&message, &mut block.table, rows..rows + decoded.rows)?;
            Ok(decoded)
        });
        match decoded {
            Ok(decoded) => {
                rows += decoded.rows;
                block.table.rows = rows;
                block.records.push(Record {
                    message,
                    rows: decoded.rows,
                    layout: decoded.layout,
                });
            }
            Err(why) => {
                block.table.truncate(rows);
                reject(message, why);
            }
        }
    }
    block
}

#[cfg(test)]
mod tests;
