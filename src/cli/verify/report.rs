//! What is printed while data sets run, and after them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::{compare::Output, counted};
use crate::{
    cli::{
        Exit, Failure,
        output::{Output as Stdout, Reader},
    },
    engine::raw::RawError,
    pipeline::golden::{Golden, Part},
};

/// How a data set went.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// It ran.
    Compared(Vec<Output>),
    /// The golden rows of a pipeline ran.
    Golden(Golden),
    /// It did not.
    NotRun(RawError),
}

impl From<RawError> for Verdict {
    fn from(error: RawError) -> Self {
        Self::NotRun(error)
    }
}

/// The four ends of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Passed,
    Failed,
    NotSupported,
    CannotBeFed,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotSupported => "not supported by the runtime",
            Self::CannotBeFed => "cannot be fed",
        }
    }
}

/// A line of the report.
#[derive(Debug, Serialize)]
struct Line {
    data_set: PathBuf,
    result: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<usize>,
    #[serde(skip_serializing_if = "Outputs::is_empty")]
    outputs: Outputs,
}

/// How each output compares.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Outputs {
    Tensors(Vec<Output>),
    Keys(Vec<Part>),
}

impl Outputs {
    fn is_empty(&self) -> bool {
        match self {
            Self::Tensors(outputs) => outputs.is_empty(),
            Self::Keys(parts) => parts.is_empty(),
        }
    }
}

#[derive(Debug, Default, Serialize)]
struct Counts {
    passed: usize,
    failed: usize,
    not_supported: usize,
    cannot_be_fed: usize,
}

#[derive(Debug, Serialize)]
struct Everything<'a> {
    #[serde(flatten)]
    counts: &'a Counts,
    data_sets: &'a [Line],
}

/// Takes up how data sets went.
pub(super) struct Report {
    bar: ProgressBar,
    stdout: Stdout,
    json: bool,
    quiet: bool,
    counts: Counts,
    /// Kept for JSON only.
    lines: Vec<Line>,
    /// How often the runtime had which reason.
    reasons: BTreeMap<String, usize>,
}

impl Report {
    /// For so many data sets.
    pub(super) fn new(sets: usize, json: bool, quiet: bool) -> Self {
        // On anything but a terminal the bar hides itself.
        let target = if sets > 1 {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(sets as u64), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len}  {wide_msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            stdout: Stdout::new(),
            json,
            quiet,
            counts: Counts::default(),
            lines: Vec::new(),
            reasons: BTreeMap::new(),
        }
    }

    /// Says what runs now.
    pub(super) fn running(&self, folder: &Path) {
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        self.bar.set_message(name.to_string_lossy().into_owned());
    }

    /// One more is done.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn add(&mut self, data_set: &Path, verdict: Verdict) -> Result<Reader, Failure> {
        self.bar.inc(1);
        let line = line(data_set, verdict);
        let count = match line.result {
            Kind::Passed => &mut self.counts.passed,
            Kind::Failed => &mut self.counts.failed,
            Kind::NotSupported => &mut self.counts.not_supported,
            Kind::CannotBeFed => &mut self.counts.cannot_be_fed,
        };
        *count += 1;
        if let (Kind::NotSupported | Kind::CannotBeFed, Some(why)) = (line.result, &line.why) {
            *self.reasons.entry(why.clone()).or_default() += 1;
        }
        if self.json {
            self.lines.push(line);
            return Ok(Reader::There);
        }
        if self.quiet && line.result == Kind::Passed {
            return Ok(Reader::There);
        }
        let text = text(&line);
        let Self { bar, stdout, .. } = self;
        bar.suspend(|| {
            if stdout.write(&[text.as_bytes()])?.is_gone() {
                return Ok(Reader::Gone);
            }
            stdout.flush()
        })
    }

    /// Prints the summary, or everything where that was asked for.
    ///
    /// # Errors
    /// A data set failed or could not be run; or standard output cannot be written.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        let text = if self.json {
            let everything = Everything {
                counts: &self.counts,
                data_sets: &self.lines,
            };
            let json = serde_json::to_string_pretty(&everything);
            json.map_err(|error| Failure::failed(format!("the report cannot be written: {error}")))?
                + "\n"
        } else {
            self.summary()
        };
        if !self.stdout.write(&[text.as_bytes()])?.is_gone() {
            let _reader = self.stdout.flush()?;
        }
        self.verdict()
    }

    fn all(&self) -> usize {
        let Counts {
            passed,
            failed,
            not_supported,
            cannot_be_fed,
        } = self.counts;
        passed + failed + not_supported + cannot_be_fed
    }

    fn summary(&self) -> String {
        let parts = [
            (self.counts.passed, Kind::Passed),
            (self.counts.failed, Kind::Failed),
            (self.counts.not_supported, Kind::NotSupported),
            (self.counts.cannot_be_fed, Kind::CannotBeFed),
        ];
        let parts: Vec<String> = (parts.iter())
            .filter(|(count, kind)| *count > 0 || matches!(kind, Kind::Passed | Kind::Failed))
            .map(|(count, kind)| format!("{count} {}", kind.words()))
            .collect();
        let mut summary = format!(
            "{}: {}\n",
            counted(self.all(), "data set"),
            parts.join(", ")
        );
        if self.all() > 1 {
            let mut reasons: Vec<(&String, &usize)> = self.reasons.iter().collect();
            reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (why, count) in reasons {
                // Writing into a string does not fail.
                let _written = writeln!(summary, "{count:>6} × {why}");
            }
        }
        summary
    }

    fn verdict(&self) -> Result<(), Failure> {
        let all = counted(self.all(), "data set");
        let not_run = self.counts.not_supported + self.counts.cannot_be_fed;
        match self.counts.failed {
            0 if not_run == 0 => Ok(()),
            0 => Err(Failure::new(
                Exit::Unavailable,
                format!("{not_run} of {all} could not be run here; the others passed"),
            )),
            failed => Err(Failure::failed(format!("{failed} of {all} failed"))),
        }
    }
}

fn line(data_set: &Path, verdict: Verdict) -> Line {
    let ran = |wrong: Vec<String>, rows, outputs| Line {
        data_set: data_set.to_path_buf(),
        result: if wrong.is_empty() {
            Kind::Passed
        } else {
            Kind::Failed
        },
        why: (!wrong.is_empty()).then(|| wrong.join("\n")),
        rows,
        outputs,
    };
    match verdict {
        Verdict::Compared(outputs) => {
            let wrong = outputs.iter().filter(|output| !output.passed());
            let wrong = wrong.map(Output::words).collect();
            ran(wrong, None, Outputs::Tensors(outputs))
        }
        Verdict::Golden(golden) => {
            let wrong = golden.parts.iter().filter(|part| !part.passed());
            let wrong = wrong.map(ToString::to_string).collect();
            ran(wrong, Some(golden.rows), Outputs::Keys(golden.parts))
        }
        Verdict::NotRun(error) => Line {
            data_set: data_set.to_path_buf(),
            result: match error {
                RawError::NotSupported(_) => Kind::NotSupported,
                RawError::CannotBeFed(_) => Kind::CannotBeFed,
                RawError::Failed(_) => Kind::Failed,
            },
            why: Some(error.to_string()),
            rows: None,
            outputs: Outputs::Tensors(Vec::new()),
        },
    }
}

fn text(line: &Line) -> String {
    let mut text = format!("{}: {}\n", line.data_set.display(), line.result.words());
    for why in line.why.iter().flat_map(|why| why.lines()) {
        // Writing into a string does not fail.
        let _written = writeln!(text, "  {why}");
    }
    text
}
