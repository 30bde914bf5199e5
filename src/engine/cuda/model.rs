//! A model on a GPU: a plan for each of some sizes, and the memory they share.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    bucket::{Bucket, Buffers, footprint},
    device::{CudaError, Stream},
    gpu::Gpu,
    lower::Uncovered,
    plan::{Plan, Slot},
    sizes::Size,
    texts::Texts,
};

/// Of the device's free memory, what is left to the driver and to others.
const SPARE: usize = 256 << 20;

/// Why a model cannot run on a GPU. Each is a sentence that can stand behind "because".
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is an operator, a type or a shape that no kernel is there for.
    #[error(transparent)]
    Uncovered(#[from] Uncovered),
    /// The driver's word.
    #[error(transparent)]
    Device(#[from] CudaError),
    /// The device's memory.
    #[error(
        "it needs {needed} bytes of the GPU's memory ({weights} for weights, {values} for batches of {rows} rows), and \
         {free} are free; set a smaller `batch.max_rows`"
    )]
    Memory {
        /// In all.
        needed: usize,
        /// For constants.
        weights: usize,
        /// For inputs, outputs and what is made on the way.
        values: usize,
        /// The rows of the largest batch.
        rows: usize,
        /// What the device has.
        free: usize,
    },
    /// What only cuBLASLt or cuDNN could do.
    #[error("node `{node}`: neither {library} nor a kernel can do {what}")]
    NoAlgorithm {
        /// Its name and operator.
        node: String,
        /// Which was asked.
        library: &'static str,
        /// What was asked for.
        what: String,
    },
    /// Kernels for the model cannot be compiled, or loaded.
    #[error("its own kernels are not there: {0}")]
    Fused(String),
    /// Something of ours.
    #[error("{0}; this is a bug in forebay")]
    Bug(String),
}

impl LoadError {
    /// Whether the device has too little memory: fewer rows at once may still fit.
    pub fn is_memory(&self) -> bool {
        match self {
            Self::Memory { .. } => true,
            Self::Device(error) => error.is_out_of_memory(),
            Self::Uncovered(_) | Self::NoAlgorithm { .. } | Self::Fused(_) | Self::Bug(_) => false,
        }
    }
}

/// Why a batch did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The rows' fault.
    #[error(
        "an index is out of range (the model looks something up by a number that it has no entry for)"
    )]
    Fault,
    /// What is wrong with what goes in or came out.
    #[error("{0}")]
    Values(String),
    /// The driver's word.
    #[error(transparent)]
    Device(#[from] CudaError),
}

/// A model on a GPU.
#[derive(Debug)]
pub struct Model {
    /// In the order of their sizes.
    buckets: Vec<Bucket>,
    /// What the buckets know of texts: mostly the same.
    texts: Vec<Texts>,
    /// For each bucket, which of these.
    texts_of: Vec<usize>,
    buffers: Buffers,
    stream: Stream,
}

impl Model {
    /// Puts plans of one model on a GPU, in the order of their sizes.
    ///
    /// # Errors
    /// The device has not enough memory, or the driver's.
    pub fn load(gpu: &Arc<Gpu>, plans: &[(Size, &Plan)]) -> Result<Self, LoadError> {
        admit(gpu, plans)?;
        gpu.fuse(plans.iter().flat_map(|(_, plan)| plan.codes()))?;
        let stream = gpu.stream()?;
        let buffers = Buffers::for_plans(gpu, plans.iter().map(|(_, plan)| *plan))?;
        let buckets = plans
            .iter()
            .map(|(size, plan)| Bucket::record(gpu, &stream, &buffers, *size, plan))
            .collect::<Result<_, _>>()?;
        stream.synchronize()?;
        // Asking for the library opens it, which takes long.
        if plans.iter().any(|(_, plan)| plan.has_products())
            && let Ok(mut library) = gpu.library()
        {
            library.save();
        }
        if plans.iter().any(|(_, plan)| plan.has_convolutions())
            && let Ok(mut convolver) = gpu.convolver()
        {
            convolver.save();
        }
        let (mut texts, mut texts_of) = (Vec::<Texts>::new(), Vec::new());
        for (_, plan) in plans {
            let same = texts.iter().position(|texts| texts.are_of(plan));
            texts_of.push(same.unwrap_or(texts.len()));
            if same.is_none() {
                texts.push(Texts::of(plan));
            }
        }
        Ok(Self {
            buckets,
            texts,
            texts_of,
            buffers,
            stream,
        })
    }

    /// What it takes at once, in order.
    pub fn sizes(&self) -> impl Iterator<Item = Size> {
        self.buckets.iter().map(|bucket| bucket.size)
    }

