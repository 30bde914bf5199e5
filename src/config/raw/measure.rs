//! Measures: a length of time, a number of bytes, a number of things.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use crate::config::{read::COUNT, report::clipped};

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Time(pub(in crate::config) Duration);

const TIME_UNITS: [(&str, u64); 5] = [
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

impl Time {
    pub(super) const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let fault = || {
            format!(
                "`{}` is not a length of time\nwrite a number and a unit, `2ms`, `30s` or `1m`; the units are us, ms, s, m, h",
                clipped(text)
            )
        };
        let (number, unit) = split_unit(text).ok_or_else(fault)?;
        let micros = TIME_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(fault)?
            .1;
        let micros = number * micros as f64;
        // Ten years: longer is a mistake, and would overflow clocks.
        if micros > 3.2e14 {
            return Err(fault());
        }
        Ok(Self(Duration::from_secs_f64(micros / 1e6)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        if micros == 0 {
            return f.write_str("0s");
        }
        let fits = |size: u64| micros.is_multiple_of(u128::from(size));
        let (unit, size) = TIME_UNITS
            .into_iter()
            .find(|(_, size)| fits(*size))
            .unwrap_or(("us", 1));
        write!(f, "{}{unit}", micros / u128::from(size))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

/// Takes numbers too, to say that they lack a unit.
struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time, `30s`")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Time, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Time, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Time, E> {
        Time::parse(value).map_err(E::custom)
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["2ms", "30s", "1m"] })
    }
}

/// A number and what follows it.
fn split_unit(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number = text[..end].parse().ok()?;
    Some((number, text[end..].trim_start()))
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Size(pub(in crate::config) usize);

const SIZE_UNITS: [(&str, usize); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl Size {
    fn parse(text: &str) -> Result<Self, String> {
        let fault = || {
            format!(
                "`{}` is not a number of bytes\nwrite a number and a unit, `64MiB`; the units are B, KB, MB, GB, KiB, MiB, GiB",
                clipped(text)
            )
        };
        let (number, unit) = split_unit(text).ok_or_else(fault)?;
        let unit = if unit.is_empty() { "B" } else { unit };
        let known = SIZE_UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let bytes = number * known.ok_or_else(fault)?.1 as f64;
        if !(1.0..9e15).contains(&bytes) {
            return Err(fault());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above"
        )]
        Ok(Self(bytes as usize))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, `64MiB`")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Size, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Size, E> {
        Size::parse(value).map_err(E::custom)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = SIZE_UNITS
            .into_iter()
            .find(|(_, size)| self.0.is_multiple_of(*size))
            .unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "minimum": 1, "examples": ["64MiB"] })
    }
}

/// A whole number from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Count(pub(in crate::config) usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The reader knows the name, and refuses 0.
        deserializer.deserialize_newtype_struct(COUNT, CountVisitor)
    }
}

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 1")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Count, E> {
        usize::try_from(value).map(Count).map_err(E::custom)
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0 as u64)
    }
}

impl JsonSchema for Count {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // A string only as a reference to the environment.
        json_schema!({ "type": ["integer", "string"], "minimum": 1, "pattern": "^\\$\\{" })
    }
}
