//! Finds and loads ONNX Runtime's shared library, once in a process.
//!
//! The library is not linked: it is looked for in the places that [`Surroundings`] names, in their
//! order, and the first file that can be it is loaded. Where none can, the error says what was
//! seen at every place and how to mend it.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ort::{environment::Environment, logging::LogLevel};

use crate::engine::{ModelError, python};

/// Names the library before all other places.
pub const VARIABLE: &str = "FOREBAY_ONNXRUNTIME";
/// The version that `make setup` fetches.
const PINNED: &str = "1.31.1";
/// File name of the library on this system, without a version behind it.
const FILE: &str = if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else {
    "libonnxruntime.so"
};
/// Where `make setup` puts it, below the project's folder.
const PROJECT_FOLDER: &str = ".runtime/onnxruntime";

static LOADED: Mutex<Option<Environment>> = Mutex::new(None);

/// What the search looks at, so that tests can make it up.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// What the command line names: a file, or a folder that holds it.
    pub flag: Option<PathBuf>,
    /// What `FOREBAY_ONNXRUNTIME` names: a file, or a folder that holds it.
    pub variable: Option<PathBuf>,
    /// This program's own file.
    pub executable: Option<PathBuf>,
    /// The current folder.
    pub current_dir: Option<PathBuf>,
    /// Python environments, the active one first: folders with `lib/python3*` in them.
    pub python: Vec<PathBuf>,
    /// Folders that the system's loader searches.
    pub system: Vec<PathBuf>,
}

impl Surroundings {
    /// Those of this process; `flag` is what the command line names.
    pub fn of_process(flag: Option<&Path>) -> Self {
        let folder = |name| env::var_os(name).filter(|value| !value.is_empty());
        let mut system: Vec<PathBuf> = folder("LD_LIBRARY_PATH")
            .map(|path| env::split_paths(&path).collect())
            .unwrap_or_default();
        system.extend(
            [
                "/usr/local/lib",
                "/usr/local/lib64",
                "/usr/lib",
                "/usr/lib64",
            ]
            .map(PathBuf::from),
        );
        system.push(format!("/usr/lib/{}-linux-gnu", env::consts::ARCH).into());
        Self {
            flag: flag.map(Path::to_path_buf),
            variable: folder(VARIABLE).map(PathBuf::from),
            executable: env::current_exe().ok(),
            current_dir: env::current_dir().ok(),
            python: unique(python::environments()),
            system: unique(system),
        }
    }

    /// Folders where the library may lie, grouped by what to call them.
    fn places(&self) -> Vec<(&'static str, Vec<PathBuf>)> {
        let beside = self.executable.as_deref().and_then(Path::parent);
        let mut project: Vec<PathBuf> = Vec::new();
        for start in [self.current_dir.as_deref(), beside].into_iter().flatten() {
            project.extend(project_root(start).map(|root| root.join(PROJECT_FOLDER)));
        }
        vec![
            (
                "beside the executable",
                beside.map(Path::to_path_buf).into_iter().collect(),
            ),
            ("the project's folder", unique(project)),
            (
                "Python's onnxruntime",
                self.python
                    .iter()
                    .flat_map(|root| python_capi(root))
                    .collect(),
            ),
            ("the system's folders", self.system.clone()),
        ]
    }
}

/// Where a Python installation keeps the library of its `onnxruntime` package.
fn python_capi(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = python::packages(root)
        .iter()
        .map(|packages| packages.join("onnxruntime/capi"))
        .filter(|capi| capi.is_dir())
        .collect();
    if found.is_empty() {
        // Not there, and listed as such.
        found.push(root.join("lib/python3*/site-packages/onnxruntime/capi"));
    }
    found
}

/// The nearest folder at or above `start` where a project begins.
fn project_root(start: &Path) -> Option<&Path> {
    start.ancestors().find(|folder| {
        ["Cargo.toml", ".git", ".runtime"]
            .iter()
            .any(|mark| folder.join(mark).exists())
    })
}

fn unique(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen: Vec<PathBuf> = Vec::with_capacity(paths.len());
    for path in paths {
        if !seen.contains(&path) {
            seen.push(path);
        }
    }
    seen
}

/// Where ONNX Runtime's library is. `explicit` is what the command line names.
///
/// # Errors
/// The flag or the variable names something that is not the library; or no place has it: then the
/// message lists every place with what was there, and what to do.
pub fn find(explicit: Option<&Path>) -> Result<PathBuf, ModelError> {
    find_in(&Surroundings::of_process(explicit))
}

/// As [`find`], in these surroundings.
pub fn find_in(surroundings: &Surroundings) -> Result<PathBuf, ModelError> {
    let mut seen = String::new();
    for (what, named) in [
        ("--onnxruntime", &surroundings.flag),
        (VARIABLE, &surroundings.variable),
    ] {
        let Some(path) = named else {
            note(&mut seen, what, "not given");
            continue;
        };
        return look_at(path).map_err(|why| {
            ModelError::new(format!(
                "{what} names {}, but {why}. {}",
                path.display(),
                mend()
            ))
        });
    }
    for (what, folders) in surroundings.places() {
        if folders.is_empty() {
            note(&mut seen, what, "there is none");
        }
        for folder in folders {
            match look_at(&folder) {
                Ok(library) => return Ok(library),
                Err(why) => note(&mut seen, what, &format!("{}: {why}", folder.display())),
            }
        }
    }
    Err(ModelError::new(format!(
        "ONNX Runtime was not found: no {FILE}, version 1.{} or newer. Looked at:\n{seen}{}",
        ort::MINOR_VERSION,
        mend()
    )))
}

