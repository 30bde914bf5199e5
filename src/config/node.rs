//! A YAML document as a tree that knows where each value stands in the file.
//!
//! The tree is read once and whole, so that every later error, of whatever kind, can point at the
//! file as it was written, and one mistake does not hide the next.

use std::{cell::Cell, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{
    DuplicateKeyPolicy, MergeKeyPolicy, Spanned, budget::BudgetBreach,
    options::NonFiniteFloatPolicy,
};

use super::{env, report::Report};

/// Bytes of the file.
pub(super) type Span = Range<usize>;

/// Deeper nesting is no pipeline, and recursion over it would cost stack.
const DEPTH_MAX: usize = 32;
/// Larger files are no pipelines.
const NODES_MAX: usize = 100_000;

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
    /// Contains text from the environment, which is never shown.
    pub(super) from_env: bool,
    /// Written without quotes, so that what the environment gives may be a number.
    pub(super) plain: bool,
    /// Already reported: left out when the tree is read again.
    pub(super) broken: Cell<bool>,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

/// Reads `text`, fills in the environment, and reports duplicate keys and unset variables.
pub(super) fn parse(text: &str, env: env::Lookup<'_>, reports: &mut Vec<Report>) -> Option<Node> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX, max_nodes: NODES_MAX },
    };
    match serde_saphyr::from_str_with_options::<Spanned<Tree>>(text, options) {
        Ok(tree) => Some(Finish { text, env, reports }.node(tree)),
        Err(error) => {
            reports.push(syntax_error(text, &error));
            None
        }
    }
}

fn syntax_error(text: &str, error: &serde_saphyr::Error) -> Report {
    let location = error.location();
    let mut message = error.without_snippet().to_string();
    if let Some(cut) = message.find(" at line ") {
        message.truncate(cut);
    }
    let message = message.lines().next().unwrap_or_default();
    let report = match own_words(error) {
        Some(words) => Report::new(words),
        None => Report::new(format!(
            "this is not YAML: {}",
            message.trim_end_matches('.')
        )),
    };
    let Some(location) = location else {
        return report;
    };
    let start = byte_offset(text, &location);
    let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line..].lines().next().unwrap_or_default();
    let report = report.at(&(start..start), "");
    if line.contains("${") && line.contains(['{', '[']) {
        report.help("between `{ }` or `[ ]`, write a `${NAME}` in quotes: \"${NAME}\"")
    } else if line.contains('\t') {
        report.help("indent with spaces: YAML does not take tabs")
    } else {
        report
    }
}

/// What is said where the reader's own words speak of its options and types.
fn own_words(error: &serde_saphyr::Error) -> Option<String> {
    use serde_saphyr::Error;
    let words = match error {
        Error::AliasError { error, .. } => return own_words(error),
        Error::Eof { .. } => "the file ends too early",
        Error::MultipleDocuments { .. } => {
            "a second document begins behind `---`; write each pipeline into a file of its own"
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "an alias (`*name`) stands inside the very value that it repeats"
        }
        Error::UnknownAnchor { .. } => {
            "an alias (`*name`) repeats an anchor (`&name`) that is not there"
        }
        Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "the aliases (`*name`) unfold to more than a pipeline file may hold"
        }
        Error::MergeKeyNotAllowed { .. } | Error::MergeValueNotMapOrSeqOfMaps { .. } => {
            "merge keys (`<<`) are not read here; write the keys out, or use an alias for the whole value"
        }
        Error::InvalidScalar { .. }
        | Error::InvalidBinaryBase64 { .. }
        | Error::BinaryNotUtf8 { .. }
        | Error::TaggedScalarCannotDeserializeIntoString { .. }
        | Error::UnsupportedIncludeForm { .. }
        | Error::ResolverError { .. }
        | Error::CyclicInclude { .. }
        | Error::TaggedEnumMismatch { .. } => {
            "a tag (`!…`) does not fit its value; pipeline files need no tags"
        }
        Error::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => {
            return Some(format!(
                "this is nested more than {DEPTH_MAX} levels deep, which no pipeline file needs"
            ));
        }
        Error::Budget { .. } => "this is larger than any pipeline file needs to be",
        _ => return None,
    };
    Some(words.to_owned())
}

fn byte_offset(text: &str, location: &serde_saphyr::Location) -> usize {
    let known = location
        .span()
        .byte_offset()
        .and_then(|at| usize::try_from(at).ok());
    let at = known.unwrap_or_else(|| {
        let line = usize::try_from(location.line()).unwrap_or(1).max(1);
        let column = usize::try_from(location.column()).unwrap_or(1).max(1);
        let start: usize = text
            .split_inclusive('\n')
            .take(line - 1)
            .map(str::len)
            .sum();
        start
            + text[start..]
                .chars()
                .take(column - 1)
                .map(char::len_utf8)
                .sum::<usize>()
    });
    text.floor_char_boundary(at.min(text.len()))
}

