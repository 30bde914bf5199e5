//! Every metric of the program: names, help texts, buckets, and the handles that the stages hold.
//!
//! Handles are made once per stage and recorded into per block, never looked up by name on the
//! data path. Histograms have buckets (a summary cannot be added up over processes).

use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};

use crate::message::{InFlight, Reject, Stage};

/// Buckets for times, in seconds: from a lone message through a small model to a stuck sink.
pub const SECONDS_BUCKETS: [f64; 19] = [
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
    2.0, 5.0, 10.0, 30.0, 60.0,
];
/// Buckets for rows in a batch.
pub const ROWS_BUCKETS: [f64; 15] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0,
    16384.0,
];
/// Buckets for how full a batch was, 1 being `max_rows`.
pub const FILL_BUCKETS: [f64; 8] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0];

const MESSAGES: &str = "forebay_messages_total";
const MESSAGE_BYTES: &str = "forebay_message_bytes_total";
const RESULTS: &str = "forebay_results_total";
const RESULT_BYTES: &str = "forebay_result_bytes_total";
const ROWS: &str = "forebay_rows_total";
const REJECTS: &str = "forebay_rejects_total";
const ROW_REJECTS: &str = "forebay_row_rejects_total";
const RETRIES: &str = "forebay_retries_total";
const REDELIVERED: &str = "forebay_redelivered_total";
const DROPPED: &str = "forebay_dropped_total";
const DEAD_LETTERS: &str = "forebay_dead_letters_total";
const NON_FINITE: &str = "forebay_non_finite_scores_total";
const BATCHES: &str = "forebay_batches_total";
const BATCH_ROWS: &str = "forebay_batch_rows";
const BATCH_FILL: &str = "forebay_batch_fill_ratio";
const QUEUE: &str = "forebay_queue_seconds";
const DECODE: &str = "forebay_decode_seconds";
const BATCH_WAIT: &str = "forebay_batch_wait_seconds";
const INFERENCE: &str = "forebay_inference_seconds";
const ENCODE: &str = "forebay_encode_seconds";
const PUBLISH: &str = "forebay_publish_seconds";
const END_TO_END: &str = "forebay_end_to_end_seconds";
const IN_FLIGHT: &str = "forebay_in_flight_messages";
const IN_FLIGHT_BYTES: &str = "forebay_in_flight_bytes";
const IN_FLIGHT_LIMIT: &str = "forebay_in_flight_messages_limit";
const READY: &str = "forebay_ready";
const STEP_INFO: &str = "forebay_step_info";
const BUILD_INFO: &str = "forebay_build_info";

