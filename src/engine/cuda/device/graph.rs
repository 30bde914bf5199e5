//! Graphs: work that was recorded once and is queued as a whole, again and again.

use std::{cell::Cell, fmt, marker::PhantomData, sync::Arc};

use cudarc::driver::sys;

use super::{
    Context, CudaError, Filtering, Launch, Memory, Multiplication, Stream, cublaslt, cudnn, driver,
    host, module,
};

/// What a graph's work uses, kept as long as the graph.
#[derive(Default)]
pub(super) struct Uses {
    pinned: Vec<(Arc<host::Inner>, bool)>,
    memory: Vec<Memory>,
    modules: Vec<Arc<module::Inner>>,
    /// Its kernels are the library's.
    libraries: Vec<Arc<cublaslt::Inner>>,
    /// As that.
    convolvers: Vec<Arc<cudnn::Inner>>,
}

impl Uses {
    pub(super) fn pinned(&mut self, (pinned, writes): (&Arc<host::Inner>, bool)) {
        let known = (self.pinned.iter_mut()).find(|(known, _)| Arc::ptr_eq(known, pinned));
        match known {
            Some((_, known_writes)) => *known_writes |= writes,
            None => self.pinned.push((Arc::clone(pinned), writes)),
        }
    }

    pub(super) fn memory(&mut self, memory: &Memory) {
        if !self.memory.iter().any(|known| known.is_same(memory)) {
            self.memory.push(memory.clone());
        }
    }

    pub(super) fn launch(&mut self, launch: &Launch<'_>) {
        keep(&mut self.modules, launch.function.module());
        for argument in launch.arguments {
            self.memory(argument.memory);
        }
    }

    pub(super) fn product(&mut self, product: &Multiplication, workspace: &Memory) {
        keep(&mut self.libraries, product.library());
        let memory = product.memory().chain([workspace]);
        memory.for_each(|memory| self.memory(memory));
    }

    pub(super) fn convolution(&mut self, convolution: &Filtering, workspace: &Memory) {
        keep(&mut self.convolvers, convolution.library());
        let memory = convolution.memory().chain([workspace]);
        memory.for_each(|memory| self.memory(memory));
    }
}

/// Keeps one that is not kept yet.
fn keep<T>(kept: &mut Vec<Arc<T>>, one: &Arc<T>) {
    if !kept.iter().any(|known| Arc::ptr_eq(known, one)) {
        kept.push(Arc::clone(one));
    }
}

/// Recorded work, made by [`Stream::capture`]. Runs never overlap: the driver lets one follow the other.
pub struct Graph {
    context: Arc<Context>,
    raw: sys::CUgraphExec,
    uses: Uses,
    /// The driver wants one thread at a time.
    not_sync: PhantomData<Cell<()>>,
}

// SAFETY: the driver lets any thread use it, one at a time; it is not `Sync`.
unsafe impl Send for Graph {}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a graph on {:?}", self.context)
    }
}

impl Graph {
    /// Takes what was recorded, which is destroyed here.
    pub(super) fn new(
        context: &Arc<Context>,
        recorded: sys::CUgraph,
        uses: Uses,
    ) -> Result<Self, CudaError> {
        let mut raw = std::ptr::null_mut();
        let made = context
            // SAFETY: a place for one pointer, and a graph that the driver gave a moment ago.
            .call(|| unsafe { driver::cuGraphInstantiateWithFlags(&raw mut raw, recorded, 0) });
        // SAFETY: the executable graph is a copy; nobody else has this one.
        let gone = context.call(|| unsafe { driver::cuGraphDestroy(recorded) });
        made?;
        let graph = Self {
            context: Arc::clone(context),
            raw,
            uses,
            not_sync: PhantomData,
        };
        gone.map(|()| graph)
    }

    /// Sends it to the device, so that the first launch costs no more than the others.
    ///
    /// # Errors
    /// The driver's.
    pub fn prepare(&self, stream: &Stream) -> Result<(), CudaError> {
        stream.same_device("cuGraphUpload", &self.context)?;
        stream.not_capturing("cuGraphUpload")?;
        // SAFETY: both belong to the context that is current.
        stream.queue(|| unsafe { driver::cuGraphUpload(self.raw, stream.raw()) })
    }

    /// Queues it.
    ///
    /// # Errors
    /// The host holds pinned memory that it uses, or the driver's.
    pub fn launch(&self, stream: &Stream) -> Result<(), CudaError> {
        const CALL: &str = "cuGraphLaunch";
        stream.same_device(CALL, &self.context)?;
        stream.not_capturing(CALL)?;
        let pinned = self.uses.pinned.iter();
        let reserved = pinned
            .map(|(pinned, writes)| pinned.reserve(CALL, *writes))
            .collect::<Result<Vec<_>, _>>()?;
        // SAFETY: both belong to the context that is current; what the graph uses is kept in `uses`.
        stream.queue(|| unsafe { driver::cuGraphLaunch(self.raw, stream.raw()) })?;
        for pinned in reserved {
            stream.uses_pinned(pinned);
        }
        Ok(())
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.context.free_when_idle("a graph", || {
            // SAFETY: made in `new`, destroyed only here, and no run of it is left.
            unsafe { driver::cuGraphExecDestroy(self.raw) }
        });
    }
}
