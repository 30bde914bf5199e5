//! cuBLASLt: products of matrices by NVIDIA's library, where it is there.
//!
//! A [`Multiplication`] is what is asked for and on which memory; its places are checked when it is made. The library
//! has several ways to do one, [`Algorithm`]s; [`Stream::multiply`] queues one of them. The library itself allocates nothing
//! on the device while it multiplies: what it needs is the workspace that it is given. It loads a kernel when that is
//! first used, which it cannot while a graph is recorded, so whoever records runs each algorithm once before.

mod descriptor;
mod functions;

use std::{
    ffi::{c_int, c_void},
    fmt,
    marker::PhantomData,
    sync::Arc,
};

use descriptor::Descriptor;
use functions::{Algo, Functions, Heuristic, INVALID_VALUE, NOT_SUPPORTED, Opaque, check};

use super::{Context, CudaError, Memory, Stream};
use crate::engine::cuda::product::{Layout, Math, Operands, Shape};

/// The library, opened on a device. A clone is the same.
#[derive(Debug, Clone)]
pub struct Cublaslt {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    context: Arc<Context>,
    functions: &'static Functions,
    version: &'static str,
    raw: Opaque,
}

// SAFETY: the library may be called with one handle from many threads ("thread safe, and its functions can be
// called from multiple host threads", cuBLASLt's documentation); it keeps no state of a product.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuBLASLt {} on {:?}", self.version, self.context)
    }
}

/// A piece of memory, from an offset on.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The memory.
    pub memory: Memory,
    /// Bytes into it.
    pub offset: usize,
}

/// A way to do one product, as the library describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Algorithm {
    algo: Algo,
    /// Bytes of workspace that it needs.
    pub workspace: usize,
}

impl Algorithm {
    /// The library's description, to be kept for the next start.
    pub fn words(&self) -> [u64; 8] {
        self.algo.data
    }

    /// One that was kept. [`Multiplication::check`] says whether it can be used.
    pub fn of_words(data: [u64; 8]) -> Self {
        Self {
            algo: Algo { data },
            workspace: usize::MAX,
        }
    }
}

