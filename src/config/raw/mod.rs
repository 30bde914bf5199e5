//! What a pipeline file may say, key by key. The doc comments here are the descriptions in the
//! JSON Schema.
//!
//! Variants are one-key mappings and nothing is flattened: so every mistake has a position.

mod accuracy;
mod batch;
mod flow;
mod measure;
mod place;
mod rate;
mod route;
mod state;
mod step;
mod value;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use self::{
    accuracy::{OneIn, PrecisionName, Tolerance},
    batch::{Batch, Cache, Capacity, DeadlineFrom, Priority},
    flow::{
        Decode, Density, Encode, Field, Model, RecordEncode, ScalarValue, TensorDecode,
        TensorEncode,
    },
    measure::{Count, Size, Time},
    place::{At, Named, OneOrMany},
    rate::PerSecond,
    route::{
        AuthKeys, DeadLetter, FileEnd, JetStreamSource, NatsSource, Sink, Source, Target, TlsKeys,
    },
    state::{State, StateValue},
    step::{Feed, Step},
    value::{
        BrokerName, Devices, FilePath, Listen, OrderKey, PipelineName, Subject, SubjectTemplate,
        TypeName, Url,
    },
};

/// A pipeline: messages come from a source, are decoded, batched, run through models, encoded, and
/// sent to a sink. Every scalar may contain `${NAME}` or `${NAME:-default}`, filled in from the
/// environment; `$${` stands for `${` itself. Paths are relative to this file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "forebay pipeline")]
pub(super) struct Pipeline {
    /// Name of the pipeline: a label on each of its metrics, and in the log beside its start, its end and its
    /// rejected messages.
    pub(super) name: PipelineName,
    /// Where messages come from.
    pub(super) source: At<Source>,
    /// How payloads are read; JSON where nothing is said.
    pub(super) decode: Option<At<Decode>>,
    /// What a row is: the fields that a message must bring. Where left out, one field for each
    /// model input, with its name, type and shape.
    pub(super) fields: Option<At<Named<At<Field>>>>,
    /// Keeps the results of messages with the same key in the order in which the messages stand
    /// in the source: a token of their subject, `"{2}"`, or the name of one of the `fields` (no
    /// float, and the same value in all rows of a message). Run one process per consumer or queue
    /// group then: each keeps the order only of what it gets. Into a stream, the next result of a
    /// key is published when the one before it is stored. After a crash or a cut connection, new
    /// messages from a stream wait for those before them, up to `ack_wait` and two seconds, so set
    /// that low. What it costs is in `docs/order.md`. Where `order_by` is left out, no order is
    /// promised.
    pub(super) order_by: Option<At<OrderKey>>,
    /// What is held of each row for the next one with the same key, which is that of `order_by`. More is in
    /// `docs/state.md`.
    pub(super) state: Option<At<State>>,
    /// How batches are formed.
    #[serde(default)]
    pub(super) batch: Batch,
    /// Which messages are urgent.
    pub(super) priority: Option<At<Priority>>,
    /// Results that are kept for messages with the same payload. Where left out, none are.
    pub(super) cache: Option<At<Cache>>,
    /// What the pipeline is meant to carry.
    pub(super) capacity: Option<Capacity>,
    /// Its share of the cores when several pipelines run in one process and cores are short: one of
    /// weight 2 gets twice as much as one of weight 1.
    #[serde(default = "weight")]
    pub(super) weight: Count,
    /// Most messages in the pipeline at once, 1000000 at most; further ones stay with the broker.
    #[serde(default = "max_in_flight")]
    #[schemars(extend("maximum" = 1_000_000))]
    pub(super) max_in_flight: At<Count>,
    /// Most payload bytes in the pipeline at once.
    #[serde(default = "max_in_flight_bytes")]
    pub(super) max_in_flight_bytes: Size,
    /// The models, by the names that the steps use. May be left out where the steps need none.
    pub(super) models: Option<At<Named<Model>>>,
    /// What is done with each batch, one after another: models, and what stands before and behind
    /// them. May be left out where there is one model and nothing else.
    pub(super) steps: Option<At<Vec<At<Step>>>>,
    /// How results are written; JSON with every output of the last step where nothing is said.
    pub(super) encode: Option<At<Encode>>,
    /// Where results go.
    pub(super) sink: At<Sink>,
    /// Where messages go that can never succeed, with the reason in their headers. Where left out,
    /// they are counted and dropped.
    pub(super) dead_letter: Option<At<DeadLetter>>,
    /// Messages whose results are known. The pipeline does not start unless it gives those results;
    /// `check` and `verify` try it out.
    pub(super) golden: Option<Golden>,
    /// The HTTP server for `/metrics`, `/healthz` and `/readyz`.
    pub(super) http: Option<Http>,
    /// How long a stop may take before what is left is abandoned, and delivered again; the exit
    /// code is 1 then. Whoever stops the program must give it longer than that: Kubernetes kills
    /// after 30 s (`terminationGracePeriodSeconds`) unless told otherwise, so the default is less.
    #[serde(default = "shutdown_grace")]
    pub(super) shutdown_grace: Time,
}

/// Messages and the results that they must give, as files with one of them in each line.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Golden {
    /// The file with the messages, relative to this file. For `decode: json` and `msgpack` a line is
    /// the JSON of a message; for `tensor` a list of the elements (or an object that has it under the
    /// field's name); for `bytes` a text, `{ "base64": "..." }`, or `{ "file": "..." }` relative to
    /// that file.
    pub(super) input: At<FilePath>,
    /// The file with their results, relative to this file: each line is the JSON of the result of the
    /// message in the same place. A message that must be rejected has
    /// `{ "error": { "stage": "...", "reason": "..." } }`.
    pub(super) expected: At<FilePath>,
    /// How far a fraction may be off, as a part of the expected one. Whole numbers, texts and truth
    /// values must be the same.
    #[serde(default = "rtol")]
    pub(super) rtol: At<f64>,
    /// How far a fraction may be off besides.
    #[serde(default = "atol")]
    pub(super) atol: At<f64>,
}

/// The HTTP server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    /// Address and port, `127.0.0.1:9464`.
    pub(super) listen: Listen,
}

fn rtol() -> At<f64> {
    At::unwritten(1e-4)
}

fn atol() -> At<f64> {
    At::unwritten(1e-6)
}

fn weight() -> Count {
    Count(1)
}

fn max_in_flight() -> At<Count> {
    At::unwritten(Count(8192))
}

fn max_in_flight_bytes() -> Size {
    Size(256 << 20)
}

fn shutdown_grace() -> Time {
    Time::from_secs(25)
}
