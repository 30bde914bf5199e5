//! Why a value could not be read.

use std::fmt;

use serde::de;

use crate::config::{
    node::{Entry, Node},
    report::{Report, clipped, listed, nearest},
};

/// Why a value could not be read.
#[derive(Debug)]
pub(in crate::config) enum Fault {
    /// A part of it was reported and marked just now: read again.
    Said,
    /// It cannot do without a part that was marked before.
    Lost,
    /// A required key is not there.
    Missing(&'static str),
    /// Something else; placed or not yet.
    Wrong(Box<Report>),
}

impl Fault {
    pub(super) fn help(self, help: String) -> Self {
        match self {
            Self::Wrong(report) => Self::Wrong(Box::new(report.help(help))),
            fault => fault,
        }
    }

    pub(super) fn report(self, what: &str, node: &Node) -> Option<Report> {
        match self {
            Self::Said | Self::Lost => None,
            Self::Missing(key) => Some(
                Report::new(format!("`{key}` is missing"))
                    .at(&node.span, format!("{} needs `{key}`", quoted(what))),
            ),
            Self::Wrong(report) if report.is_placed() => Some(*report),
            Self::Wrong(report) => Some(report.at(&node.span, "")),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    /// The first line of `message` is the title, each further line a help.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let mut lines = message.lines();
        let title = Report::new(lines.next().unwrap_or_default());
        Self::Wrong(Box::new(lines.fold(title, Report::help)))
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("this must be {expected}"))
    }

    fn invalid_value(value: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let whole = match value {
            de::Unexpected::Signed(value) => Some(value.to_string()),
            de::Unexpected::Unsigned(value) => Some(value.to_string()),
            _ => None,
        };
        match whole.zip(bounds(&expected.to_string())) {
            Some((value, [low, high])) => Self::custom(format_args!(
                "{value} does not fit here\nwrite a whole number from {low} to {high}"
            )),
            None => Self::custom(format_args!("invalid value: {value}, expected {expected}")),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

/// The least and the greatest number of a type of whole numbers.
fn bounds(dtype: &str) -> Option<[String; 2]> {
    macro_rules! bounds {
        ($($dtype:ident)*) => {
            match dtype {
                $(stringify!($dtype) => Some([$dtype::MIN.to_string(), $dtype::MAX.to_string()]),)*
                _ => None,
            }
        };
    }
    bounds!(i8 i16 i32 i64 u8 u16 u32 u64 usize)
}

/// `the file`, or a key in backquotes.
pub(super) fn quoted(what: &str) -> String {
    if what.contains(' ') {
        what.to_owned()
    } else {
        format!("`{what}`")
    }
}

/// A key or a value that there is none of.
pub(super) fn unknown(noun: &str, what: &str, entry: &Entry, known: &[&'static str]) -> Report {
    let key = &entry.key;
    Report::new(format!("{} has no {noun} `{}`", quoted(what), clipped(key)))
        .at(
            &entry.key_span,
            format!("expected {}", listed(known.iter().copied())),
        )
        .maybe_help(nearest(key, known.iter().copied()))
}
