//! What is printed at the end.

use std::time::Duration;

use serde::Serialize;

use super::{drive::Seen, plot, replicas::Replicas, stages::Stages};
use crate::cli::figures;

/// Everything that was found out.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) pipeline: String,
    pub(super) forebay: &'static str,
    pub(super) machine: String,
    /// Where messages went: `in process` or a broker.
    pub(super) through: String,
    pub(super) sample: SampleReport,
    /// The most that is sustained, in rows a second.
    pub(super) maximum_per_second: f64,
    /// Rows a second while the pipeline was kept full.
    pub(super) flood_per_second: f64,
    /// One message in the pipeline at a time.
    pub(super) alone: Step,
    /// At parts of the maximum, by a timetable.
    pub(super) steps: Vec<Step>,
    pub(super) stages: Stages,
    pub(super) replicas: Option<Replicas>,
    pub(super) seconds: f64,
}

/// The messages that were sent.
#[derive(Debug, Clone, Serialize)]
pub(super) struct SampleReport {
    pub(super) from: String,
    /// How many different ones there are.
    pub(super) messages: usize,
    pub(super) rows_a_message: f64,
    /// Of a hundred messages, how many were rejected.
    pub(super) rejected_percent: f64,
    pub(super) first_reject: Option<String>,
}

/// A stretch of load, and its latencies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Step {
    /// As a part of the maximum.
    pub(super) load: f64,
    /// Rows a second that were sent, and that came out.
    pub(super) offered_per_second: f64,
    pub(super) rows_per_second: f64,
    pub(super) messages: u64,
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) longest_ms: f64,
}

impl Step {
    /// Of what was seen within this time.
    pub(super) fn new(
        (load, offered): (f64, f64),
        seen: &Seen,
        time: Duration,
        rows_a_message: f64,
    ) -> Self {
        let at = |part| seen.latencies.percentile(part).map_or(0.0, ms);
        Self {
            load,
            offered_per_second: offered * rows_a_message,
            rows_per_second: seen.done as f64 / time.as_secs_f64().max(1e-9) * rows_a_message,
            messages: seen.done,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            longest_ms: at(1.0),
        }
    }

    #[cfg(test)]
    pub(super) fn for_tests(load: f64, p99_ms: f64) -> Self {
        Self {
            load,
            offered_per_second: load * 10_000.0,
            rows_per_second: load * 10_000.0,
            messages: if load < 0.15 { 90 } else { 10_000 },
            p50_ms: p99_ms / 4.0,
            p90_ms: p99_ms / 2.0,
            p99_ms,
            p999_ms: p99_ms * 2.0,
            longest_ms: p99_ms * 3.0,
        }
    }
}

/// With fewer messages than this a p99 is chance.
const FEW: u64 = 100;

impl Report {
    /// For a person.
    pub(super) fn render(&self) -> String {
        let mut text = format!(
            "{}, {}: {}\n{}; forebay {}\n\n",
            self.pipeline,
            self.through,
            self.sample.words(),
            self.machine,
            self.forebay,
        );
        text += &format!(
            "sustained   {} rows/s ({} while the pipeline was kept full)\n",
            grouped(self.maximum_per_second),
            grouped(self.flood_per_second),
        );
        text += &format!(
            "alone       p50 {} ms, p99 {} ms: one message at a time\n",
            three_digits(self.alone.p50_ms),
            three_digits(self.alone.p99_ms),
        );
        text += &format!("{}\n\n", self.stages.words());
        text.push_str(&table(&self.steps));
        text += &format!("\n{}\n", plot::plot(&self.steps));
        if let Some(replicas) = &self.replicas {
            text += &format!("\n{}\n", replicas.words());
        }
        text
    }
}

impl SampleReport {
    fn words(&self) -> String {
        let mut text = format!(
            "{}, {} messages over and over",
            self.from,
            grouped(self.messages as f64)
        );
        if (self.rows_a_message - 1.0).abs() > 0.01 {
            text += &format!(", {:.1} rows in each", self.rows_a_message);
        }
        if let Some(first) = &self.first_reject {
            text += &format!(
                "\n{:.1} % of them are rejected and count for nothing here; the first: {first}",
                self.rejected_percent
            );
        }
        text
    }
}

fn table(steps: &[Step]) -> String {
    let mut text = format!(
        "{:>6} {:>12} {:>12} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
        "load", "rows/s", "done/s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "longest"
    );
    let mut few = false;
    for step in steps {
        let ms = |value| match step.messages {
            0 => "–".to_owned(),
            _ => three_digits(value),
        };
        few |= step.messages < FEW;
        text += &format!(
            "{:>4.0} % {:>12} {:>12} {:>9} {:>9} {:>9} {:>9} {:>9}{}\n",
            step.load * 100.0,
            grouped(step.offered_per_second),
            grouped(step.rows_per_second),
            ms(step.p50_ms),
            ms(step.p90_ms),
            ms(step.p99_ms),
            ms(step.p999_ms),
            ms(step.longest_ms),
            if step.messages < FEW { " *" } else { "" },
        );
    }
    if few {
        text += &format!("* fewer than {FEW} messages, so p99 is chance; give it more --time\n");
    }
    text
}

/// A time in milliseconds.
pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Three digits are enough.
pub(super) fn three_digits(number: f64) -> String {
    if number >= 100.0 {
        grouped(number)
    } else if number >= 10.0 {
        format!("{number:.1}")
    } else if number >= 0.1 || number <= 0.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.3}")
    }
}

/// 1234567.2 as `1,234,567`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and rates are small and not negative"
)]
pub(super) fn grouped(number: f64) -> String {
    figures::grouped(number.round() as u64)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::bench::stages::{Sums, Threads};

    pub(in crate::cli::bench) fn report() -> Report {
        let p99 = [0.2, 0.21, 0.25, 0.4, 0.8, 1.5, 3.0, 9.0, 40.0];
        let steps = p99.iter().enumerate();
        let steps: Vec<Step> = steps
            .map(|(place, p99)| Step::for_tests((place + 1) as f64 / 10.0, *p99))
            .collect();
        let sums = Sums {
            decode: 0.4,
            engine: 0.95,
            encode: 0.1,
            rows: 10_000.0,
            batches: 100.0,
            cpu: 1.5,
            machine: 1.6,
        };
        let threads = Threads {
            workers: 2,
            engines: 1,
            cores: 2,
        };
        Report {
            pipeline: "income <1>".into(),
            forebay: "0.1.0",
            machine: "2 cores, x86_64".into(),
            through: "in process".into(),
            sample: SampleReport {
                from: "rows of rows.jsonl".into(),
                messages: 1234,
                rows_a_message: 1.0,
                rejected_percent: 0.5,
                first_reject: Some("decode: `age` is missing".into()),
            },
            maximum_per_second: 10_000.0,
            flood_per_second: 10_400.0,
            alone: Step::for_tests(0.0, 0.16),
            replicas: Some(Replicas::new(
                50_000.0,
                Some(Duration::from_millis(20)),
                10_000.0,
                &steps,
            )),
            steps,
            stages: Stages::new(sums, Duration::from_secs(1), threads),
            seconds: 19.8,
        }
    }

    #[test]
    fn the_report_says_it_all() {
        insta::assert_snapshot!(report().render());
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [0.0, 0.0123, 0.123, 1.234, 12.34, 123.4, 12_345.6];
        assert_eq!(
            numbers.map(three_digits),
            ["0.00", "0.012", "0.12", "1.23", "12.3", "123", "12,346"]
        );
    }
}
