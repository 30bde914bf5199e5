//! `forebay transform FILE`: rows of a file through a pipeline, into a file.

mod ends;
mod flow;
mod rejects;
mod summary;
mod target;
mod work;

use std::{num::NonZeroU64, path::PathBuf};

use tokio_util::sync::CancellationToken;

use self::{
    ends::{Ends, shape_of},
    flow::{Flow, Outcome},
    rejects::Rejects,
    summary::Summary,
};
use super::{Exit, Failure, Globals, block_on, plans, stop_on_signal};
use crate::{
    config::plan::{Offline, Plan, Selection},
    pipeline::build::{self, BuildError},
    rows::{Format, RowsError, write::Kind},
};

/// What `transform` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The pipeline file; its source, sink and dead letter are not used
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The rows: .jsonl, .csv or .parquet; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub input: PathBuf,
    /// Where the results go: .parquet, .jsonl or .csv; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The form of the input, where its name does not say [default for `-`: jsonl]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub input_format: Option<Format>,
    /// The form of the output, where its name does not say [default for `-`: jsonl]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub output_format: Option<Format>,
    /// Stop in front of the models: run the steps that need none, and write their results and the
    /// fields, to train on. The models need not be there yet
    #[arg(long)]
    pub without_models: bool,
    /// Write these outputs of steps (also in between) and fields, and the keys under `pass`
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    pub outputs: Vec<String>,
    /// Write rejected rows here, as JSON lines: row number, reason, the row
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Give up when more rows than this are rejected [default: as many as there are]
    #[arg(long, value_name = "N")]
    pub max_rejects: Option<u64>,
    /// Stop after this many rows
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<NonZeroU64>,
    /// Print the summary as JSON: on standard output, or on standard error where the results are
    /// there
    #[arg(long)]
    pub json: bool,
}

pub(super) fn examples() -> String {
    super::examples!(
        "forebay transform income.yaml --input rows.csv --output scores.parquet",
        "forebay transform income.yaml -i rows.parquet -o scores.jsonl --rejects bad.jsonl",
        "forebay transform income.yaml -i rows.parquet -o features.parquet --without-models",
        "forebay transform income.yaml -i rows.jsonl -o seen.csv --outputs scaled,label",
        "generate | forebay transform income.yaml -i - -o - | head",
    )
}

/// Runs the rows of a file through the pipeline.
///
/// # Errors
/// A file that cannot be read or written, a pipeline file that is wrong, or no good row.
pub fn transform(args: Args, globals: &Globals) -> Result<(), Failure> {
    let ends = Ends::of(&args)?;
    let offline = Offline {
        without_models: args.without_models,
        outputs: args.outputs.clone(),
    };
    let (plan, selection) = plans::load_offline(&args.file, &offline, globals)?;
    block_on(run(args, ends, plan, selection))
}

async fn run(args: Args, ends: Ends, plan: Plan, selection: Selection) -> Result<(), Failure> {
    let stop = stop_on_signal()?;
    let threads = match plan.engine.state {
        // Each row sees what is held of those before it.
        Some(_) => 1,
        None => build::threads(plan.workers),
    };
    let engines = if plan.engine.outputs.is_empty() {
        Vec::new()
    } else {
        build::engines(&plan)
            .await
            .map_err(|error| built(&plan, error))?
    };
    let decoders = build::row_decoders(&plan, threads).map_err(|error| built(&plan, error))?;
    let flow = Flow::new(&plan, engines, decoders);
    let work =
        tokio::task::spawn_blocking(move || attempts(&args, &ends, &plan, &selection, flow, &stop));
    work.await.unwrap_or_else(|error| {
        Err(Failure::new(
            Exit::Bug,
            format!("{error}; this is a bug in forebay"),
        ))
    })
}

/// Runs it; and once more where a passed key turned out to be of another kind than its first rows.
fn attempts(
    args: &Args,
    ends: &Ends,
    plan: &Plan,
    selection: &Selection,
    mut flow: Flow,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let mut kinds: Vec<Kind> = Vec::new();
    loop {
        match attempt(args, ends, plan, selection, &mut flow, &kinds, stop) {
            Err(Ended::Rows(RowsError::Widen(wider))) if ends.input.is_some() => kinds = wider,
            Err(Ended::Rows(RowsError::Widen(_))) => {
                return Err(Failure::failed(
                    "the values of a passed key are of several kinds, which standard input shows too late for Parquet; put the rows into a file, or write JSON lines",
                ));
            }
            Err(Ended::Rows(RowsError::Gone)) | Ok(()) => return Ok(()),
            Err(Ended::Rows(error)) => return Err(failure(error)),
            Err(Ended::Failed(failure)) => return Err(failure),
        }
    }
}

/// Why an attempt ended early.
enum Ended {
    Rows(RowsError),
    Failed(Failure),
}

impl From<RowsError> for Ended {
    fn from(error: RowsError) -> Self {
        Self::Rows(error)
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn attempt(
    args: &Args,
    ends: &Ends,
    plan: &Plan,
    selection: &Selection,
    flow: &mut Flow,
    kinds: &[Kind],
    stop: &CancellationToken,
) -> Result<(), Ended> {
    let shape = shape_of(plan, selection);
    let (input, bytes) = ends.open(plan)?;
    let mut summary = Summary::new(ends, selection, bytes, input.notes());
    let mut rejects = Rejects::open(args.rejects.as_deref(), args.max_rejects)?;
    let mut output = ends.create(&shape, kinds)?;
    let ended = flow.run(
        input,
        ends,
        &shape,
        args.count,
        (&mut output.writer, &mut rejects, &mut summary),
        stop,
    );
    // What was rejected is told whatever the end; a second attempt tells it anew.
    if !matches!(ended, Err(Ended::Rows(RowsError::Widen(_)))) {
        rejects.finish()?;
    }
    let outcome = ended.inspect_err(|_| summary.clear())?;
    if outcome == Outcome::Stopped {
        summary.clear();
        return Err(Failure::failed(format!(
            "stopped before the end; {} was not written",
            ends.output_name()
        ))
        .into());
    }
    summary.verdict(&rejects)?;
    output.finish()?;
    summary.print(&rejects, args.json)?;
    Ok(())
}

fn built(plan: &Plan, error: BuildError) -> Failure {
    let words = format!("pipeline `{}`: {error}", plan.name);
    Failure::new(Exit::from(&error), words)
}

fn failure(error: RowsError) -> Failure {
    let exit = match error {
        RowsError::Unreadable(_) => Exit::NoInput,
        _ => Exit::Failed,
    };
    Failure::new(exit, error.to_string())
}
