//! cuDNN: convolutions by NVIDIA's library, where it is there.
//!
//! A [`Filtering`] is what is asked for and on which memory; its places are checked when it is made. The library has several
//! ways to do one, [`Method`]s; [`Stream::convolve`] queues one of them. What the library needs beside the pictures is the
//! workspace that it is given. It loads a kernel when that is first used, which it cannot while a graph is recorded, so whoever
//! records runs each method once before.
//!
//! The calls are those that say a whole convolution at once. NVIDIA's newer ones describe graphs of operators, and engines for
//! these: they would be needed to fuse more than a bias, a sum and ReLU.

mod descriptor;
mod functions;

use std::{
    ffi::c_int,
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use descriptor::Descriptor;
use functions::{Functions, Opaque, check};

use super::{Context, CudaError, Memory, OpenError, Piece, Stream};
use crate::engine::cuda::convolution::{Operands, Shape};

/// The library, opened on a device for one stream after the other: work on two streams at the same time may share
/// what the library keeps by itself. A clone is the same.
#[derive(Debug, Clone)]
pub struct Cudnn {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    context: Arc<Context>,
    functions: &'static Functions,
    version: &'static str,
    handle: Mutex<Handle>,
}

/// A handle of the library: one thread at a time may use it.
struct Handle(Opaque);

// SAFETY: any thread may use a handle, as long as no other does; it is kept behind a mutex.
unsafe impl Send for Handle {}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuDNN {} on {:?}", self.version, self.context)
    }
}

impl Inner {
    fn handle(&self) -> MutexGuard<'_, Handle> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A way to do a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// The library's number of it.
    pub number: u8,
    /// Bytes of workspace that it needs.
    pub workspace: usize,
}

/// `CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM`, `_IMPLICIT_PRECOMP_GEMM`, `_GEMM`: those that sum the products themselves. By
/// Fourier's or Winograd's transformation the same numbers would come out less exact.
const METHODS: [u8; 3] = [0, PRECOMPUTED, 2];
/// The only one that the library has for what is added where no ReLU follows.
const PRECOMPUTED: u8 = 1;

/// To how many bytes every picture must be aligned: its kernels read so many at once.
pub const ALIGNED: usize = 16;

impl Cudnn {
    pub(super) fn open(context: &Arc<Context>) -> Result<Self, OpenError> {
        let loaded = functions::LIBRARY.loaded()?;
        let functions = &loaded.functions;
        let mut raw = std::ptr::null_mut();
        context.call(|| {
            // SAFETY: a place for one handle; destroyed once, in `Inner::drop`.
            check("cudnnCreate", unsafe { (functions.create)(&raw mut raw) })
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                context: Arc::clone(context),
                functions,
                version: &loaded.version,
                handle: Mutex::new(Handle(raw)),
            }),
        })
    }

    /// The library's version.
    pub fn version(&self) -> &str {
        self.inner.version
    }

    /// Whether nobody else has it: no clone, no convolution, no graph.
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.inner) == 1
    }

    /// A convolution on these pieces of memory.
    ///
    /// # Errors
    /// A piece is too short for its pictures or not aligned, the shape cannot be, or the library's.
    pub fn filtering(
        &self,
        shape: &Shape,
        operands: Operands<Piece>,
    ) -> Result<Filtering, CudaError> {
        let addresses = addresses(shape, &operands)?;
        let pieces = operands.each().map(|(_, piece)| piece);
        self.inner.context.has_all(CALL, pieces)?;
        let functions = self.inner.functions;
        let pictures = |sizes| Descriptor::pictures(functions, shape, sizes);
        let Shape {
            n,
            channels,
            image,
            filters,
            out,
            ..
        } = *shape;
        let behind = |()| {
            let bias = pictures([1, filters, 1, 1])?;
            Ok::<_, CudaError>((bias, Descriptor::activation(functions, shape.relu)?))
        };
        Ok(Filtering {
            x: pictures([n, channels, image[0], image[1]])?,
            w: Descriptor::filters(functions, shape)?,
            windows: Descriptor::windows(functions, shape)?,
            y: pictures([n, filters, out[0], out[1]])?,
            behind: shape.bias.then_some(()).map(behind).transpose()?,
            library: Arc::clone(&self.inner),
            relu: shape.relu,
            addresses,
            operands,
            not_sync: PhantomData,
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Handle(raw) = *self.handle();
        self.context.free_when_idle("cuDNN", || {
            // SAFETY: made in `open`, destroyed only here, and no convolution is on its way.
            check("cudnnDestroy", unsafe { (self.functions.destroy)(raw) })
        });
    }
}

const CALL: &str = "cudnnConvolutionForward";

/// The address of each piece, all of whose numbers are in its memory.
fn addresses(shape: &Shape, operands: &Operands<Piece>) -> Result<Operands<u64>, CudaError> {
    let refused = |why: &str| CudaError::refused(CALL, why);
    shape.check().map_err(refused)?;
    if (operands.bias.is_some(), operands.add.is_some()) != (shape.bias, shape.add) {
        return Err(refused("what is added is not what the shape says"));
    }
    if (shape.add || shape.relu) && !shape.bias {
        return Err(refused("a sum or ReLU is only done together with a bias"));
    }
    let within = |piece: &Piece, count: Option<usize>| {
        let bytes = shape.bytes(count.unwrap_or(usize::MAX));
        let end = piece.offset.saturating_add(bytes);
        let address = piece.memory.range(CALL, &(piece.offset..end))?;
        if !address.is_multiple_of(ALIGNED as u64) {
            return Err(refused("a picture is not aligned as the library reads it"));
        }
        Ok(address)
    };
    let (x, w, y) = (shape.x(), shape.w(), shape.y());
    let maybe = |piece: &Option<Piece>, count| {
        let piece = piece.as_ref();
        piece.map(|piece| within(piece, count)).transpose()
    };
    Ok(Operands {
        x: within(&operands.x, x)?,
        w: within(&operands.w, w)?,
        bias: maybe(&operands.bias, Some(shape.filters))?,
        add: maybe(&operands.add, y)?,
        y: within(&operands.y, y)?,
    })
}

/// A convolution that can be queued, as often as is wanted.
pub struct Filtering {
    library: Arc<Inner>,
    x: Descriptor,
    w: Descriptor,
    windows: Descriptor,
    y: Descriptor,
    /// The bias, and what follows it.
    behind: Option<(Descriptor, Descriptor)>,
    relu: bool,
    addresses: Operands<u64>,
    operands: Operands<Piece>,
    /// Descriptors are for one thread at a time.
    not_sync: PhantomData<std::cell::Cell<()>>,
}

impl fmt::Debug for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a convolution by {:?}", self.library)
    }
}

