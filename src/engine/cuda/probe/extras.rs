//! The libraries that are good to have: NVRTC, cuBLASLt, cuDNN. Without one of them something is slower, and
//! nothing is missing.

use std::{
    ffi::c_int,
    fs,
    path::{Path, PathBuf},
};

use libloading::os::unix::Library;
use serde::Serialize;

use super::{
    CUBLASLT_VARIABLE, CUDNN_VARIABLE, Missing, NVRTC_VARIABLE, Surroundings,
    library::{function, open, path_of},
};

/// A library that is good to have.
#[derive(Debug, PartialEq, Eq)]
pub struct About {
    /// As people call it.
    pub name: &'static str,
    /// What it is good for.
    pub purpose: &'static str,
    /// What is so without it.
    pub without: &'static str,
    /// File names, the best first.
    files: &'static [&'static str],
    /// How the names of files begin that must be loaded before it, from the same folder.
    first: &'static [&'static str],
    /// Files in its own folder that it loads by itself when they are first needed; some versions of it end the process where one is
    /// not there. So they are looked for before it is asked anything, and loaded before it is used.
    pub parts: &'static [&'static str],
    /// Folders of Python packages that bring it.
    packages: &'static [&'static str],
    version: VersionCall,
}

/// A library that is good to have.
pub type Extra = &'static About;

#[derive(Debug, PartialEq, Eq)]
enum VersionCall {
    /// Two numbers.
    Pair(&'static str),
    /// One number: major, minor and patch with two digits each; and the oldest that can be used.
    Packed(&'static str, usize),
}

/// Compiles kernels at run time.
pub const NVRTC: Extra = &About {
    name: "NVRTC",
    purpose: "compiles kernels for one model",
    without: "the general kernels serve, more slowly in elementwise chains, and with a kernel for each layer of a small MLP",
    files: &["libnvrtc.so.13", "libnvrtc.so.12"],
    // It looks for this one by itself, in the loader's path only.
    first: &["libnvrtc-builtins.so."],
    parts: &[],
    packages: &["nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"],
    version: VersionCall::Pair("nvrtcVersion"),
};

/// Multiplies matrices.
pub const CUBLASLT: Extra = &About {
    name: "cuBLASLt",
    purpose: "multiplies matrices",
    without: "forebay's own kernels multiply, more slowly",
    files: &["libcublasLt.so.13", "libcublasLt.so.12"],
    first: &[],
    parts: &[],
    packages: &["nvidia/cu13/lib", "nvidia/cublas/lib"],
    version: VersionCall::Packed("cublasLtGetVersion", 0),
};

/// Convolves.
pub const CUDNN: Extra = &About {
    name: "cuDNN",
    purpose: "convolves",
    without: "forebay's own kernels convolve, more slowly",
    files: &["libcudnn.so.9"],
    first: &[],
    parts: &[
        "libcudnn_graph.so.9",
        "libcudnn_ops.so.9",
        "libcudnn_engines_precompiled.so.9",
        "libcudnn_engines_runtime_compiled.so.9",
        "libcudnn_heuristic.so.9",
        "libcudnn_cnn.so.9",
    ],
    packages: &["nvidia/cudnn/lib"],
    version: VersionCall::Packed("cudnnGetVersion", 90_000),
};

/// What was found of such a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its file.
    pub path: PathBuf,
    /// Its version, as it says.
    pub version: String,
}

/// Looks for each of them.
pub(super) fn look(surroundings: &Surroundings) -> Vec<(Extra, Result<Found, Missing>)> {
    [NVRTC, CUBLASLT, CUDNN]
        .into_iter()
        .map(|about| (about, about.find(surroundings)))
        .collect()
}

impl About {
    /// Loads it, for good.
    pub(super) fn find(&self, surroundings: &Surroundings) -> Result<Found, Missing> {
        if let Some((path, variable)) = self.named(surroundings) {
            let unusable = |why| Missing {
                why: format!("{why} (the file that {variable} names)"),
                present: path.exists(),
                path: None,
                mend: None,
            };
            if let Some(folder) = path.parent() {
                self.open_first(folder, &mut Vec::new());
            }
            return open(path.as_os_str())
                .map_err(unusable)
                .and_then(|library| self.ask(library, path));
        }
        let mut reasons: Vec<String> = Vec::new();
        if surroundings.loader {
            for file in self.files {
                match open(file.as_ref()) {
                    Ok(library) => return self.ask(library, file.as_ref()),
                    Err(why) if why.contains("No such file") => {}
                    Err(why) => reasons.push(why),
                }
            }
        }
        for folder in self.folders(surroundings) {
            for file in self.files {
                let path = folder.join(file);
                if !path.exists() {
                    continue;
                }
                self.open_first(&folder, &mut reasons);
                match open(path.as_os_str()) {
                    Ok(library) => return self.ask(library, &path),
                    Err(why) => reasons.push(why),
                }
            }
        }
        let files = self.files.join(" or ");
        Err(if reasons.is_empty() {
            Missing {
                why: format!(
                    "no {files} in the loader's path, in a CUDA toolkit, or in a Python environment"
                ),
                present: false,
                path: None,
                mend: None,
            }
        } else {
            Missing {
                why: reasons.join("; "),
                present: true,
                path: None,
                mend: None,
            }
        })
    }

