//! Memory of the host that stays in place, so that the device copies from and to it by itself.

use std::{
    ffi::c_void,
    fmt,
    ops::{Deref, DerefMut, Range},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Context, CudaError,
    clock::{Moment, Progress},
    driver,
};

/// How the processor's caches treat pinned memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// As other memory: for what the host reads.
    Cached,
    /// Past the caches: quick for what the host only writes, in order; very slow to read.
    WriteCombined,
}

/// `CU_MEMHOSTALLOC_WRITECOMBINED`.
const WRITE_COMBINED: u32 = 4;

/// Pinned memory of the host. The device is a borrower like any other: see [`Pinned::read`] and [`Pinned::write`].
pub struct Pinned {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    context: Arc<Context>,
    address: *mut u8,
    bytes: usize,
    users: Mutex<Users>,
}

// SAFETY: the memory belongs to this value; who may touch it when is kept in `users`.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

/// Who uses the memory just now.
#[derive(Default)]
struct Users {
    /// Guards of the host that read.
    readers: usize,
    /// Whether a guard of the host writes.
    writer: bool,
    /// Work that is being queued just now, on any thread: what reads it, what writes it.
    queueing_reads: usize,
    queueing_writes: usize,
    /// The last work that was queued on it, a moment for each stream: what reads it, what writes it.
    device_reads: Vec<Moment>,
    device_writes: Vec<Moment>,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes pinned for {:?}",
            self.inner.bytes, self.inner.context
        )
    }
}

impl Pinned {
    pub(super) fn new(
        context: &Arc<Context>,
        bytes: usize,
        caching: Caching,
    ) -> Result<Self, CudaError> {
        let mut address: *mut c_void = std::ptr::null_mut();
        let flags = if caching == Caching::WriteCombined {
            WRITE_COMBINED
        } else {
            0
        };
        let asked = bytes.max(1);
        // SAFETY: a place for one pointer; freed once, in `Inner::drop`.
        context.call(|| unsafe { driver::cuMemHostAlloc(&raw mut address, asked, flags) })?;
        let address = address.cast::<u8>();
        // SAFETY: the driver gave `asked` bytes, and nobody else has them; Rust wants them to have a value.
        unsafe { address.write_bytes(0, asked) };
        Ok(Self {
            inner: Arc::new(Inner {
                context: Arc::clone(context),
                address,
                bytes,
                users: Mutex::default(),
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

    /// The bytes, to read.
    ///
    /// # Errors
    /// The device may still write to it: nobody has waited for the stream, or for an event behind that work.
    pub fn read(&self) -> Result<Read<'_>, CudaError> {
        let mut users = self.inner.users();
        if users.writer {
            return Err(busy("it is being written to by the host"));
        }
        users.device_writes.retain(|moment| !moment.is_past());
        if users.queueing_writes > 0 || !users.device_writes.is_empty() {
            return Err(busy(
                "the device may still write to it: wait for the stream or an event first",
            ));
        }
        users.readers += 1;
        Ok(Read { pinned: self })
    }

    /// The bytes, to write.
    ///
    /// # Errors
    /// The device may still read or write it: nobody has waited for the stream, or for an event behind that work.
    pub fn write(&mut self) -> Result<Write<'_>, CudaError> {
        let mut users = self.inner.users();
        users.device_reads.retain(|moment| !moment.is_past());
        users.device_writes.retain(|moment| !moment.is_past());
        let queueing = users.queueing_reads + users.queueing_writes;
        if queueing > 0 || !users.device_reads.is_empty() || !users.device_writes.is_empty() {
            return Err(busy(
                "the device may still use it: wait for the stream or an event first",
            ));
        }
        users.writer = true;
        drop(users);
        Ok(Write { pinned: self })
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

fn busy(why: &str) -> CudaError {
    CudaError::refused("pinned memory", why)
}

impl Inner {
    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The address of a range, which must lie inside.
    pub(super) fn range(
        &self,
        call: &'static str,
        range: &Range<usize>,
    ) -> Result<*mut c_void, CudaError> {
        if range.start > range.end || range.end > self.bytes {
            return Err(CudaError::refused(
                call,
                format!(
                    "bytes {} to {} are not in {} bytes of pinned memory",
                    range.start, range.end, self.bytes
                ),
            ));
        }
        Ok(self.address.wrapping_add(range.start).cast())
    }

    /// Keeps the host off it while work is queued that reads it, or writes it.
    pub(super) fn reserve(
        self: &Arc<Self>,
        call: &'static str,
        writes: bool,
    ) -> Result<Reservation, CudaError> {
        let mut users = self.users();
        if users.writer || (writes && users.readers > 0) {
            let why = "the host holds the pinned memory that this would use";
            return Err(CudaError::refused(call, why));
        }
        *users.queueing(writes) += 1;
        Ok(Reservation {
            inner: Arc::clone(self),
            writes,
        })
    }
}

impl Users {
    fn queueing(&mut self, writes: bool) -> &mut usize {
        if writes {
            &mut self.queueing_writes
        } else {
            &mut self.queueing_reads
        }
    }
}

/// Pinned memory that work is being queued on. Dropped where the work was not queued.
#[must_use]
pub(super) struct Reservation {
    inner: Arc<Inner>,
    writes: bool,
}

impl Reservation {
    /// The work is queued: it is among the first `count` pieces of the stream.
    pub(super) fn queued(self, stream: &Arc<Progress>, count: u64) {
        let mut users = self.inner.users();
        let moments = if self.writes {
            &mut users.device_writes
        } else {
            &mut users.device_reads
        };
        // A later moment on the same stream stands for the earlier ones.
        moments.retain(|moment| !moment.is_past() && !moment.is_on(stream));
        moments.push(Moment::new(stream, count));
    }

    pub(super) fn memory(&self) -> (&Arc<Inner>, bool) {
        (&self.inner, self.writes)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        *self.inner.users().queueing(self.writes) -= 1;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.context.free_when_idle("pinned memory", || {
            // SAFETY: allocated in `Pinned::new`, freed only here, and no work on it is left.
            unsafe { driver::cuMemFreeHost(self.address.cast()) }
        });
    }
}

/// Bytes that the host reads; no work that writes them can be queued meanwhile.
#[derive(Debug)]
pub struct Read<'a> {
    pinned: &'a Pinned,
}

impl Deref for Read<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let inner = &self.pinned.inner;
        // SAFETY: the memory lives as long as `pinned`; the device has no work that writes it, and while this guard
        // is counted in `readers` none can be queued, nor can the host get a guard to write.
        unsafe { std::slice::from_raw_parts(inner.address, inner.bytes) }
    }
}

impl Drop for Read<'_> {
    fn drop(&mut self) {
        self.pinned.inner.users().readers -= 1;
    }
}

/// Bytes that the host writes; no work that uses them can be queued meanwhile.
#[derive(Debug)]
pub struct Write<'a> {
    pinned: &'a mut Pinned,
}

impl Deref for Write<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let inner = &self.pinned.inner;
        // SAFETY: as in `deref_mut`.
        unsafe { std::slice::from_raw_parts(inner.address, inner.bytes) }
    }
}

impl DerefMut for Write<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let inner = &self.pinned.inner;
        // SAFETY: the memory lives as long as `pinned`, which this guard holds alone; the device has no work on it, and
        // while `writer` is set none can be queued.
        unsafe { std::slice::from_raw_parts_mut(inner.address, inner.bytes) }
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        self.pinned.inner.users().writer = false;
    }
}
