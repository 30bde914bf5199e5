//! Steps that run before a model's graph, row by row, in the threads that decode: what ONNX has no
//! operators for.
//!
//! Each step is pure: it is made once from its options, copied for each thread, and turns one value
//! into numbers of a fixed shape. A value that it cannot turn is rejected alone, with a sentence
//! that says why.
//!
//! - [`image`]: files of images into pixels
//! - [`text`]: text into the ids of tokens
//! - [`window`]: bytes into a window of numbers
//! - [`audio`]: sound into samples
//! - [`hash`]: text into one of a fixed number of places
//! - [`HostStep`] is any of them, as decoders see it

pub mod audio;
pub mod hash;
pub mod image;
mod step;
pub mod text;
pub mod window;

pub use self::step::{Cell, Given, HostFault, HostOptions, HostStep, LoadFault};
