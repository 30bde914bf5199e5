//! One GPU of this process: opened once, its kernels loaded once, equal constants kept once.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Instant,
};

use super::{
    constants::Digest,
    device::{
        Caching, CudaError, Device, Event, Function, Memory, Module, Pinned, Priority, Stream,
    },
    fused::{Code, Codes, Compiler, FuseError},
    kernels,
    model::LoadError,
    plan,
    tuning::{Convolver, Library},
};

/// A GPU that models can be loaded on.
pub struct Gpu {
    device: Device,
    module: Module,
    functions: Mutex<HashMap<&'static str, Arc<Function>>>,
    constants: Mutex<HashMap<Digest, Weak<Constant>>>,
    library: OnceLock<Result<Mutex<Library>, String>>,
    convolver: OnceLock<Result<Mutex<Convolver>, String>>,
    compiler: OnceLock<Result<Compiler, String>>,
    /// Kernels that were compiled for models, by name.
    fused: Mutex<HashMap<String, Arc<Function>>>,
}

/// Bytes on the device that models read and nobody writes.
#[derive(Debug)]
pub(super) struct Constant {
    pub(super) memory: Memory,
}

/// What was opened so far. What could not be opened is tried again: a device may come back.
static OPENED: Mutex<BTreeMap<usize, Arc<Gpu>>> = Mutex::new(BTreeMap::new());

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.device)
    }
}

impl Gpu {
    /// The GPU of this number.
    ///
    /// # Errors
    /// There is no driver, no such device, or it cannot take the kernels.
    pub fn open(number: usize) -> Result<Arc<Self>, CudaError> {
        let mut opened = lock(&OPENED);
        if let Some(gpu) = opened.get(&number) {
            return match gpu.device.lost() {
                Some(lost) => Err(lost.clone()),
                None => Ok(Arc::clone(gpu)),
            };
        }
        let device = Device::open(number)?;
        let module = device.module(kernels::FATBIN)?;
        let gpu = Arc::new(Self {
            device,
            module,
            functions: Mutex::default(),
            constants: Mutex::default(),
            library: OnceLock::new(),
            convolver: OnceLock::new(),
            compiler: OnceLock::new(),
            fused: Mutex::default(),
        });
        opened.insert(number, Arc::clone(&gpu));
        Ok(gpu)
    }

    /// As its maker calls it.
    pub fn name(&self) -> &str {
        self.device.name()
    }

