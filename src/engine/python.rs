//! Where Python environments are, and where they keep packages: libraries that pip brought are found there.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// Python environments, the active one first: folders with `lib/python3*` in them.
pub(crate) fn environments() -> Vec<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty());
    let mut found: Vec<PathBuf> = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .into_iter()
        .filter_map(folder)
        .map(PathBuf::from)
        .collect();
    found.extend(of_path(folder("PATH")));
    if let Some(home) = folder("HOME") {
        found.push(Path::new(&home).join(".local"));
    }
    found.push("/usr/local".into());
    found
}

/// The Python installation whose `python3` is first in `PATH`; for pyenv, all that it has.
fn of_path(path: Option<OsString>) -> Vec<PathBuf> {
    let first = path
        .and_then(|path| env::split_paths(&path).find(|folder| folder.join("python3").exists()));
    let Some(root) = first.as_deref().and_then(Path::parent) else {
        return Vec::new();
    };
    let mut versions: Vec<PathBuf> = fs::read_dir(root.join("versions"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    versions.sort();
    if versions.is_empty() {
        versions.push(root.to_path_buf());
    }
    versions
}

/// The folders of an environment's packages, in the order of their names.
pub(crate) fn packages(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(root.join("lib"))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
        .flat_map(|entry| ["site-packages", "dist-packages"].map(|name| entry.path().join(name)))
        .filter(|packages| packages.is_dir())
        .collect();
    found.sort();
    found
}
