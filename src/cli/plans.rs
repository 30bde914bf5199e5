//! Pipeline files to plans, for every command that takes them.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Exit, Failure, Globals};
use crate::{
    config::{
        self, Plan,
        plan::{Offline, Selection},
    },
    engine::cpu::{catalog::CpuCatalog, library},
};

/// Loads ONNX Runtime, and reads and checks every file.
///
/// # Errors
/// ONNX Runtime is not there (exit 69), or the reports of all files that are wrong (exit 78, or 66
/// where all that is wrong is that files cannot be read).
pub(super) fn load(files: &[PathBuf], globals: &Globals) -> Result<Vec<Plan>, Failure> {
    load_runtime(globals)?;
    let mut catalog = CpuCatalog::new();
    let (mut plans, mut reports) = (Vec::new(), Vec::new());
    let mut exit = Exit::NoInput;
    for file in files {
        match config::load(file, &mut catalog) {
            Ok(plan) => plans.push(plan),
            Err(errors) => {
                if !errors.is_unreadable() {
                    exit = Exit::Config;
                }
                reports.push(errors.render_for(&io::stderr()));
            }
        }
    }
    if let Err(errors) = config::check_together(&plans) {
        exit = Exit::Config;
        reports.push(errors.render_for(&io::stderr()));
    }
    if reports.is_empty() {
        Ok(plans)
    } else {
        Err(Failure::rendered(exit, reports.join("\n")))
    }
}

/// Loads ONNX Runtime, and reads and checks a file for a run over rows of files.
///
/// # Errors
/// As for [`load`].
pub(super) fn load_offline(
    file: &Path,
    offline: &Offline,
    globals: &Globals,
) -> Result<(Plan, Selection), Failure> {
    load_runtime(globals)?;
    config::load_offline(file, offline, &mut CpuCatalog::new()).map_err(|errors| {
        let exit = if errors.is_unreadable() {
            Exit::NoInput
        } else {
            Exit::Config
        };
        Failure::rendered(exit, errors.render_for(&io::stderr()))
    })
}

/// Loads ONNX Runtime, from where the command line says or where it is found.
///
/// # Errors
/// It is not there, or cannot be used (exit 69).
pub(super) fn load_runtime(globals: &Globals) -> Result<(), Failure> {
    library::init(globals.onnxruntime.as_deref())
        .map_err(|error| Failure::new(Exit::Unavailable, error.to_string()))
}