fn note(seen: &mut String, what: &str, was: &str) {
    let written = writeln!(seen, "  {what:<22} {was}");
    debug_assert!(written.is_ok(), "writing into a string");
}

fn mend() -> String {
    format!(
        "To mend it, run `make setup` in the project's folder; or run `pip install onnxruntime=={PINNED}` \
         and set {VARIABLE} to the {FILE}* in that package's folder `capi`."
    )
}

/// The library at `path`, or in it where `path` is a folder; or why not.
fn look_at(path: &Path) -> Result<PathBuf, String> {
    if path.is_dir() {
        let library = newest_in(path).ok_or_else(|| format!("it holds no {FILE}"))?;
        return check(&library).map(|()| library.clone()).map_err(|why| {
            format!(
                "{} {why}",
                library.file_name().unwrap_or_default().to_string_lossy()
            )
        });
    }
    if !path.exists() {
        return Err("there is no such file or folder".to_owned());
    }
    check(path)
        .map(|()| path.to_path_buf())
        .map_err(|why| format!("it {why}"))
}

/// The library in a folder: the plain name first, then the highest version.
fn newest_in(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(FILE))
        })
        .filter(|path| path.is_file())
        .collect();
    found.sort_by_key(|path| {
        (
            path.file_name().is_some_and(|name| name != FILE),
            std::cmp::Reverse(minor(path)),
        )
    });
    found.into_iter().next()
}

/// The minor version in a name like `libonnxruntime.so.1.31.1`.
fn minor(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    name.strip_prefix(FILE)?.split('.').nth(2)?.parse().ok()
}

/// Whether a file can be the library of this machine, as far as its name and first bytes tell.
fn check(path: &Path) -> Result<(), String> {
    if let Some(minor) = minor(path).filter(|minor| *minor < ort::MINOR_VERSION) {
        return Err(format!(
            "is version 1.{minor}; 1.{} or newer is needed",
            ort::MINOR_VERSION
        ));
    }
    let mut head = [0; 20];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut head));
    let head = match read {
        Ok(length) => head.get(..length).unwrap_or_default(),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    if cfg!(not(target_os = "linux")) {
        return Ok(());
    }
    if !head.starts_with(b"\x7fELF") {
        return Err("is not a shared library".to_owned());
    }
    // `e_machine`, in the byte order of the machines that we know.
    let machine = head
        .get(18..20)
        .map(|bytes| u16::from(bytes[0]) | u16::from(bytes[1]) << 8);
    let name = match machine {
        Some(0x3e) => "x86_64",
        Some(0xb7) => "aarch64",
        Some(0x03) => "x86",
        Some(0x28) => "arm",
        Some(0xf3) => "riscv64",
        _ => "another",
    };
    if name == env::consts::ARCH {
        Ok(())
    } else {
        Err(format!(
            "is a library for {name} processors, and this is {}",
            env::consts::ARCH
        ))
    }
}

/// Finds and loads the library. Does nothing when it is loaded already.
///
/// # Errors
/// As [`find`]; or the file that was found is no usable ONNX Runtime.
pub fn init(explicit: Option<&Path>) -> Result<(), ModelError> {
    environment_with(explicit).map(drop)
}

/// The loaded library, loading it from where it can be found when [`init`] was not called.
///
/// # Errors
/// As [`init`].
pub fn loaded() -> Result<Environment, ModelError> {
    environment_with(None)
}

fn environment_with(explicit: Option<&Path>) -> Result<Environment, ModelError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = loaded.as_ref() {
        return Ok(environment.clone());
    }
    let surroundings = Surroundings::of_process(explicit);
    let named = surroundings.flag.is_some() || surroundings.variable.is_some();
    let (path, builder) = match find_in(&surroundings) {
        // The default way (`ort::init`) panics where the library is missing or too old.
        Ok(path) => {
            let builder = ort::init_from(&path);
            (path, builder)
        }
        Err(nowhere) if named => return Err(nowhere),
        // The system's loader knows more folders than are worth listing.
        Err(nowhere) => match ort::init_from(FILE) {
            Ok(builder) => (FILE.into(), Ok(builder)),
            Err(_) => return Err(nowhere),
        },
    };
    let unusable = |why: String| {
        ModelError::new(format!(
            "{} cannot be used as ONNX Runtime: {why}. {}",
            path.display(),
            mend()
        ))
    };
    let builder = builder.map_err(|error| unusable(load_words(&error)))?;
    let environment = builder
        .with_name("forebay")
        .with_telemetry(false)
        // What goes wrong comes back as an error; the same words on standard error would be noise.
        .with_logger(Arc::new(|level, category, _, place, message| {
            tracing::debug!(target: "onnxruntime", ?level, category, place, "{message}");
        }))
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    environment.set_log_level(LogLevel::Error);
    tracing::debug!(path = %path.display(), "ONNX Runtime is loaded");
    *loaded = Some(environment.clone());
    Ok(environment)
}

fn load_words(error: &ort::LoadDynamicError) -> String {
    match error {
        ort::LoadDynamicError::Dlopen { error, .. } => error.to_string(),
        ort::LoadDynamicError::MissingApi { .. } => {
            "it is another library (it has no OrtGetApiBase)".to_owned()
        }
        ort::LoadDynamicError::InvalidVersionString => "its version cannot be read".to_owned(),
        ort::LoadDynamicError::BadVersion { version_str, .. } => format!(
            "it is version {version_str}, and 1.{} or newer is needed",
            ort::MINOR_VERSION
        ),
    }
}
