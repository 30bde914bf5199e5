//! ONNX graphs: read, built, joined and written.
//!
//! The steps of a pipeline (scaling, one-hot, softmax, formulas and so on) become ONNX nodes around the
//! model, so they mean the same on every device, and in Python.
//!
//! - [`proto`] is the file format, [`data`] that of values in files of their own
//! - [`tensor`] has the tensors of such files, of every element type
//! - [`build`] makes nodes and constants
//! - [`steps`] has a file for each step: what may be written, and the nodes that it becomes

pub mod build;
pub mod data;
pub mod params;
pub mod proto;
mod shorthand;
pub mod steps;
pub mod tensor;

pub use self::build::{Attr, GraphBuilder, Value};
