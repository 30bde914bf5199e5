//! The CUDA engine on a driver that is none: `tests/cuda/fake`.

mod conformance;
mod convolutions;
mod cublaslt;
mod cudnn;
mod device;
mod fake;
mod faults;
mod fused;
mod growing;
mod operators;
mod optimized;
mod pictures;
mod products;
mod ring;
mod tokens;
mod well_known;