/// Why the library cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// It is not there, or not whole.
    #[error("{0}")]
    Missing(#[from] super::probe::Missing),
    /// It does not start.
    #[error(transparent)]
    Device(#[from] CudaError),
}

impl Cublaslt {
    pub(super) fn open(context: &Arc<Context>) -> Result<Self, OpenError> {
        let loaded = functions::LIBRARY.loaded()?;
        let functions = &loaded.functions;
        let mut raw = std::ptr::null_mut();
        context.call(|| {
            // SAFETY: a place for one handle; destroyed once, in `Inner::drop`.
            let created = unsafe { (functions.create)(&raw mut raw) };
            check("cublasLtCreate", created)
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                context: Arc::clone(context),
                functions,
                version: &loaded.version,
                raw,
            }),
        })
    }

    /// The library's version.
    pub fn version(&self) -> &str {
        self.inner.version
    }

    /// A product on these pieces of memory.
    ///
    /// # Errors
    /// A piece is too short for its matrix, the shape cannot be, or the library's.
    pub fn multiplication(
        &self,
        shape: &Shape,
        [alpha, beta]: [f32; 2],
        operands: Operands<Piece>,
    ) -> Result<Multiplication, CudaError> {
        let addresses = addresses(shape, &operands)?;
        let pieces = operands.each().map(|(_, piece)| piece);
        self.inner.context.has_all(CALL, pieces)?;
        let library = &self.inner;
        let desc = Descriptor::product(library, shape, addresses.bias)?;
        let layout = |layout: &Layout, rows: usize, columns: usize| {
            Descriptor::layout(library, shape, layout, [rows, columns])
        };
        let Shape {
            rows,
            columns,
            inner,
            ..
        } = *shape;
        Ok(Multiplication {
            desc,
            a: layout(&shape.a, rows, inner)?,
            b: layout(&shape.b, inner, columns)?,
            c: layout(shape.c.as_ref().unwrap_or(&shape.d), rows, columns)?,
            d: layout(&shape.d, rows, columns)?,
            library: Arc::clone(library),
            alpha,
            beta,
            addresses,
            operands,
            not_sync: PhantomData,
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.context.free_when_idle("cuBLASLt", || {
            // SAFETY: made in `open`, destroyed only here, and no product is on its way.
            check("cublasLtDestroy", unsafe {
                (self.functions.destroy)(self.raw)
            })
        });
    }
}

const CALL: &str = "cublasLtMatmul";

/// The bytes of a matrix, from its first to its last element.
fn extent(math: Math, layout: &Layout, size: [usize; 2], batches: usize) -> Option<usize> {
    let [rows, columns] = if layout.transposed {
        [size[1], size[0]]
    } else {
        size
    };
    let leading = usize::try_from(layout.leading).ok()?;
    let stride = usize::try_from(layout.stride).ok()?;
    if rows == 0 || columns == 0 || leading < rows {
        return None;
    }
    let last = batches.checked_sub(1)?.checked_mul(stride)?;
    let elements = (columns - 1)
        .checked_mul(leading)?
        .checked_add(rows)?
        .checked_add(last)?;
    elements.checked_mul(math.element().bits() / 8)
}

/// The address of each piece, all of whose elements are in its memory.
fn addresses(shape: &Shape, operands: &Operands<Piece>) -> Result<Operands<u64>, CudaError> {
    let refused = |why: &str| CudaError::refused(CALL, why);
    let Shape {
        rows,
        columns,
        inner,
        ..
    } = *shape;
    let within = |piece: &Piece, bytes: Option<usize>| {
        let end = bytes.and_then(|bytes| piece.offset.checked_add(bytes));
        let end = end.ok_or_else(|| refused("a matrix has no elements, or its columns overlap"))?;
        piece.memory.range(CALL, &(piece.offset..end))
    };
    let of = |layout: &Layout, size| extent(shape.math, layout, size, shape.batches);
    if shape.d.transposed || shape.c.is_some_and(|c| c.transposed) {
        return Err(refused("only the sides of a product can be transposed"));
    }
    if (operands.c.is_some(), operands.bias.is_some()) != (shape.c.is_some(), shape.bias) {
        return Err(refused("what is added is not what the shape says"));
    }
    let c = match (&operands.c, &shape.c) {
        (Some(piece), Some(layout)) => Some(within(piece, of(layout, [rows, columns]))?),
        _ => None,
    };
    let bias = rows.checked_mul(shape.math.element().bits() / 8);
    Ok(Operands {
        a: within(&operands.a, of(&shape.a, [rows, inner]))?,
        b: within(&operands.b, of(&shape.b, [inner, columns]))?,
        c,
        d: within(&operands.d, of(&shape.d, [rows, columns]))?,
        bias: match &operands.bias {
            Some(piece) => Some(within(piece, bias)?),
            None => None,
        },
    })
}

/// A product that can be queued, as often as is wanted.
pub struct Multiplication {
    library: Arc<Inner>,
    desc: Descriptor,
    a: Descriptor,
    b: Descriptor,
    c: Descriptor,
    d: Descriptor,
    alpha: f32,
    beta: f32,
    addresses: Operands<u64>,
    operands: Operands<Piece>,
    /// Descriptors are for one thread at a time.
    not_sync: PhantomData<std::cell::Cell<()>>,
}

impl fmt::Debug for Multiplication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a product by {:?}", self.library)
    }
}

impl Multiplication {
    /// To how many bytes each address is aligned, 256 at most: A, B, C, D and the bias. Algorithms are chosen for that.
    pub fn alignment(&self) -> [u32; 5] {
        let Operands { a, b, c, d, bias } = self.addresses;
        let none = 256;
        let addresses = [a, b, c.unwrap_or(d), d, bias.unwrap_or(none)];
        addresses.map(|address| 1 << address.trailing_zeros().min(8))
    }

