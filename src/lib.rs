//! forebay turns a stream of NATS messages into model predictions, with the device always full.
//!
//! The rooms, in the order of the data:
//!
//! - [`message`], [`block`], [`contract`]: what flows, and what a row is
//! - [`turns`]: who may go out when
//! - [`units`]: units of measure, and how values change from one to another
//! - [`nats`]: the connection to the broker
//! - [`source`]: messages come in; credit is taken
//! - [`decode`]: bytes become typed columns; the contract is enforced
//! - [`host`]: what a model takes is made of texts, bytes and sounds, before its graph
//! - [`batch`]: rows wait for company
//! - [`graph`]: ONNX graphs, and the steps around a model as nodes
//! - [`engine`]: models run
//! - [`encode`]: outputs become bytes
//! - [`sink`]: results go out; outcomes go home
//! - [`rows`]: files of rows, read and written
//! - [`pipeline`]: wires the rooms; the only one that knows them all
//! - [`config`]: the pipeline file, checked
//! - [`control`]: HTTP and signals
//! - [`telemetry`]: metrics and logs
//! - [`threads`]: where models are loaded and run, and how a process ends meanwhile
//! - [`cli`]: one file per subcommand

pub mod batch;
pub mod block;
pub mod cli;
pub mod config;
pub mod contract;
pub mod control;
pub mod decode;
pub mod encode;
pub mod engine;
pub mod graph;
pub mod host;
pub mod message;
pub mod nats;
pub mod pipeline;
pub mod rows;
pub mod sink;
pub mod source;
pub mod telemetry;
pub mod threads;
pub mod turns;
pub mod units;
