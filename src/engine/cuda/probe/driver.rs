//! The driver: loaded, asked for its version, initialised, asked for its devices. By symbols looked up one by
//! one, so that an old, broken or strange library ends in a sentence.

use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    path::{Path, PathBuf},
};

use libloading::os::unix::Library;
use serde::Serialize;

use super::{
    Missing, OLDEST_CAPABILITY, OLDEST_DRIVER, Surroundings, VARIABLE, Version,
    library::{function, open, path_of},
    words,
};

const NAME: &str = "libcuda.so.1";
/// Attributes of a device, by their numbers in `cuda.h`.
const MULTIPROCESSORS: c_int = 16;
const CAPABILITY_MAJOR: c_int = 75;
const CAPABILITY_MINOR: c_int = 76;

/// The driver and what it says of its devices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Driver {
    /// The library's file.
    pub path: PathBuf,
    /// The newest CUDA that it speaks.
    pub version: Version,
    /// Its devices, in CUDA's order; one at least.
    pub devices: Vec<DeviceInfo>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceInfo {
    /// CUDA's number of it, from 0.
    pub ordinal: u32,
    /// As its maker calls it.
    pub name: String,
    /// Compute capability.
    pub capability: Version,
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Memory of the device.
    pub memory: MemoryInfo,
    /// Why the engine cannot use it, if it cannot.
    pub unusable: Option<String>,
}

/// Memory of a device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryInfo {
    /// All there is.
    pub total: u64,
    /// What nobody uses; none where the device could not be opened.
    pub free: Option<u64>,
}

/// The driver's library: there, new enough, initialised, with a device.
#[derive(Debug)]
pub(in crate::engine::cuda) struct Loaded {
    library: Library,
    path: PathBuf,
    version: Version,
    count: u32,
}

type GetNumber = unsafe extern "C" fn(*mut c_int) -> c_int;
type Init = unsafe extern "C" fn(c_uint) -> c_int;
type DeviceGet = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
type DeviceGetName = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
type DeviceGetAttribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;
type DeviceTotalMemory = unsafe extern "C" fn(*mut usize, c_int) -> c_int;
type Retain = unsafe extern "C" fn(*mut *mut c_void, c_int) -> c_int;
type Release = unsafe extern "C" fn(c_int) -> c_int;
type SetCurrent = unsafe extern "C" fn(*mut c_void) -> c_int;
type MemoryGetInfo = unsafe extern "C" fn(*mut usize, *mut usize) -> c_int;

impl Loaded {
    /// Loads and initialises it.
    ///
    /// # Errors
    /// It is not there, too old for this build, or does not start; or there is no device.
    pub(super) fn new(surroundings: &Surroundings) -> Result<Self, Missing> {
        let (library, named) = load(surroundings)?;
        let path = location(&library, &named);
        let unusable = |why: String, mend: &str| Missing {
            why,
            present: true,
            path: Some(path.clone()),
            mend: Some(mend.to_owned()),
        };
        let strange = |why: String| {
            unusable(
                format!(
                    "{} is not the library of a CUDA driver: {why}",
                    path.display()
                ),
                "install NVIDIA's driver 580 or newer",
            )
        };
        // SAFETY: the types are those of `cuda.h`.
        let (get_version, init, get_count) = unsafe {
            (
                function::<GetNumber>(&library, "cuDriverGetVersion").map_err(strange)?,
                function::<Init>(&library, "cuInit").map_err(strange)?,
                function::<GetNumber>(&library, "cuDeviceGetCount").map_err(strange)?,
            )
        };
        let version = number(get_version).map_err(|code| {
            unusable(
                format!("the driver does not say its version (cuDriverGetVersion answers {code})"),
                "install NVIDIA's driver 580 or newer",
            )
        })?;
        let version = Version::of_cuda(version);
        // Before cuInit: an old driver may start and then lack functions.
        if version < OLDEST_DRIVER {
            return Err(unusable(
                format!(
                    "the driver is too old: it speaks CUDA {version}, and the kernels of this program need {OLDEST_DRIVER}"
                ),
                "install NVIDIA's driver 580 or newer",
            ));
        }
        // SAFETY: 0 is the only flag there is.
        let code = unsafe { init(0) };
        if code != 0 {
            let (why, mend) = words::init(code);
            return Err(unusable(why, mend));
        }
        let count = number(get_count).unwrap_or(0);
        let count = u32::try_from(count).unwrap_or(0);
        if count == 0 {
            let (why, mend) = words::init(100);
            return Err(unusable(why.replace(" (cuInit answers 100)", ""), mend));
        }
        Ok(Self {
            library,
            path,
            version,
            count,
        })
    }