    /// At most `most` ways to do it with this much workspace, the best first as the library guesses.
    ///
    /// # Errors
    /// The library's, but for that it has none.
    pub fn candidates(&self, workspace: usize, most: u8) -> Result<Vec<Algorithm>, CudaError> {
        // That of the bias the library sees for itself.
        let [a, b, c, d, _] = self.alignment();
        let preference = Descriptor::preference(&self.library, workspace, [a, b, c, d])?;
        let mut found = vec![Heuristic::NONE; usize::from(most)];
        let mut count = 0;
        let functions = self.library.functions;
        let mut asked = 0;
        self.library.context.call(|| {
            // SAFETY: every descriptor is one of the library's that lives; there is room for `most` results.
            asked = unsafe {
                (functions.heuristic)(
                    self.library.raw,
                    self.desc.raw,
                    self.a.raw,
                    self.b.raw,
                    self.c.raw,
                    self.d.raw,
                    preference.raw,
                    c_int::from(most),
                    found.as_mut_ptr(),
                    &raw mut count,
                )
            };
            match asked {
                NOT_SUPPORTED | INVALID_VALUE => Ok(()),
                status => check("cublasLtMatmulAlgoGetHeuristic", status),
            }
        })?;
        if asked != 0 {
            return Ok(Vec::new());
        }
        let count = usize::try_from(count).unwrap_or(0);
        let found = found.into_iter().take(count);
        let usable = found.filter(|one| one.state == 0 && one.workspace <= workspace);
        let algorithms = usable.map(|one| Algorithm {
            algo: one.algo,
            workspace: one.workspace,
        });
        Ok(algorithms.collect())
    }

    /// Whether an algorithm that was kept can do it with this much workspace; with what it needs of that.
    pub fn check(&self, kept: &Algorithm, workspace: usize) -> Option<Algorithm> {
        let mut result = Heuristic::NONE;
        let functions = self.library.functions;
        let asked = self.library.context.call(|| {
            // SAFETY: as in `candidates`; a place for one result.
            check("cublasLtMatmulAlgoCheck", unsafe {
                (functions.check)(
                    self.library.raw,
                    self.desc.raw,
                    self.a.raw,
                    self.b.raw,
                    self.c.raw,
                    self.d.raw,
                    &raw const kept.algo,
                    &raw mut result,
                )
            })
        });
        let usable = asked.is_ok() && result.state == 0 && result.workspace <= workspace;
        usable.then_some(Algorithm {
            algo: kept.algo,
            workspace: result.workspace,
        })
    }

    pub(super) fn library(&self) -> &Arc<Inner> {
        &self.library
    }

    /// The memory that it reads and writes.
    pub(super) fn memory(&self) -> impl Iterator<Item = &Memory> {
        self.operands.each().map(|(_, piece)| &piece.memory)
    }
}

impl Stream {
    /// Queues a product, done in this way. The workspace is written; nothing else may use it meanwhile.
    ///
    /// # Errors
    /// The workspace is too small, or the library's.
    pub fn multiply(
        &self,
        product: &Multiplication,
        algorithm: &Algorithm,
        workspace: &Memory,
    ) -> Result<(), CudaError> {
        self.same_device(CALL, &product.library.context)?;
        self.same_device(CALL, workspace.context())?;
        let scratch = workspace.range(CALL, &(0..algorithm.workspace))?;
        let Operands { a, b, c, d, .. } = product.addresses;
        let functions = product.library.functions;
        let scale = |value: &f32| std::ptr::from_ref(value).cast::<c_void>();
        self.queue(|| {
            // SAFETY: every descriptor lives; addresses are those of memory that holds the whole matrix and is freed only
            // when the device is idle; the scales are read before the call returns.
            check(CALL, unsafe {
                (functions.matmul)(
                    product.library.raw,
                    product.desc.raw,
                    scale(&product.alpha),
                    a,
                    product.a.raw,
                    b,
                    product.b.raw,
                    scale(&product.beta),
                    c.unwrap_or(d),
                    product.c.raw,
                    d,
                    product.d.raw,
                    &raw const algorithm.algo,
                    scratch,
                    algorithm.workspace,
                    self.raw(),
                )
            })
        })?;
        self.notes(|uses| uses.product(product, workspace));
        Ok(())
    }
}
