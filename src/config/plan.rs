//! What a pipeline file means, checked: everything the program needs to run one pipeline.

use std::{net::SocketAddr, ops::Range, path::PathBuf, time::Duration};

use crate::{
    batch::BatchPolicy,
    contract::{Dtype, Field},
    decode::key::OrderBy,
    encode::OutputField,
    engine::{Device, EngineSpec, OutputInfo},
    host::HostOptions,
    message::{Deadline, InFlight, Priority},
    nats::ServerOptions,
    sink::{file::FileTarget, jetstream::JetStreamTarget, nats::NatsTarget},
    source::{file::FileOptions, jetstream::JetStreamOptions, nats::NatsOptions},
};

/// One pipeline, ready to be built.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its name: a metric label and a thread name prefix.
    pub name: String,
    /// The file it came from.
    pub file: PathBuf,
    /// Where messages come from.
    pub source: SourcePlan,
    /// How payloads are read.
    pub decode: DecodePlan,
    /// What a row is: the fields that messages bring, then those that steps on the host make.
    pub fields: Vec<Field>,
    /// The densities of fields, as they are written (YAML in one line), by the fields' names.
    pub densities: Vec<(String, String)>,
    /// The steps on the host.
    pub hosts: Vec<HostPlan>,
    /// Keys of the input that are carried into the result as they are; each is a string series of
    /// JSON text behind the fields in every table.
    pub passed: Vec<String>,
    /// By what results are kept in order; `None` promises none.
    pub order_by: Option<OrderBy>,
    /// How batches are formed.
    pub batch: BatchPolicy,
    /// How old a message may be when its batch starts.
    pub deadline: Option<Deadline>,
    /// Which messages go before others.
    pub priority: Option<Priority>,
    /// Most bytes of results that are kept, with their payloads.
    pub cache: Option<usize>,
    /// Rows a second that are planned for.
    pub planned: Option<f64>,
    /// Share of the cores, beside other pipelines of the process.
    pub weight: usize,
    /// The most that may be in the pipeline at once.
    pub in_flight: InFlight,
    /// The models and what feeds them.
    pub engine: EngineSpec,
    /// The models that the steps run.
    pub models: Vec<ModelPlan>,
    /// The steps as they are written.
    pub script: Vec<ScriptStep>,
    /// One for each graph that runs, in order.
    pub steps: Vec<StepPlan>,
    /// What [`EngineSpec::outputs`] are, in that order.
    pub outputs: Vec<OutputInfo>,
    /// Engine threads.
    pub workers: usize,
    /// How results are written.
    pub encode: EncodePlan,
    /// Where results go.
    pub sink: SinkPlan,
    /// Where rejected messages go; `None` counts and drops them.
    pub dead_letter: Option<SinkPlan>,
    /// Messages whose results are known.
    pub golden: Option<GoldenPlan>,
    /// Where `/metrics`, `/healthz` and `/readyz` are.
    pub http: Option<SocketAddr>,
    /// How long a stop may take before what is left is abandoned (and delivered again).
    pub shutdown_grace: Duration,
}

/// What is wanted of a run over rows of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offline {
    /// Stop in front of the models.
    pub without_models: bool,
    /// The outputs and fields to write; none where the pipeline file decides, or where
    /// everything is written that is there without models.
    pub outputs: Vec<String>,
}

/// What a run over rows of files writes, and what it leaves out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The columns beside the passed keys. Their series are those of [`Plan::outputs`], and behind
    /// them those of [`Plan::fields`].
    pub columns: Vec<OutputField>,
    /// Those of [`Plan::outputs`] that are not there in every row.
    pub partial: Vec<usize>,
    /// Steps that do not run, since they are models or need what a model gives.
    pub left_out: Vec<String>,
}

/// Messages whose results are known: one in each line of a file, and its result in the same place of
/// another. A fraction may be off by `atol + rtol * |expected|`.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldenPlan {
    /// The file with messages.
    pub input: PathBuf,
    /// The file with results.
    pub expected: PathBuf,
    /// How far a fraction may be off, as a part of the expected one.
    pub rtol: f64,
    /// How far it may be off besides.
    pub atol: f64,
}

