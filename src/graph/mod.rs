//! ONNX graphs: read, built, joined and written.
//!
//! The steps of a pipeline (scaling, one-hot, softmax, formulas and so on) become ONNX nodes around the
//! model, so they mean the same on every device, and in Python.
//!
//! - [`proto`] is the file format
//! - [`build`] makes nodes and constants
//! - [`formula`] makes nodes of formulas such as `yield_t * price - cost`
//! - [`steps`] has a file for each step: what may be written, and the nodes that it becomes

pub mod build;
pub mod formula;
pub mod params;
pub mod proto;
mod shorthand;
pub mod steps;

pub use self::build::{Attr, GraphBuilder, Value};
