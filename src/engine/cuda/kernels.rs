//! The kernels of `kernels/*.cu`, as they were compiled for every architecture that is known.

/// A fat binary; `build.rs` puts it there.
pub(super) const IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernels.fatbin"));
