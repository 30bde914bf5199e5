//! What the broker says about a publish.

use async_nats::{Message, StatusCode};
use serde::Deserialize;

/// The broker's word on one publish.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Stored, now or before.
    Stored,
    /// Not now: time may help.
    NotNow(String),
    /// Never this message.
    Never {
        /// The label for the reject.
        kind: &'static str,
        /// The broker's words.
        reason: String,
    },
    /// Nothing, until the operator has done something.
    Fatal(String),
}

#[derive(Deserialize)]
struct PubAck<'a> {
    #[serde(borrow)]
    error: Option<Problem<'a>>,
    #[serde(default)]
    stream: Option<&'a str>,
}

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    err_code: u64,
    #[serde(default, borrow)]
    description: std::borrow::Cow<'a, str>,
}

// JetStream's numbers.
const MESSAGE_TOO_LARGE: u64 = 10_054;
const HEADER_TOO_LARGE: u64 = 10_097;
const STREAM_SEALED: u64 = 10_109;
/// The first try is still being stored.
const DUPLICATE_IN_PROCESS: u64 = 10_158;

impl Answer {
    pub(super) fn read(message: &Message) -> Self {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Self::NotNow("no stream takes the subject at the moment".to_owned());
        }
        match serde_json::from_slice::<PubAck>(&message.payload) {
            Ok(PubAck {
                error: Some(problem),
                ..
            }) => Self::problem(&problem),
            Ok(PubAck {
                error: None,
                stream: Some(_),
            }) => Self::Stored,
            // A responder that is no stream listens on this subject.
            Ok(_) | Err(_) => {
                Self::NotNow("something other than a stream answers on the subject".to_owned())
            }
        }
    }

    fn problem(problem: &Problem<'_>) -> Self {
        let reason = format!(
            "JetStream does not store the result: {}",
            problem.description
        );
        match (problem.err_code, problem.code) {
            (MESSAGE_TOO_LARGE | HEADER_TOO_LARGE, _) => Self::Never {
                kind: "size",
                reason,
            },
            (STREAM_SEALED, _) => Self::Fatal(reason),
            (DUPLICATE_IN_PROCESS, _) => Self::NotNow(problem.description.to_string()),
            (_, 400..500) => Self::Never {
                kind: "refused",
                reason,
            },
            _ => Self::NotNow(problem.description.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(payload: &'static str) -> Answer {
        Answer::read(&Message {
            subject: "i.1".into(),
            reply: None,
            payload: payload.into(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        })
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(answer(r#"{"stream":"S","seq":7}"#), Answer::Stored);
        assert_eq!(
            answer(r#"{"stream":"S","seq":7,"duplicate":true,"domain":"d"}"#),
            Answer::Stored
        );
        assert_eq!(
            answer(
                r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"S","seq":0}"#
            ),
            Answer::NotNow("maximum messages exceeded".into())
        );
        assert!(matches!(
            answer(
                r#"{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}"#
            ),
            Answer::Never { kind: "size", .. }
        ));
        assert!(matches!(
            answer(
                r#"{"error":{"code":400,"err_code":10109,"description":"invalid operation on sealed stream"}}"#
            ),
            Answer::Fatal(_)
        ));
        assert!(matches!(
            answer(r#"{"error":{"code":400,"err_code":10165,"description":"say \"why\""}}"#),
            Answer::Never {
                kind: "refused",
                ..
            }
        ));
        assert!(matches!(answer("hello"), Answer::NotNow(_)));
        assert!(matches!(answer("{}"), Answer::NotNow(_)));
    }
}
