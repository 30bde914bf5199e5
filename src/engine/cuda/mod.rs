//! Models on an NVIDIA GPU.
//!
//! - [`plan`] is what runs for one bucket: launches on places
//! - `launch` has a file for each family of kernels and writes what they take
//! - [`lower`](mod@lower) turns an optimised ONNX graph into a plan

mod launch;
pub mod lower;
pub mod plan;
