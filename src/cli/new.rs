//! `forebay new MODEL.onnx`: writes a pipeline file that works, from the model's own inputs and
//! outputs, with the questions that the model file does not answer as comments.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::engine::{
    Dim, InputInfo, OutputInfo,
    cpu::{Width, catalog::CpuCatalog},
};

/// The file that is written where none is named, beside the model.
const DEFAULT_FILE: &str = "pipeline.yaml";
/// The schema of pipeline files, looked for beside the model and one folder up.
const SCHEMA_FILE: &str = "pipeline.schema.json";

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

/// What a pipeline file is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The pipeline's name.
    pub name: String,
    /// The model's path as the file shall name it.
    pub model: String,
    /// The schema's path as the file shall name it, where there is one.
    pub schema: Option<String>,
    /// The model's inputs.
    pub inputs: Vec<InputInfo>,
    /// A row's shape for each input.
    pub rows: Vec<RowShape>,
    /// The model's outputs, or why they could not be learned, with their names.
    pub outputs: Result<Vec<OutputInfo>, (Vec<String>, String)>,
}

/// The shape of one row of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowShape {
    /// The shape.
    pub shape: Vec<usize>,
    /// What is not known about it.
    pub question: Option<String>,
}

impl Draft {
    /// Asks the model all that it can tell. Paths become relative to `base`, where that is the
    /// model's own folder.
    ///
    /// # Errors
    /// The model cannot be loaded, or runs and gives what cannot be served.
    pub fn of(catalog: &mut CpuCatalog, model: &Path, base: &Path) -> anyhow::Result<Self> {
        let inputs = catalog.inputs(model)?;
        let mut rows = Vec::with_capacity(inputs.len());
        for (place, input) in inputs.iter().enumerate() {
            rows.push(RowShape::of(input, || {
                catalog.width(model, place).ok().flatten()
            }));
        }
        let shapes: Vec<Vec<usize>> = rows.iter().map(|row| row.shape.clone()).collect();
        let outputs = match catalog.outputs(model, &shapes) {
            Ok(outputs) => Ok(outputs),
            // A guessed shape may be wrong; a known one is not, then the model is.
            Err(error) if rows.iter().any(|row| row.question.is_some()) => {
                Err((catalog.declared_outputs(model)?, error.message))
            }
            Err(error) => return Err(error.into()),
        };
        let path = match model.strip_prefix(base) {
            Ok(below) => below.to_path_buf(),
            Err(_) => std::path::absolute(model)?,
        };
        let beside = |folder: &str| base.join(folder).join(SCHEMA_FILE).exists();
        Ok(Self {
            name: name_of(model),
            model: path.to_string_lossy().into_owned(),
            schema: ["", "../"]
                .into_iter()
                .find(|folder| beside(folder))
                .map(|folder| format!("{folder}{SCHEMA_FILE}")),
            inputs,
            rows,
            outputs,
        })
    }
}

impl RowShape {
    /// The declared shape; `width` is asked where a matrix's width is left open.
    fn of(input: &InputInfo, width: impl FnOnce() -> Option<Width>) -> Self {
        let declared = input.row_dims();
        let fixed: Option<Vec<usize>> = (declared.iter())
            .map(|dim| match dim {
                Dim::Fixed(size) => Some(*size),
                Dim::Free(_) => None,
            })
            .collect();
        if let Some(shape) = fixed {
            return Self {
                shape,
                question: None,
            };
        }
        if declared.len() == 1 {
            let (width, question) = match width() {
                Some(Width::Exactly(width)) => (width, None),
                Some(Width::AtLeast(width)) => (
                    width,
                    Some(format!(
                        "how many? the model looks at {width}; there may be more"
                    )),
                ),
                None => (1, Some("how many? the model file does not say".to_owned())),
            };
            return Self {
                shape: vec![width],
                question,
            };
        }
        let names: Vec<String> = (declared.iter())
            .map(|dim| match dim {
                Dim::Fixed(size) => size.to_string(),
                Dim::Free(name) if name.is_empty() => "?".to_owned(),
                Dim::Free(name) => name.clone(),
            })
            .collect();
        let size = |dim: &Dim| match dim {
            Dim::Fixed(size) => *size,
            Dim::Free(_) => 1,
        };
        Self {
            shape: declared.iter().map(size).collect(),
            question: Some(format!(
                "which shape? the model declares [{}]",
                names.join(", ")
            )),
        }
    }
}

/// The model's file name, or its folder's where the file is only called `model`.
fn name_of(model: &Path) -> String {
    let stem = model.file_stem().filter(|stem| *stem != "model");
    let folder = std::path::absolute(model).ok();
    let folder = folder
        .as_deref()
        .and_then(Path::parent)
        .and_then(Path::file_name);
    let name = stem.or(folder).unwrap_or_default().to_string_lossy();
    let letter = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(letter).collect();
    match name.trim_matches('-') {
        "" => "model".to_owned(),
        name => name.to_owned(),
    }
}

