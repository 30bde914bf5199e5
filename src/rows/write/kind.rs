//! What the passed values of a key are, as far as they were seen: their column in Parquet needs a
//! type, and nothing but the rows says which.

use std::borrow::Cow;

use crate::rows::json::is_number;

/// Beyond this, a double does not hold every whole number.
const EXACT_MAX: u64 = 1 << 53;

/// The kind of a key's values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// No value was seen yet.
    #[default]
    Nothing,
    /// Truth values.
    Bool,
    /// Whole numbers that a double holds as well.
    Whole,
    /// Whole numbers of 64 bits.
    Large,
    /// Numbers.
    Number,
    /// Text; whatever else there is stands as its JSON text.
    Text,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Bool,
    I64,
    F64,
    Text,
}

impl Kind {
    /// The kind of one value, by its JSON text.
    pub(super) fn of(json: &str) -> Self {
        match json {
            "" | "null" => Self::Nothing,
            "true" | "false" => Self::Bool,
            _ if is_number(json) => {
                let is_whole = !json.contains(['.', 'e', 'E']);
                match json.parse::<i64>() {
                    Ok(value) if value.unsigned_abs() <= EXACT_MAX => Self::Whole,
                    Ok(_) => Self::Large,
                    // Too large for any number here: not a digit is to be lost.
                    Err(_) if is_whole => Self::Text,
                    Err(_) => Self::Number,
                }
            }
            _ => Self::Text,
        }
    }

    /// The kind that holds the values of both.
    pub(super) fn with(self, other: Self) -> Self {
        use Kind::{Large, Nothing, Number, Text, Whole};
        match (self, other) {
            (one, other) if one == other => one,
            (Nothing, other) | (other, Nothing) => other,
            (Whole, Large) | (Large, Whole) => Large,
            (Whole, Number) | (Number, Whole) => Number,
            _ => Text,
        }
    }

    /// The type of the column that holds it.
    pub(super) fn held(self) -> Held {
        match self {
            Self::Bool => Held::Bool,
            Self::Whole | Self::Large => Held::I64,
            Self::Number => Held::F64,
            Self::Nothing | Self::Text => Held::Text,
        }
    }
}

/// A passed value as text, by its JSON text: a string without its quotes. `None` for null.
pub(super) fn text(json: &str) -> Option<Cow<'_, str>> {
    match json {
        "" | "null" => None,
        _ if json.starts_with('"') => {
            Some(serde_json::from_str::<String>(json).map_or(json.into(), Cow::Owned))
        }
        _ => Some(json.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_widen_without_loss() {
        for (values, kind) in [
            (&["null", ""][..], Kind::Nothing),
            (&["1", "null", "-2"], Kind::Whole),
            (&["1", "1.5"], Kind::Number),
            (&["1", "9007199254740993"], Kind::Large),
            (&["1.5", "9007199254740993"], Kind::Text),
            (&["99999999999999999999"], Kind::Text),
            (&["1e3"], Kind::Number),
            (&["true", "false"], Kind::Bool),
            (&["true", "1"], Kind::Text),
            (&["\"a\"", "1"], Kind::Text),
            (&["[1]"], Kind::Text),
        ] {
            let all = values.iter().map(|json| Kind::of(json));
            assert_eq!(all.fold(Kind::Nothing, Kind::with), kind, "{values:?}");
        }
        assert_eq!(text("\"a\\\"b\"").as_deref(), Some("a\"b"));
        assert_eq!(text("{\"a\":1}").as_deref(), Some("{\"a\":1}"));
        assert_eq!(text("null"), None);
    }
}
