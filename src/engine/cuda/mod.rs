//! Models on NVIDIA GPUs.
//!
//! - [`probe`] says which of CUDA's libraries are there, and calls nothing that could panic
//! - [`device`] is the one door to the driver: memory, streams, events, kernels, graphs
//! - [`kernels`] are those that are built in

pub mod device;
pub mod kernels;
pub mod probe;
