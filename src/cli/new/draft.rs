//! What a model can tell about the pipeline that it needs.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{
    head::{Head, heads},
    kind::{Guesses, Kind},
};
use crate::{
    engine::{
        Dim, InputInfo, OutputInfo,
        cpu::{Width, catalog::CpuCatalog},
    },
    graph,
};

/// The schema of pipeline files, looked for beside the model and one folder up.
const SCHEMA_FILE: &str = "pipeline.schema.json";

/// The longest name that a pipeline may have.
const NAME_MAX: usize = 64;

/// What a pipeline file is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The pipeline's name.
    pub name: String,
    /// The name of the pipeline file.
    pub file: String,
    /// The model's path as the file shall name it.
    pub model: String,
    /// The schema's path as the file shall name it, where there is one.
    pub schema: Option<String>,
    /// The model's inputs.
    pub inputs: Vec<InputInfo>,
    /// A row's shape for each input.
    pub rows: Vec<RowShape>,
    /// What kind of model it seems to be.
    pub kind: Kind,
    /// Why something that was nearly recognised was not.
    pub note: Option<String>,
    /// The path of the tokenizer as the file shall name it, for a model of texts.
    pub tokenizer: Option<String>,
    /// What each output seems to be; empty where the outputs could not be learned.
    pub heads: Vec<Head>,
    /// The model's outputs, or why they could not be learned, with their names.
    pub outputs: Outputs,
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
    /// Asks the model all that it can tell, for a pipeline file at `target`.
    ///
    /// # Errors
    /// The model cannot be loaded, or runs and gives what cannot be served.
    pub fn of(catalog: &mut CpuCatalog, model: &Path, target: &Path) -> anyhow::Result<Self> {
        let inputs = catalog.inputs(model)?;
        let graph = graph::read(model).ok().and_then(|file| file.graph);
        let guesses = Guesses::of(&inputs, graph.as_ref(), model);
        let recognised = guesses.list.into_iter().find_map(|guess| {
            let outputs = catalog.outputs(model, &guess.shapes).ok()?;
            Some((guess.kind, guess.shapes, outputs))
        });
        let (kind, rows, outputs) = if let Some((kind, shapes, outputs)) = recognised {
            (kind, known(shapes), Ok(outputs))
        } else {
            let (rows, outputs) = table(catalog, model, &inputs)?;
            (Kind::Table, rows, outputs)
        };
        let heads = (outputs.iter())
            .flat_map(|outputs| heads(&kind, outputs, graph.as_ref(), model))
            .collect();
        let base = target.parent().unwrap_or(Path::new(""));
        let tokenizer = match &kind {
            Kind::Text(text) => Some(named(&text.tokenizer, base)?),
            _ => None,
        };
        let beside = |folder: &str| base.join(folder).join(SCHEMA_FILE).exists();
        let file = target.file_name().unwrap_or_default();
        Ok(Self {
            name: name_of(model),
            file: file.to_string_lossy().into_owned(),
            model: named(model, base)?,
            schema: ["", "../"]
                .into_iter()
                .find(|folder| beside(folder))
                .map(|folder| format!("{folder}{SCHEMA_FILE}")),
            inputs,
            rows,
            kind,
            note: guesses.note,
            tokenizer,
            heads,
            outputs,
        })
    }
}

/// The outputs, or their names and why no more is known.
type Outputs = Result<Vec<OutputInfo>, (Vec<String>, String)>;

/// The rows of a model that was not recognised, and what comes out of it.
fn table(
    catalog: &mut CpuCatalog,
    model: &Path,
    inputs: &[InputInfo],
) -> anyhow::Result<(Vec<RowShape>, Outputs)> {
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
    Ok((rows, outputs))
}

/// Rows of shapes that the model runs on.
fn known(shapes: Vec<Vec<usize>>) -> Vec<RowShape> {
    let row = |shape| RowShape {
        shape,
        question: None,
    };
    shapes.into_iter().map(row).collect()
}

/// A path as the file in the folder `base` names it.
fn named(path: &Path, base: &Path) -> anyhow::Result<String> {
    let path = relative(path, base);
    let text = path.to_str().with_context(|| {
        format!(
            "the path `{}` is not UTF-8, so a pipeline file cannot name it; rename the file",
            path.display()
        )
    })?;
    Ok(text.to_owned())
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

/// The path from the folder `base` to `model`; the whole one where they have nothing in common.
fn relative(model: &Path, base: &Path) -> PathBuf {
    if let Ok(below) = model.strip_prefix(base)
        && below.is_relative()
        && !below.starts_with("..")
    {
        return below.to_path_buf();
    }
    let real = |folder: &Path| match folder {
        folder if folder.as_os_str().is_empty() => Path::new(".").canonicalize(),
        folder => folder.canonicalize(),
    };
    let whole = || std::path::absolute(model).unwrap_or_else(|_| model.to_path_buf());
    // A folder may be a link, and `..` leads out of where it points to.
    let (Ok(folder), Ok(base), Some(file)) = (
        real(model.parent().unwrap_or(Path::new(""))),
        real(base),
        model.file_name(),
    ) else {
        return whole();
    };
    let common = (folder.components().zip(base.components()))
        .take_while(|(a, b)| a == b)
        .count();
    if common < 2 {
        return whole();
    }
    let up = base.components().skip(common).map(|_| "..");
    let mut path: PathBuf = up.collect();
    path.extend(folder.components().skip(common));
    path.join(file)
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
    // All letters are ASCII by now.
    let name = name.get(..NAME_MAX).unwrap_or(&name);
    match name.trim_matches('-') {
        "" => "model".to_owned(),
        name => name.to_owned(),
    }
}
