//! How far it is, and what became of the rows.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::{Failure, ends::Ends, rejects::Rejects};
use crate::{cli::output, config::plan::Selection};

const SHOWN_EVERY: Duration = Duration::from_millis(100);

/// Counts, and the progress bar.
pub(super) struct Summary {
    started: Instant,
    shown: Instant,
    bar: ProgressBar,
    input: String,
    output: String,
    to_stdout: bool,
    notes: Vec<String>,
    left_out: Vec<String>,
    pub(super) good: u64,
    pub(super) not_finite: u64,
}

/// For machines.
#[derive(Serialize)]
struct Json<'a> {
    output: Option<&'a str>,
    rows: u64,
    written: u64,
    rejected: u64,
    reasons: &'a std::collections::BTreeMap<&'static str, u64>,
    first_reject: Option<&'a str>,
    not_finite: u64,
    seconds: f64,
    rows_per_second: f64,
    steps_left_out: &'a [String],
    notes: &'a [String],
}

impl Summary {
    pub(super) fn new(
        ends: &Ends,
        selection: &Selection,
        bytes: Option<u64>,
        notes: &[String],
    ) -> Self {
        // On anything but a terminal the bar hides itself.
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr());
        let style = match bytes {
            Some(_) => "{bar:40} {percent:>3} %  {msg}",
            None => "{spinner} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self {
            started: Instant::now(),
            shown: Instant::now(),
            bar,
            input: ends.input_name(),
            output: ends.output_name(),
            to_stdout: ends.output.is_none(),
            notes: notes.to_vec(),
            left_out: selection.left_out.clone(),
            good: 0,
            not_finite: 0,
        }
    }

    /// Shows how far it is, now and then.
    pub(super) fn show(&mut self, position: u64) {
        if self.shown.elapsed() < SHOWN_EVERY {
            return;
        }
        self.shown = Instant::now();
        let rate = self.good as f64 / self.started.elapsed().as_secs_f64().max(1e-6);
        self.bar
            .set_message(format!("{} rows, {rate:.0}/s", self.good));
        self.bar.set_position(position);
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Whether the result is worth keeping.
    ///
    /// # Errors
    /// There is no good row, or there are too many bad ones.
    pub(super) fn verdict(&self, rejects: &Rejects) -> Result<(), Failure> {
        if self.good > 0 && !rejects.is_too_many() {
            return Ok(());
        }
        self.clear();
        let Some(first) = &rejects.first else {
            return Err(Failure::failed(format!(
                "there is no row in {}; {} was not written",
                self.input, self.output
            )));
        };
        let what = if rejects.is_too_many() {
            format!(
                "{} rows were rejected, one more than --max-rejects allows",
                rejects.count
            )
        } else {
            format!("none of the {} rows is good", rejects.count)
        };
        Err(Failure::failed(format!(
            "{what}; {} was not written\n  by reason: {}\n  the first: {first}",
            self.output,
            reasons(rejects)
        )))
    }

    /// Prints it: for people on standard error, for machines on standard output unless the results
    /// are there.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn print(&self, rejects: &Rejects, json: bool) -> Result<(), Failure> {
        self.clear();
        let seconds = self.started.elapsed().as_secs_f64();
        let rows = self.good + rejects.count;
        let rate = rows as f64 / seconds.max(1e-6);
        let text = if json {
            let summary = Json {
                output: (!self.to_stdout).then(|| self.output.trim_matches('`')),
                rows,
                written: self.good,
                rejected: rejects.count,
                reasons: &rejects.kinds,
                first_reject: rejects.first.as_deref(),
                not_finite: self.not_finite,
                seconds,
                rows_per_second: rate,
                steps_left_out: &self.left_out,
                notes: &self.notes,
            };
            serde_json::to_string(&summary).unwrap_or_default()
        } else {
            self.text(rejects, seconds, rate)
        };
        if json && !self.to_stdout {
            return output::print(&format!("{text}\n"));
        }
        drop(writeln!(std::io::stderr(), "{text}"));
        Ok(())
    }

    fn text(&self, rejects: &Rejects, seconds: f64, rate: f64) -> String {
        let mut lines = vec![format!(
            "{} rows written to {} in {seconds:.2} s: {rate:.0} rows/s",
            self.good, self.output
        )];
        if let Some(first) = &rejects.first {
            lines.push(format!(
                "rejected {} of {} rows: {}",
                rejects.count,
                self.good + rejects.count,
                reasons(rejects)
            ));
            lines.push(format!("  the first: {first}"));
        }
        if self.not_finite > 0 {
            lines.push(format!("results that are not finite: {}", self.not_finite));
        }
        if !self.left_out.is_empty() {
            lines.push(format!(
                "steps left out, for want of models: {}",
                self.left_out.join(", ")
            ));
        }
        let notes = self.notes.iter().map(|note| format!("note: {note}"));
        lines.extend(notes);
        lines.join("\n")
    }
}

/// `range 3, missing 2`: the most frequent first.
fn reasons(rejects: &Rejects) -> String {
    let mut kinds: Vec<_> = rejects.kinds.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let kinds = kinds.iter().map(|(kind, count)| format!("{kind} {count}"));
    kinds.collect::<Vec<_>>().join(", ")
}
