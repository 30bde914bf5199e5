//! The elements of one series: a vector of one type.

use super::pieces::{Blobs, Strings};
use crate::contract::Dtype;

/// The elements of one series, row after row.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// Bytes.
    U8(Vec<u8>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Text.
    String(Strings),
    /// Files and other raw data.
    Bytes(Blobs),
}

/// Runs the same expression on the vector of whichever type the column has.
macro_rules! each_type {
    ($column:expr, $values:ident => $body:expr) => {
        match $column {
            Column::F32($values) => $body,
            Column::F64($values) => $body,
            Column::I32($values) => $body,
            Column::I64($values) => $body,
            Column::U8($values) => $body,
            Column::Bool($values) => $body,
            Column::String($values) => $body,
            Column::Bytes($values) => $body,
        }
    };
}

impl Column {
    /// An empty column of this type.
    pub fn new(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32(Vec::new()),
            Dtype::F64 => Self::F64(Vec::new()),
            Dtype::I32 => Self::I32(Vec::new()),
            Dtype::I64 => Self::I64(Vec::new()),
            Dtype::U8 => Self::U8(Vec::new()),
            Dtype::Bool => Self::Bool(Vec::new()),
            Dtype::String => Self::String(Strings::default()),
            Dtype::Bytes => Self::Bytes(Blobs::default()),
        }
    }

    /// The type of the elements.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
            Self::I32(_) => Dtype::I32,
            Self::I64(_) => Dtype::I64,
            Self::U8(_) => Dtype::U8,
            Self::Bool(_) => Dtype::Bool,
            Self::String(_) => Dtype::String,
            Self::Bytes(_) => Dtype::Bytes,
        }
    }

    /// Number of elements (rows × width).
    pub fn len(&self) -> usize {
        each_type!(self, values => values.len())
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps the first `len` elements.
    pub fn truncate(&mut self, len: usize) {
        each_type!(self, values => values.truncate(len));
    }

    /// Appends a copy of all elements of `other`.
    ///
    /// # Panics
    /// When the types differ: both come from the same contract.
    pub fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::F32(to), Self::F32(from)) => to.extend_from_slice(from),
            (Self::F64(to), Self::F64(from)) => to.extend_from_slice(from),
            (Self::I32(to), Self::I32(from)) => to.extend_from_slice(from),
            (Self::I64(to), Self::I64(from)) => to.extend_from_slice(from),
            (Self::U8(to), Self::U8(from)) => to.extend_from_slice(from),
            (Self::Bool(to), Self::Bool(from)) => to.extend_from_slice(from),
            (Self::String(to), Self::String(from)) => to.append(from),
            (Self::Bytes(to), Self::Bytes(from)) => to.append(from),
            (to, from) => panic!(
                "appending {} to {}: this is a bug",
                from.dtype(),
                to.dtype()
            ),
        }
    }

    /// Appends a copy of the given elements of `other`.
    ///
    /// # Panics
    /// When the types differ or the range is past the end.
    pub fn extend_from(&mut self, other: &Self, elements: std::ops::Range<usize>) {
        match (self, other) {
            (Self::F32(to), Self::F32(from)) => to.extend_from_slice(&from[elements]),
            (Self::F64(to), Self::F64(from)) => to.extend_from_slice(&from[elements]),
            (Self::I32(to), Self::I32(from)) => to.extend_from_slice(&from[elements]),
            (Self::I64(to), Self::I64(from)) => to.extend_from_slice(&from[elements]),
            (Self::U8(to), Self::U8(from)) => to.extend_from_slice(&from[elements]),
            (Self::Bool(to), Self::Bool(from)) => to.extend_from_slice(&from[elements]),
            (Self::String(to), Self::String(from)) => to.extend_from(from, elements),
            (Self::Bytes(to), Self::Bytes(from)) => to.extend_from(from, elements),
            (to, from) => panic!(
                "copying {} into {}: this is a bug",
                from.dtype(),
                to.dtype()
            ),
        }
    }

    /// Writes a copy of the given elements of `other` over those from `at` on.
    ///
    /// # Panics
    /// When the types differ or are not of numbers and truth values, or a range is past the end.
    pub fn overwrite(&mut self, at: usize, other: &Self, elements: std::ops::Range<usize>) {
        let to = at..at + elements.len();
        match (self, other) {
            (Self::F32(into), Self::F32(from)) => into[to].copy_from_slice(&from[elements]),
            (Self::F64(into), Self::F64(from)) => into[to].copy_from_slice(&from[elements]),
            (Self::I32(into), Self::I32(from)) => into[to].copy_from_slice(&from[elements]),
            (Self::I64(into), Self::I64(from)) => into[to].copy_from_slice(&from[elements]),
            (Self::U8(into), Self::U8(from)) => into[to].copy_from_slice(&from[elements]),
            (Self::Bool(into), Self::Bool(from)) => into[to].copy_from_slice(&from[elements]),
            (into, from) => panic!(
                "writing {} over {}: this is a bug",
                from.dtype(),
                into.dtype()
            ),
        }
    }
}
