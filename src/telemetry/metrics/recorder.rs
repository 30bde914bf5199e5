//! Every metric of the program: names, help texts and buckets.

use metrics::{Unit, gauge};

use super::handle::{Handle, Recorder};

/// Buckets for times, in seconds: from a lone message through a small model to a stuck sink.
pub(super) static SECONDS_BUCKETS: [f64; 19] = [
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
    2.0, 5.0, 10.0, 30.0, 60.0,
];
/// Buckets for rows in a batch.
pub(super) static ROWS_BUCKETS: [f64; 15] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0,
    16384.0,
];
/// Buckets for how full a batch was, 1 being `max_rows`.
pub(super) static FILL_BUCKETS: [f64; 8] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0];

pub(super) const MESSAGES: &str = "forebay_messages_total";
pub(super) const MESSAGE_BYTES: &str = "forebay_message_bytes_total";
pub(super) const RESULTS: &str = "forebay_results_total";
pub(super) const RESULT_BYTES: &str = "forebay_result_bytes_total";
pub(super) const ROWS: &str = "forebay_rows_total";
pub(super) const REJECTS: &str = "forebay_rejects_total";
pub(super) const ROW_REJECTS: &str = "forebay_row_rejects_total";
pub(super) const RETRIES: &str = "forebay_retries_total";
pub(super) const DUPLICATES: &str = "forebay_duplicates_total";
pub(super) const REDELIVERED: &str = "forebay_redelivered_total";
pub(super) const DROPPED: &str = "forebay_dropped_total";
pub(super) const DEAD_LETTERS: &str = "forebay_dead_letters_total";
pub(super) const DEAD_LETTERS_LOST: &str = "forebay_dead_letters_lost_total";
pub(super) const NON_FINITE: &str = "forebay_non_finite_scores_total";
pub(super) const BATCHES: &str = "forebay_batches_total";
pub(super) const BATCH_ROWS: &str = "forebay_batch_rows";
pub(super) const BATCH_FILL: &str = "forebay_batch_fill_ratio";
pub(super) const QUEUE: &str = "forebay_queue_seconds";
pub(super) const DECODE: &str = "forebay_decode_seconds";
pub(super) const BATCH_WAIT: &str = "forebay_batch_wait_seconds";
pub(super) const INFERENCE: &str = "forebay_inference_seconds";
pub(super) const ENCODE: &str = "forebay_encode_seconds";
pub(super) const PUBLISH: &str = "forebay_publish_seconds";
pub(super) const END_TO_END: &str = "forebay_end_to_end_seconds";
pub(super) const IN_FLIGHT: &str = "forebay_in_flight_messages";
pub(super) const IN_FLIGHT_BYTES: &str = "forebay_in_flight_bytes";
pub(super) const IN_FLIGHT_LIMIT: &str = "forebay_in_flight_messages_limit";
pub(super) const PENDING: &str = "forebay_pending_messages";
pub(super) const UNACKNOWLEDGED: &str = "forebay_unacknowledged_messages";
pub(super) const RUNNING: &str = "forebay_running_seconds";
pub(super) const READY: &str = "forebay_ready";
pub(super) const STATE_KEYS: &str = "forebay_state_keys";
pub(super) const STATE_DROPPED: &str = "forebay_state_dropped_total";
pub(super) const STEP_INFO: &str = "forebay_step_info";
pub(super) const PARITY_ROWS: &str = "forebay_parity_rows_total";
pub(super) const PARITY_BEYOND: &str = "forebay_parity_rows_beyond_total";
pub(super) const PARITY_DIFFERENCE: &str = "forebay_parity_difference";
pub(super) const CACHE_HITS: &str = "forebay_cache_hits_total";
pub(super) const CACHE_MISSES: &str = "forebay_cache_misses_total";
pub(super) const CACHE_BYTES: &str = "forebay_cache_bytes";
pub(super) const ARRIVALS: &str = "forebay_arrivals";
pub(super) const UTILISATION: &str = "forebay_utilisation";
pub(super) const HEADROOM: &str = "forebay_headroom";
pub(super) const PLANNED: &str = "forebay_planned";
pub(super) const OVER_PLAN: &str = "forebay_over_plan";
pub(super) const SERVICE_FIXED: &str = "forebay_service_fixed_seconds";
pub(super) const SERVICE_ROW: &str = "forebay_service_row_seconds";
pub(super) const BUILD_INFO: &str = "forebay_build_info";

