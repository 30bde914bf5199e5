//! Which of cuBLASLt's algorithms does a product fastest, or whether forebay's own kernel does; and the same for convolutions and
//! cuDNN ([`convolutions`]): measured on the device, once for each shape, and kept on disk.
//!
//! What the library guesses to be best seldom is, so every way it has (up to [`CANDIDATES`]) is run on the memory that the plan
//! will use, before the plan's graph is recorded, when nothing of worth is there yet.

mod cache;
mod convolutions;

use std::collections::HashMap;

use cache::{Cache, Way, Worded};
pub(super) use convolutions::{Convolver, Filtered, Measured, room};

use super::device::{
    Algorithm, Cublaslt, CudaError, Device, Memory, Multiplication, Piece, Stream,
};
use super::product::{Operands, Product};

/// Ways to do a product that are measured.
const CANDIDATES: u8 = 16;
/// Runs that are measured together, so that what one costs beside the work does not count.
const RUNS: u8 = 8;
/// Bytes that the library may use beside the matrices: what NVIDIA recommends from compute capability 9.0 on.
pub(super) const WORKSPACE: usize = 32 << 20;

/// cuBLASLt on a GPU, with what is known of its algorithms.
#[derive(Debug)]
pub(super) struct Library {
    device: Device,
    cublaslt: Cublaslt,
    /// By the shape's key and how the addresses are aligned.
    known: Known<Algorithm>,
}

/// What is known of a library's ways on a GPU.
#[derive(Debug)]
struct Known<M> {
    /// By key; none where forebay's kernel is faster, or the library has no way.
    ways: HashMap<String, Option<M>>,
    /// What was measured at earlier starts.
    cache: Cache<M>,
}

impl<M: Worded> Known<M> {
    fn of(device: &Device, version: &str) -> Self {
        Self {
            ways: HashMap::new(),
            cache: Cache::of(device.name(), version),
        }
    }

    /// What was found before; or what is on disk, where `check` says that the library still takes it, or there still is a kernel of
    /// forebay's own; or what is measured now.
    fn way(
        &mut self,
        key: String,
        has_own: bool,
        check: impl FnOnce(&M) -> Option<M>,
        measured: impl FnOnce() -> Result<Option<Way<M>>, CudaError>,
    ) -> Result<Option<M>, CudaError> {
        if let Some(known) = self.ways.get(&key) {
            return Ok(*known);
        }
        let kept = match self.cache.way(&key) {
            Some(Way::Library(kept)) => check(&kept).map(Way::Library),
            Some(Way::Own) if !has_own => None,
            other => other,
        };
        let found = if kept.is_some() { kept } else { measured()? };
        if let (Some(found), None) = (&found, &kept) {
            self.cache.keep(&key, found);
        }
        let found = match found {
            Some(Way::Library(way)) => Some(way),
            Some(Way::Own) | None => None,
        };
        self.ways.insert(key, found);
        Ok(found)
    }
}

/// Queues forebay's own kernel for a product.
pub(super) type Own<'a> = Option<&'a dyn Fn(&Stream) -> Result<(), CudaError>>;

/// A product and the way that the library does it.
#[derive(Debug)]
pub(super) struct Tuned {
    pub(super) multiplication: Multiplication,
    pub(super) algorithm: Algorithm,
}

impl Library {
    /// # Errors
    /// Why the library cannot be used, in words.
    pub(super) fn open(device: &Device) -> Result<Self, String> {
        let cublaslt = device.cublaslt().map_err(|error| error.to_string())?;
        Ok(Self {
            device: device.clone(),
            known: Known::of(device, cublaslt.version()),
            cublaslt,
        })
    }

    /// The product with the fastest algorithm, which has run once; none where the library has no way to do it, or `own` is faster.
    ///
    /// # Errors
    /// The driver's, or the library's where it cannot even be asked.
    pub(super) fn tuned(
        &mut self,
        product: &Product,
        operands: Operands<Piece>,
        stream: &Stream,
        workspace: &Memory,
        own: Own<'_>,
    ) -> Result<Option<Tuned>, CudaError> {
        let scales = [product.alpha, product.beta];
        let multiplication = (self.cublaslt).multiplication(&product.shape, scales, operands)?;
        let [a, b, c, d, bias] = multiplication.alignment();
        let key = format!("{} aligned={a},{b},{c},{d},{bias}", product.shape.key());
        let check = |kept: &Algorithm| multiplication.check(kept, workspace.len());
        let device = &self.device;
        let measured = || {
            let algorithms = multiplication.candidates(workspace.len(), CANDIDATES)?;
            let run = |way: &Algorithm| stream.multiply(&multiplication, way, workspace);
            fastest(device, stream, algorithms, run, own)
        };
        let known = self.known.way(key, own.is_some(), check, measured)?;
        let Some(algorithm) = known else {
            return Ok(None);
        };
        // The library loads a kernel when that is first used, and cannot while a graph is recorded.
        stream.multiply(&multiplication, &algorithm, workspace)?;
        Ok(Some(Tuned {
            multiplication,
            algorithm,
        }))
    }

    /// Writes what was measured, for the next start.
    pub(super) fn save(&mut self) {
        self.known.cache.save();
    }
}

/// Runs every way of the library, then the kernel, and takes what took least time; of equal ones the first. Nothing where the
/// library has no way.
fn fastest<M: Copy>(
    device: &Device,
    stream: &Stream,
    ways: Vec<M>,
    run: impl Fn(&M) -> Result<(), CudaError>,
    own: Own<'_>,
) -> Result<Option<Way<M>>, CudaError> {
    let mut best: Option<(f32, Way<M>)> = None;
    for way in ways {
        // What cannot be queued after all is left out. What breaks the device shows when it is waited for.
        if let Err(error) = run(&way) {
            if device.lost().is_some() {
                return Err(error);
            }
            tracing::debug!(%error, "a way that a library names does not run");
            continue;
        }
        let time = milliseconds(device, stream, &|| run(&way))?;
        if best.as_ref().is_none_or(|(least, _)| time < *least) {
            best = Some((time, Way::Library(way)));
        }
    }
    if let (Some((least, _)), Some(own)) = (&best, own) {
        // The driver loads a kernel when that is first used.
        own(stream)?;
        let time = milliseconds(device, stream, &|| own(stream))?;
        if time < *least {
            best = Some((time, Way::Own));
        }
    }
    Ok(best.map(|(_, way)| way))
}

/// What [`RUNS`] runs take by the device's clock.
fn milliseconds(
    device: &Device,
    stream: &Stream,
    run: &dyn Fn() -> Result<(), CudaError>,
) -> Result<f32, CudaError> {
    let (start, end) = (device.timed_event()?, device.timed_event()?);
    start.record(stream)?;
    (0..RUNS).try_for_each(|_| run())?;
    end.record(stream)?;
    end.synchronize()?;
    start.milliseconds_until(&end)
}
