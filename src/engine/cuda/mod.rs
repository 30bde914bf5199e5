//! Models on NVIDIA GPUs.
//!
//! - [`probe`] says which of CUDA's libraries are there, and calls nothing that could panic
//! - [`device`] is the one door to the driver: memory, streams, events, kernels, graphs
//! - [`lower`](mod@lower) turns an optimised ONNX graph into a plan
//! - `launch` has a file for each family of kernels and writes what they take
//! - [`plan`] is what runs for one bucket: launches on places
//! - [`raw`] runs a model once, to check it

pub mod device;
mod launch;
pub mod lower;
pub mod plan;
pub mod probe;
pub mod raw;