/// Gives every metric its help text. Call once, after the recorder is installed.
pub fn describe() {
    let counters = [
        (MESSAGES, "Messages read by the source"),
        (MESSAGE_BYTES, "Payload bytes read by the source"),
        (
            RESULTS,
            "Results published and, where the sink confirms, confirmed",
        ),
        (RESULT_BYTES, "Payload bytes of published results"),
        (ROWS, "Rows that went through the models"),
        (
            REJECTS,
            "Messages that can never succeed, by stage and reason",
        ),
        (
            ROW_REJECTS,
            "Rows rejected inside messages whose other rows went on",
        ),
        (
            RETRIES,
            "Messages given back to be delivered again, by stage",
        ),
        (REDELIVERED, "Messages that had been delivered before"),
        (
            DROPPED,
            "Messages that the client dropped because the pipeline was too slow (core NATS only)",
        ),
        (
            DEAD_LETTERS,
            "Rejected messages published to the dead letter",
        ),
        (NON_FINITE, "Scores that were NaN or infinite"),
        (BATCHES, "Batches by the reason they were closed"),
    ];
    for (name, help) in counters {
        metrics::describe_counter!(name, help);
    }
    let seconds = [
        (
            QUEUE,
            "Time from reading a message to the start of decoding",
        ),
        (DECODE, "Time to decode one block of messages"),
        (
            BATCH_WAIT,
            "Time from the end of decoding to the start of inference",
        ),
        (INFERENCE, "Time to run all steps over one batch"),
        (ENCODE, "Time to encode one batch"),
        (
            PUBLISH,
            "Time from handing a block of results to the sink to its confirmation",
        ),
        (
            END_TO_END,
            "Time from reading a message to the confirmation of its result",
        ),
    ];
    for (name, help) in seconds {
        metrics::describe_histogram!(name, Unit::Seconds, help);
    }
    metrics::describe_histogram!(BATCH_ROWS, "Rows in a batch");
    metrics::describe_histogram!(BATCH_FILL, "Rows in a batch as a part of max_rows");
    let gauges = [
        (IN_FLIGHT, "Messages in the pipeline now"),
        (IN_FLIGHT_BYTES, "Payload bytes in the pipeline now"),
        (IN_FLIGHT_LIMIT, "Most messages that may be in the pipeline"),
        (READY, "1 when connected, consumer there and models warm"),
        (
            STEP_INFO,
            "1 for each step; labels say which model runs where, and why there",
        ),
        (BUILD_INFO, "1; labels say which version this is"),
    ];
    for (name, help) in gauges {
        metrics::describe_gauge!(name, help);
    }
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// All handles of one pipeline.
#[derive(Debug, Clone)]
pub struct PipelineMetrics {
    /// For the source.
    pub source: SourceMetrics,
    /// For the decode threads.
    pub decode: DecodeMetrics,
    /// For forming batches and running them.
    pub engine: EngineMetrics,
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
            },
            dead_letter: SinkMetrics {
                results: counter!(DEAD_LETTERS, "pipeline" => label()),
                bytes: Counter::noop(),
                publish: Histogram::noop(),
                end_to_end: Histogram::noop(),
                retries: counter!(RETRIES, "pipeline" => label(), "stage" => "dead_letter"),
            },
            rejects: RejectMetrics { pipeline: label() },
            gauges: PipelineGauges {
                pipeline: label(),
                in_flight: gauge!(IN_FLIGHT, "pipeline" => label()),
                in_flight_bytes: gauge!(IN_FLIGHT_BYTES, "pipeline" => label()),
                in_flight_limit: gauge!(IN_FLIGHT_LIMIT, "pipeline" => label()),
                ready: gauge!(READY, "pipeline" => label()),
            },
        }
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
}

impl SourceMetrics {
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
}

impl SinkMetrics {
    /// One result is out: its bytes, and when its message was read.
    pub fn published(&self, bytes: usize, received: Instant, now: Instant) {
        self.results.increment(1);
        self.bytes.increment(bytes as u64);
        self.end_to_end.record(now.duration_since(received));
    }

    /// A block of results was confirmed this long after the sink got it.
    pub fn confirmed(&self, took: Duration) {
        self.publish.record(took);
    }

    /// Publishing failed and the messages were given back.
    pub fn retried(&self, messages: u64) {
        self.retries.increment(messages);
    }
}

/// Counts rejected messages.
#[derive(Debug, Clone)]
pub struct RejectMetrics {
    pipeline: String,
}

impl RejectMetrics {
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
    ready: Gauge,
}

impl PipelineGauges {
    /// What is in the pipeline now.
    pub fn in_flight(&self, now: InFlight, limit: InFlight) {
        self.in_flight.set(now.messages as f64);
        self.in_flight_bytes.set(now.bytes as f64);
        self.in_flight_limit.set(limit.messages as f64);
    }

    /// Whether the pipeline is ready.
    pub fn ready(&self, ready: bool) {
        self.ready.set(f64::from(u8::from(ready)));
    }

    /// Which model a step runs, where, and why there.
    pub fn step(&self, step: &str, model: &str, device: &str, reason: &str) {
        gauge!(STEP_INFO, "pipeline" => self.pipeline.clone(), "step" => step.to_owned(),
            "model" => model.to_owned(), "device" => device.to_owned(), "reason" => reason.to_owned())
        .set(1.0);
    }
}
