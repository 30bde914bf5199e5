//! Memory of the device.

use std::{fmt, ops::Range, sync::Arc};

use cudarc::driver::sys;

use super::{Context, CudaError, driver};

/// A piece of the device's memory. Its address is a multiple of 256. A clone is the same piece; it is freed when the last
/// one is gone, after the device is idle.
#[derive(Clone)]
pub struct Memory {
    inner: Arc<Inner>,
}

struct Inner {
    context: Arc<Context>,
    address: sys::CUdeviceptr,
    bytes: usize,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes on {:?}", self.inner.bytes, self.inner.context)
    }
}

impl Memory {
    pub(super) fn new(context: &Arc<Context>, bytes: usize) -> Result<Self, CudaError> {
        let mut address = 0;
        // The driver refuses to give nothing; an empty tensor wants an address all the same.
        let asked = bytes.max(1);
        // SAFETY: a place for one address; freed once, in `Inner::drop`.
        context.call(|| unsafe { driver::cuMemAlloc_v2(&raw mut address, asked) })?;
        Ok(Self {
            inner: Arc::new(Inner {
                context: Arc::clone(context),
                address,
                bytes,
            }),
        })
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.inner.bytes
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.inner.bytes == 0
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.inner.context
    }

    /// The address of a range, which must lie inside; `call` is who asks.
    pub(super) fn range(
        &self,
        call: &'static str,
        range: &Range<usize>,
    ) -> Result<sys::CUdeviceptr, CudaError> {
        if range.start > range.end || range.end > self.inner.bytes {
            return Err(CudaError::refused(
                call,
                format!(
                    "bytes {} to {} are not in a piece of {} bytes of device memory",
                    range.start, range.end, self.inner.bytes
                ),
            ));
        }
        Ok(self.inner.address + range.start as u64)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.context.free_when_idle("device memory", || {
            // SAFETY: allocated in `Memory::new`, freed only here, and no work on it is left.
            unsafe { driver::cuMemFree_v2(self.address) }
        });
    }
}