/// The tree as the YAML reader gives it, before positions are byte ranges.
#[derive(Debug)]
enum Tree {
    Scalar(Value),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_none<E: de::Error>(self) -> Result<Tree, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Integer(value)))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Tree, E> {
        let scalar = i64::try_from(value).map_or(Value::Float(value as f64), Value::Integer);
        Ok(Tree::Scalar(scalar))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Float(value as f64)))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Float(value as f64)))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Float(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Map(entries))
    }
}

/// Turns the reader's tree into nodes.
struct Finish<'a> {
    text: &'a str,
    env: env::Lookup<'a>,
    reports: &'a mut Vec<Report>,
}

impl Finish<'_> {
    fn node(&mut self, tree: Spanned<Tree>) -> Node {
        let span = self.span(&tree.referenced);
        let defined = self.span(&tree.defined);
        let mut node = Node {
            span: span.clone(),
            value: Value::Null,
            from_env: false,
            plain: false,
            broken: Cell::new(false),
        };
        match tree.value {
            Tree::Scalar(Value::Text(text)) => self.text(text, &defined, &mut node),
            Tree::Scalar(value) => node.value = value,
            Tree::List(items) => {
                node.value = Value::List(items.into_iter().map(|item| self.node(item)).collect());
                node.span = self.opening(span, None);
            }
            Tree::Map(entries) => {
                let entries = self.entries(entries);
                node.span = self.opening(span, entries.first().map(|entry| &entry.key_span));
                node.value = Value::Map(entries);
            }
        }
        node
    }

    fn text(&mut self, text: String, defined: &Span, node: &mut Node) {
        if !text.contains("${") {
            node.value = Value::Text(text);
            return;
        }
        let written = &self.text[defined.clone()];
        node.plain = !written.starts_with(['"', '\'', '|', '>']);
        match env::fill(&text, self.env) {
            Ok(filled) => {
                node.from_env = filled != text;
                node.value = Value::Text(filled);
            }
            Err(fault) => {
                let start = defined.start + written.find(&fault.text).unwrap_or(0);
                let end = (start + fault.text.len()).min(defined.end).max(start);
                let mut report = Report::new(fault.message).at(&(start..end), "");
                if let Some(help) = fault.help {
                    report = report.help(help);
                }
                self.reports.push(report);
                node.broken.set(true);
            }
        }
    }

    fn entries(&mut self, entries: Vec<(Spanned<String>, Spanned<Tree>)>) -> Vec<Entry> {
        let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key_span = self.span(&key.referenced);
            let value = self.node(value);
            let key = key.value;
            if let Some(first) = kept.iter().find(|entry| entry.key == key) {
                self.reports.push(
                    Report::new(format!("`{key}` is written twice"))
                        .at(&key_span, "the second time")
                        .also(&first.key_span, "the first time")
                        .help("keep one of the two"),
                );
                continue;
            }
            kept.push(Entry {
                key,
                key_span,
                value,
            });
        }
        kept
    }

    fn span(&self, location: &serde_saphyr::Location) -> Span {
        let start = byte_offset(self.text, location);
        let length = location
            .span()
            .byte_len()
            .and_then(|len| usize::try_from(len).ok());
        let end = (start + length.unwrap_or(0)).min(self.text.len());
        let end = self.text.floor_char_boundary(end).max(start);
        // A block scalar's range runs on to the next line.
        let written = self.text[start..end].trim_end();
        start..start + written.len()
    }

    /// What to underline for a collection: its bracket, or its first key.
    fn opening(&self, span: Span, first: Option<&Span>) -> Span {
        match first {
            Some(first) if !self.text[span.start..].starts_with('{') => first.clone(),
            _ => {
                let next = self.text[span.start..]
                    .chars()
                    .next()
                    .map_or(0, char::len_utf8);
                span.start..span.start + next
            }
        }
    }
}

/// A number as YAML writes it. Rust's own parser also takes `inf`, `nan` and `infinity`, which
/// are words.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    match text {
        ".nan" => Some(f64::NAN),
        ".inf" => Some(f64::INFINITY),
        "-.inf" => Some(f64::NEG_INFINITY),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && text.ends_with(|c: char| c.is_ascii_digit() || c == '.') =>
        {
            text.parse().ok()
        }
        _ => None,
    }
}