    /// The address of a function of the library.
    pub(in crate::engine::cuda) fn address(&self, name: &str) -> Option<usize> {
        // SAFETY: the address is compared, never called.
        let found = unsafe { self.library.get::<unsafe extern "C" fn()>(name.as_bytes()) };
        found.ok().map(|found| *found as usize)
    }

    /// How many devices there are.
    pub(in crate::engine::cuda) fn count(&self) -> u32 {
        self.count
    }

    /// The driver with all its devices.
    ///
    /// # Errors
    /// A function that tells of devices is missing or fails.
    pub(super) fn describe(&self) -> Result<Driver, Missing> {
        let devices = (0..self.count).map(|ordinal| {
            self.device(ordinal).map_err(|why| Missing {
                why: format!("device {ordinal} cannot be asked what it is: {why}"),
                present: true,
                path: Some(self.path.clone()),
                mend: None,
            })
        });
        Ok(Driver {
            path: self.path.clone(),
            version: self.version,
            devices: devices.collect::<Result<_, _>>()?,
        })
    }

    /// What a device is.
    ///
    /// # Errors
    /// It cannot be asked; the text names the function and what it answered.
    pub(in crate::engine::cuda) fn device(&self, ordinal: u32) -> Result<DeviceInfo, String> {
        // SAFETY: the types are those of `cuda.h`.
        let (get, get_name, get_attribute, get_total) = unsafe {
            (
                function::<DeviceGet>(&self.library, "cuDeviceGet")?,
                function::<DeviceGetName>(&self.library, "cuDeviceGetName")?,
                function::<DeviceGetAttribute>(&self.library, "cuDeviceGetAttribute")?,
                function::<DeviceTotalMemory>(&self.library, "cuDeviceTotalMem_v2")?,
            )
        };
        let mut device = 0;
        let index = c_int::try_from(ordinal).map_err(|error| error.to_string())?;
        // SAFETY: a place for one number; the driver is initialised.
        answered("cuDeviceGet", unsafe { get(&raw mut device, index) })?;
        let mut name = [0; 256];
        // SAFETY: the length is that of the buffer less one, so that a zero stays at its end.
        answered("cuDeviceGetName", unsafe {
            get_name(name.as_mut_ptr(), 255, device)
        })?;
        // SAFETY: the buffer ends with a zero.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) };
        let attribute = |which| {
            let mut value = 0;
            // SAFETY: a place for one number, and a device that the driver gave.
            answered("cuDeviceGetAttribute", unsafe {
                get_attribute(&raw mut value, which, device)
            })?;
            Ok::<_, String>(u32::try_from(value).unwrap_or(0))
        };
        let mut total = 0;
        // SAFETY: as above.
        answered("cuDeviceTotalMem", unsafe {
            get_total(&raw mut total, device)
        })?;
        let capability = Version(attribute(CAPABILITY_MAJOR)?, attribute(CAPABILITY_MINOR)?);
        let free = self.free_memory(device);
        let old = (capability < OLDEST_CAPABILITY).then(|| {
            format!("its compute capability is {capability}, and the kernels need {OLDEST_CAPABILITY} or newer")
        });
        Ok(DeviceInfo {
            ordinal,
            name: name.to_string_lossy().trim().to_owned(),
            capability,
            multiprocessors: attribute(MULTIPROCESSORS)?,
            memory: MemoryInfo {
                total: total as u64,
                free: free.as_ref().ok().copied(),
            },
            unusable: old.or_else(|| free.err().map(|why| format!("it cannot be opened: {why}"))),
        })
    }

