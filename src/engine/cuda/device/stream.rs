//! Streams: work in order, one piece after the other, beside what other streams do.

use std::{
    cell::{Cell, Ref, RefCell},
    fmt,
    ops::Range,
    sync::Arc,
};

use cudarc::driver::sys;

use super::{
    Context, CudaError, Event, Graph, Launch, Memory, Pinned,
    clock::{Clock, Progress},
    driver,
    graph::Uses,
    host::Reservation,
};

/// Which stream's work goes first where the device has to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// As others.
    Normal,
    /// Before others.
    High,
}

/// `CU_STREAM_NON_BLOCKING`: it has nothing to do with the default stream.
const NON_BLOCKING: u32 = 1;
/// Lower goes first; the driver moves a number into the range that the device knows.
const HIGH: i32 = -5;

/// A queue of work. What is queued runs later; what comes after it on the same stream sees its results.
pub struct Stream {
    context: Arc<Context>,
    raw: sys::CUstream,
    progress: Arc<Progress>,
    /// How many pieces of work were queued.
    count: Cell<u64>,
    /// What is done when everything on it is.
    clock: RefCell<Clock>,
    /// While a graph is recorded: what it uses.
    recording: RefCell<Option<Uses>>,
}

// SAFETY: the driver lets any thread use a stream; its counts are not shared, since this type is not `Sync`.
unsafe impl Send for Stream {}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a stream on {:?}", self.context)
    }
}

impl Stream {
    pub(super) fn new(context: &Arc<Context>, priority: Priority) -> Result<Self, CudaError> {
        let mut raw = std::ptr::null_mut();
        let level = if priority == Priority::High { HIGH } else { 0 };
        // SAFETY: a place for one pointer; destroyed once, in `drop`.
        context.call(|| unsafe {
            driver::cuStreamCreateWithPriority(&raw mut raw, NON_BLOCKING, level)
        })?;
        Ok(Self {
            context: Arc::clone(context),
            raw,
            progress: Arc::default(),
            count: Cell::new(0),
            clock: RefCell::default(),
            recording: RefCell::default(),
        })
    }

    /// Queues a copy of a range of pinned memory to the device, at an offset there.
    ///
    /// # Errors
    /// A range is outside, the host holds the bytes to write them, or the driver's.
    pub fn copy_up(
        &self,
        from: &Pinned,
        range: Range<usize>,
        to: &Memory,
        offset: usize,
    ) -> Result<(), CudaError> {
        const CALL: &str = "cuMemcpyHtoDAsync";
        let bytes = range.len();
        let target = to.range(CALL, &reach(offset, bytes))?;
        let source = from.inner().range(CALL, &range)?;
        let reserved = from.inner().reserve(CALL, false)?;
        self.same_device(CALL, from.inner().context())?;
        self.same_device(CALL, to.context())?;
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: both ranges lie inside memory that is freed only when the device is idle; the host does not write
        // the bytes before this is done, since `uses_pinned` notes it, and until then it is reserved.
        self.queue(|| unsafe { driver::cuMemcpyHtoDAsync_v2(target, source, bytes, self.raw) })?;
        self.uses_memory(to);
        self.uses_pinned(reserved);
        Ok(())
    }

    /// Queues a copy of a range of device memory to pinned memory, at an offset there.
    ///
    /// # Errors
    /// A range is outside, the host holds the bytes, or the driver's.
    pub fn copy_down(
        &self,
        from: &Memory,
        range: Range<usize>,
        to: &Pinned,
        offset: usize,
    ) -> Result<(), CudaError> {
        const CALL: &str = "cuMemcpyDtoHAsync";
        let bytes = range.len();
        let source = from.range(CALL, &range)?;
        let target = to.inner().range(CALL, &reach(offset, bytes))?;
        let reserved = to.inner().reserve(CALL, true)?;
        self.same_device(CALL, from.context())?;
        self.same_device(CALL, to.inner().context())?;
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: as in `copy_up`; the host neither reads nor writes the bytes before this is done.
        self.queue(|| unsafe { driver::cuMemcpyDtoHAsync_v2(target, source, bytes, self.raw) })?;
        self.uses_memory(from);
        self.uses_pinned(reserved);
        Ok(())
    }

