//! From a plan to the rooms: connects, loads models, makes one of each per thread.

use std::{num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use super::{
    Check, Order, Parts, Running, Status, broker,
    golden::{self, GoldenError},
};
use crate::{
    block::{Series, Table},
    config::plan::{DecodePlan, EncodePlan, Plan, SinkPlan, SourcePlan},
    contract::Dtype,
    decode::{
        Decode, HostSteps, Placed, bytes::BytesDecoder, json::JsonDecoder, key::OrderBy,
        msgpack::MsgpackDecoder, tensor::TensorDecoder,
    },
    encode::{Encode, json::JsonEncoder, msgpack::MsgpackEncoder, tensor::TensorEncoder},
    engine::{self, Engine, ModelError},
    host::HostStep,
    message::Home,
    nats::{ConnectError, Connection, ServerOptions, State},
    sink::{
        Held, Sink,
        file::FileSink,
        jetstream::JetStreamSink,
        nats::{NatsSink, NatsTarget},
    },
    source::{Source, file::FileSource, jetstream::JetStreamSource, nats::NatsSource},
    telemetry::metrics::PipelineMetrics,
    turns::Follow,
};

/// Why a pipeline could not be started.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No broker, or it does not want us.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A model that cannot be served.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A stream that could not be made, or that would lose everything.
    #[error("{0}")]
    Stream(String),
    /// Golden rows that do not pass.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// A step on the host that cannot be made.
    #[error("{0}")]
    Host(String),
}

/// A pipeline that can be run, and its state.
#[derive(Debug)]
pub struct Built {
    /// For [`super::run`].
    pub parts: Parts,
    /// For readiness and gauges.
    pub status: Status,
}

/// Loads the models, connects, and makes every room of the pipeline.
///
/// # Errors
/// What the operator must fix before a message is taken.
pub async fn build(plan: &Plan) -> Result<Built, BuildError> {
    let metrics = PipelineMetrics::new(&plan.name);
    let engines = golden_rows(plan, engines(plan).await?).await?;
    let hosts = hosts(plan)?;
    let runs = engines.first().map(|engine| engine.placed());
    for (number, (step, placed)) in plan.steps.iter().zip(runs.unwrap_or_default()).enumerate() {
        let (number, device) = (number.to_string(), placed.device.to_string());
        metrics
            .gauges
            .step(&number, &step.model, &device, &placed.reason);
    }
    let home = Home::new(plan.in_flight);
    let mut connections = Connections::default();
    broker::warn(plan, &mut connections).await?;
    let source = source(plan, &mut connections).await?;
    let (sink, dead_letter) = (
        sink(plan, &plan.sink, &mut connections).await?,
        match &plan.dead_letter {
            Some(target) => Some(sink(plan, target, &mut connections).await?),
            None => None,
        },
    );
    let running = Running::new();
    let status = Status::new(
        &plan.name,
        Arc::clone(&home),
        Arc::clone(&running),
        metrics.gauges.clone(),
        connections.checks(),
    );
    let parts = Parts {
        name: plan.name.clone(),
        source,
        workers: (0..threads(plan.workers))
            .map(|_| (decoder(plan, placed(plan, &hosts)), encoder(plan)))
            .collect(),
        alone: Some((decoder(plan, placed(plan, &hosts)), encoder(plan))),
        table: table(plan),
        batch: plan.batch,
        order: order(plan),
        engines,
        sink,
        replies: matches!(plan.sink, SinkPlan::Nats(_, NatsTarget::Reply)),
        dead_letter,
        home,
        running,
        metrics,
        shutdown_grace: plan.shutdown_grace,
    };
    Ok(Built { parts, status })
}

/// How results are kept in order, where the file says so.
fn order(plan: &Plan) -> Option<Order> {
    let by = plan.order_by.clone()?;
    let follow = match plan.sink {
        // What the broker did not confirm is sent again, and would come after what follows it.
        SinkPlan::JetStream(..) => Follow::Settled,
        SinkPlan::Nats(..) | SinkPlan::File(_) => Follow::Sent,
    };
    let comes_again = matches!(plan.source, SourcePlan::JetStream(..));
    Some(Order {
        by,
        follow,
        comes_again,
        stateful: plan.engine.state.is_some(),
    })
}

/// Worker threads: one for each engine, and half the cores more that decode meanwhile.
pub fn threads(engines: usize) -> usize {
    let cores = available_parallelism().map_or(1, NonZero::get);
    engines + (cores / 2).max(1)
}

