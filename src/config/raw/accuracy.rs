//! How exact a model's results on a GPU must be, and how that is watched.

use std::{borrow::Cow, fmt, num::NonZeroU32};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::value::{text, with_help};
use crate::{
    config::report::{clipped, listed, nearest},
    engine::Precision,
};

/// What products of matrices are multiplied as on a GPU.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::config) struct PrecisionName(pub(in crate::config) Precision);
text!(PrecisionName, { "type": "string", "enum": ["auto", "fp32", "tf32", "fp16", "bf16"] });

impl PrecisionName {
    fn parse(text: &str) -> Result<Self, String> {
        Precision::parse(text).map(Self).ok_or_else(|| {
            let meant = match text.to_ascii_lowercase().as_str() {
                "single" | "float32" | "f32" | "float" => Some("fp32"),
                "half" | "float16" | "f16" => Some("fp16"),
                "bfloat16" => Some("bf16"),
                _ => None,
            };
            let meant = meant.map(|name| format!("did you mean `{name}`?"));
            with_help(
                format!(
                    "there is no precision `{}`; there are {}",
                    clipped(text),
                    listed(Precision::names())
                ),
                meant.or_else(|| nearest(text, Precision::names())),
            )
        })
    }
}

impl Serialize for PrecisionName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// One of so many: `1/10000`.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct OneIn(pub(in crate::config) NonZeroU32);
text!(OneIn, { "type": "string", "pattern": "^1/[1-9][0-9]*$" });

impl OneIn {
    fn parse(text: &str) -> Result<Self, String> {
        let count = text.strip_prefix("1/").and_then(|count| count.parse().ok());
        count.map(Self).ok_or_else(|| {
            with_help(
                format!("`{}` is not one of so many", clipped(text)),
                Some("write `1/10000` for one in ten thousand".to_owned()),
            )
        })
    }
}

impl fmt::Display for OneIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1/{}", self.0)
    }
}

/// How far a fraction may be off, as a part of something.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Tolerance(pub(in crate::config) f64);

impl<'de> Deserialize<'de> for Tolerance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let part = f64::deserialize(deserializer)?;
        if part > 0.0 && part < 1.0 {
            return Ok(Self(part));
        }
        Err(de::Error::custom(
            "a tolerance is a part like 1e-3: above 0 and below 1",
        ))
    }
}

impl JsonSchema for Tolerance {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Tolerance".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 })
    }
}
