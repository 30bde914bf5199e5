//! Which of cuBLASLt's algorithms does a product fastest: measured on the device, once for each shape, and kept on disk.
//!
//! What the library guesses to be best seldom is, so every way it has (up to [`CANDIDATES`]) is run on the memory that the plan
//! will use, before the plan's graph is recorded, when nothing of worth is there yet.

mod cache;

use std::collections::HashMap;

use cache::Cache;

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
    /// By the shape's key and how the addresses are aligned; none where the library has no way.
    known: HashMap<String, Option<Algorithm>>,
    cache: Cache,
}

/// A product and the way to do it.
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
        let cache = Cache::of(device.name(), cublaslt.version());
        Ok(Self {
            device: device.clone(),
            known: HashMap::new(),
            cublaslt,
            cache,
        })
    }

    /// The product with the fastest algorithm, which has run once; none where the library has no way to do it.
    ///
    /// # Errors
    /// The driver's, or the library's where it cannot even be asked.
    pub(super) fn tuned(
        &mut self,
        product: &Product,
        operands: Operands<Piece>,
        stream: &Stream,
        workspace: &Memory,
    ) -> Result<Option<Tuned>, CudaError> {
        let scales = [product.alpha, product.beta];
        let multiplication = (self.cublaslt).multiplication(&product.shape, scales, operands)?;
        let [a, b, c, d, bias] = multiplication.alignment();
        let key = format!("{} aligned={a},{b},{c},{d},{bias}", product.shape.key());
        let known = self.known.get(&key).copied();
        let known = match known {
            Some(known) => known,
            None => self.found(key, &multiplication, stream, workspace)?,
        };
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

    /// What is on disk, where the library still takes it, or what is measured now.
    fn found(
        &mut self,
        key: String,
        multiplication: &Multiplication,
        stream: &Stream,
        workspace: &Memory,
    ) -> Result<Option<Algorithm>, CudaError> {
        let kept = self.cache.algorithm(&key);
        let kept = kept.and_then(|kept| multiplication.check(&kept, workspace.len()));
        let found = match kept {
            Some(kept) => Some(kept),
            None => self.fastest(multiplication, stream, workspace)?,
        };
        if let (Some(found), None) = (found, kept) {
            self.cache.keep(&key, &found);
        }
        self.known.insert(key, found);
        Ok(found)
    }

    /// Runs every algorithm and takes the one that took least time; of equal ones the library's first.
    fn fastest(
        &self,
        multiplication: &Multiplication,
        stream: &Stream,
        workspace: &Memory,
    ) -> Result<Option<Algorithm>, CudaError> {
        let (start, end) = (self.device.timed_event()?, self.device.timed_event()?);
        let mut best: Option<(f32, Algorithm)> = None;
        for algorithm in multiplication.candidates(workspace.len(), CANDIDATES)? {
            let run = |times: u8| {
                (0..times).try_for_each(|_| stream.multiply(multiplication, &algorithm, workspace))
            };
            // What cannot be queued after all is left out. What breaks the device shows when it is waited for.
            if let Err(error) = run(1) {
                if self.device.lost().is_some() {
                    return Err(error);
                }
                tracing::debug!(%error, "an algorithm that cuBLASLt names does not run");
                continue;
            }
            start.record(stream)?;
            run(RUNS)?;
            end.record(stream)?;
            end.synchronize()?;
            let time = start.milliseconds_until(&end)?;
            if best.is_none_or(|(least, _)| time < least) {
                best = Some((time, algorithm));
            }
        }
        Ok(best.map(|(_, algorithm)| algorithm))
    }

    /// Writes what was measured, for the next start.
    pub(super) fn save(&mut self) {
        self.cache.save();
    }
}
