//! The kernels that are built in: `kernels/*.cu`, compiled beforehand for each architecture (`make kernels`).

/// A fat binary for [`super::device::Device::module`]. Empty where none was checked in.
pub static FATBIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernels.fatbin"));

/// Whether the fat binary was made from other sources than those of this build.
pub const STALE: bool = cfg!(kernels_stale);

/// Of the sources of this build, as hexadecimal digits.
pub const HASH: &str = env!("FOREBAY_KERNELS_HASH");
