//! Steps that run before a model's graph, row by row, in the threads that decode: what ONNX has no
//! operators for.
//!
//! Each step is pure: it is made once from its options, copied for each thread, and turns one value
//! into numbers of a fixed shape. A value that it cannot turn is rejected alone, with a sentence
//! that says why; nothing is appended for it.

pub mod audio;
pub mod text;
pub mod window;
