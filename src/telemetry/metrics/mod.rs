//! The handles that the stages hold; names, help texts and buckets are in [`recorder`].
//!
//! Handles are made once per stage and recorded into per block, never looked up by name on the
//! data path. Histograms have buckets (a summary cannot be added up over processes).

mod handle;
mod histogram;
mod parity;
mod recorder;

use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

pub use handle::{Handle, Recorder};
pub use recorder::install;
use recorder::{
    ARRIVALS, BATCH_FILL, BATCH_ROWS, BATCH_WAIT, BATCHES, CACHE_BYTES, CACHE_HITS, CACHE_MISSES,
    DEAD_LETTERS, DEAD_LETTERS_LOST, DECODE, DROPPED, DUPLICATES, ENCODE, END_TO_END, HEADROOM,
    IN_FLIGHT, IN_FLIGHT_BYTES, IN_FLIGHT_LIMIT, INFERENCE, MESSAGE_BYTES, MESSAGES, NON_FINITE,
    OVER_PLAN, PENDING, PLANNED, PUBLISH, QUEUE, READY, REDELIVERED, REJECTS, RESULT_BYTES,
    RESULTS, RETRIES, ROW_REJECTS, ROWS, RUNNING, SERVICE_FIXED, SERVICE_ROW, STATE_DROPPED,
    STATE_KEYS, STEP_INFO, UNACKNOWLEDGED, UTILISATION,
};

use crate::message::{InFlight, Reject, Stage};

/// All handles of one pipeline.
#[derive(Debug, Clone)]
pub struct PipelineMetrics {
    /// For the source.
    pub source: SourceMetrics,
    /// For the decode threads.
    pub decode: DecodeMetrics,
    /// For forming batches and running them.
    pub engine: EngineMetrics,
    /// For what is held between rows.
    pub state: StateMetrics,
    /// For the encode threads.
    pub encode: EncodeMetrics,
    /// For the sink.
    pub sink: SinkMetrics,
    /// For the dead letter's sink.
    pub dead_letter: SinkMetrics,
    /// For rejected messages.
    pub rejects: RejectMetrics,
    /// Gauges of the whole pipeline.
    pub gauges: PipelineGauges,
}

impl PipelineMetrics {
    /// The handles of the pipeline with this name, from the recorder in force.
    pub fn new(pipeline: &str) -> Self {
        let label = || pipeline.to_owned();
        Self {
            source: SourceMetrics {
                messages: counter!(MESSAGES, "pipeline" => label()),
                bytes: counter!(MESSAGE_BYTES, "pipeline" => label()),
                redelivered: counter!(REDELIVERED, "pipeline" => label()),
                dropped: counter!(DROPPED, "pipeline" => label()),
                retries: counter!(RETRIES, "pipeline" => label(), "stage" => "source"),
                pipeline: label(),
            },
            decode: DecodeMetrics {
                queue: histogram!(QUEUE, "pipeline" => label()),
                decode: histogram!(DECODE, "pipeline" => label()),
            },
            engine: EngineMetrics {
                pipeline: label(),
                rows: counter!(ROWS, "pipeline" => label()),
                batch_rows: histogram!(BATCH_ROWS, "pipeline" => label()),
                batch_fill: histogram!(BATCH_FILL, "pipeline" => label()),
                batch_wait: histogram!(BATCH_WAIT, "pipeline" => label()),
                inference: histogram!(INFERENCE, "pipeline" => label()),
            },
            state: StateMetrics { pipeline: label() },
            encode: EncodeMetrics {
                encode: histogram!(ENCODE, "pipeline" => label()),
                non_finite: counter!(NON_FINITE, "pipeline" => label()),
            },
            sink: SinkMetrics {
                results: counter!(RESULTS, "pipeline" => label()),
                bytes: counter!(RESULT_BYTES, "pipeline" => label()),
                publish: histogram!(PUBLISH, "pipeline" => label()),
                end_to_end: histogram!(END_TO_END, "pipeline" => label()),
                retries: counter!(RETRIES, "pipeline" => label(), "stage" => "sink"),
                duplicates: counter!(DUPLICATES, "pipeline" => label(), "stage" => "sink"),
                lost: Counter::noop(),
            },
            dead_letter: SinkMetrics {
                results: counter!(DEAD_LETTERS, "pipeline" => label()),
                bytes: Counter::noop(),
                publish: Histogram::noop(),
                end_to_end: Histogram::noop(),
                retries: counter!(RETRIES, "pipeline" => label(), "stage" => "dead_letter"),
                duplicates: counter!(DUPLICATES, "pipeline" => label(), "stage" => "dead_letter"),
                lost: counter!(DEAD_LETTERS_LOST, "pipeline" => label()),
            },
            rejects: RejectMetrics { pipeline: label() },
            gauges: PipelineGauges {
                pipeline: label(),
                in_flight: gauge!(IN_FLIGHT, "pipeline" => label()),
                in_flight_bytes: gauge!(IN_FLIGHT_BYTES, "pipeline" => label()),
                in_flight_limit: gauge!(IN_FLIGHT_LIMIT, "pipeline" => label()),
                running: gauge!(RUNNING, "pipeline" => label()),
                ready: gauge!(READY, "pipeline" => label()),
            },
        }
    }
}

