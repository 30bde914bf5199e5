//! The driver's functions, each checked to be there before the first is called.
//!
//! cudarc finds a symbol when it is first called, and panics where it is missing; and it takes the first
//! `libcuda.so` of the loader's path, which need not be the library that was probed. So [`verify`] asks
//! beforehand, for every function that this room uses: is it there, and is it the probed library's?

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use cudarc::driver::sys::{self, CUresult};

use super::error::CudaError;

/// Declares the functions that may be called, and with them the list that [`verify`] goes through.
macro_rules! functions {
    ($($name:ident($($argument:ident: $kind:ty),* $(,)?);)*) => {
        /// Every function of the driver that this room calls.
        pub(super) const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(
            /// The driver's function of that name.
            ///
            /// # Safety
            /// As CUDA's driver API says of it; and [`verify`] has succeeded.
            #[allow(
                non_snake_case,
                clippy::too_many_arguments,
                reason = "CUDA's own name and arguments"
            )]
            pub(super) unsafe fn $name($($argument: $kind),*) -> Result<(), CudaError> {
                // SAFETY: the caller keeps to the driver API; the symbol is there, so cudarc does not panic.
                check(stringify!($name), unsafe { sys::$name($($argument),*) })
            }
        )*
    };
}

functions! {
    cuInit(flags: c_uint);
    cuDeviceGet(device: *mut sys::CUdevice, ordinal: c_int);
    cuDevicePrimaryCtxRetain(context: *mut sys::CUcontext, device: sys::CUdevice);
    cuDevicePrimaryCtxRelease_v2(device: sys::CUdevice);
    cuCtxSetCurrent(context: sys::CUcontext);
    cuCtxSynchronize();
    cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    cuMemAlloc_v2(address: *mut sys::CUdeviceptr, bytes: usize);
    cuMemFree_v2(address: sys::CUdeviceptr);
    cuMemHostAlloc(address: *mut *mut c_void, bytes: usize, flags: c_uint);
    cuMemFreeHost(address: *mut c_void);
    cuMemcpyHtoDAsync_v2(to: sys::CUdeviceptr, from: *const c_void, bytes: usize, stream: sys::CUstream);
    cuMemcpyDtoHAsync_v2(to: *mut c_void, from: sys::CUdeviceptr, bytes: usize, stream: sys::CUstream);
    cuMemcpyDtoDAsync_v2(to: sys::CUdeviceptr, from: sys::CUdeviceptr, bytes: usize, stream: sys::CUstream);
    cuMemsetD8Async(to: sys::CUdeviceptr, byte: u8, bytes: usize, stream: sys::CUstream);
    cuStreamCreateWithPriority(stream: *mut sys::CUstream, flags: c_uint, priority: c_int);
    cuStreamDestroy_v2(stream: sys::CUstream);
    cuStreamSynchronize(stream: sys::CUstream);
    cuStreamWaitEvent(stream: sys::CUstream, event: sys::CUevent, flags: c_uint);
    cuStreamBeginCapture_v2(stream: sys::CUstream, mode: sys::CUstreamCaptureMode);
    cuStreamEndCapture(stream: sys::CUstream, graph: *mut sys::CUgraph);
    cuEventCreate(event: *mut sys::CUevent, flags: c_uint);
    cuEventDestroy_v2(event: sys::CUevent);
    cuEventRecord(event: sys::CUevent, stream: sys::CUstream);
    cuEventQuery(event: sys::CUevent);
    cuEventSynchronize(event: sys::CUevent);
    cuEventElapsedTime_v2(milliseconds: *mut f32, start: sys::CUevent, end: sys::CUevent);
    cuModuleLoadData(module: *mut sys::CUmodule, image: *const c_void);
    cuModuleUnload(module: sys::CUmodule);
    cuModuleGetFunction(function: *mut sys::CUfunction, module: sys::CUmodule, name: *const c_char);
    cuFuncGetParamInfo(function: sys::CUfunction, index: usize, offset: *mut usize, size: *mut usize);
    cuFuncGetAttribute(value: *mut c_int, attribute: sys::CUfunction_attribute, function: sys::CUfunction);
    cuFuncSetAttribute(function: sys::CUfunction, attribute: sys::CUfunction_attribute, value: c_int);
    cuLaunchKernel(function: sys::CUfunction, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint,
        block_x: c_uint, block_y: c_uint, block_z: c_uint, shared: c_uint, stream: sys::CUstream,
        params: *mut *mut c_void, extra: *mut *mut c_void);
    cuGraphInstantiateWithFlags(executable: *mut sys::CUgraphExec, graph: sys::CUgraph, flags: u64);
    cuGraphUpload(executable: sys::CUgraphExec, stream: sys::CUstream);
    cuGraphLaunch(executable: sys::CUgraphExec, stream: sys::CUstream);
    cuGraphExecDestroy(executable: sys::CUgraphExec);
    cuGraphDestroy(graph: sys::CUgraph);
}

/// These two say what an error means, so they are called where one is made.
const WORDS: &[&str] = &["cuGetErrorName", "cuGetErrorString"];

/// Whether every function can be called, and is that of the library that was probed.
///
/// `probed` gives the address of a function there. cudarc must be able to find a library at all.
///
/// # Errors
/// A function is missing, or cudarc has another library.
pub(super) fn verify(probed: impl Fn(&str) -> Option<usize>) -> Result<(), String> {
    // SAFETY: it loads libcuda, whose initialisers the probe has already run.
    if !unsafe { sys::is_culib_present() } {
        return Err("the driver's library is there, but not under a name that is looked for: name its folder in LD_LIBRARY_PATH".to_owned());
    }
    // SAFETY: as above; it was found a moment ago, so this does not panic.
    let library = unsafe { sys::culib() };
    for name in NAMES.iter().chain(WORDS) {
        // SAFETY: the symbol's address is only compared, never called.
        let found = unsafe { library.get::<unsafe extern "C" fn()>(name.as_bytes()) };
        let Ok(found) = found else {
            return Err(format!(
                "the driver has no function {name}: it is too old for this program"
            ));
        };
        if probed(name) != Some(*found as usize) {
            return Err(format!(
                "two libraries of the CUDA driver are in the way of each other ({name} is not that of the one that was found first): \
                 leave only one in LD_LIBRARY_PATH"
            ));
        }
    }
    Ok(())
}

/// What a call answered.
fn check(call: &'static str, result: CUresult) -> Result<(), CudaError> {
    if result == CUresult::CUDA_SUCCESS {
        return Ok(());
    }
    let call = call.trim_end_matches("_v2");
    let words = |ask: unsafe fn(CUresult, *mut *const c_char) -> CUresult| {
        let mut text: *const c_char = std::ptr::null();
        // SAFETY: `text` is a place for one pointer; `verify` has seen both functions.
        let asked = unsafe { ask(result, &raw mut text) };
        if asked != CUresult::CUDA_SUCCESS || text.is_null() {
            return "unknown to the driver".to_owned();
        }
        // SAFETY: the driver gives a string that ends with a zero and lives as long as the library.
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned()
    };
    let name = words(sys::cuGetErrorName);
    let said = words(sys::cuGetErrorString);
    Err(CudaError::driver(call, result as u32, &name, &said))
}
