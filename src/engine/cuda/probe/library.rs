//! Loads a shared library, and says in the loader's words why it cannot be.

use std::{
    error::Error as _,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

/// Loads the library of this name or path, for good: it stays until the process ends.
///
/// # Errors
/// The loader's reason.
pub(super) fn open(name: &OsStr) -> Result<Library, String> {
    // SAFETY: a library's initialisers run. The names are those of CUDA's own libraries, or what the
    // user names as such. RTLD_GLOBAL, so that what cudarc or another library asks for by name is this one.
    let opened = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) };
    opened.map_err(|error| {
        // The error itself says only "dlopen failed"; the reason is below it.
        error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string)
    })
}

/// A function of the library.
///
/// # Errors
/// There is none of that name.
///
/// # Safety
/// `F` must be the type of a function pointer, and that of the function.
pub(in crate::engine::cuda) unsafe fn function<F: Copy>(
    library: &Library,
    name: &'static str,
) -> Result<F, String> {
    // SAFETY: the caller vouches for the type.
    unsafe { library.get::<F>(name.as_bytes()) }
        .map(|found| *found)
        .map_err(|_| format!("it has no function {name}"))
}

/// The file of a loaded library, as the system's table of this process says; `stem` is how its name begins.
pub(super) fn path_of(stem: &str, address: usize) -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let mapped = maps.lines().find_map(|line| {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let from = usize::from_str_radix(from, 16).ok()?;
        let to = usize::from_str_radix(to, 16).ok()?;
        let path = line.find('/').map(|at| Path::new(&line[at..]));
        (from..to).contains(&address).then_some(path).flatten()
    })?;
    let name = mapped.file_name()?.to_string_lossy();
    name.starts_with(stem).then(|| mapped.to_path_buf())
}