impl PipelineMetrics {
    /// The handles for results that are kept; of a pipeline that keeps none, ask for none.
    pub fn cache(&self) -> CacheMetrics {
        let label = || self.rejects.pipeline.clone();
        CacheMetrics {
            hits: counter!(CACHE_HITS, "pipeline" => label()),
            misses: counter!(CACHE_MISSES, "pipeline" => label()),
            bytes: gauge!(CACHE_BYTES, "pipeline" => label()),
        }
    }
}

/// What is counted of results that are kept.
#[derive(Debug, Clone)]
pub struct CacheMetrics {
    hits: Counter,
    misses: Counter,
    bytes: Gauge,
}

impl CacheMetrics {
    /// Of so many messages the result was kept, of so many not; so many bytes are in use.
    pub fn asked(&self, hits: usize, misses: usize, bytes: usize) {
        self.hits.increment(hits as u64);
        self.misses.increment(misses as u64);
        self.bytes.set(bytes as f64);
    }
}

/// What a source counts.
#[derive(Debug, Clone)]
pub struct SourceMetrics {
    messages: Counter,
    bytes: Counter,
    redelivered: Counter,
    dropped: Counter,
    retries: Counter,
    pipeline: String,
}

impl SourceMetrics {
    /// How many messages the consumer has not given out, and how many it has that are not settled.
    /// Asked for every few seconds, and only where there is a consumer.
    pub fn left(&self, pending: u64, unacknowledged: u64) {
        gauge!(PENDING, "pipeline" => self.pipeline.clone()).set(pending as f64);
        gauge!(UNACKNOWLEDGED, "pipeline" => self.pipeline.clone()).set(unacknowledged as f64);
    }

    /// A block was read.
    pub fn read(&self, messages: usize, bytes: usize) {
        self.messages.increment(messages as u64);
        self.bytes.increment(bytes as u64);
    }

    /// Messages came that had been delivered before.
    pub fn redelivered(&self, messages: u64) {
        self.redelivered.increment(messages);
    }

    /// The client has dropped this many messages since it started.
    pub fn dropped_in_all(&self, messages: u64) {
        self.dropped.absolute(messages);
    }

    /// Messages were given back to be delivered again.
    pub fn retried(&self, messages: u64) {
        self.retries.increment(messages);
    }
}

/// What a decode thread records.
#[derive(Debug, Clone)]
pub struct DecodeMetrics {
    queue: Histogram,
    decode: Histogram,
}

impl DecodeMetrics {
    /// A block, read at `received`, was decoded from `started` until now.
    pub fn decoded(&self, received: Instant, started: Instant, now: Instant) {
        self.queue.record(started.duration_since(received));
        self.decode.record(now.duration_since(started));
    }
}

/// What an engine thread records.
#[derive(Debug, Clone)]
pub struct EngineMetrics {
    pipeline: String,
    rows: Counter,
    batch_rows: Histogram,
    batch_fill: Histogram,
    batch_wait: Histogram,
    inference: Histogram,
}

impl EngineMetrics {
    /// A counter of batches closed for this reason; make it once.
    pub fn closed(&self, reason: &'static str) -> Counter {
        counter!(BATCHES, "pipeline" => self.pipeline.clone(), "closed" => reason)
    }

    /// A batch was formed: its rows, as a part of `max_rows`, and how long its oldest block
    /// waited since it was decoded.
    pub fn formed(&self, rows: usize, max_rows: usize, waited: Duration) {
        self.batch_rows.record(rows as f64);
        self.batch_fill.record(rows as f64 / max_rows as f64);
        self.batch_wait.record(waited);
    }

    /// A batch went through the models.
    pub fn ran(&self, rows: usize, took: Duration) {
        self.rows.increment(rows as u64);
        self.inference.record(took);
    }
}

/// What an engine records that holds something between rows. The metrics are there for such
/// pipelines only, so nothing is registered before the first batch.
#[derive(Debug, Clone)]
pub struct StateMetrics {
    pipeline: String,
}

impl StateMetrics {
    /// How many keys are held, and how many were dropped since the start: because there were too
    /// many, and because they were not seen for long. Once for each batch. Gives the pipeline's name.
    pub fn held(&self, keys: usize, dropped_full: u64, dropped_age: u64) -> &str {
        gauge!(STATE_KEYS, "pipeline" => self.pipeline.clone()).set(keys as f64);
        for (reason, dropped) in [("max_keys", dropped_full), ("max_age", dropped_age)] {
            counter!(STATE_DROPPED, "pipeline" => self.pipeline.clone(), "reason" => reason)
                .absolute(dropped);
        }
        &self.pipeline
    }
}

/// What an encode thread records.
#[derive(Debug, Clone)]
pub struct EncodeMetrics {
    encode: Histogram,
    non_finite: Counter,
}