    /// Queues a copy of a range of device memory to an offset in another piece of it.
    ///
    /// # Errors
    /// A range is outside, or the driver's.
    pub fn copy(
        &self,
        from: &Memory,
        range: Range<usize>,
        to: &Memory,
        offset: usize,
    ) -> Result<(), CudaError> {
        const CALL: &str = "cuMemcpyDtoDAsync";
        let bytes = range.len();
        let source = from.range(CALL, &range)?;
        let target = to.range(CALL, &reach(offset, bytes))?;
        self.same_device(CALL, from.context())?;
        self.same_device(CALL, to.context())?;
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: both ranges lie inside memory that is freed only when the device is idle.
        self.queue(|| unsafe { driver::cuMemcpyDtoDAsync_v2(target, source, bytes, self.raw) })?;
        self.uses_memory(from);
        self.uses_memory(to);
        Ok(())
    }

    /// Queues that every byte of a range becomes `byte`.
    ///
    /// # Errors
    /// The range is outside, or the driver's.
    pub fn fill(&self, to: &Memory, range: Range<usize>, byte: u8) -> Result<(), CudaError> {
        const CALL: &str = "cuMemsetD8Async";
        let target = to.range(CALL, &range)?;
        let bytes = range.len();
        self.same_device(CALL, to.context())?;
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the range lies inside memory that is freed only when the device is idle.
        self.queue(|| unsafe { driver::cuMemsetD8Async(target, byte, bytes, self.raw) })?;
        self.uses_memory(to);
        Ok(())
    }

    /// Queues a kernel.
    ///
    /// # Errors
    /// Grid, block or arguments cannot be right for the kernel, or the driver's.
    pub fn launch(&self, launch: &Launch<'_>) -> Result<(), CudaError> {
        self.same_device("cuLaunchKernel", launch.function.context())?;
        for argument in launch.arguments {
            self.same_device("cuLaunchKernel", argument.memory.context())?;
        }
        launch.queue(|work| self.queue(work), self.raw)?;
        self.notes(|uses| uses.launch(launch));
        Ok(())
    }

    /// Copies bytes of the host to the device and waits: for constants, not for batches.
    ///
    /// # Errors
    /// The range is outside, a graph is being recorded, or the driver's; also of work that was queued before.
    pub fn upload(&self, from: &[u8], to: &Memory, offset: usize) -> Result<(), CudaError> {
        const CALL: &str = "cuMemcpyHtoDAsync";
        let target = to.range(CALL, &reach(offset, from.len()))?;
        self.same_device(CALL, to.context())?;
        self.not_capturing(CALL)?;
        if from.is_empty() {
            return Ok(());
        }
        let source = from.as_ptr().cast();
        // SAFETY: both ranges are inside their memory; the driver has read pageable memory when it returns.
        self.queue(|| unsafe {
            driver::cuMemcpyHtoDAsync_v2(target, source, from.len(), self.raw)
        })?;
        self.synchronize()
    }

    /// Copies bytes of the device to the host and waits: for tests and single values, not for batches.
    ///
    /// # Errors
    /// As [`Stream::upload`].
    pub fn download(&self, from: &Memory, offset: usize, to: &mut [u8]) -> Result<(), CudaError> {
        const CALL: &str = "cuMemcpyDtoHAsync";
        let source = from.range(CALL, &reach(offset, to.len()))?;
        self.same_device(CALL, from.context())?;
        self.not_capturing(CALL)?;
        if to.is_empty() {
            return Ok(());
        }
        let target = to.as_mut_ptr().cast();
        // SAFETY: both ranges are inside their memory; the driver has written pageable memory when it returns.
        self.queue(|| unsafe { driver::cuMemcpyDtoHAsync_v2(target, source, to.len(), self.raw) })?;
        self.synchronize()
    }

    /// Lets what is queued from now on run after the event, as it was recorded last.
    ///
    /// # Errors
    /// A graph is being recorded, or the driver's.
    pub fn wait(&self, event: &Event) -> Result<(), CudaError> {
        self.same_device("cuStreamWaitEvent", event.context())?;
        self.not_capturing("cuStreamWaitEvent")?;
        self.context
            // SAFETY: both belong to the context that is current; 0 is the default.
            .call(|| unsafe { driver::cuStreamWaitEvent(self.raw, event.raw(), 0) })?;
        event.add_to(&mut self.clock.borrow_mut());
        Ok(())
    }

