//! `forebay new MODEL.onnx`: writes a pipeline file that works, from the model's own inputs and
//! outputs, with the questions that the model file does not answer as comments.

mod draft;
mod head;
mod kind;
mod parts;
mod proposal;
mod words;
mod yaml;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

pub use self::{
    draft::{Draft, RowShape},
    head::{Head, Labels},
    kind::{Image, Kind, Text},
    yaml::pipeline_yaml,
};
use super::{Exit, Failure, Globals, NewArgs, output, plans};
use crate::engine::cpu::catalog::CpuCatalog;

/// The file that is written where none is named, beside the model.
const DEFAULT_FILE: &str = "pipeline.yaml";

/// Asks the model and writes the file.
///
/// # Errors
/// ONNX Runtime is not there, the model cannot be served, or the file is there already or cannot
/// be written.
pub fn new(args: NewArgs, globals: &Globals) -> Result<(), Failure> {
    plans::load_runtime(globals)?;
    let to_standard_output = args.output.as_deref() == Some(Path::new("-"));
    let target = match args.output {
        // Who prints it stores it where they stand.
        Some(_) if to_standard_output => DEFAULT_FILE.into(),
        Some(file) => file,
        None => args.model.with_file_name(DEFAULT_FILE),
    };
    let mut catalog = CpuCatalog::new();
    // First, so that the exit code does not hang on where the file would be written.
    let readable = args.model.is_file() && File::open(&args.model).is_ok();
    if !readable && let Err(error) = catalog.inputs(&args.model) {
        return Err(Failure::new(Exit::NoInput, error.to_string()));
    }
    if !to_standard_output {
        check_place(&target)?;
    }
    let draft = Draft::of(&mut catalog, &args.model, &target)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let yaml = pipeline_yaml(&draft);
    if to_standard_output {
        return output::print(&yaml);
    }
    write(&target, &yaml)?;
    let open = draft.rows.iter().any(|row| row.question.is_some());
    let first = if open {
        "correct the shapes under `fields`"
    } else {
        "answer the questions in it"
    };
    // Standard error may be closed; the file is written all the same.
    drop(writeln!(
        io::stderr(),
        "wrote {}; {first}, then: forebay check {}",
        target.display(),
        words::shell(&target.to_string_lossy())
    ));
    Ok(())
}

/// Finds out early that the file will not be written.
fn check_place(target: &Path) -> Result<(), Failure> {
    if target.is_dir() {
        return Err(Failure::failed(format!(
            "{0} is a folder; name a file in it: --output {1}",
            target.display(),
            words::shell(&target.join(DEFAULT_FILE).to_string_lossy())
        )));
    }
    if target.symlink_metadata().is_ok() {
        return Err(there_already(target));
    }
    let folder = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if folder.is_file() => Err(Failure::failed(format!(
            "cannot write {}: {} is a file, not a folder",
            target.display(),
            folder.display()
        ))),
        Some(folder) if !folder.is_dir() => Err(Failure::failed(format!(
            "cannot write {}: there is no folder {}; create it first",
            target.display(),
            folder.display()
        ))),
        _ => Ok(()),
    }
}

fn there_already(target: &Path) -> Failure {
    Failure::failed(format!(
        "{} is there already; name another file with --output, or - to print",
        target.display()
    ))
}

fn write(target: &Path, yaml: &str) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(target)
        .and_then(|mut file| file.write_all(yaml.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => there_already(target),
        _ => Failure::failed(format!(
            "cannot write {}: {}; name another file with --output, or - to print",
            target.display(),
            crate::nats::plain(&error)
        )),
    })
}