/// Counters and what they count.
const COUNTERS: &[(&str, &str)] = &[
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
        "Messages given back to be delivered again, and results and dead letters that were not stored and are sent again, by stage",
    ),
    (
        DUPLICATES,
        "Results and dead letters that the broker had stored before and did not store again, by stage",
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
    (
        DEAD_LETTERS_LOST,
        "Rejected messages that are gone: the dead letter could not be published, and the source cannot deliver again",
    ),
    (NON_FINITE, "Scores that were NaN or infinite"),
    (BATCHES, "Batches by the reason they were closed"),
    (
        STATE_DROPPED,
        "Keys whose state was dropped, because there were too many or they were not seen for long",
    ),
    (
        PARITY_ROWS,
        "Rows that ran on a GPU and were run on the CPU too, to compare",
    ),
    (
        PARITY_BEYOND,
        "Of these, rows that were off by more than the tolerance",
    ),
    (CACHE_HITS, "Messages whose result was kept from before"),
    (CACHE_MISSES, "Messages whose result was not kept"),
];
/// Histograms of times.
const SECONDS: &[(&str, &str)] = &[
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
/// Gauges.
const GAUGES: &[(&str, &str)] = &[
    (IN_FLIGHT, "Messages in the pipeline now"),
    (IN_FLIGHT_BYTES, "Payload bytes in the pipeline now"),
    (IN_FLIGHT_LIMIT, "Most messages that may be in the pipeline"),
    (
        PENDING,
        "Messages that the JetStream consumer has not given to any process yet",
    ),
    (
        UNACKNOWLEDGED,
        "Messages that the JetStream consumer has given out, to any process, and that are not settled",
    ),
    (
        RUNNING,
        "Age of the longest run of the models that is under way; 0 when there is none",
    ),
    (STATE_KEYS, "Keys whose state is held"),
    (
        CACHE_BYTES,
        "Bytes of results that are kept, with their payloads",
    ),
    (
        ARRIVALS,
        "Rows that come in a second, of the last ten seconds or so",
    ),
    (
        UTILISATION,
        "Part of the engines' time in which they run something, of the last ten seconds or so",
    ),
    (
        HEADROOM,
        "Rows a second that could come besides, from what batches take by measurement",
    ),
    (PLANNED, "Rows a second that are planned for"),
    (OVER_PLAN, "1 while more rows come than are planned for"),
    (
        SERVICE_FIXED,
        "What a batch keeps an engine busy whatever is in it, fitted to batches of late",
    ),
    (
        SERVICE_ROW,
        "What each row of a batch adds to that, fitted to batches of late",
    ),
    (
        PARITY_DIFFERENCE,
        "The largest difference between GPU and CPU that these rows have shown, as a part of the largest of its output",
    ),
    (READY, "1 when connected, consumer there and models warm"),
    (
        STEP_INFO,
        "1 for each step; labels say which model runs where, and why there",
    ),
    (BUILD_INFO, "1; labels say which version this is"),
];

/// The buckets of a histogram of this name.
pub(super) fn bounds(name: &str) -> &'static [f64] {
    match name {
        BATCH_ROWS => &ROWS_BUCKETS,
        BATCH_FILL => &FILL_BUCKETS,
        _ => &SECONDS_BUCKETS,
    }
}

/// Makes this process's recorder, and gives the handle that renders `/metrics`.
///
/// # Errors
/// There is one already.
pub fn install() -> Result<Handle, metrics::SetRecorderError<Recorder>> {
    let recorder = Recorder::new();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    describe();
    Ok(handle)
}

