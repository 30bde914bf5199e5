//! Scalars that cannot hold nonsense.
//!
//! Each `parse` gives an error as lines: what is wrong, then what to do.

use std::{borrow::Cow, net::SocketAddr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    config::report::{clipped, listed, nearest},
    contract::Dtype,
    engine::{Device, Gpus},
    graph::params::OneOrMany,
    sink::template::Template,
};

pub(in crate::config) use super::super::url::Url;

/// Gives a type that has `parse(&str) -> Result<Self, String>` its place in serde and the schema.
macro_rules! text {
    ($type:ty, $schema:tt) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}
pub(super) use text;

/// A pipeline's name.
#[derive(Debug)]
pub(in crate::config) struct PipelineName(pub(in crate::config) String);
text!(PipelineName, { "type": "string", "minLength": 1, "maxLength": 64 });

impl PipelineName {
    fn parse(text: &str) -> Result<Self, String> {
        const LENGTH_MAX: usize = 64;
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if text.is_empty() || text.len() > LENGTH_MAX || !text.chars().all(allowed) {
            return Err(format!(
                "`{}` cannot name a pipeline\nuse letters, digits, `-` and `_`, {LENGTH_MAX} at most",
                clipped(text)
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a stream, a consumer or a queue group.
#[derive(Debug)]
pub(in crate::config) struct BrokerName(pub(in crate::config) String);
text!(BrokerName, { "type": "string", "minLength": 1 });

impl BrokerName {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty()
            || text.contains(|c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c))
        {
            return Err(format!(
                "`{}` cannot be a name in NATS\nuse no space, `.`, `*`, `>`, `/` or `\\`",
                clipped(text)
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A subject to subscribe to, wildcards allowed.
#[derive(Debug)]
pub(in crate::config) struct Subject(pub(in crate::config) String);
text!(Subject, { "type": "string", "minLength": 1, "examples": ["rows.income.>"] });

impl Subject {
    fn parse(text: &str) -> Result<Self, String> {
        let plain = text.strip_suffix(".>").unwrap_or(text);
        let wild = |token: &str| token != "*" && token.contains(['*', '>']);
        if text == ">" {
            return Ok(Self(text.to_owned()));
        }
        let fault = if plain.split('.').any(str::is_empty) {
            "has an empty token\nwrite tokens with single dots between them: `rows.income`"
        } else if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            "has a space in it\nsubjects have no spaces"
        } else if plain.split('.').any(wild) {
            "has a wildcard that is no whole token\n`*` stands for one whole token, `>` at the end for all that follow"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(format!("the subject `{}` {fault}", clipped(text)))
    }
}

/// A subject without wildcards.
#[derive(Debug)]
pub(in crate::config) struct PlainSubject(pub(in crate::config) String);
text!(PlainSubject, { "type": "string", "minLength": 1 });

impl PlainSubject {
    fn parse(text: &str) -> Result<Self, String> {
        let Subject(subject) = Subject::parse(text)?;
        if subject.contains(['*', '>']) {
            return Err(format!(
                "`{}` has a wildcard\nwrite it without `*` and `>`",
                clipped(text)
            ));
        }
        Ok(Self(subject))
    }
}

/// A subject to publish to, made from the input's.
#[derive(Debug)]
pub(in crate::config) struct SubjectTemplate(pub(in crate::config) Template);
text!(SubjectTemplate, { "type": "string", "minLength": 1, "examples": ["scores.income.{3}"] });

impl SubjectTemplate {
    fn parse(text: &str) -> Result<Self, String> {
        Template::parse(text).map(Self)
    }
}

/// By what results are kept in order.
#[derive(Debug)]
pub(in crate::config) enum OrderKey {
    /// The token of the subject with this number, from 1.
    Token(usize),
    /// The field of this name.
    Field(String),
}
text!(OrderKey, { "type": "string", "minLength": 1, "examples": ["{2}"] });

impl OrderKey {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("`order_by` names nothing\nwrite a field's name, or a token of the subject: `\"{2}\"`".into());
        }
        if !text.contains(['{', '}']) {
            return Ok(Self::Field(text.to_owned()));
        }
        let inside = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match inside.and_then(|number| number.parse().ok()) {
            Some(number @ 1..) => Ok(Self::Token(number)),
            _ => Err(format!(
                "`{}` is not one token of the subject\n`\"{{1}}\"` is the first token of the input's subject",
                clipped(text)
            )),
        }
    }
}

/// A path; never empty.
#[derive(Debug, Clone)]
pub(in crate::config) struct FilePath(pub(in crate::config) String);
text!(FilePath, { "type": "string", "minLength": 1 });

impl FilePath {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err("this is no path\nwrite the path of a file, relative to this file".into());
        }
        Ok(Self(text.to_owned()))
    }
}

/// A type of elements.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct TypeName(pub(in crate::config) Dtype);
text!(TypeName, { "enum": ["f32", "f64", "i32", "i64", "u8", "bool", "string", "bytes"] });

impl TypeName {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(dtype) = Dtype::from_name(text) {
            return Ok(Self(dtype));
        }
        let names = || Dtype::ALL.into_iter().map(Dtype::name);
        let meant = match text {
            "float" | "float32" | "number" => Some("f32"),
            "double" | "float64" => Some("f64"),
            "int" | "integer" | "int64" | "long" => Some("i64"),
            "int32" => Some("i32"),
            "uint8" | "byte" => Some("u8"),
            "boolean" => Some("bool"),
            "str" | "text" => Some("string"),
            _ => None,
        };
        let meant = meant.map(|name| format!("did you mean `{name}`?"));
        Err(with_help(
            format!(
                "there is no type `{}`; the types are {}",
                clipped(text),
                listed(names())
            ),
            meant.or_else(|| nearest(text, names())),
        ))
    }
}

/// A device.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct DeviceName(pub(in crate::config) Device);
text!(DeviceName, { "type": "string", "pattern": "^(auto|cpu|cuda|cuda:(0|[1-9][0-9]*))$", "examples": ["auto", "cpu", "cuda", "cuda:1"] });

impl DeviceName {
    fn parse(text: &str) -> Result<Self, String> {
        Device::parse(text).map(Self).ok_or_else(|| {
            let meant = if text == "gpu" {
                Some("did you mean `cuda`?".to_owned())
            } else {
                nearest(text, ["auto", "cpu", "cuda"])
            };
            with_help(
                format!(
                    "there is no device `{}`; there are `auto`, `cpu`, and `cuda` or `cuda:N` for the GPU of that number",
                    clipped(text)
                ),
                meant,
            )
        })
    }
}

/// Where a model runs: a device, or a list of GPUs.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::config) struct Devices(pub(in crate::config) Device);

impl<'de> Deserialize<'de> for Devices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let OneOrMany(names) = OneOrMany::<DeviceName>::deserialize(deserializer)?;
        if let [DeviceName(one)] = names[..] {
            return Ok(Self(one));
        }
        let numbers: Option<Vec<usize>> = (names.iter())
            .map(|DeviceName(device)| match device {
                Device::Cuda(number) => Some(*number),
                _ => None,
            })
            .collect();
        let gpus = numbers.and_then(|numbers| Gpus::of(&numbers));
        gpus.map(|gpus| Self(Device::Cudas(gpus))).ok_or_else(|| {
            de::Error::custom(
                "a list of devices is one of GPUs, each once, numbered from 0 to 63: `[cuda:0, cuda:1]`",
            )
        })
    }
}

impl JsonSchema for Devices {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Devices".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        OneOrMany::<DeviceName>::json_schema(generator)
    }
}

impl Serialize for Devices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// An address to listen on.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Listen(pub(in crate::config) SocketAddr);
text!(Listen, { "type": "string", "examples": ["127.0.0.1:9464"] });

impl Listen {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            let help = match text.rsplit_once(':') {
                Some(("localhost", port)) => format!("did you mean `127.0.0.1:{port}`?"),
                Some(("" | "*", port)) => {
                    format!("did you mean `0.0.0.0:{port}`? It listens on every address")
                }
                _ => "write it like `127.0.0.1:9464`".to_owned(),
            };
            format!("`{}` is not an address and port\n{help}", clipped(text))
        })
    }
}

pub(super) fn with_help(message: String, help: Option<String>) -> String {
    match help {
        Some(help) => format!("{message}\n{help}"),
        None => message,
    }
}