/// The series of a pipeline's rows: the fields, then the passed keys as JSON text, which decoders
/// fill; then the key by which something is held between rows, where it is no field.
pub fn table(plan: &Plan) -> Table {
    let mut table = Table::for_fields(&plan.fields);
    let keyed =
        plan.engine.state.is_some() && plan.order_by.as_ref().is_some_and(OrderBy::needs_series);
    for _ in 0..plan.passed.len() + usize::from(keyed) {
        table.series.push(Series::new(Dtype::String, Vec::new()));
    }
    table
}

/// One engine for each worker, loaded and warm. Loading takes long, so not on a tokio worker.
///
/// # Errors
/// A model that cannot be served.
pub async fn engines(plan: &Plan) -> Result<Vec<Box<dyn Engine>>, ModelError> {
    let (spec, fields, workers) = (plan.engine.clone(), plan.fields.clone(), plan.workers);
    let load = move || (0..workers).map(|_| engine::load(&spec, &fields)).collect();
    tokio::task::spawn_blocking(load)
        .await
        .unwrap_or_else(|error| {
            Err(ModelError::new(format!(
                "loading the model failed: {error}"
            )))
        })
}

/// Runs the golden rows, where there are any, in the first engine: the others are the same.
async fn golden_rows(
    plan: &Plan,
    mut engines: Vec<Box<dyn Engine>>,
) -> Result<Vec<Box<dyn Engine>>, BuildError> {
    if plan.golden.is_none() {
        return Ok(engines);
    }
    let of = plan.clone();
    let check = move || {
        let ran = match engines.first_mut() {
            Some(engine) => golden::check(&of, &mut **engine)?,
            None => None,
        };
        Ok((ran, engines))
    };
    let checked = tokio::task::spawn_blocking(check).await;
    let (ran, engines) = checked.unwrap_or_else(|error| {
        let why = format!("the golden rows could not be run: {error}");
        Err(BuildError::Golden(GoldenError(why)))
    })?;
    if let Some(ran) = ran {
        tracing::info!(pipeline = plan.name, rows = ran.rows, "golden rows pass");
    }
    Ok(engines)
}

/// The steps on the host, to be copied for each thread.
pub(super) fn hosts(plan: &Plan) -> Result<Vec<Box<dyn HostStep>>, BuildError> {
    let steps = plan.hosts.iter().map(|host| host.options.load());
    steps
        .collect::<Result<_, _>>()
        .map_err(|fault| BuildError::Host(fault.to_string()))
}

pub(super) fn placed(plan: &Plan, hosts: &[Box<dyn HostStep>]) -> HostSteps {
    let placed = hosts.iter().zip(&plan.hosts).map(|(step, host)| Placed {
        step: step.copy(),
        field: plan
            .fields
            .get(host.input)
            .map(|field| field.name.clone())
            .unwrap_or_default(),
        input: host.input,
        outputs: host.outputs.clone(),
        last: host.last,
    });
    HostSteps(placed.collect())
}

/// Decoders of JSON text for rows of this pipeline, whatever its messages are; one for each of so
/// many threads.
///
/// # Errors
/// A step on the host that cannot be made.
pub fn row_decoders(plan: &Plan, threads: usize) -> Result<Vec<Box<dyn Decode>>, BuildError> {
    let hosts = hosts(plan)?;
    let decoder = |_| {
        let decoder = JsonDecoder::new(&plan.fields, &plan.passed);
        Box::new(decoder.with_hosts(placed(plan, &hosts))) as Box<dyn Decode>
    };
    Ok((0..threads).map(decoder).collect())
}

pub(super) fn decoder(plan: &Plan, hosts: HostSteps) -> Box<dyn Decode> {
    let (fields, passed) = (&plan.fields, &plan.passed);
    match (&plan.decode, plan.fields.first()) {
        (DecodePlan::Json, _) => Box::new(JsonDecoder::new(fields, passed).with_hosts(hosts)),
        (DecodePlan::Msgpack, _) => Box::new(MsgpackDecoder::new(fields, passed).with_hosts(hosts)),
        (DecodePlan::Bytes, Some(field)) => Box::new(BytesDecoder::new(field, hosts)),
        (DecodePlan::Tensor { dtype }, Some(field)) => Box::new(TensorDecoder::new(field, *dtype)),
        (DecodePlan::Tensor { .. } | DecodePlan::Bytes, None) => {
            unreachable!("the config wants one field: this is a bug")
        }
    }
}

