//! Which of CUDA's libraries are there, where, in which version; or why not.
//!
//! Nothing is linked: each library is looked for by the system's loader, then in the toolkit's folders, then in
//! Python environments, where a package such as torch brings its own. What is found is loaded by its
//! path, so that a later search by name hits the same file. Nothing here panics, whatever the libraries do short
//! of ending the process.
//!
//! `FOREBAY_LIBCUDA` names the driver's library before all other places, `FOREBAY_LIBCUBLASLT` the one file that
//! cuBLASLt may be, `FOREBAY_LIBNVRTC` the one that NVRTC may be, and `FOREBAY_LIBCUDNN` that of cuDNN.

#![allow(
    unsafe_code,
    reason = "libraries are loaded and called; each block says why that is right"
)]

mod driver;
mod extras;
mod library;
#[cfg(test)]
mod tests;
mod words;

use std::{env, fmt, path::PathBuf, sync::OnceLock};

use serde::Serialize;

pub use driver::{DeviceInfo, Driver, MemoryInfo};
pub use extras::{CUBLASLT, CUDNN, Extra, Found, NVRTC};

pub(in crate::engine::cuda) use libloading::os::unix::Library;
pub(in crate::engine::cuda) use library::function;

use crate::engine::python;

/// Names the driver's library (`libcuda.so.1`) where it is in an odd place: an absolute path.
pub const VARIABLE: &str = "FOREBAY_LIBCUDA";
/// Names cuBLASLt's library (`libcublasLt.so.13`): an absolute path. No other place is looked at then.
pub const CUBLASLT_VARIABLE: &str = "FOREBAY_LIBCUBLASLT";
/// Names NVRTC's library (`libnvrtc.so.13`): an absolute path. No other place is looked at then.
pub const NVRTC_VARIABLE: &str = "FOREBAY_LIBNVRTC";
/// Names cuDNN's library (`libcudnn.so.9`): an absolute path. No other place is looked at then.
pub const CUDNN_VARIABLE: &str = "FOREBAY_LIBCUDNN";
/// The oldest API of the driver that reads the kernels of this build.
pub const OLDEST_DRIVER: Version = Version(13, 0);
/// The oldest architecture that the kernels have code for.
pub const OLDEST_CAPABILITY: Version = Version(8, 0);

/// A version of two numbers: major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// From CUDA's own number, such as 13000 for 13.0.
    fn of_cuda(number: i32) -> Self {
        let number = u32::try_from(number).unwrap_or(0);
        Self(number / 1000, number % 1000 / 10)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why something cannot be used, and what to do about it where that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What is wrong, lower-case, without a full stop.
    pub why: String,
    /// Whether it is there at all, and only cannot be used.
    pub present: bool,
    /// Where it is, if it is there.
    pub path: Option<PathBuf>,
    /// What to do about it.
    pub mend: Option<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        self.mend.iter().try_for_each(|mend| write!(f, "; {mend}"))
    }
}

impl std::error::Error for Missing {}

/// What was found of CUDA.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The driver with its devices: without it there is no CUDA.
    pub driver: Result<Driver, Missing>,
    /// The libraries that are good to have, in the order NVRTC, cuBLASLt, cuDNN.
    pub extras: Vec<(Extra, Result<Found, Missing>)>,
}

/// Where to look, so that tests can make it up.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// What `FOREBAY_LIBCUDA` names.
    pub libcuda: Option<PathBuf>,
    /// What `FOREBAY_LIBCUBLASLT` names.
    pub libcublaslt: Option<PathBuf>,
    /// What `FOREBAY_LIBNVRTC` names.
    pub libnvrtc: Option<PathBuf>,
    /// What `FOREBAY_LIBCUDNN` names.
    pub libcudnn: Option<PathBuf>,
    /// Whether the system's loader may search by name.
    pub loader: bool,
    /// Folders of CUDA toolkits, with `lib64` or `lib` in them.
    pub toolkits: Vec<PathBuf>,
    /// Folders of Python packages (`site-packages`).
    pub packages: Vec<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        let path = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let toolkits = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(path);
        Self {
            libcuda: path(VARIABLE),
            libcublaslt: path(CUBLASLT_VARIABLE),
            libnvrtc: path(NVRTC_VARIABLE),
            libcudnn: path(CUDNN_VARIABLE),
            loader: true,
            toolkits: toolkits.chain(["/usr/local/cuda".into()]).collect(),
            packages: python::environments()
                .iter()
                .flat_map(|root| python::packages(root))
                .collect(),
        }
    }
}

/// Looks for the driver and the other libraries, and asks each for its version. Devices are opened for a
/// moment, to learn how much memory is free.
pub fn probe() -> Probe {
    let surroundings = Surroundings::of_process();
    Probe {
        driver: library().and_then(driver::Loaded::describe),
        extras: extras::look(&surroundings),
    }
}

/// Whether there is a driver that can be used, with a GPU.
///
/// # Errors
/// What is missing.
pub fn present() -> Result<(), Missing> {
    library().map(|_| ())
}

/// A library that is good to have, loaded for whoever wants to call it.
///
/// # Errors
/// It is not there, or is something else.
pub(in crate::engine::cuda) fn load(about: Extra) -> Result<(Library, Found), Missing> {
    let found = about.find(&Surroundings::of_process())?;
    let opened = about.open_parts(&found.path);
    let opened = opened.and_then(|()| library::open(found.path.as_os_str()));
    let library = opened.map_err(|why| Missing {
        why,
        present: true,
        path: Some(found.path.clone()),
        mend: None,
    })?;
    Ok((library, found))
}

/// The driver's library, loaded and initialised once in a process.
///
/// # Errors
/// It is not there, too old, or does not start.
pub(in crate::engine::cuda) fn library() -> Result<&'static driver::Loaded, Missing> {
    static LOADED: OnceLock<Result<driver::Loaded, Missing>> = OnceLock::new();
    LOADED
        .get_or_init(|| driver::Loaded::new(&Surroundings::of_process()))
        .as_ref()
        .map_err(Missing::clone)
}
