//! Descriptors: what is asked of the library, written into pieces of memory that are its own.

use std::ffi::c_int;

use super::{
    CALL,
    functions::{Functions, Number, Opaque, check},
};
use crate::engine::cuda::{
    convolution::{Order, Shape},
    device::CudaError,
    product::Math,
};

/// A descriptor of the library's, on the host.
pub(super) struct Descriptor {
    pub(super) raw: Opaque,
    destroy: unsafe extern "C" fn(Opaque) -> c_int,
}

// SAFETY: a descriptor is a piece of the host's memory that any thread may use, one at a time; it is not `Sync`.
unsafe impl Send for Descriptor {}

/// `CUDNN_DATA_FLOAT`, which sums always are.
const FLOAT: Number = 0;
/// `CUDNN_CROSS_CORRELATION`: what models call a convolution. A true one would turn the filters round.
const CORRELATION: Number = 1;

/// `CUDNN_DATA_FLOAT`, `CUDNN_DATA_HALF`, `CUDNN_DATA_BFLOAT16`.
fn type_number(math: Math) -> Number {
    match math {
        Math::Single | Math::Tf32 => FLOAT,
        Math::Half => 2,
        Math::Bfloat => 9,
    }
}

/// `CUDNN_TENSOR_NCHW`, `CUDNN_TENSOR_NHWC`.
fn format_number(order: Order) -> Number {
    match order {
        Order::Planes => 0,
        Order::Channels => 1,
    }
}

/// `CUDNN_FMA_MATH`: without it single precision would be tf32. `CUDNN_DEFAULT_MATH`, which is tf32 from compute capability 8.0
/// on. `CUDNN_TENSOR_OP_MATH`.
fn math_number(math: Math) -> Number {
    match math {
        Math::Single => 3,
        Math::Tf32 => 0,
        Math::Half | Math::Bfloat => 1,
    }
}

/// A size as the library counts.
fn int(size: usize) -> Result<c_int, CudaError> {
    c_int::try_from(size).map_err(|_| CudaError::refused(CALL, "a size is beyond 32 bits"))
}

impl Descriptor {
    fn new(
        call: &'static str,
        create: unsafe extern "C" fn(*mut Opaque) -> c_int,
        destroy: unsafe extern "C" fn(Opaque) -> c_int,
    ) -> Result<Self, CudaError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: a place for one descriptor; destroyed once, in `drop`.
        check(call, unsafe { create(&raw mut raw) })?;
        Ok(Self { raw, destroy })
    }

    /// Pictures of this many channels and this size; the bias is one of one pixel.
    pub(super) fn pictures(
        functions: &Functions,
        shape: &Shape,
        [n, channels, height, width]: [usize; 4],
    ) -> Result<Self, CudaError> {
        let made = Self::new(
            "cudnnCreateTensorDescriptor",
            functions.tensor_create,
            functions.tensor_destroy,
        )?;
        let (format, ty) = (format_number(shape.order), type_number(shape.math));
        let [n, channels, height, width] = [int(n)?, int(channels)?, int(height)?, int(width)?];
        // SAFETY: the descriptor lives.
        check("cudnnSetTensor4dDescriptor", unsafe {
            (functions.tensor_set)(made.raw, format, ty, n, channels, height, width)
        })?;
        Ok(made)
    }

    pub(super) fn filters(functions: &Functions, shape: &Shape) -> Result<Self, CudaError> {
        let made = Self::new(
            "cudnnCreateFilterDescriptor",
            functions.filter_create,
            functions.filter_destroy,
        )?;
        let (format, ty) = (format_number(shape.order), type_number(shape.math));
        let [height, width] = shape.kernel;
        let (filters, channels) = (
            int(shape.filters)?,
            int(shape.channels / shape.groups.max(1))?,
        );
        let (height, width) = (int(height)?, int(width)?);
        // SAFETY: the descriptor lives.
        check("cudnnSetFilter4dDescriptor", unsafe {
            (functions.filter_set)(made.raw, ty, format, filters, channels, height, width)
        })?;
        Ok(made)
    }

    /// How windows go, what is multiplied as what.
    pub(super) fn windows(functions: &Functions, shape: &Shape) -> Result<Self, CudaError> {
        let made = Self::new(
            "cudnnCreateConvolutionDescriptor",
            functions.convolution_create,
            functions.convolution_destroy,
        )?;
        let pair = |[height, width]: [usize; 2]| Ok::<_, CudaError>([int(height)?, int(width)?]);
        let ([top, left], [down, right]) = (pair(shape.pad)?, pair(shape.stride)?);
        let [apart_down, apart_right] = pair(shape.dilation)?;
        // SAFETY: the descriptor lives.
        check("cudnnSetConvolution2dDescriptor", unsafe {
            (functions.convolution_set)(
                made.raw,
                top,
                left,
                down,
                right,
                apart_down,
                apart_right,
                CORRELATION,
                FLOAT,
            )
        })?;
        let groups = int(shape.groups)?;
        // SAFETY: as above.
        check("cudnnSetConvolutionGroupCount", unsafe {
            (functions.convolution_groups)(made.raw, groups)
        })?;
        // SAFETY: as above.
        check("cudnnSetConvolutionMathType", unsafe {
            (functions.convolution_math)(made.raw, math_number(shape.math))
        })?;
        Ok(made)
    }

    /// `CUDNN_ACTIVATION_RELU` or `_IDENTITY`; what is no number stays none (`CUDNN_PROPAGATE_NAN`).
    pub(super) fn activation(functions: &Functions, relu: bool) -> Result<Self, CudaError> {
        let made = Self::new(
            "cudnnCreateActivationDescriptor",
            functions.activation_create,
            functions.activation_destroy,
        )?;
        let mode = if relu { 1 } else { 5 };
        // SAFETY: the descriptor lives.
        check("cudnnSetActivationDescriptor", unsafe {
            (functions.activation_set)(made.raw, mode, 1, 0.0)
        })?;
        Ok(made)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: made by the library, destroyed only here.
        let status = unsafe { (self.destroy)(self.raw) };
        if status != 0 {
            tracing::debug!(status, "a descriptor of cuDNN was not destroyed");
        }
    }
}
