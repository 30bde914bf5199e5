//! Finds models with data sets below a folder.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// A folder with a model in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) folder: PathBuf,
    /// By rising number.
    pub(super) data_sets: Vec<DataSet>,
}

/// A folder with inputs and the outputs that they must give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DataSet {
    pub(super) folder: PathBuf,
    /// By rising number.
    pub(super) inputs: Vec<(usize, PathBuf)>,
    /// By rising number.
    pub(super) outputs: Vec<(usize, PathBuf)>,
}

const MODEL: &str = "model.onnx";

impl Case {
    /// The model's file.
    pub(super) fn model(&self) -> PathBuf {
        self.folder.join(MODEL)
    }
}

/// The models in `dir` and in the folders below it, by name. Below a folder with a model no further is looked
/// for.
///
/// # Errors
/// In words: the folder is not there, cannot be read, or there is no model in it.
pub(super) fn cases(dir: &Path) -> Result<Vec<Case>, String> {
    if dir.is_file() {
        return Err(format!(
            "{} is a file; name the folder with the {MODEL} and its test_data_set_N folders",
            dir.display()
        ));
    }
    let mut cases = Vec::new();
    look(dir, &mut HashSet::new(), &mut cases)?;
    if cases.is_empty() {
        return Err(format!("there is no {MODEL} in {} or below", dir.display()));
    }
    Ok(cases)
}

fn look(dir: &Path, seen: &mut HashSet<PathBuf>, into: &mut Vec<Case>) -> Result<(), String> {
    let unreadable = |error| format!("{} cannot be read: {error}", dir.display());
    // Links may lead back to where we are.
    if !seen.insert(dir.canonicalize().map_err(unreadable)?) {
        return Ok(());
    }
    if dir.join(MODEL).exists() {
        into.push(Case {
            folder: dir.to_path_buf(),
            data_sets: data_sets(dir)?,
        });
        return Ok(());
    }
    for entry in entries(dir)? {
        if entry.is_dir() {
            look(&entry, seen, into)?;
        }
    }
    Ok(())
}

fn data_sets(dir: &Path) -> Result<Vec<DataSet>, String> {
    let mut sets = Vec::new();
    for entry in entries(dir)? {
        if let Some(number) = number(&entry, "test_data_set_", "")
            && entry.is_dir()
        {
            let files = entries(&entry)?;
            let of = |prefix| {
                let mut numbered: Vec<(usize, PathBuf)> = (files.iter())
                    .filter_map(|file| Some((self::number(file, prefix, ".pb")?, file.clone())))
                    .collect();
                numbered.sort();
                numbered
            };
            let set = DataSet {
                inputs: of("input_"),
                outputs: of("output_"),
                folder: entry,
            };
            sets.push((number, set));
        }
    }
    sets.sort_by_key(|(number, _)| *number);
    Ok(sets.into_iter().map(|(_, set)| set).collect())
}

/// What is in a folder, by name.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        (fs::read_dir(dir)?)
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let mut entries =
        read().map_err(|error| format!("{} cannot be read: {error}", dir.display()))?;
    entries.sort();
    Ok(entries)
}

/// The number between `prefix` and `suffix` in a file's name.
fn number(path: &Path, prefix: &str, suffix: &str) -> Option<usize> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    digits.parse().ok()
}
