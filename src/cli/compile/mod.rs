//! `forebay compile FILE -o DIR`: writes the graphs that a pipeline runs as ONNX files, for any other
//! runtime.

mod describe;
mod model;
mod place;
mod snippet;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Serialize;

use self::{
    describe::{Input, Only, Output},
    model::Compiled,
};
use super::{Exit, Failure, Globals, output, plans};
use crate::config::Plan;

/// What `compile` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder to write the ONNX files into; made where it is not there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Write over files that `forebay compile` did not make for this pipeline
    #[arg(long)]
    force: bool,
    /// Print one JSON object with what was written, instead of lines for people
    #[arg(long)]
    json: bool,
}

pub(super) fn examples() -> String {
    super::examples!(
        "forebay compile pipeline.yaml -o compiled           an ONNX file for each model, its steps in it",
        "forebay compile pipeline.yaml -o compiled --json    what goes in and out, for a program",
    )
}

/// So many of the other files in the folder are named.
const OTHERS_SHOWN: usize = 8;

/// A file that was written.
#[derive(Debug, Serialize)]
struct Written<'a> {
    file: &'a Path,
    digest: &'a str,
    /// The number of rows that the graph takes at once, where it takes only one.
    rows: Option<usize>,
    /// Where it does not run on all rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<&'a Only>,
    inputs: &'a [Input],
    outputs: &'a [Output],
}

#[derive(Debug, Serialize)]
struct Everything<'a> {
    pipeline: &'a str,
    files: Vec<Written<'a>>,
    /// What else is in the folder.
    left_as_they_are: &'a [String],
}

/// Writes the graphs, and says what goes in and out.
///
/// # Errors
/// The pipeline file is wrong (exit 78), or a file cannot be written or is somebody else's (1).
pub fn compile(args: &Args, globals: &Globals) -> Result<(), Failure> {
    let plans = plans::load(std::slice::from_ref(&args.file), globals)?;
    let Some(plan) = plans.first() else {
        return Err(Failure::new(Exit::Bug, "no plan and no mistake"));
    };
    let compiled = (0..plan.steps.len())
        .map(|step| Compiled::of(plan, step))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::failed(error.to_string()))?;
    let names = place::file_names(plan.steps.iter().map(|step| step.model.as_str()));
    let files: Vec<PathBuf> = names.iter().map(|name| args.output.join(name)).collect();
    place::check(&files, plan, args.force).map_err(Failure::failed)?;
    for (file, compiled) in files.iter().zip(&compiled) {
        place::write(file, &compiled.bytes).map_err(Failure::failed)?;
    }
    let all: Vec<(&Path, &Compiled)> = (files.iter().map(PathBuf::as_path))
        .zip(&compiled)
        .collect();
    let others = place::others(&args.output, &files, plan);
    if args.json {
        output::print(&json(plan, &all, &others)?)
    } else {
        output::print(&text(plan, &all, &others))
    }
}

fn json(plan: &Plan, all: &[(&Path, &Compiled)], others: &[String]) -> Result<String, Failure> {
    let files = all.iter().map(|&(file, compiled)| Written {
        file,
        digest: &compiled.digest,
        rows: compiled.rows,
        when: compiled.when.as_ref(),
        inputs: &compiled.inputs,
        outputs: &compiled.outputs,
    });
    let everything = Everything {
        pipeline: &plan.name,
        files: files.collect(),
        left_as_they_are: others,
    };
    let json = serde_json::to_string_pretty(&everything);
    let failed = |error| Failure::failed(format!("the report cannot be written: {error}"));
    Ok(json.map_err(failed)? + "\n")
}

fn text(plan: &Plan, all: &[(&Path, &Compiled)], others: &[String]) -> String {
    let mut text = String::new();
    for (file, compiled) in all {
        text += &format!("{}  sha256 {}\n", file.display(), compiled.digest);
        let rows = compiled
            .rows
            .map_or_else(|| "rows".to_owned(), |rows| rows.to_string());
        if let Some(when) = &compiled.when {
            text += &format!("  on   {}\n", when.words());
        }
        for input in &compiled.inputs {
            text += &format!("  in   {}\n", input.words(&rows));
        }
        for output in &compiled.outputs {
            text += &format!("  out  {}\n", output.words(&rows));
        }
    }
    if all.is_empty() {
        return format!("{}: no step of it runs a graph\n", plan.name);
    }
    if !others.is_empty() {
        let most = others.get(..OTHERS_SHOWN).unwrap_or(others);
        text += &format!("\nleft as they are: {}", most.join(", "));
        match others.len() - most.len() {
            0 => text += "\n",
            more => text += &format!(" and {more} more\n"),
        }
    }
    text += "\nIn Python (pip install onnxruntime numpy), with made-up values:\n\n";
    for line in snippet::snippet(plan, all).lines() {
        text += &format!("  {line}\n");
    }
    text
}
