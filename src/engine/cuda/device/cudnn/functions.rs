//! The functions of cuDNN.
//!
//! Types and numbers are those of `cudnn_graph.h`, `cudnn_ops.h` and `cudnn_cnn.h`, the same in every 9.x.

use std::ffi::{c_int, c_void};

use cudarc::driver::sys::CUstream;

use crate::engine::cuda::{
    device::{
        CudaError,
        library::{Library, functions},
    },
    probe,
};

/// A handle or a descriptor: what is in it is the library's.
pub(super) type Opaque = *mut c_void;
/// A number of one of the library's enumerations.
pub(super) type Number = c_int;
/// A scale, on the host: single precision, whatever the pictures are.
type Scale = *const f32;

functions! {
    /// Those of `cudnn_graph.h`, `cudnn_ops.h` and `cudnn_cnn.h`.
    create = "cudnnCreate"(*mut Opaque);
    destroy = "cudnnDestroy"(Opaque);
    set_stream = "cudnnSetStream"(Opaque, CUstream);
    tensor_create = "cudnnCreateTensorDescriptor"(*mut Opaque);
    tensor_destroy = "cudnnDestroyTensorDescriptor"(Opaque);
    // Format, type, n, channels, height, width.
    tensor_set = "cudnnSetTensor4dDescriptor"(Opaque, Number, Number, c_int, c_int, c_int, c_int);
    filter_create = "cudnnCreateFilterDescriptor"(*mut Opaque);
    filter_destroy = "cudnnDestroyFilterDescriptor"(Opaque);
    // Type, format, filters, channels of a group, height, width: type and format the other way round.
    filter_set = "cudnnSetFilter4dDescriptor"(Opaque, Number, Number, c_int, c_int, c_int, c_int);
    convolution_create = "cudnnCreateConvolutionDescriptor"(*mut Opaque);
    convolution_destroy = "cudnnDestroyConvolutionDescriptor"(Opaque);
    // Pad, stride and dilation, each with the height first; mode; type of the sums.
    convolution_set = "cudnnSetConvolution2dDescriptor"(Opaque, c_int, c_int, c_int, c_int, c_int, c_int, Number, Number);
    convolution_groups = "cudnnSetConvolutionGroupCount"(Opaque, c_int);
    convolution_math = "cudnnSetConvolutionMathType"(Opaque, Number);
    activation_create = "cudnnCreateActivationDescriptor"(*mut Opaque);
    activation_destroy = "cudnnDestroyActivationDescriptor"(Opaque);
    activation_set = "cudnnSetActivationDescriptor"(Opaque, Number, Number, f64);
    workspace = "cudnnGetConvolutionForwardWorkspaceSize"(Opaque, Opaque, Opaque, Opaque, Opaque, Number, *mut usize);
    forward = "cudnnConvolutionForward"(Opaque, Scale, Opaque, u64, Opaque, u64, Opaque, Number, u64, usize, Scale, Opaque, u64);
    // As that, then the scale of what is added, what is added, the bias, the activation, the result.
    fused = "cudnnConvolutionBiasActivationForward"(Opaque, Scale, Opaque, u64, Opaque, u64, Opaque, Number, u64, usize,
        Scale, Opaque, u64, Opaque, u64, Opaque, Opaque, u64);
}

/// The library of this process.
pub(super) static LIBRARY: Library<Functions> = Library::new(probe::CUDNN, "install cuDNN 9");

/// What a call answered. Each kind of status has a thousand numbers, of which all but the first say more.
pub(super) fn check(call: &'static str, status: c_int) -> Result<(), CudaError> {
    let (name, words) = match status {
        0 => return Ok(()),
        1001 => (
            "NOT_INITIALIZED",
            "the library does not start on this device",
        ),
        1002 => (
            "SUBLIBRARY_VERSION_MISMATCH",
            "the library's files are of different versions",
        ),
        1008 => (
            "SUBLIBRARY_LOADING_FAILED",
            "one of the library's files cannot be loaded",
        ),
        2000..3000 => ("BAD_PARAM", "the library does not take these arguments"),
        3005 | 3006 => (
            "NOT_SUPPORTED",
            "the library is for another version of CUDA",
        ),
        3007 => (
            "NOT_SUPPORTED",
            "the library has no code for this device's architecture",
        ),
        3009 => (
            "NOT_SUPPORTED",
            "one of the library's files cannot be loaded",
        ),
        3000..4000 => ("NOT_SUPPORTED", "the library has no way to do this"),
        4000..5000 => ("INTERNAL_ERROR", "something in the library failed"),
        5000..6000 => ("EXECUTION_FAILED", "a kernel of the library failed"),
        _ => ("an unknown status", "the library fails"),
    };
    Err(CudaError::library(call, status, ("CUDNN", name), words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_named() {
        assert_eq!(check("cudnnConvolutionForward", 0), Ok(()));
        let said = |status| {
            check("cudnnConvolutionForward", status)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            said(3000),
            "cudnnConvolutionForward failed: the library has no way to do this (CUDNN_STATUS_NOT_SUPPORTED, 3000)"
        );
        assert_eq!(
            said(3007),
            "cudnnConvolutionForward failed: the library has no code for this device's architecture (CUDNN_STATUS_NOT_SUPPORTED, 3007)"
        );
        assert_eq!(
            said(2003),
            "cudnnConvolutionForward failed: the library does not take these arguments (CUDNN_STATUS_BAD_PARAM, 2003)"
        );
        assert!(!check("cudnnCreate", 5000).unwrap_err().is_lost());
    }
}
