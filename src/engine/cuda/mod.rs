//! Models on NVIDIA GPUs.
//!
//! - [`probe`] says which of CUDA's libraries are there, and calls nothing that could panic
//! - [`device`] is the one door to the driver: memory, streams, events, kernels, graphs
//! - [`lower`](mod@lower) turns an optimised ONNX graph into a [`plan`]: launches on places; `launch` has a file for each
//!   family of kernels and writes what they take; [`product`] is what cuBLASLt is asked for, [`convolution`] what cuDNN is
//! - [`constants`] are those of a model's plans, each of them once
//! - [`gpu`] is a GPU that was opened; [`model`] is a model on it, with a plan for each of some [`sizes`] (`bucket`)
//! - [`canary`] sees whether a device computes
//! - [`operators`] is the page about what can be lowered
//! - [`raw`] runs any model as it is, for `forebay verify`
//! - `tuning` finds the fastest of cuBLASLt's algorithms for each product, and of cuDNN's for each convolution
//! - [`fused`] writes kernels for one model, and has NVRTC compile them
//! - `kept` is where both keep what they found
//! - [`kernels`] are those that are built in
//! - `texts` has the numbers of texts that go to a device and come back
//! - `cells` turns columns into the bytes of a device's memory, and back

mod bucket;
pub mod canary;
pub(super) mod cells;
pub mod constants;
pub mod convolution;
pub mod device;
pub mod fused;
pub mod gpu;
mod kept;
pub mod kernels;
mod launch;
pub mod lower;
pub mod model;
pub mod operators;
pub mod plan;
pub mod probe;
pub mod product;
pub mod raw;
pub mod sizes;
pub mod texts;
mod tuning;