impl EncodeMetrics {
    /// A batch was encoded.
    pub fn encoded(&self, took: Duration, non_finite: usize) {
        self.encode.record(took);
        self.non_finite.increment(non_finite as u64);
    }
}

/// What a sink records.
#[derive(Debug, Clone)]
pub struct SinkMetrics {
    results: Counter,
    bytes: Counter,
    publish: Histogram,
    end_to_end: Histogram,
    retries: Counter,
    duplicates: Counter,
    lost: Counter,
}

impl SinkMetrics {
    /// One result is out: its bytes, and when its message was read.
    pub fn published(&self, bytes: usize, received: Instant, now: Instant) {
        self.published_many(1, bytes, received, now);
    }

    /// Results are out whose messages were read together: how many, and their bytes in all.
    pub fn published_many(&self, results: usize, bytes: usize, received: Instant, now: Instant) {
        self.results.increment(results as u64);
        self.bytes.increment(bytes as u64);
        let took = now.duration_since(received);
        self.end_to_end.record_many(took, results);
    }

    /// A block of results was confirmed this long after the sink got it.
    pub fn confirmed(&self, took: Duration) {
        self.publish.record(took);
    }

    /// Publishing failed and the messages were given back.
    pub fn retried(&self, messages: u64) {
        self.retries.increment(messages);
    }

    /// The broker had stored what was published to it before.
    pub fn duplicate(&self) {
        self.duplicates.increment(1);
    }

    /// A dead letter could not be published, and its message is gone.
    pub fn lost(&self) {
        self.lost.increment(1);
    }
}

/// Counts rejected messages.
#[derive(Debug, Clone)]
pub struct RejectMetrics {
    pipeline: String,
}

impl RejectMetrics {
    /// The pipeline's name.
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// A message was rejected. Not on the hot path: the label is looked up each time.
    pub fn rejected(&self, reject: &Reject) {
        self.count(REJECTS, reject.stage, reject.kind);
    }

    /// One row of a message was rejected; its neighbours went on.
    pub fn row_rejected(&self, reject: &Reject) {
        self.count(ROW_REJECTS, reject.stage, reject.kind);
    }

    fn count(&self, name: &'static str, stage: Stage, kind: &'static str) {
        counter!(name, "pipeline" => self.pipeline.clone(), "stage" => stage.name(), "reason" => kind)
            .increment(1);
    }
}

/// Gauges of one pipeline.
#[derive(Debug, Clone)]
pub struct PipelineGauges {
    pipeline: String,
    in_flight: Gauge,
    in_flight_bytes: Gauge,
    in_flight_limit: Gauge,
    running: Gauge,
    ready: Gauge,
}

impl PipelineGauges {
    /// What is in the pipeline now.
    pub fn in_flight(&self, now: InFlight, limit: InFlight) {
        self.in_flight.set(now.messages as f64);
        self.in_flight_bytes.set(now.bytes as f64);
        self.in_flight_limit.set(limit.messages as f64);
    }

    /// How long the longest run of the models that is under way has taken so far.
    pub fn running(&self, longest: Duration) {
        self.running.set(longest.as_secs_f64());
    }

    /// Rows that come in a second, and the part of the engines' time that is used.
    pub fn rates(&self, rows_per_second: f64, utilisation: f64) {
        gauge!(ARRIVALS, "pipeline" => self.pipeline.clone()).set(rows_per_second);
        gauge!(UTILISATION, "pipeline" => self.pipeline.clone()).set(utilisation);
    }

    /// What a batch takes, in seconds: whatever is in it, and for each row.
    pub fn service(&self, fixed: f64, per_row: f64) {
        gauge!(SERVICE_FIXED, "pipeline" => self.pipeline.clone()).set(fixed);
        gauge!(SERVICE_ROW, "pipeline" => self.pipeline.clone()).set(per_row);
    }

    /// Rows a second that could come besides.
    pub fn headroom(&self, rows_per_second: f64) {
        gauge!(HEADROOM, "pipeline" => self.pipeline.clone()).set(rows_per_second);
    }

    /// Rows a second that are planned for, and whether more come.
    pub fn planned(&self, rows_per_second: f64, over: bool) {
        gauge!(PLANNED, "pipeline" => self.pipeline.clone()).set(rows_per_second);
        gauge!(OVER_PLAN, "pipeline" => self.pipeline.clone()).set(f64::from(u8::from(over)));
    }

    /// Whether the pipeline is ready.
    pub fn ready(&self, ready: bool) {
        self.ready.set(f64::from(u8::from(ready)));
    }

    /// Which model a step runs, where, and why there; or that it does no longer.
    pub fn step(&self, step: &str, model: &str, device: &str, reason: &str, there: bool) {
        gauge!(STEP_INFO, "pipeline" => self.pipeline.clone(), "step" => step.to_owned(),
            "model" => model.to_owned(), "device" => device.to_owned(), "reason" => reason.to_owned())
        .set(f64::from(u8::from(there)));
    }
}
