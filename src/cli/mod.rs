//! The command line: one file for each subcommand. Knows every room; no room knows it.

pub mod args;
pub mod bench;
pub mod check;
pub mod compile;
pub mod completions;
pub mod demo;
pub mod doctor;
mod exit;
mod figures;
pub mod latency;
pub mod new;
mod output;
mod permissions;
mod plans;
pub mod run;
pub mod schema;
pub mod send;
mod server;
pub mod tail;
pub mod transform;
pub mod verify;

use std::{future::Future, path::PathBuf};

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

pub use args::{CheckArgs, NewArgs, RunArgs, SchemaArgs};
pub use exit::{Exit, Failure};
pub use server::ServerArgs;

use crate::telemetry::logs::Format;

/// The text under a command's options: how it is used, and how it ends.
macro_rules! examples {
    ($($line:literal),+ $(,)?) => {
        format!(
            "{}\n\n{}",
            concat!("Examples:", $("\n  ", $line),+),
            $crate::cli::exit::EXIT_CODES
        )
    };
}
pub(crate) use examples;

/// Turns a stream of NATS messages into model predictions, with the device always full
#[derive(Debug, Parser)]
#[command(
    name = "forebay",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = examples!(
        "forebay demo                                   watch a real model score real rows",
        "forebay new model.onnx                         write a pipeline file for a model",
        "forebay check pipeline.yaml                    see whether a pipeline file is right",
        "forebay run pipeline.yaml                      run it",
        "forebay transform pipeline.yaml -i a.csv -o b.parquet",
        "                                               run a file's rows through it",
        "forebay send rows.jsonl --subject rows.a       publish a file's lines",
        "forebay tail 'scores.>'                        print what comes out",
        "forebay bench pipeline.yaml                    see what this machine carries of it",
        "forebay doctor                                 see what this machine has and lacks",
    ),
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// ONNX Runtime's shared library, where it is not found by itself
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "FOREBAY_ONNXRUNTIME",
        hide_env_values = true
    )]
    pub onnxruntime: Option<PathBuf>,
    /// What to log: off, error, warn, info, debug, trace, or directives such as
    /// `warn,forebay::source=debug` [default: info for `run`, warn for the others]
    #[arg(
        long = "log",
        global = true,
        value_name = "LEVEL",
        value_parser = crate::telemetry::logs::check_level,
        env = "FOREBAY_LOG",
        hide_env_values = true
    )]
    pub log: Option<String>,
    /// How logs look; auto is human on a terminal and JSON lines otherwise. They go to stderr
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = Format::Auto)]
    pub log_format: Format,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run pipelines until their input ends or a signal comes
    #[command(after_help = args::run_examples())]
    Run(RunArgs),
    /// Say what is wrong with pipeline files, or that nothing is
    #[command(after_help = args::check_examples())]
    Check(CheckArgs),
    /// Write the graphs that a pipeline runs as ONNX files, for any other runtime
    #[command(after_help = compile::examples())]
    Compile(compile::Args),
    /// Print the JSON Schema of pipeline files
    #[command(after_help = args::schema_examples())]
    Schema(SchemaArgs),
    /// Write a pipeline file that works for a model
    #[command(after_help = args::new_examples())]
    New(NewArgs),
    /// Run models over inputs whose outputs are known, and compare
    #[command(after_help = verify::examples())]
    Verify(verify::Args),
    /// Watch a real model score real rows that stream through a NATS server of its own
    #[command(after_help = demo::examples())]
    Demo(demo::Args),
    /// Find out what this machine carries of a pipeline, and what holds it up
    #[command(after_help = bench::examples())]
    Bench(bench::Args),
    /// Say what this machine has of what forebay can use, what is missing, and what that costs
    #[command(after_help = doctor::examples())]
    Doctor(doctor::Args),
    /// Publish the lines of a file, or whole files, to a subject
    #[command(after_help = send::examples())]
    Send(send::Args),
    /// Print what is published on a subject
    #[command(after_help = tail::examples())]
    Tail(tail::Args),
    /// Run the rows of a file through a pipeline, into a file
    #[command(after_help = transform::examples())]
    Transform(transform::Args),
    /// Print the completion script for a shell
    #[command(after_help = completions::examples())]
    Completions(completions::Args),
}

impl Cli {
    /// What to log: what the user said, or what suits the command.
    pub fn log_level(&self) -> &str {
        match (&self.globals.log, &self.command) {
            (Some(level), _) => level,
            (None, Command::Run(_)) => "info",
            // Its streams are its own, bounded, and gone with it: no promise to keep.
            (None, Command::Demo(_)) => "warn,forebay::pipeline::broker=error",
            // Their own output says it all.
            (None, _) => "warn",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// What to tell the user, and the exit code.
pub fn dispatch(cli: Cli) -> Result<(), Failure> {
    let globals = &cli.globals;
    match cli.command {
        Command::Run(args) => run::run(args, globals),
        Command::Check(args) => check::check(args, globals),
        Command::Compile(args) => compile::compile(&args, globals),
        Command::Schema(args) => schema::schema(args),
        Command::New(args) => new::new(args, globals),
        Command::Verify(args) => verify::verify(&args, globals),
        Command::Demo(args) => block_on(demo::demo(args, globals)),
        Command::Bench(args) => bench::bench(args, globals),
        Command::Doctor(args) => doctor::doctor(&args, globals),
        Command::Send(args) => send::send(&args, globals),
        Command::Tail(args) => block_on(tail::tail(args)),
        Command::Transform(args) => transform::transform(args, globals),
        Command::Completions(args) => completions::completions(&args),
    }
}

/// Runs a command that waits for the network. Does not wait for reads that never end (of a
/// terminal, say).
///
/// # Errors
/// The command's own, or the runtime cannot start.
pub fn block_on<T>(command: impl Future<Output = Result<T, Failure>> + Send) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the network threads cannot start: {error}")))?;
    let result = runtime.block_on(Box::pin(command));
    runtime.shutdown_background();
    result
}

/// A token that the first Ctrl-C or SIGTERM cancels; the second one ends the process.
fn stop_on_signal() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    let listener = crate::control::signals::listen(stop.clone())
        .map_err(|error| Failure::failed(format!("Ctrl-C cannot be listened for: {error}")))?;
    tokio::spawn(listener);
    Ok(stop)
}
