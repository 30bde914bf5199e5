//! Rooms that fail on demand: no broker, no model.
//!
//! A message's payload is one byte, its row one `u8`; the result is the byte plus one.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use forebay::{
    block::{Column, Layout, Record, Series, Table},
    contract::Dtype,
    decode::{Decode, Decoded},
    encode::Encode,
    engine::{Engine, EngineError},
    message::{Message, Outcome, Reject, Stage},
    sink::{Outgoing, Rejects, Sink, SinkError},
    source::{BoxFuture, Incoming, Intake, Source, SourceError},
    telemetry::metrics::SinkMetrics,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What the source heard about each message: every outcome, by ticket.
pub(crate) type Outcomes = Arc<Mutex<BTreeMap<u64, Vec<Outcome>>>>;

/// Sends the payloads in order, one byte each, as fast as there is credit.
pub(crate) struct FakeSource {
    pub(crate) payloads: Vec<u8>,
    pub(crate) outcomes: Outcomes,
    /// Go on until `stop`, not just until the payloads are sent.
    pub(crate) endless: bool,
    /// The most that was ever in flight.
    pub(crate) in_flight_max: Arc<Mutex<usize>>,
}

impl Source for FakeSource {
    fn run(
        self: Box<Self>,
        mut intake: Intake,
        stop: CancellationToken,
    ) -> BoxFuture<Result<(), SourceError>> {
        Box::pin(async move {
            let home = Arc::clone(intake.home());
            let mut ticket = 0;
            let settle = |open: bool| {
                while let Some(settled) = home.next_settled() {
                    let mut outcomes = self.outcomes.lock().unwrap();
                    outcomes
                        .entry(settled.ticket)
                        .or_default()
                        .push(settled.outcome);
                }
                let now = home.in_flight().messages;
                let mut max = self.in_flight_max.lock().unwrap();
                *max = now.max(*max);
                open || now > 0
            };
            while !stop.is_cancelled() && (self.endless || ticket < self.payloads.len()) {
                settle(true);
                while intake.room() > 0
                    && !intake.is_full()
                    && (self.endless || ticket < self.payloads.len())
                {
                    let payload = self.payloads[ticket % self.payloads.len()];
                    intake.push(Incoming {
                        ticket: ticket as u64,
                        subject: Bytes::from_static(b"in"),
                        reply: Some(Bytes::from_static(b"answer")),
                        payload: Bytes::copy_from_slice(&[payload]),
                        headers: None,
                        position: None,
                    });
                    ticket += 1;
                }
                if intake.flush().is_err() {
                    break;
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = home.wait_settled() => {}
                    () = tokio::time::sleep(Duration::from_millis(1)) => {}
                }
            }
            intake.close();
            while settle(false) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(())
        })
    }
}

/// Rejects the payload 200.
pub(crate) struct FakeDecode;

impl Decode for FakeDecode {
    fn decode(&mut self, message: &Message, table: &mut Table) -> Result<Decoded, Reject> {
        let Column::U8(values) = &mut table.series[0].values else {
            panic!("the table has one u8 series");
        };
        // Half a row is left behind on purpose: the caller cuts it off.
        values.push(message.payload[0]);
        if message.payload[0] == 200 {
            return Err(Reject::new(Stage::Decode, "value", "200 is not allowed"));
        }
        Ok(Decoded {
            rows: 1,
            layout: Layout::One,
        })
    }
}

/// Adds one. What it does with some values can be chosen.
#[derive(Default, Clone)]
pub(crate) struct FakeEngine {
    /// Batches with this value fail.
    pub(crate) fails_on: Option<u8>,
    /// Batches with this value panic.
    pub(crate) panics_on: Option<u8>,
    /// Batches with this value lose the device.
    pub(crate) dies_on: Option<u8>,
    /// Time each run takes.
    pub(crate) takes: Duration,
    /// Rows of each run.
    pub(crate) runs: Arc<Mutex<Vec<usize>>>,
    /// Runs that no worker did.
    pub(crate) in_place: Arc<Mutex<usize>>,
}

impl Engine for FakeEngine {
    fn run(&mut self, input: &Table, output: &mut Table) -> Result<(), EngineError> {
        let Column::U8(values) = &input.series[0].values else {
            panic!("the table has one u8 series");
        };
        assert_eq!(values.len(), input.rows, "no half row");
        self.runs.lock().unwrap().push(input.rows);
        let thread = std::thread::current();
        if !thread
            .name()
            .is_some_and(|name| name.starts_with("worker-"))
        {
            *self.in_place.lock().unwrap() += 1;
        }
        std::thread::sleep(self.takes);
        let has = |value: Option<u8>| value.is_some_and(|value| values.contains(&value));
        assert!(!has(self.panics_on), "asked to panic");
        if has(self.dies_on) {
            return Err(EngineError::Device("asked to die".into()));
        }
        if has(self.fails_on) {
            return Err(EngineError::Batch("asked to fail".into()));
        }
        *output = Table {
            rows: input.rows,
            series: vec![Series {
                values: Column::U8(values.iter().map(|value| value.wrapping_add(1)).collect()),
                shape: vec![],
                present: None,
            }],
        };
        Ok(())
    }
}

/// Writes the one byte; refuses the score 100.
pub(crate) struct FakeEncode;

impl Encode for FakeEncode {
    fn encode(
        &mut self,
        _record: &Record,
        rows: Range<usize>,
        _input: &Table,
        output: &Table,
        into: &mut BytesMut,
    ) -> Result<usize, Reject> {
        let Column::U8(values) = &output.series[0].values else {
            panic!("the engine gives one u8 series");
        };
        into.extend_from_slice(&values[rows]);
        if into[..] == [100] {
            return Err(Reject::new(Stage::Encode, "value", "100 cannot be written"));
        }
        Ok(0)
    }
}

/// What a sink published: payload, first header value, whether it answers a message that settles.
pub(crate) type Published = Arc<Mutex<Vec<(Vec<u8>, Option<String>)>>>;

#[derive(Clone, Default)]
pub(crate) struct FakeSink {
    pub(crate) published: Published,
    /// Time each block takes.
    pub(crate) takes: Duration,
    /// Fails for good at the first block.
    pub(crate) fails: bool,
}

impl Sink for FakeSink {
    fn run(
        self: Box<Self>,
        mut outgoing: mpsc::Receiver<Vec<Outgoing>>,
        _rejects: Rejects,
        metrics: SinkMetrics,
    ) -> BoxFuture<Result<(), SinkError>> {
        Box::pin(async move {
            while let Some(block) = outgoing.recv().await {
                if self.fails {
                    return Err(SinkError::new("asked to fail"));
                }
                tokio::time::sleep(self.takes).await;
                for one in block {
                    let header = one.headers.first().map(|(_, value)| value.clone());
                    self.published
                        .lock()
                        .unwrap()
                        .push((one.payload.to_vec(), header));
                    metrics.published(
                        one.payload.len(),
                        one.message.received,
                        std::time::Instant::now(),
                    );
                    one.message.ack.resolve(one.outcome);
                }
            }
            Ok(())
        })
    }
}

/// The table that [`FakeDecode`] fills.
pub(crate) fn table() -> Table {
    Table {
        rows: 0,
        series: vec![Series::new(Dtype::U8, vec![])],
    }
}
