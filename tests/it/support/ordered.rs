//! A whole pipeline between two streams whose engines take turns at being slow: `in.K` in, `out.K`
//! out, numbers as payloads.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    ops::Range,
    time::Duration,
};

use bytes::BytesMut;
use forebay::{
    batch::{BatchPolicy, Meter},
    block::{Column, Layout, Record, Series, Table},
    contract::Dtype,
    decode::{Decode, Decoded, key::OrderBy},
    encode::Encode,
    engine::{Engine, EngineError},
    message::{Home, InFlight, Message, Reject, Stage},
    pipeline::{self, Order, Parts, PipelineError, Terms},
    sink::{
        Sink,
        jetstream::{JetStreamSink, JetStreamTarget, Purpose},
        template::Template,
    },
    source::Source,
    telemetry::metrics::PipelineMetrics,
    turns::Follow,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{line::number, streams::Streams};

/// What the pipeline does to its messages.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Whether results stay in order.
    pub(crate) order: bool,
    /// The longest that one run of a model takes.
    pub(crate) takes: Duration,
    /// Every so manieth message is rejected by the decoder, and as many by the model and the encoder.
    pub(crate) bad: Option<usize>,
    /// The stage that panics at this number.
    pub(crate) panics: Option<(Stage, usize)>,
    pub(crate) messages: usize,
    pub(crate) max_rows: usize,
}

pub(crate) const LOAD: Load = Load {
    order: true,
    takes: Duration::from_millis(3),
    bad: None,
    panics: None,
    messages: 512,
    max_rows: 8,
};

/// A pipeline at work.
pub(crate) struct Ordered {
    stop: CancellationToken,
    task: JoinHandle<Result<(), PipelineError>>,
}

