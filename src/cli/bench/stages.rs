//! Which stage is the bottleneck: read from the pipeline's own metrics, before and after.

use std::{fs, ops::Sub, time::Duration};

use serde::Serialize;

use crate::cli::figures::samples;

/// Sums over a time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    /// Seconds in which a thread decoded.
    pub(super) decode: f64,
    /// Seconds in which the models ran.
    pub(super) engine: f64,
    /// Seconds in which a thread encoded.
    pub(super) encode: f64,
    /// Rows that went through the models, and the batches that they went in.
    pub(super) rows: f64,
    pub(super) batches: f64,
    /// CPU time of the process, user and system; 0 where the system does not say.
    pub(super) cpu: f64,
    /// The same of the whole machine.
    pub(super) machine: f64,
}

impl Sums {
    /// What `/metrics` says now, and the CPU time until now.
    pub(super) fn now(metrics: &str) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: cpu_seconds(&read("/proc/self/stat")),
            machine: busy_seconds(&read("/proc/stat")),
            ..Self::parse(metrics)
        }
    }

    fn parse(metrics: &str) -> Self {
        let mut sums = Self::default();
        for (name, value) in samples(metrics) {
            let sum = match name {
                "forebay_decode_seconds_sum" => &mut sums.decode,
                "forebay_inference_seconds_sum" => &mut sums.engine,
                "forebay_encode_seconds_sum" => &mut sums.encode,
                "forebay_batch_rows_sum" => &mut sums.rows,
                "forebay_batch_rows_count" => &mut sums.batches,
                _ => continue,
            };
            *sum += value;
        }
        sums
    }
}

impl Sub for Sums {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            decode: self.decode - before.decode,
            engine: self.engine - before.engine,
            encode: self.encode - before.encode,
            rows: self.rows - before.rows,
            batches: self.batches - before.batches,
            cpu: self.cpu - before.cpu,
            machine: self.machine - before.machine,
        }
    }
}

