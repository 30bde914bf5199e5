//! The loops of the threads: take a block, do the room's work, hand it on.

use std::time::Instant;

use bytes::BytesMut;
use crossbeam::channel::{Receiver, Sender};
use metrics::Counter;
use tokio::sync::mpsc;

use super::PipelineError;
use crate::{
    batch::{Batch, Batches, Closed, Queued},
    block::{Block, Layout, Record, Scored, Table},
    decode::Decode,
    encode::Encode,
    engine::{Engine, isolate},
    message::{Outcome, RawBlock, Reject, Stage},
    sink::{Outgoing, Rejects},
    telemetry::metrics::{
        DecodeMetrics, EncodeMetrics, EngineMetrics, PipelineMetrics, RejectMetrics,
    },
};

pub(super) struct DecodeStage {
    pub(super) decoder: Box<dyn Decode>,
    pub(super) empty: Table,
    pub(super) rejects: Rejects,
    pub(super) metrics: DecodeMetrics,
    pub(super) row_rejects: RejectMetrics,
}

impl DecodeStage {
    /// Decodes until `raw` closes or nobody listens.
    pub(super) fn run(mut self, raw: &Receiver<RawBlock>, queued: &Sender<Queued>) {
        for raw_block in raw {
            let started = Instant::now();
            let received = raw_block.messages.first().map(|message| message.received);
            let block = self.decode(raw_block);
            let since = Instant::now();
            self.metrics
                .decoded(received.unwrap_or(started), started, since);
            if !block.records.is_empty() && queued.send(Queued { block, since }).is_err() {
                return;
            }
        }
    }

    fn decode(&mut self, raw: RawBlock) -> Block {
        let mut block = Block {
            records: Vec::with_capacity(raw.messages.len()),
            table: self.empty.empty_like(),
        };
        let mut rows = 0;
        for message in raw.messages {
            match self.decoder.decode(&message, &mut block.table) {
                Ok(decoded) => {
                    if let Layout::Many { rejected } = &decoded.layout {
                        for (_, reject) in rejected {
                            self.row_rejects.row_rejected(reject);
                        }
                    }
                    rows += decoded.rows;
                    block.table.rows = rows;
                    block.records.push(Record {
                        message,
                        rows: decoded.rows,
                        layout: decoded.layout,
                    });
                }
                Err(reject) => {
                    block.table.truncate(rows);
                    self.rejects.reject(message, reject);
                }
            }
        }
        block
    }
}

pub(super) struct EngineStage {
    engine: Box<dyn Engine>,
    max_rows: usize,
    rejects: Rejects,
    metrics: EngineMetrics,
    closed: [(Closed, Counter); Closed::ALL.len()],
}

impl EngineStage {
    pub(super) fn new(
        engine: Box<dyn Engine>,
        max_rows: usize,
        rejects: Rejects,
        metrics: &PipelineMetrics,
    ) -> Self {
        Self {
            engine,
            max_rows,
            rejects,
            closed: Closed::ALL.map(|reason| (reason, metrics.engine.closed(reason.name()))),
            metrics: metrics.engine.clone(),
        }
    }

    /// Runs batches until there are no more or nobody listens.
    pub(super) fn run(
        mut self,
        batches: &Batches,
        scored: &Sender<Scored>,
    ) -> Result<(), PipelineError> {
        while let Some(batch) = batches.next() {
            let started = Instant::now();
            self.count(&batch, started);
            let rows = batch.block.rows();
            let ran = isolate::run_isolated(&mut *self.engine, batch.block, Table::default())?;
            self.metrics.ran(rows, started.elapsed());
            for (record, reason) in ran.failed {
                let reject = Reject::new(Stage::Engine, "model", reason);
                self.rejects.reject(record.message, reject);
            }
            for part in ran.scored {
                if scored.send(part).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn count(&self, batch: &Batch, started: Instant) {
        let waited = started.duration_since(batch.since);
        self.metrics
            .formed(batch.block.rows(), self.max_rows, waited);
        for (reason, counter) in &self.closed {
            if *reason == batch.closed {
                counter.increment(1);
            }
        }
    }
}

pub(super) struct EncodeStage {
    pub(super) encoder: Box<dyn Encode>,
    pub(super) rejects: Rejects,
    pub(super) metrics: EncodeMetrics,
}

impl EncodeStage {
    /// Encodes until `scored` closes or nobody listens.
    pub(super) fn run(mut self, scored: &Receiver<Scored>, outgoing: &mpsc::Sender<Vec<Outgoing>>) {
        let mut bytes_last = 0;
        for part in scored {
            let started = Instant::now();
            // One buffer for the batch; results of one pipeline are about equally long.
            let mut buffer = BytesMut::with_capacity(bytes_last + bytes_last / 4);
            let (results, non_finite) = self.encode(part, &mut buffer);
            bytes_last = results.iter().map(|result| result.payload.len()).sum();
            self.metrics.encoded(started.elapsed(), non_finite);
            if !results.is_empty() && outgoing.blocking_send(results).is_err() {
                return;
            }
        }
    }

    fn encode(&mut self, part: Scored, buffer: &mut BytesMut) -> (Vec<Outgoing>, usize) {
        let mut results = Vec::with_capacity(part.block.records.len());
        let (mut row, mut non_finite) = (0, 0);
        let (input, output) = (part.block.table, part.output);
        for record in part.block.records {
            let rows = row..row + record.rows;
            row = rows.end;
            match self.encoder.encode(&record, rows, &input, &output, buffer) {
                Ok(count) => {
                    non_finite += count;
                    results.push(Outgoing {
                        payload: buffer.split().freeze(),
                        headers: self.encoder.headers(record.rows, &record.layout),
                        message: record.message,
                        outcome: Outcome::Done,
                    });
                }
                Err(reject) => {
                    buffer.clear();
                    self.rejects.reject(record.message, reject);
                }
            }
        }
        (results, non_finite)
    }
}