    /// The one file that it may be, where the user names one; and the variable that does.
    fn named<'s>(&self, surroundings: &'s Surroundings) -> Option<(&'s Path, &'static str)> {
        let (named, variable) = if self.name == CUBLASLT.name {
            (&surroundings.libcublaslt, CUBLASLT_VARIABLE)
        } else if self.name == NVRTC.name {
            (&surroundings.libnvrtc, NVRTC_VARIABLE)
        } else if self.name == CUDNN.name {
            (&surroundings.libcudnn, CUDNN_VARIABLE)
        } else {
            return None;
        };
        Some((named.as_deref()?, variable))
    }

    fn folders(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let toolkits = (surroundings.toolkits.iter())
            .flat_map(|toolkit| ["lib64", "lib"].map(|name| toolkit.join(name)));
        // torch for older CUDA has them beside its own libraries.
        let packages = surroundings.packages.iter().flat_map(|packages| {
            let places = self.packages.iter().chain(&["torch/lib"]);
            places.map(|place| packages.join(place))
        });
        toolkits.chain(packages).collect()
    }

    /// Loads what must be there before it. That one cannot be is noted, and is no reason to give up.
    fn open_first(&self, folder: &Path, reasons: &mut Vec<String>) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !self.first.iter().any(|start| name.starts_with(start)) {
                continue;
            }
            match open(entry.path().as_os_str()) {
                // Loaded for good: the handle is not closed.
                Ok(library) => std::mem::forget(library),
                Err(why) => reasons.push(why),
            }
        }
    }

    fn ask(&self, library: Library, named: &Path) -> Result<Found, Missing> {
        let address = self.version.address(&library);
        let path = (address.as_ref().ok())
            .filter(|_| !named.is_absolute())
            .and_then(|address| path_of("lib", *address))
            .unwrap_or_else(|| named.to_path_buf());
        let is_not = |why| format!("is not {}: {why}", self.name);
        let asked = address.map_err(is_not).and_then(|_| {
            self.is_whole(&path)?;
            let (version, new_enough) = self.version.ask(&library).map_err(is_not)?;
            new_enough
                .map(|()| version)
                .map_err(|why| format!("cannot be used: {why}"))
        });
        // Loaded for good: whoever uses it later finds it by its name.
        std::mem::forget(library);
        match asked {
            Ok(version) => Ok(Found { path, version }),
            Err(why) => Err(Missing {
                why: format!("{} {why}", path.display()),
                present: true,
                path: Some(path),
                mend: None,
            }),
        }
    }

    /// Whether its parts are beside it, where it is known in which folder that is.
    fn is_whole(&self, path: &Path) -> Result<(), String> {
        let lacks = |part: &&&str| path.is_absolute() && !path.with_file_name(part).exists();
        match self.parts.iter().find(lacks) {
            Some(part) => Err(format!(
                "cannot be used: {part} is not beside it; install {} anew, as a whole",
                self.name
            )),
            None => Ok(()),
        }
    }

    /// Loads its parts, for good.
    pub(super) fn open_parts(&self, path: &Path) -> Result<(), String> {
        self.parts.iter().try_for_each(|part| {
            let part = open(path.with_file_name(part).as_os_str())?;
            std::mem::forget(part);
            Ok(())
        })
    }
}

impl VersionCall {
    fn name(&self) -> &'static str {
        match *self {
            Self::Pair(name) | Self::Packed(name, _) => name,
        }
    }

    /// Where the function is that says it.
    fn address(&self, library: &Library) -> Result<usize, String> {
        // SAFETY: the address is only looked at, never called.
        let found = unsafe { function::<unsafe extern "C" fn()>(library, self.name())? };
        Ok(found as usize)
    }

    /// The version; and whether it can be used, or why not.
    fn ask(&self, library: &Library) -> Result<(String, Result<(), String>), String> {
        match *self {
            Self::Pair(name) => {
                type Ask = unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int;
                let (mut major, mut minor) = (0, 0);
                // SAFETY: the type is that of `nvrtc.h`.
                let ask = unsafe { function::<Ask>(library, name)? };
                // SAFETY: places for two numbers.
                let code = unsafe { ask(&raw mut major, &raw mut minor) };
                if code != 0 {
                    return Err(format!("{name} answers {code}"));
                }
                Ok((format!("{major}.{minor}"), Ok(())))
            }
            Self::Packed(name, oldest) => {
                type Ask = unsafe extern "C" fn() -> usize;
                // SAFETY: the type is that of `cublasLt.h` and `cudnn.h`.
                let ask = unsafe { function::<Ask>(library, name)? };
                // SAFETY: no arguments.
                let packed = unsafe { ask() };
                let (version, wanted) = (unpacked(packed), unpacked(oldest));
                let why = || format!("it is version {version}, and {wanted} or newer is needed");
                let new_enough = (packed >= oldest).then_some(()).ok_or_else(why);
                Ok((version, new_enough))
            }
        }
    }
}

fn unpacked(version: usize) -> String {
    // cuDNN before 9 left one digit to the minor version.
    let (major, minor) = if version < 10_000 {
        (version / 1000, version / 100 % 10)
    } else {
        (version / 10_000, version / 100 % 100)
    };
    let patch = version % 100;
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_versions_are_read() {
        assert_eq!(unpacked(130_002), "13.0.2");
        assert_eq!(unpacked(120_904), "12.9.4");
        assert_eq!(unpacked(91_302), "9.13.2");
        assert_eq!(unpacked(8907), "8.9.7");
    }
}
