//! `forebay new MODEL.onnx`: writes a pipeline file that works, from the model's own inputs and
//! outputs, with the questions that the model file does not answer as comments.

mod draft;
mod yaml;

use std::{fs, io::Write as _, path::Path};

pub use self::{
    draft::{Draft, RowShape},
    yaml::pipeline_yaml,
};
use super::{Exit, Failure, Globals, NewArgs, output};
use crate::engine::{
    ModelError,
    cpu::{catalog::CpuCatalog, library},
};

/// The file that is written where none is named, beside the model.
const DEFAULT_FILE: &str = "pipeline.yaml";

/// Asks the model and writes the file.
///
/// # Errors
/// ONNX Runtime is not there, the model cannot be served, or the file is there already or cannot
/// be written.
pub fn new(args: NewArgs, globals: &Globals) -> Result<(), Failure> {
    let unavailable = |error: ModelError| Failure::new(Exit::Unavailable, error.to_string());
    library::init(globals.onnxruntime.as_deref()).map_err(unavailable)?;
    let folder = args.model.parent().unwrap_or(Path::new(""));
    let to_standard_output = args.output.as_deref() == Some(Path::new("-"));
    let target = args.output.unwrap_or_else(|| folder.join(DEFAULT_FILE));
    if !to_standard_output && target.exists() {
        return Err(Failure::failed(format!(
            "{} is there already; name another file with --output, or - to print",
            target.display()
        )));
    }
    let base = if to_standard_output {
        folder
    } else {
        target.parent().unwrap_or(Path::new(""))
    };
    let draft = Draft::of(&mut CpuCatalog::new(), &args.model, base)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let yaml = pipeline_yaml(&draft);
    if to_standard_output {
        return output::print(&yaml);
    }
    fs::write(&target, yaml)
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", target.display())))?;
    // Standard error may be closed; the file is written all the same.
    drop(writeln!(
        std::io::stderr(),
        "wrote {0}; answer the questions in it, then: forebay check {0}",
        target.display()
    ));
    Ok(())
}
