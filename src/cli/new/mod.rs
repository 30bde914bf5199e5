//! `forebay new MODEL.onnx`: writes a pipeline file that works, from the model's own inputs and
//! outputs, with the questions that the model file does not answer as comments.

mod draft;
mod yaml;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

pub use self::{
    draft::{Draft, RowShape},
    yaml::pipeline_yaml,
};
use crate::engine::cpu::catalog::CpuCatalog;

/// The file that is written where none is named, beside the model.
const DEFAULT_FILE: &str = "pipeline.yaml";

/// Write a pipeline file for a model, from the model's own inputs and outputs
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  forebay new model.onnx            writes pipeline.yaml beside the model\n  \
                        forebay new model.onnx -o -       prints it"
)]
pub struct NewCommand {
    /// The model
    pub model: PathBuf,
    /// Where to write; - for standard output [default: pipeline.yaml beside the model]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

impl NewCommand {
    /// Asks the model and writes the file.
    ///
    /// # Errors
    /// The model cannot be served, or the file is there already or cannot be written.
    pub fn run(&self) -> anyhow::Result<()> {
        let folder = self.model.parent().unwrap_or(Path::new(""));
        let to_standard_output = self.output.as_deref() == Some(Path::new("-"));
        let target = self
            .output
            .clone()
            .unwrap_or_else(|| folder.join(DEFAULT_FILE));
        if !to_standard_output && target.exists() {
            bail!(
                "{} is there already; name another file with --output, or - to print",
                target.display()
            );
        }
        let base = if to_standard_output {
            folder
        } else {
            target.parent().unwrap_or(Path::new(""))
        };
        let draft = Draft::of(&mut CpuCatalog::new(), &self.model, base)?;
        let yaml = pipeline_yaml(&draft);
        if to_standard_output {
            std::io::stdout().write_all(yaml.as_bytes())?;
            return Ok(());
        }
        fs::write(&target, yaml).with_context(|| format!("cannot write {}", target.display()))?;
        writeln!(
            std::io::stderr(),
            "wrote {0}; answer the questions in it, then: forebay check {0}",
            target.display()
        )?;
        Ok(())
    }
}
