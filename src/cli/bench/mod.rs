//! `forebay bench FILE`: what this machine carries of a pipeline, and what holds it up.

mod course;
mod drive;
mod made;
mod memory;
mod over_nats;
mod page;
mod plot;
mod replicas;
mod report;
mod sample;
mod search;
mod stages;
mod through;

use std::{
    env, fs,
    num::NonZero,
    path::{Path, PathBuf},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use self::{
    course::Found,
    replicas::Replicas,
    report::{Report, SampleReport, Step},
    sample::Sample,
    stages::{Stages, Threads},
};
use super::{
    Exit, Failure, Globals, block_on, output, plans,
    send::{Rate, seconds},
};
use crate::{config::Plan, pipeline::build, telemetry};

/// What `bench` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The pipeline file; nothing is read from its source, or written to its sink and dead letter
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Messages to send, over and over: a file of rows (.jsonl, .csv, .parquet) [default: the
    /// golden rows, else rows made up from the fields' types and limits]
    #[arg(long, value_name = "FILE")]
    pub rows: Option<PathBuf>,
    /// How long it may take, about; longer is steadier
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = seconds)]
    pub time: Duration,
    /// Say how many machines like this one carry so many rows: 50000/s, 50k/s
    #[arg(long, value_name = "RATE")]
    pub target: Option<Rate>,
    /// With --target: what 99 of 100 rows may take
    #[arg(long, value_name = "TIME", value_parser = seconds, requires = "target")]
    pub p99: Option<Duration>,
    /// Send over a NATS server instead of in memory, by core NATS and on subjects of its own: over
    /// that of the file's source, or --nats=URL
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub nats: Option<String>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Write the report as a page with a chart, too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

pub(super) fn examples() -> String {
    super::examples!(
        "forebay bench income.yaml                              what does this machine carry?",
        "forebay bench income.yaml --rows rows.jsonl            with real rows",
        "forebay bench income.yaml --target 50k/s --p99 20ms    how many machines does it take?",
        "forebay bench income.yaml --nats                       over the broker that the file names",
        "forebay bench income.yaml --time 60s --html bench.html",
    )
}

/// Shorter than this, nothing can be seen.
const TIME_LEAST: Duration = Duration::from_secs(2);

/// Runs the pipeline in memory under more and more load, and prints what came of it.
///
/// # Errors
/// The pipeline file is wrong, its models cannot be loaded, its rows cannot be made up, or every one
/// is rejected.
pub fn bench(args: Args, globals: &Globals) -> Result<(), Failure> {
    if args.time < TIME_LEAST {
        return Err(Failure::new(
            Exit::Usage,
            "--time is too short to see anything: give it 2s or more",
        ));
    }
    let started = Instant::now();
    let plan = plans::load(std::slice::from_ref(&args.file), globals)?.remove(0);
    let sample = Sample::of(&plan, args.rows.as_deref())?;
    let metrics = telemetry::metrics::install()
        .map_err(|error| Failure::failed(format!("the metrics cannot be set up: {error}")))?;
    let told = SampleReport {
        from: sample.from.clone(),
        messages: sample.len(),
        rows_a_message: 1.0,
        rejected_percent: 0.0,
        first_reject: None,
    };
    let (found, through) = block_on(async {
        match &args.nats {
            None => {
                let found = through::memory(&plan, sample, metrics, args.time).await?;
                Ok((found, "in process".to_owned()))
            }
            Some(named) => {
                let server = over_nats::server_of(&plan, named)?;
                let (found, address) =
                    through::nats(&plan, sample, metrics, (args.time, &server)).await?;
                Ok((found, format!("over NATS at {address}")))
            }
        }
    })?;
    let mut report = report(&args, &plan, (told, found), started.elapsed());
    report.through = through;
    print(&args, &report)
}

fn report(
    args: &Args,
    plan: &Plan,
    (told, found): (SampleReport, Found),
    took: Duration,
) -> Report {
    let rows = found.rows_a_message;
    // What is rejected costs time and gives no rows.
    let good = 1.0 - found.rejected_percent / 100.0;
    let maximum = found.maximum * rows * good;
    let alone_rate = found.alone.done as f64 / found.alone_time.as_secs_f64().max(1e-9);
    let threads = Threads {
        workers: build::threads(plan.workers),
        engines: plan.workers,
        cores: cores(),
    };
    Report {
        pipeline: plan.name.clone(),
        forebay: env!("CARGO_PKG_VERSION"),
        machine: machine(),
        through: String::new(),
        sample: SampleReport {
            rows_a_message: rows,
            rejected_percent: found.rejected_percent,
            first_reject: found.first_reject,
            ..told
        },
        maximum_per_second: maximum,
        flood_per_second: found.flood * rows,
        alone: Step::new((0.0, alone_rate), &found.alone, found.alone_time, rows),
        replicas: args
            .target
            .map(|target| Replicas::new(target.in_a_second(), args.p99, maximum, &found.steps)),
        steps: found.steps,
        stages: Stages::new(found.sums, found.flood_time, threads),
        seconds: took.as_secs_f64(),
    }
}

fn print(args: &Args, report: &Report) -> Result<(), Failure> {
    if let Some(file) = &args.html {
        write(file, &page::page(report))?;
    }
    if args.json {
        let text = serde_json::to_string_pretty(report)
            .map_err(|error| Failure::failed(format!("the report cannot be written: {error}")))?;
        return output::print(&(text + "\n"));
    }
    output::print(&report.render())
}

fn write(file: &Path, page: &str) -> Result<(), Failure> {
    fs::write(file, page).map_err(|error| {
        Failure::failed(format!("`{}` cannot be written: {error}", file.display()))
    })
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// The cores that we may use, and what they are called.
fn machine() -> String {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut lines = about.lines().filter(|line| line.starts_with("model name"));
    let model = lines.next().and_then(|line| line.split(": ").nth(1));
    let (count, model) = (cores(), model.unwrap_or(env::consts::ARCH));
    let word = if count == 1 { "core" } else { "cores" };
    format!("{count} {word}, {model}")
}
