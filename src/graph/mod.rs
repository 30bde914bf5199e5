//! ONNX graphs: read, built, joined and written.
//!
//! The steps of a pipeline (scaling, one-hot, softmax, formulas and so on) become ONNX nodes around the
//! model, so they mean the same on every device, and in Python.
//!
//! - [`proto`] is the file format
//! - [`build`] makes nodes and constants
//! - [`steps`] has a file for each step: what may be written, and the nodes that it becomes

pub mod build;
pub mod image;
mod moves;
pub mod params;
pub mod proto;
pub mod resample;
mod shorthand;
pub mod sound;
pub mod steps;

pub use self::build::{Attr, GraphBuilder, Value};
