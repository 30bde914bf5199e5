//! What is wrong with a pipeline file, shown in the file's own lines.

use std::{
    fmt,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};

use super::{mask, node::Span};

/// One mistake: what, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    title: String,
    primary: Option<Mark>,
    others: Vec<Mark>,
    helps: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    span: Span,
    label: String,
}

impl Mark {
    fn new(span: &Span, label: impl Into<String>) -> Self {
        Self {
            span: span.clone(),
            label: label.into(),
        }
    }
}

impl Report {
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            primary: None,
            others: Vec::new(),
            helps: Vec::new(),
        }
    }

    /// Points at the place of the mistake.
    pub(super) fn at(mut self, span: &Span, label: impl Into<String>) -> Self {
        self.primary = Some(Mark::new(span, label));
        self
    }

    /// Points at the place of the mistake, where there is one in the file.
    pub(super) fn at_written(self, span: Option<&Span>, label: impl Into<String>) -> Self {
        match span {
            Some(span) => self.at(span, label),
            None => self,
        }
    }

    /// Points at another place that has to do with it.
    pub(super) fn also(mut self, span: &Span, label: impl Into<String>) -> Self {
        self.others.push(Mark::new(span, label));
        self
    }

    /// Says what to do.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.helps.push(help.into());
        self
    }

    /// Says what to do, where there is something to say.
    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.helps.extend(help);
        self
    }

    pub(super) fn is_placed(&self) -> bool {
        self.primary.is_some()
    }

    fn start(&self) -> usize {
        self.primary.as_ref().map_or(0, |mark| mark.span.start)
    }
}

/// Everything that is wrong with one pipeline file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    file: PathBuf,
    /// The file's text with its secrets covered.
    text: String,
    reports: Vec<Report>,
    unreadable: bool,
}

impl ConfigErrors {
    /// There is no text: the file is missing or cannot be read.
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        let report = Report::new(format!("cannot read `{}`: {error}", file.display()));
        Self {
            unreadable: true,
            ..Self::new(file, "", vec![report])
        }
    }

    /// Whether the file is missing or cannot be read, so that nothing is known about its text.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    pub(super) fn new(file: &Path, text: &str, mut reports: Vec<Report>) -> Self {
        reports.sort_by_key(Report::start);
        let (text, secrets) = mask::cover(text);
        let scrub = |line: &mut String| mask::scrub(line, &secrets);
        for report in &mut reports {
            scrub(&mut report.title);
            report.helps.iter_mut().for_each(scrub);
            let marks = report.primary.iter_mut().chain(&mut report.others);
            marks.for_each(|mark| scrub(&mut mark.label));
        }
        Self {
            file: file.to_owned(),
            text,
            reports,
            unreadable: false,
        }
    }

    /// How many mistakes there are; never 0.
    pub fn count(&self) -> usize {
        self.reports.len()
    }

    /// The whole report, with terminal colours or without.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let path = self.file.display().to_string();
        let mut out = String::new();
        for report in &self.reports {
            out.push_str(&self.render_one(&renderer, &path, report));
            out.push_str("\n\n");
        }
        let mistakes = if self.count() == 1 {
            "mistake"
        } else {
            "mistakes"
        };
        out + &format!("{path}: {} {mistakes}\n", self.count())
    }

    /// The whole report for `stream`: in colour if it is a terminal and `NO_COLOR` is not set.
    pub fn render_for(&self, stream: &impl IsTerminal) -> String {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        self.render(stream.is_terminal() && !refused)
    }

    fn render_one(&self, renderer: &Renderer, path: &str, report: &Report) -> String {
        let nothing = std::iter::empty::<Element<'_>>();
        let mut group = Level::ERROR
            .primary_title(report.title.as_str())
            .elements(nothing);
        if let Some(primary) = &report.primary {
            let mut snippet = Snippet::source(self.text.as_str()).path(path);
            let others = report
                .others
                .iter()
                .map(|mark| (AnnotationKind::Context, mark));
            for (kind, mark) in std::iter::once((AnnotationKind::Primary, primary)).chain(others) {
                let annotation = kind.span(self.clamp(&mark.span));
                snippet = snippet.annotation(match mark.label.as_str() {
                    "" => annotation,
                    label => annotation.label(label),
                });
            }
            group = group.element(snippet);
        }
        for help in &report.helps {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let rendered = renderer.render(&[group]);
        // The renderer pads lines; files and terminals are better without.
        let lines: Vec<_> = rendered.lines().map(str::trim_end).collect();
        lines.join("\n")
    }

    /// A range that is inside the text and on character borders.
    fn clamp(&self, span: &Span) -> Span {
        let start = self
            .text
            .floor_char_boundary(span.start.min(self.text.len()));
        let end = self.text.ceil_char_boundary(span.end.min(self.text.len()));
        start..end.max(start)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for ConfigErrors {}

/// `did you mean …`, where something is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest_of(word, known).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// The word that was meant, if one is near enough.
pub(super) fn nearest_of<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A third of the letters may be wrong, and a swap counts as one mistake.
    let limit = word.chars().count() / 3;
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= limit || candidate.eq_ignore_ascii_case(word))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b`, `c`: what there is, or `none` of it.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 20;
    let mut words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    let more = words.len().saturating_sub(SHOWN_MAX);
    words.truncate(SHOWN_MAX);
    let list = words.join(", ");
    match more {
        0 if words.is_empty() => "none".to_owned(),
        0 => list,
        _ => format!("{list} and {more} more"),
    }
}

/// `text`, no longer than a line can take.
pub(super) fn clipped(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(SHOWN_MAX) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None if line.len() < text.len() => format!("{line}…"),
        None => line.to_owned(),
    }
}