impl Ordered {
    pub(crate) fn start(
        load: Load,
        source: impl Source + 'static,
        sink: impl Sink + 'static,
    ) -> Self {
        const ENGINES: usize = 3;
        let order = Order {
            by: OrderBy::Token(1),
            follow: Follow::Settled,
            comes_again: true,
            stateful: false,
        };
        let codecs = || {
            (
                Box::new(Numbers(load)) as Box<dyn Decode>,
                Box::new(Numbers(load)) as Box<dyn Encode>,
            )
        };
        let parts = Parts {
            name: "ordered".to_owned(),
            source: Box::new(source),
            workers: (0..ENGINES + 2).map(|_| codecs()).collect(),
            alone: None,
            table: Table {
                rows: 0,
                series: vec![Series::new(Dtype::I64, vec![])],
            },
            batch: BatchPolicy::new(load.max_rows, Duration::ZERO),
            terms: Terms::new("ordered", Meter::new(1, 2, load.max_rows, None)),
            order: load.order.then_some(order),
            engines: (0..ENGINES)
                .map(|_| Box::new(Unsteady(load)) as _)
                .collect(),
            sink: Box::new(sink),
            replies: false,
            dead_letter: None,
            home: Home::new(InFlight {
                messages: load.messages,
                bytes: 64 << 20,
            }),
            running: pipeline::Running::new(),
            metrics: PipelineMetrics::new("ordered"),
            shutdown_grace: Duration::from_secs(20),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(pipeline::run(parts, stop.clone()));
        Self { stop, task }
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(self) -> Result<(), PipelineError> {
        self.task.await.expect("the panic is caught")
    }

    pub(crate) async fn finish(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("it ends well");
    }
}

/// Rejects its share.
struct Numbers(Load);

impl Load {
    fn maybe_panic(&self, stage: Stage, n: usize) {
        assert!(self.panics != Some((stage, n)), "asked to panic");
    }
}

/// Which stage rejects this number, where a share is bad.
fn bad(n: usize, every: Option<usize>) -> Option<Stage> {
    match every.map(|every| n % every)? {
        1 => Some(Stage::Decode),
        2 => Some(Stage::Engine),
        3 => Some(Stage::Encode),
        _ => None,
    }
}

impl Decode for Numbers {
    fn decode(&mut self, message: &Message, table: &mut Table) -> Result<Decoded, Reject> {
        let n = number(&message.payload);
        self.0.maybe_panic(Stage::Decode, n);
        if bad(n, self.0.bad) == Some(Stage::Decode) {
            return Err(Reject::new(Stage::Decode, "value", "bad"));
        }
        // Some blocks take longer to decode than those behind them.
        if random(40) == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        let Column::I64(values) = &mut table.series[0].values else {
            panic!("the table has one i64 series");
        };
        values.push(i64::try_from(n).expect("small"));
        table.rows += 1;
        Ok(Decoded {
            rows: 1,
            layout: Layout::One,
        })
    }
}

impl Encode for Numbers {
    fn encode(
        &mut self,
        _: &Record,
        rows: Range<usize>,
        _: &Table,
        output: &Table,
        into: &mut BytesMut,
    ) -> Result<usize, Reject> {
        let Column::I64(values) = &output.series[0].values else {
            panic!("the engine gives one i64 series");
        };
        let n = values[rows.start];
        into.extend_from_slice(n.to_string().as_bytes());
        if bad(usize::try_from(n).expect("small"), self.0.bad) == Some(Stage::Encode) {
            return Err(Reject::new(Stage::Encode, "value", "bad"));
        }
        Ok(0)
    }
}

/// Gives what it gets, after some time.
struct Unsteady(Load);

impl Engine for Unsteady {
    fn run(&mut self, input: &Table, output: &mut Table) -> Result<(), EngineError> {
        let most = u64::try_from(self.0.takes.as_micros()).expect("short");
        std::thread::sleep(Duration::from_micros(random(most + 1)));
        let Column::I64(values) = &input.series[0].values else {
            panic!("the table has one i64 series");
        };
        for n in values {
            self.0
                .maybe_panic(Stage::Engine, usize::try_from(*n).expect("small"));
        }
        let refuses =
            |n: &i64| bad(usize::try_from(*n).expect("small"), self.0.bad) == Some(Stage::Engine);
        if values.iter().any(refuses) {
            return Err(EngineError::Batch("bad".into()));
        }
        *output = input.clone();
        Ok(())
    }
}

/// Some number below `below`.
pub(crate) fn random(below: u64) -> u64 {
    RandomState::new().hash_one(0) % below
}

/// To the stream that takes `out.K`.
pub(crate) fn sink(connection: &forebay::nats::Connection) -> JetStreamSink {
    JetStreamSink::new(
        connection.clone(),
        JetStreamTarget {
            subject: Template::parse("out.{2}").expect("template"),
            purpose: Purpose::Result,
        },
    )
}

impl Streams {
    /// Publishes the numbers of `range` in order, each to the subject of its key.
    pub(crate) async fn feed_keys(&self, range: Range<usize>, keys: usize) {
        let mut numbers = range.peekable();
        while numbers.peek().is_some() {
            let mut acks = Vec::new();
            for n in numbers.by_ref().take(500) {
                let subject = format!("in.{}", n % keys);
                let ack = self.js.publish(subject, n.to_string().into()).await;
                acks.push(ack.expect("published"));
            }
            for ack in acks {
                ack.await.expect("stored");
            }
        }
    }

    /// The numbers of all results as they stand in the stream, by key.
    pub(crate) async fn by_key(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut all: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for result in self.read("OUT").await {
            let key = result.subject.rsplit('.').next().expect("a key");
            let key = key.parse().expect("a number");
            all.entry(key).or_default().push(number(&result.payload));
        }
        all
    }

    /// Fails unless each good number below `count` has its result once, in the order of its key.
    pub(crate) async fn audit_order(&self, count: usize, keys: usize, every: Option<usize>) {
        let good = (0..count).filter(|&n| bad(n, every).is_none()).count() as u64;
        super::eventually("all results are stored", async || {
            self.messages("OUT").await >= good
        })
        .await;
        self.done("IN", "worker").await;
        let found = self.by_key().await;
        for key in 0..keys {
            let expected: Vec<_> = (key..count)
                .step_by(keys)
                .filter(|&n| bad(n, every).is_none())
                .collect();
            assert_eq!(found.get(&key), Some(&expected), "key {key}");
        }
    }
}