    /// Waits until everything on it is done.
    ///
    /// # Errors
    /// What went wrong in the work that was queued.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        self.not_capturing("cuStreamSynchronize")?;
        self.context
            // SAFETY: the stream belongs to the context that is current.
            .call(|| unsafe { driver::cuStreamSynchronize(self.raw) })?;
        self.clock.borrow().pass();
        Ok(())
    }

    /// Records what `work` queues on this stream as a graph, without running it.
    ///
    /// # Errors
    /// Those of `work`, or the driver's.
    pub fn capture(
        &self,
        work: impl FnOnce(&Self) -> Result<(), CudaError>,
    ) -> Result<Graph, CudaError> {
        self.not_capturing("cuStreamBeginCapture")?;
        // So that other threads may allocate meanwhile.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        self.context
            // SAFETY: the stream belongs to the context that is current; ended by `Recording`, also where `work` panics.
            .call(|| unsafe { driver::cuStreamBeginCapture_v2(self.raw, mode) })?;
        *self.recording.borrow_mut() = Some(Uses::default());
        let recording = Recording { stream: self };
        let done = work(self);
        let (uses, graph) = recording.end()?;
        done.and_then(|()| Graph::new(&self.context, graph, uses))
    }

    /// Queues something that is no graph's own work.
    pub(super) fn queue(
        &self,
        work: impl FnOnce() -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        self.context.call(work)?;
        if self.recording.borrow().is_none() {
            self.count.set(self.count.get() + 1);
            self.clock
                .borrow_mut()
                .advance(&self.progress, self.count.get());
        }
        Ok(())
    }

    /// Notes that the work queued last uses pinned memory: in the graph that is recorded, or in the memory itself.
    pub(super) fn uses_pinned(&self, reserved: Reservation) {
        match self.recording.borrow_mut().as_mut() {
            Some(uses) => uses.pinned(reserved.memory()),
            None => reserved.queued(&self.progress, self.count.get()),
        }
    }

    /// Notes what the work queued last uses, in the graph that is recorded.
    pub(super) fn notes(&self, note: impl FnOnce(&mut Uses)) {
        if let Some(uses) = self.recording.borrow_mut().as_mut() {
            note(uses);
        }
    }

    fn uses_memory(&self, memory: &Memory) {
        self.notes(|uses| uses.memory(memory));
    }

    pub(super) fn not_capturing(&self, call: &'static str) -> Result<(), CudaError> {
        if self.recording.borrow().is_some() {
            return Err(CudaError::refused(
                call,
                "the stream is recording a graph, of which this can be no part",
            ));
        }
        Ok(())
    }

    pub(super) fn same_device(
        &self,
        call: &'static str,
        other: &Arc<Context>,
    ) -> Result<(), CudaError> {
        if Arc::ptr_eq(&self.context, other) {
            return Ok(());
        }
        let why = format!("the stream is on {:?}, the rest on {other:?}", self.context);
        Err(CudaError::refused(call, why))
    }

    pub(super) fn raw(&self) -> sys::CUstream {
        self.raw
    }

    pub(super) fn clock(&self) -> Ref<'_, Clock> {
        self.clock.borrow()
    }
}

/// The bytes from `offset` on; a sum that is too large is outside of any memory.
fn reach(offset: usize, bytes: usize) -> Range<usize> {
    offset..offset.saturating_add(bytes)
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Buffers ask how far this stream is; when it is gone nobody could learn that any more.
        if let Err(error) = self.synchronize() {
            tracing::debug!(%error, "{self:?} is dropped with work on it");
        }
        let gone = self
            .context
            // SAFETY: made in `new`, destroyed only here.
            .call(|| unsafe { driver::cuStreamDestroy_v2(self.raw) });
        if let Err(error) = gone {
            tracing::debug!(%error, "{self:?} was not destroyed");
        }
    }
}

/// A stream that records; ends when it is dropped.
struct Recording<'a> {
    stream: &'a Stream,
}

impl Recording<'_> {
    fn end(self) -> Result<(Uses, sys::CUgraph), CudaError> {
        let ended = self.finish();
        std::mem::forget(self);
        ended
    }

    fn finish(&self) -> Result<(Uses, sys::CUgraph), CudaError> {
        let uses = self.stream.recording.borrow_mut().take();
        let mut graph = std::ptr::null_mut();
        self.stream
            .context
            // SAFETY: the stream is recording; a place for one pointer.
            .call(|| unsafe { driver::cuStreamEndCapture(self.stream.raw, &raw mut graph) })?;
        Ok((uses.unwrap_or_default(), graph))
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        if let Ok((_, graph)) = self.finish() {
            let _gone = self
                .stream
                .context
                // SAFETY: given a moment ago, and used by nobody.
                .call(|| unsafe { driver::cuGraphDestroy(graph) });
        }
    }
}
