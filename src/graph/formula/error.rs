//! What is wrong with a formula, and where.

use std::ops::Range;

/// Why a formula cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct FormulaError {
    /// The part that is wrong: bytes of the formula, on character boundaries.
    pub span: Range<usize>,
    /// What is wrong there.
    pub what: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
}

impl FormulaError {
    pub(super) fn new(span: Range<usize>, what: impl Into<String>) -> Self {
        Self {
            span,
            what: what.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The error with the line of `formula` (the text that was parsed) that it is about, and
    /// carets below the part that is wrong.
    pub fn render(&self, formula: &str) -> String {
        let start = floor(formula, self.span.start);
        let end = floor(formula, self.span.end).max(start);
        let line_start = formula[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = formula[start..]
            .find('\n')
            .map_or(formula.len(), |at| start + at);
        let line: String = formula[line_start..line_end]
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let before = formula[line_start..start].chars().count();
        let carets = formula[start..end.min(line_end).max(start)]
            .chars()
            .count()
            .max(1);
        let mut text = format!(
            "error: {}\n  | {line}\n  | {}{}",
            self.what,
            " ".repeat(before),
            "^".repeat(carets)
        );
        if let Some(help) = &self.help {
            text.push_str("\n  = help: ");
            text.push_str(help);
        }
        text
    }
}

/// The character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The name most like `wanted`, where one is alike enough to be a slip.
pub(super) fn nearest<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (wanted.chars().count() / 3).clamp(1, 3);
    let distance =
        |name: &str| strsim::damerau_levenshtein(&wanted.to_lowercase(), &name.to_lowercase());
    known
        .into_iter()
        .map(|name| (distance(name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Names in backticks with commas between them; long lists are cut.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 20;
    let names: Vec<_> = names.into_iter().collect();
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
