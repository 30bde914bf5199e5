//! Values in files of their own, field by field: names and numbers are those of `onnx-data.proto` (IR 11),
//! without the word `Proto`. Tensors are in [`super::proto`].

#![allow(
    missing_docs,
    reason = "the fields are those of the format, which documents them"
)]

use bytes::Bytes;

use super::proto::{SparseTensor, Tensor};

/// What a [`Sequence`] or an [`Optional`] says that it holds (`elem_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Held {
    Undefined = 0,
    Tensor = 1,
    SparseTensor = 2,
    Sequence = 3,
    Map = 4,
    Optional = 5,
}

/// A list of values of one kind.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Sequence {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(enumeration = "Held", tag = "2")]
    pub elem_type: i32,
    #[prost(message, repeated, tag = "3")]
    pub tensor_values: Vec<Tensor>,
    #[prost(message, repeated, tag = "4")]
    pub sparse_tensor_values: Vec<SparseTensor>,
    #[prost(message, repeated, tag = "5")]
    pub sequence_values: Vec<Sequence>,
    #[prost(message, repeated, tag = "6")]
    pub map_values: Vec<Map>,
    #[prost(message, repeated, tag = "7")]
    pub optional_values: Vec<Optional>,
}

/// Keys and as many values.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Map {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int32, tag = "2")]
    pub key_type: i32,
    #[prost(int64, repeated, packed = "false", tag = "3")]
    pub keys: Vec<i64>,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub string_keys: Vec<Bytes>,
    #[prost(message, optional, boxed, tag = "5")]
    pub values: Option<Box<Sequence>>,
}

/// A value or none.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Optional {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(enumeration = "Held", tag = "2")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "3")]
    pub tensor_value: Option<Tensor>,
    #[prost(message, optional, tag = "4")]
    pub sparse_tensor_value: Option<SparseTensor>,
    #[prost(message, optional, tag = "5")]
    pub sequence_value: Option<Sequence>,
    #[prost(message, optional, tag = "6")]
    pub map_value: Option<Map>,
    #[prost(message, optional, boxed, tag = "7")]
    pub optional_value: Option<Box<Optional>>,
}
