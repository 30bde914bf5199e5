//! Server addresses. Who we are is taken out of them at once, so that no address that is kept or
//! shown has a secret in it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::nats::{Auth, Secret};

/// A server address and who it says we are.
#[derive(Debug, Clone)]
pub(super) struct Url {
    /// Without user, password or token.
    pub(super) address: String,
    /// From the address.
    pub(super) auth: Auth,
}

impl Url {
    /// Reads an address. The errors do not repeat it: it may hold a password.
    fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "this is not a server address\nwrite it like `nats://127.0.0.1:4222`";
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None => ("nats", text),
        };
        if scheme != "nats" && scheme != "tls" {
            return Err(
                "this is not an address of a NATS server\nit begins with `nats://`, or with `tls://` for an encrypted connection",
            );
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (auth, host) = match rest.rsplit_once('@') {
            Some((info, host)) => (user_info(info).ok_or(SHAPE)?, host),
            None => (Auth::None, rest),
        };
        let (name, port) = split_port(host);
        let bad = |c: char| c.is_whitespace() || c.is_control() || "/?#@,\\\"".contains(c);
        if name.is_empty() || name.contains(bad) {
            return Err(SHAPE);
        }
        match port.map(str::parse::<u16>) {
            Some(Ok(0) | Err(_)) => Err(
                "the port of this address is not a number from 1 to 65535\nNATS servers listen on 4222 where nothing else is said",
            ),
            _ => Ok(Self {
                address: format!("{scheme}://{host}"),
                auth,
            }),
        }
    }
}

/// `host:port`, `[::1]:port`, or without a port.
fn split_port(host: &str) -> (&str, Option<&str>) {
    if let Some((name, rest)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        return (name, rest.strip_prefix(':'));
    }
    match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    }
}

fn user_info(info: &str) -> Option<Auth> {
    Some(match info.split_once(':') {
        Some((user, password)) => Auth::User {
            user: decode_percent(user)?,
            password: Secret::new(decode_percent(password)?),
        },
        None => Auth::Token(Secret::new(decode_percent(info)?)),
    })
}

fn decode_percent(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

impl JsonSchema for Url {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Url".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_leave_the_address() {
        let url = Url::parse("nats://me:p%40ss@host:4222").unwrap();
        assert_eq!(url.address, "nats://host:4222");
        let password = Secret::new("p@ss");
        assert_eq!(
            url.auth,
            Auth::User {
                user: "me".into(),
                password
            }
        );
        let url = Url::parse("tls://tok@host").unwrap();
        assert_eq!(
            (url.address.as_str(), url.auth),
            ("tls://host", Auth::Token(Secret::new("tok")))
        );
        assert_eq!(Url::parse("localhost").unwrap().address, "nats://localhost");
        assert_eq!(
            Url::parse("nats://[::1]:4222/").unwrap().address,
            "nats://[::1]:4222"
        );
    }

    #[test]
    fn other_addresses_are_refused() {
        for bad in [
            "",
            "nats://",
            "http://x",
            "nats://a b",
            "nats://x:0",
            "nats://x:y",
            "nats://a/b",
            "nats://%zz@h",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }
}
