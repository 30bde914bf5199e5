//! What the broker says about a publish.

use async_nats::{Message, StatusCode};
use serde::Deserialize;

/// The broker's word on one publish.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Stored.
    Stored {
        /// Not now: it was stored before.
        duplicate: bool,
    },
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
    #[serde(default)]
    duplicate: bool,
}

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(default)]
    err_code: u64,
    #[serde(default, borrow)]
    description: std::borrow::Cow<'a, str>,
}

// JetStream's numbers.
/// Limits on one message: the stream's own, and the broker's on headers.
const TOO_LARGE: [u64; 2] = [10_054, 10_097];
/// What no later try changes: an expectation (stream, last id, last sequence) that the message
/// does not meet, a roll-up or a time to live that the stream does not take. Everything else, a
/// full account (10002, with the same status 400) first of all, may pass.
const REFUSED: [u64; 7] = [10_060, 10_070, 10_071, 10_111, 10_164, 10_165, 10_166];
const STREAM_SEALED: u64 = 10_109;

impl Answer {
    /// Reads the answer to the publish of `what`: a result, or a dead letter.
    pub(super) fn read(message: &Message, what: &str) -> Self {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Self::NotNow("no stream takes the subject at the moment".to_owned());
        }
        match serde_json::from_slice::<PubAck>(&message.payload) {
            Ok(PubAck {
                error: Some(problem),
                ..
            }) => Self::problem(&problem, what),
            Ok(PubAck {
                error: None,
                stream: Some(_),
                duplicate,
            }) => Self::Stored { duplicate },
            // A responder that is no stream listens on this subject.
            Ok(_) | Err(_) => {
                Self::NotNow("something other than a stream answers on the subject".to_owned())
            }
        }
    }

    fn problem(problem: &Problem<'_>, what: &str) -> Self {
        let reason = format!(
            "JetStream does not store the {what}: {}",
            problem.description
        );
        match problem.err_code {
            code if TOO_LARGE.contains(&code) => Self::Never {
                kind: "size",
                reason,
            },
            code if REFUSED.contains(&code) => Self::Never {
                kind: "refused",
                reason,
            },
            STREAM_SEALED => Self::Fatal(reason),
            _ => Self::NotNow(problem.description.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(payload: &'static str) -> Answer {
        let message = Message {
            subject: "i.1".into(),
            reply: None,
            payload: payload.into(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        };
        Answer::read(&message, "result")
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(
            answer(r#"{"stream":"S","seq":7}"#),
            Answer::Stored { duplicate: false }
        );
        assert_eq!(
            answer(r#"{"stream":"S","seq":7,"duplicate":true,"domain":"d"}"#),
            Answer::Stored { duplicate: true }
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
        for (code, words) in [
            (10_002, "resource limits exceeded for account"),
            (10_158, "duplicate message id is in process"),
            (99_999, "something new"),
        ] {
            let message =
                format!(r#"{{"error":{{"code":400,"err_code":{code},"description":"{words}"}}}}"#);
            let message: &'static str = message.leak();
            assert_eq!(answer(message), Answer::NotNow(words.into()));
        }
        assert!(matches!(answer("hello"), Answer::NotNow(_)));
        assert!(matches!(answer("{}"), Answer::NotNow(_)));
    }
}
