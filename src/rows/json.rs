//! JSON text of single values, from the cells of other formats.

use bytes::{BufMut as _, BytesMut};

use crate::encode::json::{integer, text};

/// What a cell is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// A number.
    Number,
    /// A truth value.
    Bool,
    /// Text, or base64.
    Text,
    /// A JSON array.
    Array,
    /// Whatever it looks like: a number, a truth value, or else text.
    Any,
}

/// Writes a cell of a text format, which is not empty, as the JSON value that is wanted. What it
/// cannot be is written as text, so that the contract says what is wrong with it.
pub fn cell(cell: &str, want: Want, into: &mut BytesMut) {
    match want {
        Want::Text => text(cell, into),
        Want::Number => number(cell.trim(), into),
        Want::Bool => match truth(cell.trim()) {
            Some(truth) => into.put_slice(truth.as_bytes()),
            None => text(cell, into),
        },
        Want::Array => {
            let value = cell.trim();
            if value.starts_with('[')
                && serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok()
            {
                into.put_slice(value.as_bytes());
            } else {
                text(cell, into);
            }
        }
        Want::Any if is_number(cell) => into.put_slice(cell.as_bytes()),
        Want::Any => match truth(cell) {
            Some(truth) => into.put_slice(truth.as_bytes()),
            None => text(cell, into),
        },
    }
}

/// `true`, `True`, `FALSE`: as other programs write them.
fn truth(cell: &str) -> Option<&'static str> {
    if cell.eq_ignore_ascii_case("true") {
        Some("true")
    } else if cell.eq_ignore_ascii_case("false") {
        Some("false")
    } else {
        None
    }
}

fn number(cell: &str, into: &mut BytesMut) {
    if is_number(cell) {
        into.put_slice(cell.as_bytes());
        return;
    }
    // What other programs write and JSON cannot: `+1`, `.5`, `5.`, `007`, `nan`.
    if let Ok(value) = cell.parse::<i64>() {
        integer(value, into);
        return;
    }
    match cell.parse::<f64>() {
        Ok(value) if value.is_nan() => into.put_slice(b"null"),
        Ok(value) if value.is_finite() => {
            into.put_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        Ok(value) => infinite(value < 0.0, into),
        Err(_) => text(cell, into),
    }
}

/// An infinity as JSON can write it: a number that is too large, for the contract to refuse.
pub(super) fn infinite(negative: bool, into: &mut BytesMut) {
    into.put_slice(if negative {
        b"-1e999".as_slice()
    } else {
        b"1e999"
    });
}

/// Whether it is a number as JSON writes them.
pub fn is_number(cell: &str) -> bool {
    fn digits(bytes: &[u8]) -> (usize, &[u8]) {
        let end = bytes.iter().position(|byte| !byte.is_ascii_digit());
        let (digits, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        (digits.len(), rest)
    }
    let bytes = cell.as_bytes();
    let bytes = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let leading_zero = bytes.first() == Some(&b'0');
    let (whole, mut rest) = digits(bytes);
    if whole == 0 || (leading_zero && whole > 1) {
        return false;
    }
    if let Some(behind) = rest.strip_prefix(b".") {
        let (places, behind) = digits(behind);
        if places == 0 {
            return false;
        }
        rest = behind;
    }
    if let [b'e' | b'E', behind @ ..] = rest {
        let behind = behind
            .strip_prefix(b"+")
            .or_else(|| behind.strip_prefix(b"-"))
            .unwrap_or(behind);
        let (places, behind) = digits(behind);
        if places == 0 {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str, want: Want) -> String {
        let mut into = BytesMut::new();
        cell(text, want, &mut into);
        String::from_utf8(into.to_vec()).expect("UTF-8")
    }

    #[test]
    fn cells_become_what_is_wanted() {
        for (cell, want, json) in [
            ("12", Want::Number, "12"),
            (" 1.50 ", Want::Number, "1.50"),
            ("+1", Want::Number, "1"),
            (".5", Want::Number, "0.5"),
            ("5.", Want::Number, "5.0"),
            ("007", Want::Number, "7"),
            ("1E5", Want::Number, "1E5"),
            ("nan", Want::Number, "null"),
            ("NaN", Want::Number, "null"),
            ("inf", Want::Number, "1e999"),
            ("1,5", Want::Number, "\"1,5\""),
            ("True", Want::Bool, "true"),
            ("FALSE", Want::Bool, "false"),
            ("1", Want::Bool, "\"1\""),
            ("12", Want::Text, "\"12\""),
            ("a\"b", Want::Text, "\"a\\\"b\""),
            ("[1, 2]", Want::Array, "[1, 2]"),
            ("[1],\"x\":[2]", Want::Array, "\"[1],\\\"x\\\":[2]\""),
            ("7", Want::Any, "7"),
            ("007", Want::Any, "\"007\""),
            ("true", Want::Any, "true"),
            ("ma", Want::Any, "\"ma\""),
        ] {
            assert_eq!(written(cell, want), json, "{cell:?} as {want:?}");
        }
    }

    proptest! {
        /// What passes for a number is one, and the other way round.
        #[test]
        fn numbers_are_those_of_json(cell in "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?") {
            let json = serde_json::from_str::<&serde_json::value::RawValue>(&cell).is_ok();
            prop_assert_eq!(is_number(&cell), json && !cell.is_empty());
        }

        /// Whatever stands in a cell, what comes out is one JSON value.
        #[test]
        fn any_cell_is_one_value(text in "\\PC{1,20}", want in 0..5) {
            let want = [Want::Number, Want::Bool, Want::Text, Want::Array, Want::Any][want];
            let json = written(&text, want);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
        }
    }
}
