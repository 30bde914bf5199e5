//! Bytes become typed columns, and the contract is enforced. Decoders know messages and tables;
//! they know no channel and no model.

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

pub use self::host::{HostSteps, Placed};
use crate::{
    block::{Layout, Table},
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

#[cfg(test)]
mod tests;
