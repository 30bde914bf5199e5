//! The one door to a GPU: devices, streams, events, memory, kernels and graphs, over the CUDA driver; and products of
//! matrices by cuBLASLt, convolutions by cuDNN and compiling by NVRTC, where these are there.
//!
//! Work is queued on a [`Stream`] and runs later, so what must not happen meanwhile is made hard:
//!
//! - **Memory outlives the work on it.** What is dropped is freed only after the device is idle, and a [`Graph`]
//!   keeps what it uses. Whoever owns a stream of batches puts buffers, events and graph together in a slot.
//! - **The host stays off a buffer that the device uses.** Each [`Pinned`] knows the last work that was queued
//!   on it. [`Pinned::read`] and [`Pinned::write`] refuse until that work is known to be done: until the host has waited
//!   for the stream, or for an event behind it. Queueing refuses while the host holds a guard.
//! - **Lengths and sizes are checked** before the driver is asked: copies, fills, grids, and the size of a kernel's
//!   arguments against what the kernel says of itself. A kernel's addresses are named as [`Memory`] and an offset.
//!
//! What is left to the caller is the order of streams among themselves ([`Stream::wait`]), and that a kernel stays
//! inside the memory that it is given: kernels are part of this program, and tested as such.
//!
//! A stream, its events and its graphs belong to one thread at a time: they are `Send` and not `Sync`.

#![allow(
    unsafe_code,
    reason = "the driver is C; each block says why it is right, and nothing unsafe leaves this room"
)]

mod clock;
mod cublaslt;
mod cudnn;
mod driver;
mod error;
mod event;
mod graph;
mod host;
mod library;
mod memory;
mod module;
mod nvrtc;
mod stream;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use cudarc::driver::sys;

pub use cublaslt::{Algorithm, Cublaslt, Multiplication, OpenError, Piece};
pub use cudnn::{ALIGNED, Cudnn, Filtering, Method};
pub use error::CudaError;
pub use event::Event;
pub use graph::Graph;
pub use host::{Caching, Pinned, Read, Write};
pub use memory::Memory;
pub use module::{Argument, Function, Launch, Module};
pub use nvrtc::{CompileError, Nvrtc, Source};
pub use stream::{Priority, Stream};

use super::probe;

/// One GPU, opened. A clone is the same device.
#[derive(Debug, Clone)]
pub struct Device {
    context: Arc<Context>,
}

/// The device's primary context; released when the last user is gone.
struct Context {
    ordinal: u32,
    name: String,
    capability: probe::Version,
    multiprocessors: u32,
    device: sys::CUdevice,
    raw: sys::CUcontext,
    /// The first error after which nothing can go well.
    lost: OnceLock<CudaError>,
}

// SAFETY: the driver may be called with one context from many threads.
unsafe impl Send for Context {}
// SAFETY: as above; nothing here changes but through the driver and `OnceLock`.
unsafe impl Sync for Context {}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuda:{} ({})", self.ordinal, self.name)
    }
}

impl Device {
    /// Opens the device with this number. What two openings make cannot be used together: open it once, and clone.
    ///
    /// # Errors
    /// There is no driver that can be used, no such device, the device is too old, or it cannot be opened.
    pub fn open(number: usize) -> Result<Self, CudaError> {
        let refused = |why: String| CudaError::refused("CUDA", why);
        let library = probe::library().map_err(|missing| refused(missing.to_string()))?;
        driver::verify(|name| library.address(name)).map_err(refused)?;
        let count = library.count();
        let ordinal = u32::try_from(number)
            .ok()
            .filter(|ordinal| *ordinal < count);
        let Some(ordinal) = ordinal else {
            return Err(refused(format!(
                "there is no device cuda:{number}; the last is cuda:{}",
                count.saturating_sub(1)
            )));
        };
        let known = library.device(ordinal).map_err(refused)?;
        if let Some(why) = known.unusable {
            return Err(refused(format!("cuda:{ordinal} ({}): {why}", known.name)));
        }
        let mut device = 0;
        let mut raw = std::ptr::null_mut();
        let index = i32::try_from(ordinal).unwrap_or(i32::MAX);
        // SAFETY: every function was verified above; 0 is the only flag there is.
        unsafe { driver::cuInit(0)? };
        // SAFETY: a place for one number.
        unsafe { driver::cuDeviceGet(&raw mut device, index)? };
        // SAFETY: a place for one pointer; released once, when the context is dropped.
        unsafe { driver::cuDevicePrimaryCtxRetain(&raw mut raw, device)? };
        Ok(Self {
            context: Arc::new(Context {
                ordinal,
                name: known.name,
                capability: known.capability,
                multiprocessors: known.multiprocessors,
                device,
                raw,
                lost: OnceLock::new(),
            }),
        })
    }

    /// CUDA's number of it.
    pub fn ordinal(&self) -> u32 {
        self.context.ordinal
    }

    /// As its maker calls it.
    pub fn name(&self) -> &str {
        &self.context.name
    }

    /// Compute capability.
    pub fn capability(&self) -> probe::Version {
        self.context.capability
    }

