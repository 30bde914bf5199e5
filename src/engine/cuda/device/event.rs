//! Events: moments on a stream that others wait for.

use std::{cell::RefCell, fmt, sync::Arc};

use cudarc::driver::sys;

use super::{Context, CudaError, Stream, clock::Clock, driver, error::NOT_READY};

/// `CU_EVENT_BLOCKING_SYNC`: a thread that waits sleeps.
const BLOCKING: u32 = 1;
/// `CU_EVENT_DISABLE_TIMING`: cheaper to record.
const NO_TIMING: u32 = 2;

/// A moment on a stream, set by [`Event::record`]. Before that, it is past.
pub struct Event {
    context: Arc<Context>,
    raw: sys::CUevent,
    /// What is done when the event has come.
    clock: RefCell<Clock>,
}

// SAFETY: the driver lets any thread use an event; the clock is not shared, since this type is not `Sync`.
unsafe impl Send for Event {}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event on {:?}", self.context)
    }
}

impl Event {
    pub(super) fn new(context: &Arc<Context>, timed: bool) -> Result<Self, CudaError> {
        let mut raw = std::ptr::null_mut();
        let flags = BLOCKING | if timed { 0 } else { NO_TIMING };
        // SAFETY: a place for one pointer; destroyed once, in `drop`.
        context.call(|| unsafe { driver::cuEventCreate(&raw mut raw, flags) })?;
        Ok(Self {
            context: Arc::clone(context),
            raw,
            clock: RefCell::default(),
        })
    }

    /// Sets it behind all work that is on the stream now.
    ///
    /// # Errors
    /// The stream is recording a graph, or the driver's.
    pub fn record(&self, stream: &Stream) -> Result<(), CudaError> {
        stream.same_device("cuEventRecord", &self.context)?;
        stream.not_capturing("cuEventRecord")?;
        self.context
            // SAFETY: both belong to the context that is current.
            .call(|| unsafe { driver::cuEventRecord(self.raw, stream.raw()) })?;
        self.clock.borrow_mut().copy_from(&stream.clock());
        Ok(())
    }

    /// Whether it has come.
    ///
    /// # Errors
    /// What went wrong in the work before it.
    pub fn is_done(&self) -> Result<bool, CudaError> {
        let asked = self
            .context
            // SAFETY: the event belongs to the context that is current.
            .call(|| unsafe { driver::cuEventQuery(self.raw) });
        match asked {
            Ok(()) => {
                self.clock.borrow().pass();
                Ok(true)
            }
            Err(error) if error.code() == Some(NOT_READY) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until it has come. The thread sleeps meanwhile.
    ///
    /// # Errors
    /// What went wrong in the work before it.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        self.context
            // SAFETY: the event belongs to the context that is current.
            .call(|| unsafe { driver::cuEventSynchronize(self.raw) })?;
        self.clock.borrow().pass();
        Ok(())
    }

    /// Milliseconds from this event to a later one; both were made with [`super::Device::timed_event`], and have come.
    ///
    /// # Errors
    /// One of them keeps no time or has not come, or the driver's.
    pub fn milliseconds_until(&self, later: &Self) -> Result<f32, CudaError> {
        let mut time = 0.0;
        // SAFETY: a place for one number; both events belong to contexts that live.
        self.context.call(|| unsafe {
            driver::cuEventElapsedTime_v2(&raw mut time, self.raw, later.raw)
        })?;
        Ok(time)
    }

    pub(super) fn raw(&self) -> sys::CUevent {
        self.raw
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// What is done when the event has come.
    pub(super) fn add_to(&self, clock: &mut Clock) {
        clock.merge(&self.clock.borrow());
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let gone = self
            .context
            // SAFETY: made in `new`, destroyed only here. The driver keeps what waits for it.
            .call(|| unsafe { driver::cuEventDestroy_v2(self.raw) });
        if let Err(error) = gone {
            tracing::debug!(%error, "an event of {:?} was not destroyed", self.context);
        }
    }
}