pub(super) fn encoder(plan: &Plan) -> Box<dyn Encode> {
    match &plan.encode {
        EncodePlan::Json(outputs) => Box::new(JsonEncoder::new(&plan.passed, outputs.clone())),
        EncodePlan::Msgpack(outputs) => {
            Box::new(MsgpackEncoder::new(&plan.passed, outputs.clone()))
        }
        EncodePlan::Tensor(output) => Box::new(TensorEncoder::new(output.clone())),
    }
}

async fn source(
    plan: &Plan,
    connections: &mut Connections,
) -> Result<Box<dyn Source>, ConnectError> {
    Ok(match &plan.source {
        SourcePlan::Nats(server, options) => {
            let connection = connections.get(server, &plan.name).await?;
            Box::new(NatsSource::new(connection, options.clone()))
        }
        SourcePlan::JetStream(server, options) => {
            let connection = connections.get(server, &plan.name).await?;
            let source = JetStreamSource::new(connection, options.clone(), plan.in_flight)
                .in_order(plan.order_by.is_some());
            Box::new(source.with_own_subjects(own_subjects(plan, server)))
        }
        SourcePlan::File(options) => Box::new(FileSource::new(options.clone())),
    })
}

/// All subjects on `server` that the pipeline can publish to by itself.
pub(super) fn own_subjects(plan: &Plan, server: &ServerOptions) -> Vec<String> {
    let subject = |target: &SinkPlan| match target {
        SinkPlan::JetStream(at, target) if at == server => Some(target.subject.pattern()),
        SinkPlan::Nats(at, NatsTarget::Subject(subject)) if at == server => Some(subject.pattern()),
        _ => None,
    };
    let targets = [Some(&plan.sink), plan.dead_letter.as_ref()];
    targets.into_iter().flatten().filter_map(subject).collect()
}

async fn sink(
    plan: &Plan,
    target: &SinkPlan,
    connections: &mut Connections,
) -> Result<Box<dyn Sink>, ConnectError> {
    Ok(match target {
        SinkPlan::Nats(server, target) => {
            let connection = connections.get(server, &plan.name).await?;
            Box::new(NatsSink::new(connection, target.clone()))
        }
        SinkPlan::JetStream(server, target) => {
            let connection = connections.get(server, &plan.name).await?;
            let held = Held::default();
            connections.held.push(held.clone());
            Box::new(JetStreamSink::new(connection, target.clone()).reporting_to(held))
        }
        SinkPlan::File(target) => Box::new(FileSink::new(target.clone())),
    })
}

/// One connection for each set of servers that a pipeline names: a second one to the same servers
/// buys no throughput.
#[derive(Default)]
pub(super) struct Connections {
    all: Vec<(ServerOptions, Connection)>,
    /// What the sinks on them say.
    held: Vec<Held>,
    /// How long to try to connect, where not for as long as a start may.
    within: Option<Duration>,
}

impl Connections {
    /// Tries to connect for no longer than this.
    pub(super) fn within(within: Duration) -> Self {
        Self {
            within: Some(within),
            ..Self::default()
        }
    }

    pub(super) async fn get(
        &mut self,
        server: &ServerOptions,
        name: &str,
    ) -> Result<Connection, ConnectError> {
        if let Some((_, connection)) = self.all.iter().find(|(known, _)| known == server) {
            return Ok(connection.clone());
        }
        let connection = match self.within {
            Some(within) => Connection::connect_within(server, name, within).await?,
            None => Connection::connect(server, name).await?,
        };
        self.all.push((server.clone(), connection.clone()));
        Ok(connection)
    }

    fn checks(&self) -> Vec<Check> {
        let connected = self.all.iter().map(|(_, connection)| {
            let connection = connection.clone();
            Arc::new(move || not_ready(&connection)) as Check
        });
        let storing = self.held.iter().map(|held| {
            let held = held.clone();
            Arc::new(move || held.reason()) as Check
        });
        connected.chain(storing).collect()
    }
}

fn not_ready(connection: &Connection) -> Option<String> {
    let server = connection.server();
    match connection.state() {
        State::Connected => None,
        State::Disconnected => Some(format!("not connected to NATS at {server}")),
        State::LameDuck => Some(format!("the NATS server at {server} is shutting down")),
    }
}
