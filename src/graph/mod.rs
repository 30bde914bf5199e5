//! ONNX graphs: read, built, joined and written.
//!
//! The steps of a pipeline (scaling, one-hot, softmax, formulas and so on) become ONNX nodes around the
//! model, so they mean the same on every device, and in Python.
//!
//! - [`proto`] is the file format
//! - [`read`](read()) and [`write`] are files, [`inline_external`] brings in weights that are in files of their own
//! - [`build`] makes nodes and constants
//! - `merge` puts a model into a graph that is being built
//! - [`steps`] has a file for each step: what may be written, and the nodes that it becomes

pub mod build;
mod error;
mod external;
pub mod image;
mod merge;
mod moves;
pub mod params;
pub mod proto;
mod read;
pub mod resample;
mod shorthand;
pub mod sound;
pub mod steps;
mod walk;

pub use self::{
    build::{Attr, GraphBuilder, Value},
    error::GraphError,
    external::inline_external,
    read::{IR_NEWEST, opset, parse, read, write},
};
