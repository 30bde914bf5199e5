//! The loop of a worker thread: takes a raw block and decodes it, or takes a batch, runs it and
//! encodes its results; whatever there is to do.

use std::{
    ops::Range,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use bytes::BytesMut;
use metrics::Counter;
use tokio::sync::mpsc;

use super::{
    PipelineError,
    alone::Pace,
    order::{Keyed, Ordering},
    parcel::Parcel,
    running::Note,
    terms::Terms,
};
use crate::{
    batch::{Batch, Batches, Closed, Queued, Work},
    block::{Block, Layout, Scored, Table},
    decode::{self, Decode},
    encode::Encode,
    engine::{Engine, isolate, state::Held},
    message::{Message, Outcome, RawBlock, Reject, Stage},
    sink::{Outgoing, Rejects},
    telemetry::metrics::{CacheMetrics, PipelineMetrics},
};

/// The work of a pipeline.
pub(super) type Desk = Batches<RawBlock, Box<dyn Engine>>;

/// One worker's own things.
pub(super) struct Worker {
    decoder: Box<dyn Decode>,
    encoder: Box<dyn Encode>,
    empty: Table,
    max_rows: usize,
    rejects: Rejects,
    order: Option<Arc<Ordering>>,
    running: Note,
    terms: Arc<Terms>,
    pace: Arc<Pace>,
    metrics: PipelineMetrics,
    cache: Option<CacheMetrics>,
    closed: [(Closed, Counter); Closed::ALL.len()],
    /// Bytes of the last batch's results: those of one pipeline are about equally long.
    bytes_last: usize,
    /// Memory of the last batch's outputs.
    output: Table,
    parcel: Parcel,
    /// Pieces of work that the desk has not been told of: blocks that are pushed, batches whose results are in the parcel.
    finished: u64,
}

impl Worker {
    pub(super) fn new(
        (decoder, encoder): (Box<dyn Decode>, Box<dyn Encode>),
        empty: Table,
        max_rows: usize,
        rejects: Rejects,
        order: Option<Arc<Ordering>>,
        (running, terms, pace): (Note, Arc<Terms>, Arc<Pace>),
        metrics: PipelineMetrics,
    ) -> Self {
        Self {
            decoder,
            encoder,
            empty,
            max_rows,
            rejects,
            order,
            running,
            cache: terms.cache.as_ref().map(|_| metrics.cache()),
            terms,
            pace,
            closed: Closed::ALL.map(|reason| (reason, metrics.engine.closed(reason.name()))),
            metrics,
            bytes_last: 0,
            output: Table::default(),
            parcel: Parcel::default(),
            finished: 0,
        }
    }

    /// Works until there is no more, or nobody listens.
    pub(super) fn run(
        mut self,
        desk: &Desk,
        outgoing: &mpsc::Sender<Vec<Outgoing>>,
    ) -> Result<(), PipelineError> {
        let terms = Arc::clone(&self.terms);
        while let Some(work) = self.next(desk, outgoing) {
            match work {
                Work::Decode(raw) => match self.order.clone() {
                    None => {
                        if let Some(raw) = self.answer(raw, outgoing) {
                            // Cut while it is made: then a batch is a block as it is.
                            let blocks = terms.on_a_core(|| self.decode_block(raw, self.max_rows));
                            for Keyed { queued, .. } in blocks {
                                self.push(queued, desk);
                            }
                        }
                    }
                    Some(order) => {
                        let entry = order.entry(raw.number, desk);
                        let mut blocks = terms.on_a_core(|| self.decode_block(raw, usize::MAX));
                        entry.decoded(blocks.pop());
                    }
                },
                Work::Run(batch, mut engine) => {
                    let (rows, core) = (batch.block.rows(), terms.core_for_models());
                    let started = Instant::now();
                    let parts = self.run_batch(batch, &mut *engine).inspect_err(|_| {
                        self.parcel.send(outgoing);
                    })?;
                    // Another worker may have the next batch ready.
                    desk.give_back(engine);
                    let ran = Instant::now();
                    let core = core.or_else(|| terms.core());
                    for part in parts {
                        let results = self.encode_part(part);
                        match &self.order {
                            None => self.parcel.add(results, ran.duration_since(started)),
                            Some(order) => {
                                if !results.is_empty() && !order.offer(results) {
                                    return Ok(());
                                }
                            }
                        }
                    }
                    drop(core);
                    desk.ran(rows, ran.duration_since(started), ran.elapsed());
                }
            }
            self.finished += 1;
        }
        Ok(())
    }

    /// The next thing to do. What is there to be sent goes before it, but where the results of a short batch may join it.
    fn next(
        &mut self,
        desk: &Desk,
        outgoing: &mpsc::Sender<Vec<Outgoing>>,
    ) -> Option<Work<RawBlock, Box<dyn Engine>>> {
        if !self.parcel.is_empty() {
            if self.parcel.may_grow()
                && let Some(run) = desk.next_run()
            {
                return Some(run);
            }
            if !self.parcel.send(outgoing) {
                return None;
            }
        }
        desk.next(std::mem::take(&mut self.finished))
    }

    /// Takes out the messages whose results are kept, and sends those. `None` where nothing is left.
    fn answer(
        &self,
        mut raw: RawBlock,
        outgoing: &mpsc::Sender<Vec<Outgoing>>,
    ) -> Option<RawBlock> {
        let (Some(cache), Some(metrics)) = (&self.terms.cache, &self.cache) else {
            return Some(raw);
        };
        let mut results = Vec::new();
        let mut others = Vec::with_capacity(raw.messages.len());
        for message in raw.messages {
            match cache.get(&message) {
                Some(kept) => results.push(Outgoing {
                    payload: kept.payload.clone(),
                    headers: kept.headers.clone(),
                    message,
                    outcome: Outcome::Done,
                }),
                None => others.push(message),
            }
        }
        metrics.asked(results.len(), others.len(), cache.bytes());
        if !results.is_empty() && outgoing.blocking_send(results).is_err() {
            // Nobody listens any more; what is dropped comes again.
            return None;
        }
        raw.messages = others;
        (!raw.messages.is_empty()).then_some(raw)
    }

    fn push(&self, queued: Queued, desk: &Desk) {
        let since = queued.since;
        let (others, urgent) = self.terms.by_priority(queued.block);
        if let Some(block) = urgent {
            desk.push_urgent(Queued { block, since });
        }
        if let Some(block) = others {
            desk.push(Queued { block, since });
        }
    }

    /// All the work on a block that nothing can join; gives its results.
    pub(super) fn alone(
        &mut self,
        raw: RawBlock,
        engine: &mut dyn Engine,
        desk: &Desk,
    ) -> Result<Vec<Vec<Outgoing>>, PipelineError> {
        let Some(Keyed { queued, .. }) = self.decode_block(raw, usize::MAX).pop() else {
            return Ok(Vec::new());
        };
        let Queued { block, since } = queued;
        let (mut all, mut rest) = (Vec::new(), Some(block));
        while let Some(mut block) = rest {
            rest = block.split_after_rows(self.max_rows);
            let closed = match rest {
                Some(_) => Closed::Full,
                None => Closed::Idle,
            };
            let (rows, started) = (block.rows(), Instant::now());
            let batch = Batch {
                block,
                closed,
                since,
            };
            let parts = self.run_batch(batch, engine)?;
            let ran = Instant::now();
            let parts = parts.into_iter().map(|part| self.encode_part(part));
            all.extend(parts.filter(|results| !results.is_empty()));
            desk.ran(rows, ran.duration_since(started), ran.elapsed());
        }
        Ok(all)
    }

    /// Blocks of which each is full with `enough` rows, but for the last.
    fn decode_block(&mut self, mut raw: RawBlock, enough: usize) -> Vec<Keyed> {
        let terms = Arc::clone(&self.terms);
        raw.messages = terms.in_time(raw.messages, &self.rejects);
        let started = Instant::now();
        let count = raw.messages.len();
        let received = raw
            .messages
            .first()
            .map_or(started, |message| message.received);
        let mut messages = raw.messages.into_iter();
        let mut blocks = Vec::with_capacity(1);
        while messages.len() > 0 {
            blocks.push(self.decode(&mut messages, enough));
        }
        let since = Instant::now();
        self.pace.decoded(count, since.duration_since(started));
        self.metrics.decode.decoded(received, started, since);
        let rows = blocks.iter().map(|(block, _)| block.rows()).sum();
        terms.decoded(rows, started, since);
        let keyed = |(block, keys)| Keyed {
            queued: Queued { block, since },
            keys,
        };
        blocks.retain(|(block, _)| !block.records.is_empty());
        blocks.into_iter().map(keyed).collect()
    }

    /// The next rows, and the keys of their messages where order is kept.
    fn decode(
        &mut self,
        messages: &mut std::vec::IntoIter<Message>,
        enough: usize,
    ) -> (Block, Vec<u64>) {
        let mut keys = Vec::new();
        let key = |message: &Message, table: &mut Table, rows: Range<usize>| {
            if let Some(order) = &self.order {
                keys.push(order.by.key(message, table, rows.clone())?);
                if order.stateful {
                    order.by.note(message, table, rows.len());
                }
            }
            Ok(())
        };
        let reject = |message, reject| self.rejects.reject(message, reject);
        let empty = self.empty.spare_like();
        let block = decode::block_of(&mut *self.decoder, messages, empty, enough, key, reject);
        for record in &block.records {
            if let Layout::Many { rejected } = &record.layout {
                for (_, reject) in rejected {
                    self.metrics.rejects.row_rejected(reject);
                }
            }
        }
        (block, keys)
    }

    /// Runs a batch; what fails alone is rejected.
    fn run_batch(
        &mut self,
        batch: Batch,
        engine: &mut dyn Engine,
    ) -> Result<Vec<Scored>, PipelineError> {
        let Some(block) = self.terms.still_in_time(batch.block, &self.rejects) else {
            return Ok(Vec::new());
        };
        let started = Instant::now();
        let (rows, messages) = (block.rows(), block.records.len());
        let waited = started.duration_since(batch.since);
        self.metrics.engine.formed(rows, self.max_rows, waited);
        for (reason, counter) in &self.closed {
            if *reason == batch.closed {
                counter.increment(1);
            }
        }
        self.running.begin(started);
        let output = std::mem::take(&mut self.output);
        let ran = isolate::run_isolated(engine, block, output);
        self.running.end();
        self.running.moved(&engine.moved());
        self.running.compared(&engine.compared());
        let ran = ran?;
        if let Some(held) = engine.held() {
            self.note_held(held);
        }
        let took = started.elapsed();
        self.pace.ran(messages, took);
        self.metrics.engine.ran(rows, took);
        for (record, reason) in ran.failed {
            let reject = Reject::new(Stage::Engine, "model", reason);
            self.rejects.reject(record.message, reject);
        }
        Ok(ran.scored)
    }

    fn note_held(&self, held: Held) {
        let Held {
            keys,
            dropped_full,
            dropped_age,
        } = held;
        let pipeline = self.metrics.state.held(keys, dropped_full, dropped_age);
        let order = self.order.as_ref();
        if dropped_full > 0 && order.is_some_and(|order| !order.told.swap(true, Relaxed)) {
            tracing::warn!(
                pipeline,
                keys,
                "there are more keys than `state.max_keys`: the state of the one not seen for longest is dropped for each new one; this is said once"
            );
        }
    }

    fn encode_part(&mut self, part: Scored) -> Vec<Outgoing> {
        let started = Instant::now();
        // One buffer for all results of the batch.
        let mut buffer = BytesMut::with_capacity(self.bytes_last + self.bytes_last / 4);
        let (results, non_finite) = self.encode(part, &mut buffer);
        self.bytes_last = results.iter().map(|result| result.payload.len()).sum();
        self.metrics.encode.encoded(started.elapsed(), non_finite);
        results
    }

    fn encode(&mut self, part: Scored, buffer: &mut BytesMut) -> (Vec<Outgoing>, usize) {
        let mut results = Vec::with_capacity(part.block.records.len());
        let (mut row, mut non_finite) = (0, 0);
        let (mut input, output) = (part.block.table, part.output);
        if let Some(order) = self.order.as_ref().filter(|order| order.stateful) {
            order.by.take_off(&mut input);
        }
        for record in part.block.records {
            let rows = row..row + record.rows;
            row = rows.end;
            match self.encoder.encode(&record, rows, &input, &output, buffer) {
                Ok(count) => {
                    non_finite += count;
                    let payload = buffer.split().freeze();
                    let headers = self.encoder.headers(record.rows, &record.layout);
                    if let Some(cache) = &self.terms.cache
                        // Those are to be counted each time.
                        && !record.layout.has_rejects()
                    {
                        cache.put(&record.message, &payload, &headers);
                    }
                    results.push(Outgoing {
                        payload,
                        headers,
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
        input.keep_memory();
        self.output = output;
        (results, non_finite)
    }
}
