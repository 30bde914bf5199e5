//! From a plan to the rooms: connects, loads models, makes one of each per thread.

use std::{num::NonZero, sync::Arc, thread::available_parallelism};

use super::{
    Cache, Check, Order, Parts, Running, Status, Terms, broker,
    connections::Connections,
    golden::{self, GoldenError, Settled},
};
use crate::{
    batch::Meter,
    block::{Series, Table},
    config::plan::{DecodePlan, EncodePlan, Plan, SinkPlan, SourcePlan},
    contract::Dtype,
    decode::{
        self, Decode, HostSteps, bytes::BytesDecoder, json::JsonDecoder, key::OrderBy,
        msgpack::MsgpackDecoder, tensor::TensorDecoder,
    },
    encode::{Encode, json::JsonEncoder, msgpack::MsgpackEncoder, tensor::TensorEncoder},
    engine::{self, Device, Engine, ModelError, Placed},
    host::HostStep,
    message::Home,
    nats::{ConnectError, ServerOptions},
    sink::{
        Sink,
        file::FileSink,
        jetstream::JetStreamSink,
        nats::{NatsSink, NatsTarget},
    },
    source::{Source, file::FileSource, jetstream::JetStreamSource, nats::NatsSource},
    telemetry::metrics::PipelineMetrics,
    threads::{Lost, apart},
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
    /// The thread that loads models was lost.
    #[error(transparent)]
    Load(#[from] Lost),
}

/// A pipeline that can be run, and its state.
#[derive(Debug)]
pub struct Built {
    /// For [`super::run`].
    pub parts: Parts,
    /// For readiness and gauges.
    pub status: Status,
}

/// Where messages come from, and where results and dead letters go.
struct Ends {
    source: Box<dyn Source>,
    sink: Box<dyn Sink>,
    replies: bool,
    dead_letter: Option<Box<dyn Sink>>,
}

/// Loads the models, connects, and makes every room of the pipeline.
///
/// # Errors
/// What the operator must fix before a message is taken.
pub async fn build(plan: &Plan) -> Result<Built, BuildError> {
    let inner = Inner::new(plan).await?;
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
    let ends = Ends {
        source,
        sink,
        replies: matches!(plan.sink, SinkPlan::Nats(_, NatsTarget::Reply)),
        dead_letter,
    };
    Ok(inner.between(plan, ends, connections.checks()))
}

/// Loads the models, and makes every room but the ends, which are these: nothing is connected.
///
/// # Errors
/// A model that cannot be served, golden rows that do not pass, a step that cannot be made.
pub async fn build_between(
    plan: &Plan,
    source: Box<dyn Source>,
    sink: Box<dyn Sink>,
    dead_letter: Box<dyn Sink>,
) -> Result<Built, BuildError> {
    let ends = Ends {
        source,
        sink,
        replies: false,
        dead_letter: Some(dead_letter),
    };
    Ok(Inner::new(plan).await?.between(plan, ends, Vec::new()))
}

/// What is made before anything is connected.
struct Inner {
    metrics: PipelineMetrics,
    engines: Vec<Box<dyn Engine>>,
    hosts: Vec<Box<dyn HostStep>>,
    running: Arc<Running>,
}

impl Inner {
    async fn new(plan: &Plan) -> Result<Self, BuildError> {
        let metrics = PipelineMetrics::new(&plan.name);
        let engines = engines(plan).await?;
        let hosts = hosts(plan)?;
        let running = Running::new();
        let demanded = (plan.engine.steps.iter()).flat_map(|step| step.device.gpus());
        let models = plan.steps.iter().map(|step| step.model.clone()).collect();
        let runs: Vec<Vec<Placed>> = engines.iter().map(|engine| engine.placed()).collect();
        let gauges = metrics.gauges.clone();
        (running.places).begin(gauges, models, demanded.collect(), &runs);
        Ok(Self {
            metrics,
            engines,
            hosts,
            running,
        })
    }

    fn between(self, plan: &Plan, ends: Ends, checks: Vec<Check>) -> Built {
        let home = Home::new(plan.in_flight);
        let terms = terms(plan, &self.engines);
        let status = Status::new(
            &plan.name,
            Arc::clone(&home),
            Arc::clone(&self.running),
            self.metrics.gauges.clone(),
            checks,
        )
        .measured_by(Arc::clone(&terms.meter));
        let parts = Parts {
            name: plan.name.clone(),
            source: ends.source,
            workers: (0..threads(plan.workers))
                .map(|_| (decoder(plan, placed(plan, &self.hosts)), encoder(plan)))
                .collect(),
            alone: Some((decoder(plan, placed(plan, &self.hosts)), encoder(plan))),
            table: table(plan),
            batch: plan.batch,
            terms,
            order: order(plan),
            engines: self.engines,
            sink: ends.sink,
            replies: ends.replies,
            dead_letter: ends.dead_letter,
            home,
            running: self.running,
            metrics: self.metrics,
            shutdown_grace: plan.shutdown_grace,
        };
        Built { parts, status }
    }
}

/// On what terms messages go through. The share of the cores is for who knows the other pipelines.
fn terms(plan: &Plan, engines: &[Box<dyn Engine>]) -> Terms {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let meter = Meter::new(engines.len(), cores, plan.batch.max_rows, plan.planned);
    let placed = engines.first().map(|engine| engine.placed());
    let on_gpu = |placed: Vec<Placed>| placed.iter().any(|step| step.device != Device::Cpu);
    Terms {
        deadline: plan.deadline,
        priority: plan.priority.clone(),
        cache: plan.cache.map(|bytes| Arc::new(Cache::new(bytes))),
        on_gpu: placed.is_some_and(on_gpu),
        ..Terms::new(&plan.name, meter)
    }
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

/// As many engines as batches run at once, loaded and warm, in which the golden rows pass where there are any. Loading takes long, so
/// not on a tokio worker.
///
/// # Errors
/// A model that cannot be served, or golden rows that do not pass.
pub async fn engines(plan: &Plan) -> Result<Vec<Box<dyn Engine>>, BuildError> {
    let of = plan.clone();
    apart("load", move || load(&of)).await?
}

fn load(plan: &Plan) -> Result<Vec<Box<dyn Engine>>, BuildError> {
    let mut spec = plan.engine.clone();
    let mut engines = Vec::with_capacity(plan.workers);
    let mut tried: Vec<Vec<Device>> = Vec::new();
    for number in 0..plan.workers {
        let steps = spec.for_engine(number).steps;
        let devices = steps.iter().map(|step| step.device).collect();
        // Engines on the same devices are the same.
        let mut engine = if tried.contains(&devices) {
            engine::load(&spec.for_engine(number), &plan.fields)?
        } else {
            tried.push(devices);
            let Settled { engine, golden } = golden::settle(plan, &mut spec, number)?;
            if let Some(ran) = golden {
                ran.verdict()?;
                tracing::info!(pipeline = plan.name, rows = ran.rows, "golden rows pass");
            }
            engine
        };
        // What moved until now is where it is, and stands so in the metrics.
        drop(engine.moved());
        engines.push(engine);
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
    let placed = hosts
        .iter()
        .zip(&plan.hosts)
        .map(|(step, host)| decode::Placed {
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
            let held = connections.held();
            Box::new(JetStreamSink::new(connection, target.clone()).reporting_to(held))
        }
        SinkPlan::File(target) => Box::new(FileSink::new(target.clone())),
    })
}
