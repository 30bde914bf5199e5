//! A number of things in a second.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use crate::config::report::clipped;

/// A number of things in a second; more than 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::config) struct PerSecond(pub(in crate::config) f64);

impl PerSecond {
    fn parse(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix("/s").map(str::trim_end);
        let digits = |text: &&str| text.chars().all(|c| c.is_ascii_digit() || c == '.');
        let number = number.filter(digits).and_then(|text| text.parse().ok());
        match number {
            Some(number) if (1e-3..1e12).contains(&number) => Ok(Self(number)),
            _ => Err(format!(
                "`{}` is not a rate\nwrite a number in a second, `20000/s`",
                clipped(text)
            )),
        }
    }
}

impl fmt::Display for PerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

impl<'de> Deserialize<'de> for PerSecond {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RateVisitor)
    }
}

/// Takes numbers too, to say that they lack a unit.
struct RateVisitor;

impl Visitor<'_> for RateVisitor {
    type Value = PerSecond;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rate, `20000/s`")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<PerSecond, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<PerSecond, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<PerSecond, E> {
        PerSecond::parse(value).map_err(E::custom)
    }
}

impl JsonSchema for PerSecond {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PerSecond".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["20000/s"] })
    }
}