/// Gives every metric its help text.
fn describe() {
    for (name, help) in COUNTERS {
        metrics::describe_counter!(*name, *help);
    }
    for (name, help) in SECONDS {
        metrics::describe_histogram!(*name, Unit::Seconds, *help);
    }
    metrics::describe_histogram!(BATCH_ROWS, "Rows in a batch");
    metrics::describe_histogram!(BATCH_FILL, "Rows in a batch as a part of max_rows");
    for (name, help) in GAUGES {
        metrics::describe_gauge!(*name, *help);
    }
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Stdio},
        time::{Duration, Instant},
    };

    use super::*;
    use crate::{
        message::{InFlight, Reject, Stage},
        telemetry::metrics::PipelineMetrics,
    };

    /// Touches every metric and renders them.
    fn rendered() -> String {
        let recorder = Recorder::new();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            let all = PipelineMetrics::new("demo");
            let (now, ms) = (Instant::now(), Duration::from_millis(1));
            all.source.read(2, 20);
            all.source.redelivered(1);
            all.source.dropped_in_all(1);
            all.source.retried(1);
            all.source.left(1, 1);
            all.decode.decoded(now, now, now);
            all.engine.closed("full").increment(1);
            all.engine.formed(3, 4, ms);
            all.engine.ran(3, ms);
            all.encode.encoded(ms, 1);
            all.sink.published(10, now, now + ms);
            all.sink.confirmed(ms);
            all.sink.retried(1);
            all.dead_letter.published(10, now, now);
            let reject = Reject::new(Stage::Decode, "range", "too big");
            all.rejects.rejected(&reject);
            all.rejects.row_rejected(&reject);
            let in_flight = InFlight {
                messages: 1,
                bytes: 1,
            };
            all.gauges.in_flight(in_flight, in_flight);
            all.gauges.running(ms);
            all.gauges.ready(true);
            all.cache().asked(1, 1, 1);
            all.gauges.rates(1.0, 1.0);
            all.gauges.service(1.0, 1.0);
            all.gauges.headroom(1.0);
            all.gauges.planned(1.0, true);
            all.gauges.step("0", "income", "cpu", "asked for", true);
        });
        handle.render()
    }

    #[test]
    fn every_metric_has_a_help_text_and_a_type() {
        let text = rendered();
        let mut seen = 0;
        for line in text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .unwrap_or(name);
            for comment in ["HELP", "TYPE"] {
                assert!(
                    text.contains(&format!("# {comment} {family} ")),
                    "{family} has no {comment}"
                );
            }
            seen += 1;
        }
        assert!(seen > 100, "{text}");
        assert!(!text.contains("quantile"), "histograms, never summaries");
    }

    /// The page for people names every metric, under its type.
    #[test]
    fn the_page_of_metrics_is_complete() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let page = std::fs::read_to_string(path).expect("the page");
        let part = |title: &str| {
            let (_, rest) = page.split_once(title).expect("the page has this part");
            rest.split("\n## ").next().unwrap_or_default().to_owned()
        };
        let names = |table: &[(&'static str, &str)]| -> Vec<_> {
            table.iter().map(|(name, _)| *name).collect()
        };
        let histograms = [names(SECONDS), vec![BATCH_ROWS, BATCH_FILL]].concat();
        for (title, names) in [
            ("\n## Counters\n", names(COUNTERS)),
            ("\n## Histograms\n", histograms),
            ("\n## Gauges\n", names(GAUGES)),
        ] {
            let part = part(title);
            for name in names {
                let row = format!("\n| `{name}` |");
                assert!(part.contains(&row), "docs/metrics.md lacks {name}");
            }
        }
    }

    #[test]
    fn a_retry_is_either_kind() {
        let text = rendered();
        let help = text
            .lines()
            .find(|line| line.starts_with("# HELP forebay_retries_total"));
        insta::assert_snapshot!(help.expect("a help text"), @"# HELP forebay_retries_total Messages given back to be delivered again, and results and dead letters that were not stored and are sent again, by stage");
    }

    /// `promtool` (Debian package `prometheus`) knows the naming rules better than we do. CI has
    /// it; on a machine without it this test says so.
    #[test]
    fn promtool_finds_nothing_to_say() {
        let child = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "CI must have promtool: {error}"
                );
                drop(writeln!(
                    std::io::stderr(),
                    "promtool is not here ({error}); CI runs this check"
                ));
                return;
            }
        };
        let mut stdin = child.stdin.take().expect("piped");
        stdin
            .write_all(rendered().as_bytes())
            .expect("promtool reads");
        drop(stdin);
        let output = child.wait_with_output().expect("promtool ends");
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.trim().is_empty(), "{said}");
    }
}
