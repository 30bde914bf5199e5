//! Descriptors: what is asked of the library, written into pieces of memory that are its own.

use std::ffi::{c_int, c_void};

use super::{
    CALL, Inner,
    functions::{Opaque, check},
};
use crate::engine::cuda::{
    device::CudaError,
    product::{Layout, Math, Shape, Tail},
};

/// A descriptor of the library's, on the host.
pub(super) struct Descriptor {
    pub(super) raw: Opaque,
    destroy: unsafe extern "C" fn(Opaque) -> c_int,
}

// SAFETY: a descriptor is a piece of the host's memory that any thread may use, one at a time; it is not `Sync`.
unsafe impl Send for Descriptor {}

/// `CUDA_R_32F`, the type of the scales; `CUDA_R_16F`; `CUDA_R_16BF`.
fn type_number(math: Math) -> c_int {
    match math {
        Math::Single | Math::Tf32 => 0,
        Math::Half => 2,
        Math::Bfloat => 14,
    }
}

impl Descriptor {
    fn set<T: Copy>(
        &self,
        call: &'static str,
        set: unsafe extern "C" fn(Opaque, c_int, *const c_void, usize) -> c_int,
        attributes: &[(c_int, T)],
    ) -> Result<(), CudaError> {
        attributes.iter().try_for_each(|(attribute, value)| {
            let from = std::ptr::from_ref(value).cast::<c_void>();
            // SAFETY: the descriptor lives; the library copies as many bytes as the type has.
            check(call, unsafe {
                set(self.raw, *attribute, from, size_of::<T>())
            })
        })
    }

    /// What is done: `CUBLAS_COMPUTE_32F` or `_FAST_TF32`, and what follows.
    pub(super) fn product(
        library: &Inner,
        shape: &Shape,
        bias: Option<u64>,
    ) -> Result<Self, CudaError> {
        const SET: &str = "cublasLtMatmulDescSetAttribute";
        let functions = library.functions;
        let compute = if shape.math == Math::Tf32 { 77 } else { 68 };
        let mut raw = std::ptr::null_mut();
        // SAFETY: a place for one descriptor; destroyed once, in `drop`.
        check("cublasLtMatmulDescCreate", unsafe {
            (functions.desc_create)(&raw mut raw, compute, 0)
        })?;
        let made = Self {
            raw,
            destroy: functions.desc_destroy,
        };
        // CUBLASLT_MATMUL_DESC_TRANSA, _TRANSB; CUBLAS_OP_T is 1.
        let turned = |layout: &Layout| i32::from(layout.transposed);
        let sides = [(3, turned(&shape.a)), (4, turned(&shape.b))];
        made.set(SET, functions.desc_set, &sides)?;
        // CUBLASLT_EPILOGUE_DEFAULT is 1; else bits.
        let epilogue = u32::from(shape.bias) * 4
            + match shape.tail {
                Tail::None => 0,
                Tail::Relu => 2,
                Tail::GeluTanh => 32,
            };
        made.set(SET, functions.desc_set, &[(7, epilogue.max(1))])?;
        if let Some(address) = bias {
            made.set(SET, functions.desc_set, &[(8, address)])?;
        }
        Ok(made)
    }

    /// A matrix of `size` before it is transposed, if it is.
    pub(super) fn layout(
        library: &Inner,
        shape: &Shape,
        layout: &Layout,
        [rows, columns]: [usize; 2],
    ) -> Result<Self, CudaError> {
        const SET: &str = "cublasLtMatrixLayoutSetAttribute";
        let functions = library.functions;
        let [rows, columns] = if layout.transposed {
            [columns, rows]
        } else {
            [rows, columns]
        };
        let mut raw = std::ptr::null_mut();
        let ty = type_number(shape.math);
        // SAFETY: a place for one descriptor; destroyed once, in `drop`.
        check("cublasLtMatrixLayoutCreate", unsafe {
            (functions.layout_create)(
                &raw mut raw,
                ty,
                rows as u64,
                columns as u64,
                layout.leading,
            )
        })?;
        let made = Self {
            raw,
            destroy: functions.layout_destroy,
        };
        if shape.batches > 1 {
            let count = i32::try_from(shape.batches)
                .map_err(|_| CudaError::refused(CALL, "there are too many batches"))?;
            // CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, _STRIDED_BATCH_OFFSET.
            made.set(SET, functions.layout_set, &[(5, count)])?;
            made.set(SET, functions.layout_set, &[(6, layout.stride)])?;
        }
        Ok(made)
    }

    pub(super) fn preference(
        library: &Inner,
        workspace: usize,
        alignment: [u32; 4],
    ) -> Result<Self, CudaError> {
        const SET: &str = "cublasLtMatmulPreferenceSetAttribute";
        let functions = library.functions;
        let mut raw = std::ptr::null_mut();
        // SAFETY: a place for one descriptor; destroyed once, in `drop`.
        check("cublasLtMatmulPreferenceCreate", unsafe {
            (functions.preference_create)(&raw mut raw)
        })?;
        let made = Self {
            raw,
            destroy: functions.preference_destroy,
        };
        // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, _MIN_ALIGNMENT_A_BYTES to _D_BYTES: it takes 256 for granted.
        made.set(SET, functions.preference_set, &[(1, workspace as u64)])?;
        let [a, b, c, d] = alignment;
        let alignment = [(5, a), (6, b), (7, c), (8, d)];
        made.set(SET, functions.preference_set, &alignment)?;
        Ok(made)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: made by the library, destroyed only here.
        let status = unsafe { (self.destroy)(self.raw) };
        if status != 0 {
            tracing::debug!(status, "a descriptor of cuBLASLt was not destroyed");
        }
    }
}