/// What a graph and its ends are called, for logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepPlan {
    /// What the file calls the run of the model in it; where there is none, what it makes last.
    pub model: String,
    /// Whether there is a model in it.
    pub has_model: bool,
    /// Where it runs.
    pub device: Device,
    /// Names of the graph's inputs.
    pub inputs: Vec<String>,
    /// How the file calls the graph's outputs: `model.output`, or `output` of another step.
    pub outputs: Vec<String>,
    /// The same outputs as they come out, with the graph's own names.
    pub made: Vec<OutputInfo>,
    /// Their units, where they have one (UCUM).
    pub units: Vec<Option<String>>,
}

/// A step on the host: it makes further fields out of one, as rows are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPlan {
    /// What it does.
    pub options: HostOptions,
    /// The place of the field that it reads.
    pub input: usize,
    /// The places of the fields that it makes.
    pub outputs: Range<usize>,
    /// Nothing behind it reads the field.
    pub last: bool,
}

/// A model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPlan {
    /// Its name in the file.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Where it runs.
    pub device: Device,
    /// What else is said of it, as YAML in one line: `constants`, `batch_axis`, `input_units`, `output_units`.
    pub more: Vec<(&'static str, String)>,
}

/// One entry of `steps`, with nothing left to defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptStep {
    /// `model`, or the key of another step.
    pub key: String,
    /// The model's name, or the parameters, as YAML in one line.
    pub value: String,
    /// What feeds each input, by the inputs' names.
    pub inputs: Vec<(String, Vec<String>)>,
    /// What the result is called; models name their own.
    pub output: Option<String>,
    /// What else stands beside it, as YAML in one line: `name`, `unit`, `when`, `otherwise`.
    pub more: Vec<(&'static str, String)>,
}

/// Where messages come from.
#[derive(Debug, Clone, PartialEq)]
pub enum SourcePlan {
    /// Core NATS.
    Nats(ServerOptions, NatsOptions),
    /// JetStream.
    JetStream(ServerOptions, JetStreamOptions),
    /// A file or standard input.
    File(FileOptions),
}

impl SourcePlan {
    /// The servers that it reads from, where it does.
    pub fn server(&self) -> Option<&ServerOptions> {
        match self {
            Self::Nats(server, _) | Self::JetStream(server, _) => Some(server),
            Self::File(_) => None,
        }
    }
}

impl SinkPlan {
    /// The servers that it publishes to, where it does.
    pub fn server(&self) -> Option<&ServerOptions> {
        match self {
            Self::Nats(server, _) | Self::JetStream(server, _) => Some(server),
            Self::File(_) => None,
        }
    }
}

/// How payloads are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodePlan {
    /// An object, or an array of objects.
    Json,
    /// The same as MessagePack.
    Msgpack,
    /// Raw little-endian elements of the one field.
    Tensor {
        /// The type of the elements in the payload, where no header says otherwise.
        dtype: Dtype,
    },
    /// The whole payload is the value of the one field.
    Bytes,
}

/// How results are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodePlan {
    /// An object for each record: passed keys, then outputs.
    Json(Vec<OutputField>),
    /// The same as MessagePack.
    Msgpack(Vec<OutputField>),
    /// Raw little-endian elements of one output.
    Tensor(OutputField),
}

impl EncodePlan {
    /// The values of a result.
    pub fn fields(&self) -> &[OutputField] {
        match self {
            Self::Json(fields) | Self::Msgpack(fields) => fields,
            Self::Tensor(field) => std::slice::from_ref(field),
        }
    }
}

/// Where results or dead letters go.
#[derive(Debug, Clone, PartialEq)]
pub enum SinkPlan {
    /// Core NATS, or the reply subject.
    Nats(ServerOptions, NatsTarget),
    /// JetStream.
    JetStream(ServerOptions, JetStreamTarget),
    /// A file or standard output.
    File(FileTarget),
}
