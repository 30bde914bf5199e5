//! What a row is: the fields that every message must bring, with their types, limits and defaults.
//!
//! The contract is plain data. Decoders enforce it, engines read the types, `config` builds it.

use std::fmt;

/// The type of one element of a field, a model input or a model output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 32-bit IEEE 754 float.
    F32,
    /// 64-bit IEEE 754 float.
    F64,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// 8-bit unsigned integer.
    U8,
    /// Truth value; one byte (0 or 1) in raw tensors.
    Bool,
    /// UTF-8 text.
    String,
    /// A file or other raw data, for steps that read such; base64 in JSON.
    Bytes,
}

impl Dtype {
    /// Every type, in the order the documentation lists them.
    pub const ALL: [Self; 8] = [
        Self::F32,
        Self::F64,
        Self::I32,
        Self::I64,
        Self::U8,
        Self::Bool,
        Self::String,
        Self::Bytes,
    ];

    /// The name used in pipeline files, messages and headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Bytes => "bytes",
        }
    }

    /// The type with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// Bytes of one element in a raw tensor; `None` for text and bytes, which have no fixed size.
    pub fn size_bytes(self) -> Option<usize> {
        match self {
            Self::F32 | Self::I32 => Some(4),
            Self::F64 | Self::I64 => Some(8),
            Self::U8 | Self::Bool => Some(1),
            Self::String | Self::Bytes => None,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One value as a pipeline file writes it: a default, or a member of a value set.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// Text.
    String(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::String(value) => write!(f, "{value:?}"),
        }
    }
}

/// One field of the contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The key in JSON and MessagePack messages.
    pub name: String,
    /// The type of each element.
    pub dtype: Dtype,
    /// Shape of one row's value, without the batch dimension; empty for a single value.
    pub shape: Vec<usize>,
    /// UCUM unit of the values as they arrive.
    pub unit: Option<String>,
    /// A missing or null value becomes NaN. Only floats can be nullable.
    pub nullable: bool,
    /// Stands in for a missing or null value; fills every element of an array.
    pub default: Option<Scalar>,
    /// Smallest and largest allowed value, both included. NaN from a null is not checked.
    pub range: Option<[f64; 2]>,
    /// The only values allowed. Never empty.
    pub values: Option<Vec<Scalar>>,
    /// Made of another field by a step, and never read from a message.
    pub derived: bool,
    /// How rows are padded, where they are padded to one length.
    pub padding: Option<Padding>,
}

/// How the rows of a field are padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Padding {
    /// The place of the field that is 0 for what is padding, and of the same shape.
    pub mask: usize,
    /// What padding is, and what may stand before it.
    pub fill: Fill,
}

/// What is in a column of whole numbers whose rows are filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// What rows are filled up with.
    pub with: i64,
    /// The largest number otherwise; the smallest is 0.
    pub most: i64,
}

impl Field {
    /// A required field with no limits.
    pub fn new(name: impl Into<String>, dtype: Dtype, shape: Vec<usize>) -> Self {
        Self {
            name: name.into(),
            dtype,
            shape,
            unit: None,
            nullable: false,
            default: None,
            range: None,
            values: None,
            derived: false,
            padding: None,
        }
    }

    /// Elements in one row's value: the product of the shape, 1 for a single value.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }
}
