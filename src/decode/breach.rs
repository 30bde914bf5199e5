//! Which rule of the contract a value breaks, and the sentence that says so.

use std::fmt::Write as _;

use crate::{
    contract::{Dtype, Field, Scalar},
    message::{Reject, Stage},
};

/// Values in a sentence are cut to so many characters.
const SHOWN_CHARS_MAX: usize = 40;
/// The list of allowed values in a sentence is cut to about so many bytes.
const LISTED_BYTES_MAX: usize = 120;

/// Which rule a value breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breach {
    /// The key is not there, and nothing stands in for it.
    Missing,
    /// Null (or NaN in a format that has it), and nothing stands in for it.
    Null,
    /// Another type altogether.
    Type,
    /// A number in quotes.
    Quoted,
    /// A fraction in an integer field.
    Fraction,
    /// Too large for the type.
    Overflow,
    /// An infinity.
    Infinite,
    /// Outside the declared range.
    Range,
    /// Not in the declared set.
    Value,
    /// Text that is not base64, where bytes are meant.
    Base64,
    /// Text with U+0000 in it, which no model can be given: it would fail a whole batch.
    Nul,
    /// Not an array where the shape asks for one, or nested the wrong way.
    Form,
    /// An array with this many elements where the shape asks for another number.
    Length(usize),
}

impl Breach {
    /// The fixed word for metrics.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Null => "null",
            Self::Type | Self::Quoted | Self::Fraction => "type",
            Self::Overflow | Self::Infinite | Self::Range => "range",
            Self::Value | Self::Nul | Self::Base64 => "value",
            Self::Form | Self::Length(_) => "shape",
        }
    }
}

/// The reject for a value that breaks a rule. `shown` is the value as text; `element` its
/// place in the row's array, where the field is one.
#[cold]
pub(super) fn reject(field: &Field, breach: Breach, shown: &str, element: Option<usize>) -> Reject {
    let mut place = format!("field `{}`", field.name);
    if let Some(element) = element {
        // Writing to a string cannot fail.
        let _infallible = write!(place, ", element {element}");
    }
    let shown = clip(shown);
    let dtype = field.dtype;
    let noun = noun(dtype);
    let reason = match breach {
        Breach::Missing => format!("{place} is missing"),
        Breach::Null => format!("{place} is null"),
        Breach::Type => format!("{place}: {shown} is not {noun}"),
        Breach::Quoted => {
            format!("{place}: {shown} is text, not {noun}; send it without quotes")
        }
        Breach::Fraction => format!("{place}: {shown} is not a whole number"),
        Breach::Overflow => format!("{place}: {shown} does not fit in {dtype}"),
        Breach::Infinite => format!("{place}: {shown} is not a finite number"),
        Breach::Range => format!("{place}: {shown} is outside the range {}", range(field)),
        Breach::Value => format!(
            "{place}: {shown} is not one of the allowed values {}",
            list(field.values.as_deref().unwrap_or_default())
        ),
        Breach::Base64 => {
            format!("{place}: {shown} is not base64 text (RFC 4648, with or without padding)")
        }
        Breach::Nul => {
            format!("{place}: {shown} has the character U+0000 in it, which models cannot take")
        }
        Breach::Form => format!("{place}: {shown} is not {}", form(field)),
        Breach::Length(found) => format!(
            "{place}: expected {}, found an array of {found}",
            form(field)
        ),
    };
    Reject::new(Stage::Decode, breach.kind(), reason)
}

/// Keys of a row that are no field, for the reject of a row in which a field is missing: most
/// often it is there under another name. Keys alone, and never what stands under them: logs and
/// dead letters may be read by people who must not see the data.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    shown: String,
    count: usize,
    more: usize,
}

impl Strangers {
    /// So many are named.
    const MOST: usize = 4;

    pub(super) fn note(&mut self, key: &str) {
        if self.count == Self::MOST {
            self.more += 1;
            return;
        }
        let comma = if self.count > 0 { ", " } else { "" };
        let _infallible = write!(self.shown, "{comma}`{}`", clip(key));
        self.count += 1;
    }

    /// Adds them to the reason.
    pub(super) fn tell(&self, reject: &mut Reject) {
        if self.count == 0 {
            return;
        }
        let (are, keys) = match self.count {
            1 => ("is", "a key that is no field"),
            _ => ("are", "keys that are no fields"),
        };
        let _infallible = write!(reject.reason, "; there {are} {keys}: {}", self.shown);
        if self.more > 0 {
            let _infallible = write!(reject.reason, " and {} more", self.more);
        }
    }
}

/// Whether the row's keys may say why it was rejected.
pub(super) fn is_missing(reject: &Reject) -> bool {
    reject.kind == Breach::Missing.kind()
}

fn range(field: &Field) -> String {
    match field.range {
        Some([low, high]) if low == f64::NEG_INFINITY => format!("up to {high}"),
        Some([low, f64::INFINITY]) => format!("from {low} up"),
        Some([low, high]) => format!("{low} to {high}"),
        None => "of its type".to_owned(),
    }
}

fn form(field: &Field) -> String {
    let things = match field.dtype {
        Dtype::String => "texts",
        Dtype::Bool => "truth values",
        _ => "numbers",
    };
    let width = field.width();
    match field.shape.as_slice() {
        [] => noun(field.dtype).to_owned(),
        [_] => format!("an array of {width} {things}"),
        shape => {
            let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
            let sizes = sizes.join("x");
            format!("an array of shape {sizes} or a flat array of {width} {things}")
        }
    }
}

fn noun(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 | Dtype::F64 => "a number",
        Dtype::I32 | Dtype::I64 | Dtype::U8 => "a whole number",
        Dtype::Bool => "true or false",
        Dtype::String => "text",
        Dtype::Bytes => "base64 text",
    }
}

/// The first characters of a value, on one line.
pub(super) fn clip(value: &str) -> String {
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    if value.chars().nth(SHOWN_CHARS_MAX).is_none() {
        return value.chars().map(one_line).collect();
    }
    let start = value.chars().take(SHOWN_CHARS_MAX - 1);
    start.map(one_line).chain(['…']).collect()
}

fn list(values: &[Scalar]) -> String {
    let mut listed = String::new();
    for (index, value) in values.iter().enumerate() {
        if listed.len() > LISTED_BYTES_MAX {
            let _infallible = write!(listed, " and {} more", values.len() - index);
            break;
        }
        if index > 0 {
            listed.push_str(", ");
        }
        listed.push_str(&clip(&value.to_string()));
    }
    listed
}