/// From `/proc/self/stat`. Its ticks are a hundredth of a second on every Linux.
fn cpu_seconds(stat: &str) -> f64 {
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// From `/proc/stat`: all that is not idle, nor waits for a disk.
fn busy_seconds(stat: &str) -> f64 {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "));
    let ticks = line.unwrap_or_default().split_whitespace().take(8);
    let busy = ticks
        .enumerate()
        .filter(|(place, _)| ![3, 4].contains(place));
    busy.filter_map(|(_, ticks)| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// The threads there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Threads {
    /// Those that decode, run models and encode.
    pub(super) workers: usize,
    /// How many of them can run models at once.
    pub(super) engines: usize,
    pub(super) cores: usize,
}

/// How busy each stage was while as much went through as could.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Stages {
    /// Parts of what the worker threads can do.
    decode: f64,
    engine: f64,
    encode: f64,
    /// What the engines did, as a part of what they can.
    engines_busy: f64,
    /// Cores that the whole process used, the load generator among it; none where that is unknown.
    cores_busy: Option<f64>,
    /// Cores that other programs used; none where that is unknown.
    others_busy: Option<f64>,
    cores: usize,
    pub(super) rows_in_a_batch: f64,
    /// `decode`, `engine` or `encode`; none where none of them holds the others up.
    pub(super) bottleneck: Option<&'static str>,
    /// Why it is that.
    pub(super) why: String,
}

/// A part of all that is as good as all, with what it takes to hand work on.
const FULL: f64 = 0.85;

/// What others may take, as a part of all cores, without a word.
const OTHERS: f64 = 0.1;

impl Stages {
    pub(super) fn new(sums: Sums, time: Duration, threads: Threads) -> Self {
        let seconds = time.as_secs_f64().max(1e-9);
        let of_workers = |busy: f64| busy / (seconds * threads.workers.max(1) as f64);
        let (decode, engine, encode) = (
            of_workers(sums.decode),
            of_workers(sums.engine),
            of_workers(sums.encode),
        );
        let engines_busy = sums.engine / (seconds * threads.engines.max(1) as f64);
        let cores_busy = (sums.cpu > 0.0).then_some(sums.cpu / seconds);
        let others_busy = cores_busy.map(|busy| (sums.machine / seconds - busy).max(0.0));
        let all_busy = cores_busy.unwrap_or_default() + others_busy.unwrap_or_default();
        let cores_full = all_busy >= FULL * threads.cores as f64;
        let all = [("decode", decode), ("engine", engine), ("encode", encode)];
        let most = all
            .into_iter()
            .max_by(|one, other| one.1.total_cmp(&other.1));
        let (most, share) = most.unwrap_or_default();
        let percent = |part: f64| format!("{:.0} %", part * 100.0);
        let (bottleneck, why) = if engines_busy >= FULL {
            let engines = match threads.engines {
                1 => "the engine is".to_owned(),
                many => format!("all {many} engines are"),
            };
            (
                Some("engine"),
                format!("{engines} busy {} of the time", percent(engines_busy)),
            )
        } else if cores_full || decode + engine + encode >= FULL {
            let full = if cores_full {
                "cores"
            } else {
                "worker threads"
            };
            let why = format!(
                "all {full} are busy, and it takes most of the workers' time, {}",
                percent(share)
            );
            (Some(most), why)
        } else {
            (None, "no stage, no core is full: it waits between them, or the load generator does not bring more".to_owned())
        };
        Self {
            decode,
            engine,
            encode,
            engines_busy,
            cores_busy,
            others_busy,
            cores: threads.cores,
            rows_in_a_batch: sums.rows / sums.batches.max(1.0),
            bottleneck,
            why,
        }
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        let percent = |part: f64| format!("{:.0} %", part * 100.0);
        let idle = (1.0 - self.decode - self.engine - self.encode).max(0.0);
        let cores = self.cores_busy.map_or_else(String::new, |busy| {
            format!(
                "; {busy:.1} of {} cores busy, the load generator among it",
                self.cores
            )
        });
        let others = (self.others_busy).filter(|busy| *busy >= OTHERS * self.cores as f64);
        let others = others.map_or_else(String::new, |busy| {
            format!("\n            other programs took {busy:.1} cores meanwhile")
        });
        format!(
            "bottleneck  {}: {}\n            the worker threads: decode {}, engine {}, encode {}, waiting {}; {:.1} rows in a batch{cores}{others}",
            self.bottleneck.unwrap_or("none"),
            self.why,
            percent(self.decode),
            percent(self.engine),
            percent(self.encode),
            percent(idle),
            self.rows_in_a_batch,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREADS: Threads = Threads {
        workers: 2,
        engines: 1,
        cores: 2,
    };

    fn stages(decode: f64, engine: f64, encode: f64, cpu: f64) -> Stages {
        let sums = Sums {
            decode,
            engine,
            encode,
            cpu,
            machine: cpu + 0.05,
            rows: 640.0,
            batches: 10.0,
        };
        Stages::new(sums, Duration::from_secs(1), THREADS)
    }

    #[test]
    fn what_is_full_is_the_bottleneck() {
        assert_eq!(stages(0.1, 0.95, 0.1, 1.9).bottleneck, Some("engine"));
        assert_eq!(stages(1.2, 0.5, 0.2, 1.0).bottleneck, Some("decode"));
        assert_eq!(stages(0.2, 0.3, 0.4, 1.9).bottleneck, Some("encode"));
        assert_eq!(stages(0.2, 0.3, 0.4, 1.0).bottleneck, None);
        // Others may be what fills the cores.
        let sums = Sums {
            decode: 0.2,
            cpu: 0.3,
            machine: 1.9,
            ..Sums::default()
        };
        let beside_others = Stages::new(sums, Duration::from_secs(1), THREADS);
        assert_eq!(beside_others.bottleneck, Some("decode"));
        insta::assert_snapshot!(
            [
                stages(1.2, 0.5, 0.2, 1.0).words(),
                stages(0.2, 0.3, 0.4, 0.0).words(),
                beside_others.words()
            ]
            .join("\n")
        );
    }

    #[test]
    fn metrics_are_summed() {
        let text = "\
# TYPE forebay_decode_seconds histogram
forebay_decode_seconds_bucket{pipeline=\"a\",le=\"1\"} 3
forebay_decode_seconds_sum{pipeline=\"a\"} 0.5
forebay_inference_seconds_sum{pipeline=\"a\"} 0.25
forebay_encode_seconds_sum{pipeline=\"a\"} 0.125
forebay_batch_rows_sum{pipeline=\"a\"} 512
forebay_batch_rows_count{pipeline=\"a\"} 4
";
        let sums = Sums::parse(text);
        let before = Sums {
            decode: 0.25,
            rows: 12.0,
            ..Sums::default()
        };
        let expected = Sums {
            decode: 0.25,
            engine: 0.25,
            encode: 0.125,
            rows: 500.0,
            batches: 4.0,
            ..Sums::default()
        };
        assert_eq!(sums - before, expected);
        let stat = "12 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        assert!(
            (cpu_seconds(stat) - 2.0).abs() < 1e-9,
            "{}",
            cpu_seconds(stat)
        );
    }
}