    /// Free bytes of the device. Opens it for a moment, since the driver tells only of an open one.
    fn free_memory(&self, device: c_int) -> Result<u64, String> {
        // SAFETY: the types are those of `cuda.h`.
        let (retain, release, set_current, get_info) = unsafe {
            (
                function::<Retain>(&self.library, "cuDevicePrimaryCtxRetain")?,
                function::<Release>(&self.library, "cuDevicePrimaryCtxRelease_v2")?,
                function::<SetCurrent>(&self.library, "cuCtxSetCurrent")?,
                function::<MemoryGetInfo>(&self.library, "cuMemGetInfo_v2")?,
            )
        };
        let mut context = std::ptr::null_mut();
        // SAFETY: a place for one pointer; released below, once.
        answered("cuDevicePrimaryCtxRetain", unsafe {
            retain(&raw mut context, device)
        })?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: the context was given a moment ago; places for two numbers; then no context is current, as before.
        let (current, info) = unsafe {
            let current = set_current(context);
            let info = get_info(&raw mut free, &raw mut total);
            let _none = set_current(std::ptr::null_mut());
            let _released = release(device);
            (current, info)
        };
        answered("cuCtxSetCurrent", current)?;
        answered("cuMemGetInfo", info)?;
        Ok(free as u64)
    }
}

fn answered(call: &str, code: c_int) -> Result<(), String> {
    if code == 0 {
        Ok(())
    } else {
        Err(format!("{call} answers {code}"))
    }
}

fn number(ask: GetNumber) -> Result<c_int, c_int> {
    let mut value = 0;
    // SAFETY: a place for one number.
    let code = unsafe { ask(&raw mut value) };
    if code == 0 { Ok(value) } else { Err(code) }
}

/// The library, and by which name or path it was loaded.
fn load(surroundings: &Surroundings) -> Result<(Library, PathBuf), Missing> {
    let missing = |why: String, mend: &str| Missing {
        why,
        present: false,
        path: None,
        mend: Some(mend.to_owned()),
    };
    if let Some(named) = &surroundings.libcuda {
        let mend = format!("set {VARIABLE} to the absolute path of {NAME}, or unset it");
        if !named.is_absolute() {
            let why = format!(
                "{VARIABLE} is {}, which is no absolute path",
                named.display()
            );
            return Err(missing(why, &mend));
        }
        return match open(named.as_os_str()) {
            Ok(library) => Ok((library, named.clone())),
            Err(why) => Err(missing(format!("{VARIABLE}: {why}"), &mend)),
        };
    }
    if !surroundings.loader {
        return Err(missing(format!("{NAME} was not looked for"), ""));
    }
    match open(NAME.as_ref()) {
        Ok(library) => Ok((library, NAME.into())),
        Err(why) => Err(missing(
            format!("no driver of CUDA: {why}"),
            "install NVIDIA's driver 580 or newer; in a container, start it with the GPU (--gpus all)",
        )),
    }
}

/// The library's file, of which only the name may be known.
fn location(library: &Library, named: &Path) -> PathBuf {
    if named.is_absolute() {
        return named.to_path_buf();
    }
    // SAFETY: the address is compared, never called.
    let init = unsafe { library.get::<unsafe extern "C" fn()>(b"cuInit") };
    init.ok()
        .and_then(|init| path_of("libcuda", *init as usize))
        .unwrap_or_else(|| named.to_path_buf())
}