    /// cuBLASLt on it, opened when it is first asked for. One thread at a time: what it measures is not disturbed by
    /// another that measures.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(super) fn library(&self) -> Result<MutexGuard<'_, Library>, &str> {
        let open = || {
            let opened = Library::open(&self.device).map(Mutex::new);
            opened.inspect_err(|why| tracing::info!("{self:?} multiplies without cuBLASLt: {why}"))
        };
        let library = self.library.get_or_init(open);
        library.as_ref().map(lock).map_err(String::as_str)
    }

    /// Whether cuBLASLt multiplies on it.
    ///
    /// # Errors
    /// Why it does not, in words.
    pub fn has_library(&self) -> Result<(), String> {
        self.library().map(|_| ()).map_err(str::to_owned)
    }

    /// cuDNN on it, as [`Gpu::library`].
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(super) fn convolver(&self) -> Result<MutexGuard<'_, Convolver>, &str> {
        let open = || {
            let opened = Convolver::open(&self.device).map(Mutex::new);
            opened.inspect_err(|why| tracing::info!("{self:?} convolves without cuDNN: {why}"))
        };
        let convolver = self.convolver.get_or_init(open);
        convolver.as_ref().map(lock).map_err(String::as_str)
    }

    /// Whether cuDNN convolves on it.
    ///
    /// # Errors
    /// Why it does not, in words.
    pub fn has_convolver(&self) -> Result<(), String> {
        self.convolver().map(|_| ()).map_err(str::to_owned)
    }

    /// Whether kernels can be compiled for a model. NVRTC is loaded when this is first asked.
    ///
    /// # Errors
    /// Why they cannot, in words.
    pub fn can_fuse(&self) -> Result<(), String> {
        self.compiler().map(|_| ()).map_err(str::to_owned)
    }

    fn compiler(&self) -> Result<&Compiler, &str> {
        let open = || {
            let opened = Compiler::open(&self.device).map_err(|missing| missing.to_string());
            opened.inspect_err(|why| tracing::info!("{self:?} has no kernels for one model: {why}"))
        };
        let compiler = self.compiler.get_or_init(open);
        compiler.as_ref().map_err(String::as_str)
    }

    /// Compiles those of these kernels that are not there yet, together.
    ///
    /// # Errors
    /// NVRTC is not there, does not compile them, or the device does not take them.
    pub fn fuse<'c>(&self, codes: impl Iterator<Item = &'c Arc<Code>>) -> Result<(), LoadError> {
        // One at a time: whoever comes meanwhile may want the same.
        let mut fused = lock(&self.fused);
        let new: Codes<'_> = codes
            .map(|code| (code.name(), &**code))
            .filter(|(name, _)| !fused.contains_key(*name))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let because = |why: String| LoadError::Fused(why);
        let compiler = self.compiler().map_err(|why| because(why.to_owned()))?;
        let began = Instant::now();
        let module = compiler.module(&new).map_err(|error| match error {
            FuseError::Device(lost) if lost.is_lost() => LoadError::Device(lost),
            other => because(other.to_string()),
        })?;
        for name in new.keys() {
            let function = module
                .function(name)
                .map_err(|error| because(error.to_string()))?;
            fused.insert((*name).to_owned(), Arc::new(function));
        }
        tracing::info!(
            "{self:?} has {} more kernels for one model, by NVRTC {} in {} ms",
            new.len(),
            compiler.version(),
            began.elapsed().as_millis()
        );
        Ok(())
    }

    /// A kernel of [`Gpu::fuse`].
    pub(super) fn fused(&self, name: &str) -> Option<Arc<Function>> {
        lock(&self.fused).get(name).cloned()
    }

    pub(super) fn free(&self) -> Result<usize, CudaError> {
        Ok(self.device.free_and_total()?.0)
    }

    pub(super) fn stream(&self) -> Result<Stream, CudaError> {
        self.device.stream(Priority::Normal)
    }

    pub(super) fn timed_event(&self) -> Result<Event, CudaError> {
        self.device.timed_event()
    }

    pub(super) fn memory(&self, bytes: usize) -> Result<Memory, CudaError> {
        self.device.memory(bytes)
    }

    pub(super) fn pinned(&self, bytes: usize, caching: Caching) -> Result<Pinned, CudaError> {
        self.device.pinned(bytes, caching)
    }

    /// The kernel of this name.
    pub(super) fn function(&self, name: &'static str) -> Result<Arc<Function>, CudaError> {
        let mut functions = lock(&self.functions);
        if let Some(function) = functions.get(name) {
            return Ok(Arc::clone(function));
        }
        let function = Arc::new(self.module.function(name)?);
        functions.insert(name, Arc::clone(&function));
        Ok(function)
    }

    /// Whether some model has equal bytes on the device: [`Gpu::constant`] takes no memory for them.
    pub(super) fn holds(&self, constant: &plan::Constant) -> bool {
        let digest = constant.digest();
        let held = lock(&self.constants);
        let found = held.get(&digest);
        found.is_some_and(|constant| constant.strong_count() > 0)
    }

    /// A plan's constant on the device; the same memory for whoever asks for equal ones meanwhile, so that
    /// the workers and the buckets of a model share its weights.
    pub(super) fn constant(
        &self,
        constant: &plan::Constant,
        stream: &Stream,
    ) -> Result<Arc<Constant>, CudaError> {
        let digest = constant.digest();
        let mut constants = lock(&self.constants);
        if let Some(constant) = constants.get(&digest).and_then(Weak::upgrade) {
            return Ok(constant);
        }
        let memory = self.device.memory(constant.bytes.len())?;
        stream.upload(&constant.bytes, &memory, 0)?;
        let constant = Arc::new(Constant { memory });
        constants.retain(|_, held| held.strong_count() > 0);
        constants.insert(digest, Arc::downgrade(&constant));
        Ok(constant)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic between two whole steps leaves the maps sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
