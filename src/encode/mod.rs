//! Outputs become bytes. Encoders know tables; they know no channel and no broker.

pub mod json;
pub mod msgpack;
pub mod tensor;

use std::ops::Range;

use bytes::BytesMut;

use crate::{
    block::{Layout, Record, Table},
    message::{Headers, Reject},
};

/// Turns the rows of one message into the bytes of its result. Each encode thread owns one.
pub trait Encode: Send {
    /// Appends the result of `record` to `into`. Its rows are `rows` of both tables: `input` as
    /// the decoder filled it (passed keys included), `output` as the engine did.
    ///
    /// On `Err` the caller cuts `into` back. Returns how many scores were not finite (they become
    /// null where the format has no other way).
    ///
    /// # Errors
    /// The result cannot be written in this format.
    fn encode(
        &mut self,
        record: &Record,
        rows: Range<usize>,
        input: &Table,
        output: &Table,
        into: &mut BytesMut,
    ) -> Result<NonFinite, Reject>;

    /// Headers of a result with so many rows.
    fn headers(&self, _rows: usize, _layout: &Layout) -> Headers {
        Headers::new()
    }
}

/// How many scores of a result were NaN or infinite.
pub type NonFinite = usize;

/// One value of the result: which output, and which part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputField {
    /// The key in the result.
    pub key: String,
    /// The series of the output table.
    pub series: usize,
    /// One element of each row; `None` for the whole row value.
    pub element: Option<usize>,
    /// Keys of the elements where the value is a map (ZipMap): written as an object.
    pub labels: Option<Vec<String>>,
}