    /// The most of the longest rows that it takes at once.
    pub fn most_rows(&self) -> usize {
        self.buckets.last().map_or(0, |bucket| bucket.size.rows)
    }

    /// The texts that it knows.
    pub fn known_texts(&self) -> &[String] {
        self.texts.first().map_or(&[], Texts::known)
    }

    /// How many milliseconds a full batch takes on the device, from the first copy to the last: the least of some runs. The
    /// rows are those of the last run.
    ///
    /// # Errors
    /// The driver's.
    pub fn milliseconds(&mut self, gpu: &Gpu) -> Result<f32, CudaError> {
        const RUNS: usize = 10;
        const ENOUGH: Duration = Duration::from_millis(100);
        let (start, end) = (gpu.timed_event()?, gpu.timed_event()?);
        let mut least = f32::INFINITY;
        let began = Instant::now();
        for run in 0..RUNS {
            let Some(bucket) = self.buckets.last() else {
                break;
            };
            start.record(&self.stream)?;
            bucket.queue(&self.stream)?;
            end.record(&self.stream)?;
            end.synchronize()?;
            // The first finds everything cold.
            if run > 0 {
                least = least.min(start.milliseconds_until(&end)?);
            }
            if run > 1 && began.elapsed() > ENOUGH {
                break;
            }
        }
        Ok(least)
    }

    /// What it takes, as the largest bucket has it.
    pub(super) fn inputs(&self) -> Vec<&Slot> {
        let largest = self.buckets.last().map(|bucket| bucket.inputs.as_slice());
        largest
            .unwrap_or_default()
            .iter()
            .map(|(slot, _)| slot)
            .collect()
    }

    /// Runs rows of a length that is planned, at most as many as that is planned for, in the smallest bucket that takes them.
    ///
    /// `fill` is given an input's place, the bucket's number of rows, their bytes, and the numbers of texts, to write: all of them, since what
    /// is padded must be as harmless as the rows themselves (the last of them again, say). It should write in
    /// order, and cannot read: the memory is made for that. `take` gets each output: its place, what it is, the
    /// bytes of the rows that were asked for, and the texts.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run(
        &mut self,
        Size { length, rows }: Size,
        mut fill: impl FnMut(usize, usize, &mut [u8], &mut Texts) -> Result<(), String>,
        mut take: impl FnMut(usize, &Slot, &[u8], &Texts) -> Result<(), String>,
    ) -> Result<(), RunError> {
        let takes = |bucket: &Bucket| bucket.size.length == length && bucket.size.rows >= rows;
        let at = self.buckets.iter().position(takes);
        let at = at.unwrap_or(self.buckets.len());
        let texts_of = self.texts_of.get(at).copied().unwrap_or(0);
        let (Some(bucket), Some(texts)) = (self.buckets.get(at), self.texts.get_mut(texts_of))
        else {
            let why =
                format!("no plan takes {rows} rows of length {length}; this is a bug in forebay");
            return Err(RunError::Values(why));
        };
        texts.begin();
        let mut upload = self.buffers.upload.write()?;
        for (place, (slot, offset)) in bucket.inputs.iter().enumerate() {
            if let Some(to) = upload.get_mut(*offset..*offset + slot.bytes()) {
                fill(place, bucket.size.rows, to, texts).map_err(RunError::Values)?;
            }
        }
        drop(upload);
        bucket.run(&self.stream)?;
        let download = self.buffers.download.read()?;
        if download.get(..4).is_none_or(|flag| flag != [0; 4]) {
            return Err(RunError::Fault);
        }
        for (place, (slot, offset)) in bucket.outputs.iter().enumerate() {
            let row = slot.bytes() / bucket.size.rows.max(1);
            let from = download.get(*offset..*offset + rows * row);
            take(place, slot, from.unwrap_or_default(), texts).map_err(RunError::Values)?;
        }
        Ok(())
    }
}

/// Whether the device has room for this, before any of it is taken.
fn admit(gpu: &Gpu, plans: &[(Size, &Plan)]) -> Result<(), LoadError> {
    let weights = |plan: &Plan| -> usize {
        // What another worker has there is shared.
        let missing = (plan.constants.iter()).filter(|constant| !gpu.holds(constant));
        missing.map(|constant| constant.bytes.len()).sum()
    };
    // Weights are shared by the buckets too, of which the largest has the most, and all else is used in turn.
    let weights = plans.last().map_or(0, |(_, plan)| weights(plan));
    let values = footprint(plans.iter().map(|(_, plan)| *plan));
    let needed = weights.saturating_add(values);
    let free = gpu.free()?;
    if needed.saturating_add(SPARE) > free {
        return Err(LoadError::Memory {
            needed,
            weights,
            values,
            rows: plans.last().map_or(0, |(size, _)| size.rows),
            free,
        });
    }
    Ok(())
}
