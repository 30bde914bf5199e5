//! ONNX graphs: read, built, joined and written.
//!
//! The steps of a pipeline (scaling, one-hot, softmax, formulas and so on) become ONNX nodes around the
//! model, so they mean the same on every device, and in Python.
//!
//! - [`proto`] is the file format
//! - [`read`](read()) and [`write`] are files, [`inline_external`] brings in weights that are in files of their own
//! - [`proto`] is the file format, [`data`] that of values in files of their own
//! - [`tensor`] has the tensors of such files, of every element type
//! - [`build`] makes nodes and constants
//! - [`formula`] makes nodes of formulas such as `yield_t * price - cost`
//! - [`fix_input`] and [`batch_first`] change a model's inputs and outputs to such as rows have
//! - [`raise`](raise()) brings a model to newer operators, that steps can be written in
//! - `merge` puts a model into a graph that is being built
//! - [`zipmap`] takes the maps out of a model, which are the dearest thing in it
//! - [`front`] takes off what can be done while columns are put side by side
//! - [`hints`] tells from a graph what it does not declare
//! - [`trees`] reads ensembles of trees
//! - [`steps`] has a file for each step: what may be written, and the nodes that it becomes

mod adapt;
mod attributes;
pub mod build;
pub mod data;
mod error;
mod external;
pub mod formula;
pub mod front;
pub mod hints;
pub mod image;
mod merge;
mod moves;
pub mod params;
pub mod proto;
mod raise;
mod read;
pub mod resample;
mod shorthand;
mod sorted;
pub mod sound;
pub mod steps;
pub mod tensor;
pub mod trees;
mod walk;
pub mod yaml;
pub mod zipmap;

pub use self::{
    adapt::{batch_first, fix_input},
    build::{Attr, GraphBuilder, Value},
    error::GraphError,
    external::inline_external,
    raise::raise,
    read::{IR_NEWEST, opset, parse, read, to_bytes, write},
    sorted::sort,
};
