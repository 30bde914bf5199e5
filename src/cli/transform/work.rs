//! What a worker thread does with the rows of a chunk: decode, run, make them into columns.

use std::{mem, sync::Arc, time::Instant};

use bytes::Bytes;
use crossbeam::channel::{Receiver, Sender};

use super::rejects::Rejected;
use crate::{
    block::{Block, Layout, Record, Scored, Table},
    decode::{self, Decode},
    engine::{Engine, EngineError, isolate},
    message::{Ack, Message, Position, Reject, Stage},
    rows::{
        read::Row,
        write::{self, Form, Part, Shape},
    },
};

/// What became of the rows of a chunk.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) parts: Vec<Part>,
    pub(super) good: u64,
    pub(super) not_finite: u64,
    /// In the order of the rows.
    pub(super) rejected: Vec<Rejected>,
}

/// The engines that nobody runs.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) free: Receiver<Box<dyn Engine>>,
    pub(super) back: Sender<Box<dyn Engine>>,
}

/// One worker's own things.
pub(super) struct Worker {
    decoder: Box<dyn Decode>,
    empty: Table,
    stream: Arc<str>,
}

impl Worker {
    /// A worker whose decoder fills tables like `empty`.
    pub(super) fn new(decoder: Box<dyn Decode>, empty: Table) -> Self {
        Self {
            decoder,
            empty,
            stream: "rows".into(),
        }
    }

    /// Works off a chunk. Where the pipeline has nothing to run there is no pool.
    ///
    /// # Errors
    /// Nothing more can run. A sentence.
    pub(super) fn work(
        &mut self,
        rows: Vec<Row>,
        pool: Option<&Pool>,
        (form, shape): (&mut Form, &Shape),
    ) -> Result<Done, String> {
        let mut done = Done::default();
        let block = self.decode(rows, &mut done.rejected);
        if block.rows() > 0 {
            for Scored { block, output } in run(block, pool, &mut done.rejected)? {
                let mut table = output;
                table.rows = block.table.rows;
                table.series.extend(block.table.series);
                done.good += table.rows as u64;
                done.not_finite += write::not_finite(&table, shape) as u64;
                done.parts.push(form.render(table)?);
            }
        }
        done.rejected.sort_by_key(|one| (one.row, one.record));
        Ok(done)
    }

    fn decode(&mut self, rows: Vec<Row>, rejected: &mut Vec<Rejected>) -> Block {
        let mut messages = Vec::with_capacity(rows.len());
        for row in rows {
            match row.fault {
                None => messages.push(self.message(row.number, row.text)),
                Some(fault) => rejected.push(Rejected {
                    row: row.number,
                    record: None,
                    reject: fault,
                    text: row.text,
                }),
            }
        }
        let empty = self.empty.empty_like();
        let mut block = decode::block(
            &mut *self.decoder,
            messages,
            empty,
            |_, _, _| Ok(()),
            |message, why| rejected.push(of_row(&message, None, why)),
        );
        for Record {
            message, layout, ..
        } in &mut block.records
        {
            if let Layout::Many { rejected: bad } = layout {
                let bad = mem::take(bad).into_iter();
                rejected.extend(bad.map(|(place, why)| of_row(message, Some(place), why)));
            }
        }
        block
    }

    fn message(&self, number: u64, payload: Bytes) -> Message {
        Message {
            subject: Bytes::new(),
            reply: None,
            payload,
            headers: None,
            position: Some(Arc::new(Position {
                stream: Arc::clone(&self.stream),
                incarnation: 0,
                sequence: number,
                delivered: 1,
                again: false,
                kept: true,
                stored: None,
            })),
            received: Instant::now(),
            ack: Ack::none(),
        }
    }
}

/// A row, or a record in it, that was rejected.
fn of_row(message: &Message, record: Option<usize>, reject: Reject) -> Rejected {
    let position = message.position.as_ref();
    Rejected {
        row: position.map_or(0, |position| position.sequence),
        record,
        reject,
        text: message.payload.clone(),
    }
}

/// Runs a batch as a pipeline does: what fails alone is rejected.
fn run(
    block: Block,
    pool: Option<&Pool>,
    rejected: &mut Vec<Rejected>,
) -> Result<Vec<Scored>, String> {
    let Some(pool) = pool else {
        let output = Table {
            rows: block.rows(),
            series: Vec::new(),
        };
        return Ok(vec![Scored { block, output }]);
    };
    let mut lease = Lease {
        engine: Some(pool.free.recv().map_err(|_| "no engine is left")?),
        pool,
    };
    let Some(engine) = &mut lease.engine else {
        return Err("no engine is left".to_owned());
    };
    let ran = isolate::run_isolated(&mut **engine, block, Table::default());
    let ran = ran.map_err(|error: EngineError| error.to_string())?;
    for (record, reason) in ran.failed {
        let reject = Reject::new(Stage::Engine, "model", reason);
        rejected.push(of_row(&record.message, None, reject));
    }
    Ok(ran.scored)
}

/// An engine that goes back whatever happens, so that nobody waits for it in vain.
struct Lease<'p> {
    engine: Option<Box<dyn Engine>>,
    pool: &'p Pool,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            // The pool has room for all of them.
            let _full = self.pool.back.try_send(engine);
        }
    }
}