impl Filtering {
    /// The ways to do it with this much workspace.
    pub fn methods(&self, workspace: usize) -> Vec<Method> {
        let methods = METHODS.iter();
        methods
            .filter_map(|number| self.method(*number, workspace))
            .collect()
    }

    /// The way of this number, where the library has it and the workspace is enough.
    pub fn method(&self, number: u8, workspace: usize) -> Option<Method> {
        let adds_only = self.behind.is_some() && !self.relu;
        if !METHODS.contains(&number) || adds_only && number != PRECOMPUTED {
            return None;
        }
        let mut needed = 0;
        let handle = self.library.handle();
        let functions = self.library.functions;
        let asked = self.library.context.call(|| {
            // SAFETY: every descriptor is one of the library's that lives; a place for one number.
            check("cudnnGetConvolutionForwardWorkspaceSize", unsafe {
                (functions.workspace)(
                    handle.0,
                    self.x.raw,
                    self.w.raw,
                    self.windows.raw,
                    self.y.raw,
                    c_int::from(number),
                    &raw mut needed,
                )
            })
        });
        if let Err(error) = &asked {
            tracing::debug!(%error, number, "cuDNN does not convolve this way");
        }
        (asked.is_ok() && needed <= workspace).then_some(Method {
            number,
            workspace: needed,
        })
    }

    pub(super) fn library(&self) -> &Arc<Inner> {
        &self.library
    }

    /// The memory that it reads and writes.
    pub(super) fn memory(&self) -> impl Iterator<Item = &Memory> {
        self.operands.each().map(|(_, piece)| &piece.memory)
    }

    /// Asks the library for it, on the handle's stream.
    fn ask(&self, handle: &Handle, method: &Method, scratch: u64) -> Result<(), CudaError> {
        static ONE: f32 = 1.0;
        static ZERO: f32 = 0.0;
        let functions = self.library.functions;
        let Operands { x, w, bias, add, y } = self.addresses;
        let (number, bytes) = (c_int::from(method.number), method.workspace);
        let (Some((tensor, activation)), Some(bias)) = (&self.behind, bias) else {
            // SAFETY: every descriptor lives; addresses are those of memory that holds all of the pictures and is freed
            // only when the device is idle; the scales are read before the call returns.
            return check(CALL, unsafe {
                (functions.forward)(
                    handle.0,
                    &raw const ONE,
                    self.x.raw,
                    x,
                    self.w.raw,
                    w,
                    self.windows.raw,
                    number,
                    scratch,
                    bytes,
                    &raw const ZERO,
                    self.y.raw,
                    y,
                )
            });
        };
        // Without anything to add the result stands in for it, and is not read.
        let scale = if add.is_some() { ONE } else { ZERO };
        // SAFETY: as above.
        check("cudnnConvolutionBiasActivationForward", unsafe {
            (functions.fused)(
                handle.0,
                &raw const ONE,
                self.x.raw,
                x,
                self.w.raw,
                w,
                self.windows.raw,
                number,
                scratch,
                bytes,
                &raw const scale,
                self.y.raw,
                add.unwrap_or(y),
                tensor.raw,
                bias,
                activation.raw,
                self.y.raw,
                y,
            )
        })
    }
}

impl Stream {
    /// Queues a convolution, done in this way. The workspace is written; nothing else may use it meanwhile.
    ///
    /// # Errors
    /// The workspace is too small, or the library's.
    pub fn convolve(
        &self,
        filtering: &Filtering,
        method: &Method,
        workspace: &Memory,
    ) -> Result<(), CudaError> {
        let library = &filtering.library;
        self.same_device(CALL, &library.context)?;
        self.same_device(CALL, workspace.context())?;
        let scratch = workspace.range(CALL, &(0..method.workspace))?;
        let handle = library.handle();
        self.queue(|| {
            // SAFETY: both live; what was queued before on another stream stays there.
            check("cudnnSetStream", unsafe {
                (library.functions.set_stream)(handle.0, self.raw())
            })?;
            filtering.ask(&handle, method, scratch)
        })?;
        self.notes(|uses| uses.convolution(filtering, workspace));
        Ok(())
    }
}
