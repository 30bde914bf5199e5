//! The CUDA engine on a driver that is none: `tests/cuda/fake`.

mod device;
mod faults;
mod ring;
