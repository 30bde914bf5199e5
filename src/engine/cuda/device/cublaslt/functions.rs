//! The functions of cuBLASLt.
//!
//! Types and numbers are those of `cublasLt.h` and `library_types.h`, which have not changed from CUDA 12 to 13.

use std::ffi::{c_int, c_void};

use cudarc::driver::sys::CUstream;

use crate::engine::cuda::{
    device::{
        CudaError,
        library::{Library, functions},
    },
    probe,
};

/// A handle, a descriptor, a layout or a preference: what is in it is the library's.
pub(super) type Opaque = *mut c_void;

/// `cublasLtMatmulAlgo_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Algo {
    pub(super) data: [u64; 8],
}

/// `cublasLtMatmulHeuristicResult_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Heuristic {
    pub(super) algo: Algo,
    pub(super) workspace: usize,
    pub(super) state: c_int,
    pub(super) waves: f32,
    pub(super) reserved: [c_int; 4],
}

impl Heuristic {
    pub(super) const NONE: Self = Self {
        algo: Algo { data: [0; 8] },
        workspace: 0,
        state: 0,
        waves: 0.0,
        reserved: [0; 4],
    };
}

functions! {
    /// Those of `cublasLt.h`.
    create = "cublasLtCreate"(*mut Opaque);
    destroy = "cublasLtDestroy"(Opaque);
    desc_create = "cublasLtMatmulDescCreate"(*mut Opaque, c_int, c_int);
    desc_destroy = "cublasLtMatmulDescDestroy"(Opaque);
    desc_set = "cublasLtMatmulDescSetAttribute"(Opaque, c_int, *const c_void, usize);
    layout_create = "cublasLtMatrixLayoutCreate"(*mut Opaque, c_int, u64, u64, i64);
    layout_destroy = "cublasLtMatrixLayoutDestroy"(Opaque);
    layout_set = "cublasLtMatrixLayoutSetAttribute"(Opaque, c_int, *const c_void, usize);
    preference_create = "cublasLtMatmulPreferenceCreate"(*mut Opaque);
    preference_destroy = "cublasLtMatmulPreferenceDestroy"(Opaque);
    preference_set = "cublasLtMatmulPreferenceSetAttribute"(Opaque, c_int, *const c_void, usize);
    heuristic = "cublasLtMatmulAlgoGetHeuristic"(Opaque, Opaque, Opaque, Opaque, Opaque, Opaque, Opaque, c_int, *mut Heuristic, *mut c_int);
    check = "cublasLtMatmulAlgoCheck"(Opaque, Opaque, Opaque, Opaque, Opaque, Opaque, *const Algo, *mut Heuristic);
    matmul = "cublasLtMatmul"(Opaque, Opaque, *const c_void, u64, Opaque, u64, Opaque, *const c_void, u64, Opaque, u64, Opaque,
        *const Algo, u64, usize, CUstream);
}

/// The library of this process.
pub(super) static LIBRARY: Library<Functions> =
    Library::new(probe::CUBLASLT, "install CUDA's libraries for 12 or newer");

/// `CUBLAS_STATUS_NOT_SUPPORTED`.
pub(super) const NOT_SUPPORTED: c_int = 15;
/// `CUBLAS_STATUS_INVALID_VALUE`.
pub(super) const INVALID_VALUE: c_int = 7;

/// What a call answered.
pub(super) fn check(call: &'static str, status: c_int) -> Result<(), CudaError> {
    let (name, words) = match status {
        0 => return Ok(()),
        1 => (
            "NOT_INITIALIZED",
            "the library does not start on this device",
        ),
        3 => ("ALLOC_FAILED", "the library has not enough memory"),
        INVALID_VALUE => ("INVALID_VALUE", "the library does not take these arguments"),
        8 => (
            "ARCH_MISMATCH",
            "the library has no code for this device's architecture",
        ),
        11 => ("MAPPING_ERROR", "the library cannot reach the memory"),
        13 => ("EXECUTION_FAILED", "a kernel of the library failed"),
        14 => ("INTERNAL_ERROR", "something in the library failed"),
        NOT_SUPPORTED => ("NOT_SUPPORTED", "the library has no way to do this"),
        16 => ("LICENSE_ERROR", "the library says its licence is missing"),
        _ => ("an unknown status", "the library fails"),
    };
    Err(CudaError::library(call, status, ("CUBLAS", name), words))
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn structs_are_those_of_the_library() {
        assert_eq!((size_of::<Algo>(), size_of::<Heuristic>()), (64, 96));
        assert_eq!(offset_of!(Heuristic, workspace), 64);
        assert_eq!(offset_of!(Heuristic, state), 72);
        assert_eq!(offset_of!(Heuristic, waves), 76);
    }

    #[test]
    fn a_status_is_named() {
        assert_eq!(check("cublasLtMatmul", 0), Ok(()));
        let error = check("cublasLtMatmul", 15).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cublasLtMatmul failed: the library has no way to do this (CUBLAS_STATUS_NOT_SUPPORTED, 15)"
        );
        assert_eq!(error.code(), None, "its numbers are not the driver's");
        assert!(!error.is_lost());
    }
}
