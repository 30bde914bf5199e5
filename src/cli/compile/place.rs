//! Where compiled graphs go: names for files, and whose files are there already.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::model::PIPELINE;
use crate::{config::Plan, graph};

/// The longest name of a model that a file's name has whole.
const LONGEST: usize = 100;

/// `NAME.onnx` for each graph; the second of a name is `NAME-2.onnx`. What a file system may not take
/// becomes `_`.
pub(super) fn file_names<'a>(graphs: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for graph in graphs {
        let stem = safe(graph);
        let taken = |name: &String| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        let mut name = format!("{stem}.onnx");
        let mut number = 2;
        while taken(&name) {
            name = format!("{stem}-{number}.onnx");
            number += 1;
        }
        names.push(name);
    }
    names
}

fn safe(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let stem: String = (name.chars().take(LONGEST))
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    match stem.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None if stem.is_empty() => "graph".to_owned(),
        None => stem,
    }
}

/// Finds out, before anything is written, that all files may be.
///
/// # Errors
/// One is a model of the pipeline itself, or not ours, in words.
pub(super) fn check(files: &[PathBuf], plan: &Plan, force: bool) -> Result<(), String> {
    for file in files {
        let Ok(there) = file.symlink_metadata() else {
            continue;
        };
        let shown = file.display();
        if there.is_dir() {
            return Err(format!("{shown} is a folder; name another with --output"));
        }
        let same = |model: &Path| {
            let real = model.canonicalize().ok();
            real.is_some() && real == file.canonicalize().ok()
        };
        if plan.models.iter().any(|model| same(&model.path)) {
            return Err(format!(
                "{shown} is a model of the pipeline itself, which would be written over; name another folder with --output"
            ));
        }
        if force {
            continue;
        }
        match pipeline_of(file) {
            Some(name) if name == plan.name => {}
            Some(name) => {
                return Err(format!(
                    "{shown} was compiled from the pipeline `{name}`; name another folder with --output, or write over it with --force"
                ));
            }
            None => {
                return Err(format!(
                    "{shown} is there already and was not written by `forebay compile`; name another folder with --output, or write over it with --force"
                ));
            }
        }
    }
    Ok(())
}

/// What else is in the folder, in order: files that are left as they are. Of a graph that was compiled from the pipeline
/// before, since it may be taken for one of these, that is said.
pub(super) fn others(folder: &Path, files: &[PathBuf], plan: &Plan) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let others = entries.map(|entry| entry.path());
    let others =
        others.filter(|other| (files.iter()).all(|file| file.file_name() != other.file_name()));
    let mut names: Vec<String> = others
        .map(|other| {
            let name = other.file_name().unwrap_or_default().to_string_lossy();
            let graph = other
                .extension()
                .is_some_and(|extension| extension == "onnx");
            let before = graph && pipeline_of(&other).is_some_and(|name| name == plan.name);
            if before {
                format!("{name} (compiled from this pipeline before)")
            } else {
                name.into_owned()
            }
        })
        .collect();
    names.sort();
    names
}

/// The pipeline that a file was compiled from.
fn pipeline_of(file: &Path) -> Option<String> {
    let model = graph::read(file).ok()?;
    let mut properties = model.metadata_props.into_iter();
    let name = properties.find(|property| property.key == PIPELINE)?;
    Some(name.value)
}

/// Writes a file whole or not at all, in a folder that is made where it is not there.
///
/// # Errors
/// The system refuses, in words.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{} cannot be written: {error}", file.display());
    if let Some(folder) = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::create_dir_all(folder)
            .map_err(|error| format!("the folder {} cannot be made: {error}", folder.display()))?;
    }
    let beside = file.with_extension(format!("onnx.{}", std::process::id()));
    fs::write(&beside, bytes)
        .and_then(|()| fs::rename(&beside, file))
        .map_err(|error| {
            // Nothing is lost where it stays.
            drop(fs::remove_file(&beside));
            failed(error)
        })
}
