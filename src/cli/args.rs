//! What `run`, `check`, `schema` and `new` take on the command line.

use std::path::PathBuf;

use super::examples;

/// What `run` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// Pipeline files; all of them run in this process
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Make the JetStream streams that the files name and that are not there, with defaults: for
    /// trying things on a broker of your own
    #[arg(long)]
    pub create_streams: bool,
}

pub(super) fn run_examples() -> String {
    examples!(
        "forebay run pipelines/penguins/pipeline.yaml          a file in, JSON lines out",
        "NATS_URL=nats://broker:4222 forebay run income.yaml   ${NATS_URL} in the file is filled in",
        "forebay run a.yaml b.yaml                             two pipelines in one process",
        "forebay run income.yaml --create-streams              make streams that are missing",
        "forebay run pipeline.yaml --log debug --log-format json",
    )
}

/// What `check` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// Pipeline files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print each pipeline whole, with everything that was left out filled in
    #[arg(long)]
    pub resolved: bool,
    /// Also ask the servers named in the files: is everything there, and does it keep the promise?
    #[arg(long, conflicts_with_all = ["resolved", "permissions"])]
    pub connect: bool,
    /// Print what the pipelines' NATS users must be allowed to do, and no more, ready to paste into
    /// a server's configuration
    #[arg(long, conflicts_with = "resolved")]
    pub permissions: bool,
}

pub(super) fn check_examples() -> String {
    examples!(
        "forebay check pipeline.yaml               `ok` and 0 when it is right, with what to know about it",
        "forebay check pipelines/*/pipeline.yaml   all reports at once",
        "forebay check pipeline.yaml --resolved    what the defaults turned out to be",
        "forebay check pipeline.yaml --connect     are the streams there, and do they keep what is stored?",
        "forebay check pipeline.yaml --permissions what to allow the pipeline's NATS user",
    )
}

/// What `schema` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct SchemaArgs {
    /// Print the same as a page for people
    #[arg(long)]
    pub markdown: bool,
    /// Print the page about the operators that run on a GPU
    #[arg(long, conflicts_with = "markdown")]
    pub operators: bool,
}

pub(super) fn schema_examples() -> String {
    examples!(
        "forebay schema > pipeline.schema.json   then, as the first line of a pipeline file:",
        "                                        # yaml-language-server: $schema=pipeline.schema.json",
    )
}

/// What `new` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct NewArgs {
    /// The model
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,
    /// Where to write the pipeline file; - prints it [default: pipeline.yaml beside the model]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

pub(super) fn new_examples() -> String {
    examples!(
        "forebay new model.onnx            write pipeline.yaml beside it; an existing file is left alone",
        "forebay new model.onnx -o -       print it",
    )
}