/// The pipeline file.
pub fn pipeline_yaml(draft: &Draft) -> String {
    let mut yaml = String::new();
    if let Some(schema) = &draft.schema {
        line(
            &mut yaml,
            &format!("# yaml-language-server: $schema={schema}"),
            "",
        );
    }
    let Draft { name, model, .. } = draft;
    yaml += "# Written by `forebay new`. It runs as it is; a comment with a question mark asks what the\n\
             # model file does not say.\n";
    line(&mut yaml, &format!("name: {name}"), "");
    yaml += "\nsource:\n  nats:\n    url: \"${NATS_URL:-nats://127.0.0.1:4222}\"\n";
    line(
        &mut yaml,
        &format!("    subject: {name}.in"),
        "on which subject do the rows come? or which stream (jetstream)?",
    );
    yaml += "\ndecode:\n";
    line(
        &mut yaml,
        "  json: {}",
        "an object is a row; an array of objects is many rows",
    );
    fields(&mut yaml, draft);
    batch(&mut yaml, draft);
    line(
        &mut yaml,
        &format!("\nmodels:\n  {name}: {{ path: {} }}", quoted(model)),
        "relative to this file",
    );
    line(
        &mut yaml,
        &format!("\nsteps:\n  - model: {name}\n    inputs:"),
        "",
    );
    for input in &draft.inputs {
        let input = quoted(&input.name);
        line(&mut yaml, &format!("      {input}: {input}"), "");
    }
    outputs(&mut yaml, draft);
    yaml += "\nsink:\n  nats:\n    url: \"${NATS_URL:-nats://127.0.0.1:4222}\"\n";
    line(
        &mut yaml,
        &format!("    subject: {name}.out"),
        "where do results go? `sink: { reply: {} }` answers requests",
    );
    line(
        &mut yaml,
        &format!("\ndead_letter:\n  nats: {{ subject: dead.{name} }}"),
        "rows that cannot be served go here",
    );
    line(
        &mut yaml,
        "\nhttp: { listen: \"127.0.0.1:9464\" }",
        "/metrics, /healthz, /readyz",
    );
    yaml
}

fn fields(yaml: &mut String, draft: &Draft) {
    *yaml += "\n# What a row is. Which units (unit: mm)? Which values are allowed (range: [0, 120],\n\
              # values: [a, b])? What stands for a missing one (default: 0, or nullable: true)?\n\
              fields:\n";
    for (input, row) in draft.inputs.iter().zip(&draft.rows) {
        let width: usize = row.shape.iter().product();
        let single = row.shape.is_empty() || (row.shape == [1] && row.question.is_none());
        let shape = if single {
            String::new()
        } else {
            format!(", shape: {:?}", row.shape)
        };
        let question = match &row.question {
            Some(question) => question.clone(),
            None if width > 1 && row.shape.len() == 1 => {
                format!("what are the {width} values, in which order?")
            }
            None => String::new(),
        };
        line(
            yaml,
            &format!(
                "  {}: {{ dtype: {}{shape} }}",
                quoted(&input.name),
                input.dtype
            ),
            &question,
        );
    }
}

fn batch(yaml: &mut String, draft: &Draft) {
    let fixed = draft
        .inputs
        .iter()
        .find_map(|input| match input.dims.first() {
            Some(Dim::Fixed(rows)) => Some(*rows),
            _ => None,
        });
    *yaml += "\n";
    match fixed {
        Some(1) => line(
            yaml,
            "batch: { max_rows: 64, max_delay: 2ms }",
            "the model takes one row at a time",
        ),
        Some(rows) => line(
            yaml,
            &format!("batch: {{ max_rows: {rows}, max_delay: 2ms }}"),
            &format!("the model takes {rows} rows at a time; fewer are filled up"),
        ),
        None => line(yaml, "batch: { max_rows: 256, max_delay: 2ms }", ""),
    }
}

fn outputs(yaml: &mut String, draft: &Draft) {
    *yaml += "\nencode:\n  json:\n    outputs:\n";
    match &draft.outputs {
        Ok(outputs) => {
            for output in outputs {
                let name = quoted(&output.name);
                line(yaml, &format!("      {name}: {name}"), &described(output));
            }
        }
        Err((names, why)) => {
            line(yaml, "      # What comes out is not known:", "");
            for why in why.lines() {
                line(yaml, &format!("      # {why}"), "");
            }
            for name in names {
                let name = quoted(name);
                line(yaml, &format!("      {name}: {name}"), "");
            }
        }
    }
}

fn described(output: &OutputInfo) -> String {
    let dtype = output.dtype;
    if let Some(labels) = &output.labels {
        let some: Vec<&str> = labels.iter().take(8).map(String::as_str).collect();
        let more = if labels.len() > some.len() {
            ", …"
        } else {
            ""
        };
        return format!("an object: {}{more} -> {dtype}", one_line(&some.join(", ")));
    }
    if output.shape.is_empty() || output.shape == [1] {
        let question = match dtype {
            crate::contract::Dtype::I64 | crate::contract::Dtype::I32 => {
                "; what do the values mean?"
            }
            _ => "",
        };
        return format!("{dtype}{question}");
    }
    let part = match output.shape.as_slice() {
        [_] => format!("; \"{}[0]\" is the first alone", one_line(&output.name)),
        _ => String::new(),
    };
    format!("{dtype} {:?}{part}", output.shape)
}

/// Writes a line, with a comment in its own column.
fn line(yaml: &mut String, text: &str, comment: &str) {
    let last = text.rsplit('\n').next().unwrap_or_default().chars().count();
    let written = if comment.is_empty() {
        writeln!(yaml, "{text}")
    } else {
        writeln!(
            yaml,
            "{text}{}# {}",
            " ".repeat(38usize.saturating_sub(last).max(2)),
            one_line(comment)
        )
    };
    debug_assert!(written.is_ok(), "writing into a string");
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// A name as YAML: as it is where no reader can take it for anything else.
fn quoted(text: &str) -> String {
    const WORDS: [&str; 10] = [
        "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan",
    ];
    let mut letters = text.chars();
    let plain = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