    /// How many multiprocessors it has.
    pub fn multiprocessors(&self) -> u32 {
        self.context.multiprocessors
    }

    /// Free and total memory in bytes.
    ///
    /// # Errors
    /// The driver's.
    pub fn free_and_total(&self) -> Result<(usize, usize), CudaError> {
        let (mut free, mut total) = (0, 0);
        self.context
            // SAFETY: places for two numbers.
            .call(|| unsafe { driver::cuMemGetInfo_v2(&raw mut free, &raw mut total) })?;
        Ok((free, total))
    }

    /// Why the device is lost to this process, if it is: every call on it fails from then on.
    pub fn lost(&self) -> Option<&CudaError> {
        self.context.lost.get()
    }

    /// A new stream.
    ///
    /// # Errors
    /// The driver's.
    pub fn stream(&self, priority: Priority) -> Result<Stream, CudaError> {
        Stream::new(&self.context, priority)
    }

    /// A new event.
    ///
    /// # Errors
    /// The driver's.
    pub fn event(&self) -> Result<Event, CudaError> {
        Event::new(&self.context, false)
    }

    /// A new event that also keeps the time.
    ///
    /// # Errors
    /// The driver's.
    pub fn timed_event(&self) -> Result<Event, CudaError> {
        Event::new(&self.context, true)
    }

    /// New memory on the device, of which nobody knows what is in it.
    ///
    /// # Errors
    /// The device has not enough ([`CudaError::is_out_of_memory`]), or the driver's.
    pub fn memory(&self, bytes: usize) -> Result<Memory, CudaError> {
        Memory::new(&self.context, bytes)
    }

    /// New memory of the host that the device reads and writes by itself, filled with zeros.
    ///
    /// # Errors
    /// The host has not enough that it can keep in place, or the driver's.
    pub fn pinned(&self, bytes: usize, caching: Caching) -> Result<Pinned, CudaError> {
        Pinned::new(&self.context, bytes, caching)
    }

    /// cuBLASLt on this device.
    ///
    /// # Errors
    /// It is not there, or does not start.
    pub fn cublaslt(&self) -> Result<Cublaslt, OpenError> {
        Cublaslt::open(&self.context)
    }

    /// cuDNN on this device, for one stream: a handle of its own each time.
    ///
    /// # Errors
    /// It is not there, or does not start.
    pub fn cudnn(&self) -> Result<Cudnn, OpenError> {
        Cudnn::open(&self.context)
    }

    /// Loads kernels: a fat binary, a cubin, or PTX that ends with a zero.
    ///
    /// # Errors
    /// They are of another form, or hold no code for this device.
    pub fn module(&self, image: &[u8]) -> Result<Module, CudaError> {
        Module::new(&self.context, image)
    }
}

impl Context {
    /// Makes the context current for this thread, calls the driver, and remembers what cannot be healed.
    fn call(&self, work: impl FnOnce() -> Result<(), CudaError>) -> Result<(), CudaError> {
        if let Some(lost) = self.lost.get() {
            return Err(lost.clone());
        }
        // SAFETY: the context is retained as long as this value lives.
        let done = unsafe { driver::cuCtxSetCurrent(self.raw) }.and_then(|()| work());
        if let Err(error) = &done
            && error.is_lost()
        {
            self.lost.get_or_init(|| error.clone());
        }
        done
    }

    /// Asks before a library on this device works on pieces of memory.
    ///
    /// # Errors
    /// One of them is another device's.
    fn has_all<'p>(
        self: &Arc<Self>,
        call: &'static str,
        mut pieces: impl Iterator<Item = &'p Piece>,
    ) -> Result<(), CudaError> {
        if pieces.all(|piece| Arc::ptr_eq(piece.memory.context(), self)) {
            return Ok(());
        }
        let why = format!("the library is on {self:?}, the memory is not");
        Err(CudaError::refused(call, why))
    }

    fn synchronize(&self) -> Result<(), CudaError> {
        // SAFETY: no arguments.
        self.call(|| unsafe { driver::cuCtxSynchronize() })
    }

    /// Frees something that queued work may still use: once the device is idle, or lost. Where neither can be
    /// known (while this thread captures a graph, say) it is left, for freeing would be worse.
    fn free_when_idle(&self, what: &str, free: impl FnOnce() -> Result<(), CudaError>) {
        let idle = self.synchronize();
        if let Err(error) = &idle
            && self.lost.get().is_none()
        {
            tracing::warn!(%error, "{what} of {self:?} is not freed, since the device may still use it");
            return;
        }
        // A lost context takes its memory with it; the driver may refuse this then.
        // SAFETY: the context is retained as long as this value lives.
        let freed = unsafe { driver::cuCtxSetCurrent(self.raw) }.and_then(|()| free());
        if let Err(error) = freed {
            tracing::debug!(%error, "{what} of {self:?} was not freed");
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: retained once, in `Device::open`; everything that needs it holds an `Arc` of this value.
        if let Err(error) = unsafe { driver::cuDevicePrimaryCtxRelease_v2(self.device) } {
            tracing::debug!(%error, "{self:?} was not released");
        }
    }
}
