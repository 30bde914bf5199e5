//! What a dead letter says about itself.

use crate::message::{Headers, Message, Reject};

/// Longest header value: a reason quotes what it found, and that may be anything.
const VALUE_MAX: usize = 1024;

/// The headers of the dead letter for `message`: where it failed and why, and where it came from.
/// Its own headers go along, so that it can be sent again as it was.
pub fn headers(message: &Message, reject: &Reject) -> Headers {
    let mut headers: Headers = vec![
        ("Forebay-Stage".into(), reject.stage.name().into()),
        ("Forebay-Reason".into(), one_line(&reject.reason)),
        ("Forebay-Subject".into(), one_line(message.subject())),
    ];
    if let Some(position) = &message.position {
        headers.push(("Forebay-Stream".into(), one_line(&position.stream)));
        headers.push(("Forebay-Sequence".into(), position.sequence.to_string()));
    }
    let own = message.headers.iter().flat_map(|headers| headers.iter());
    headers.extend(
        own.filter(|(name, value)| !is_ours(name) && value.len() <= VALUE_MAX)
            .cloned(),
    );
    headers
}

/// Whether the header means something to the broker or to us, and so must not be repeated.
fn is_ours(name: &str) -> bool {
    ["nats-", "forebay-"].iter().any(|prefix| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    })
}

/// The text as a header value: without control characters, and clipped.
pub fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.len() > VALUE_MAX {
        let end = line.floor_char_boundary(VALUE_MAX - '…'.len_utf8());
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use bytes::Bytes;

    use super::*;
    use crate::message::{Ack, Position, Stage};

    fn message() -> Message {
        Message {
            subject: Bytes::from_static(b"rows.MA"),
            reply: None,
            payload: Bytes::from_static(b"{"),
            headers: Some(Arc::new(vec![
                ("Content-Type".into(), "application/json".into()),
                ("Nats-Msg-Id".into(), "7".into()),
                ("forebay-stage".into(), "decode".into()),
            ])),
            position: Some(Arc::new(Position {
                stream: "ROWS".into(),
                incarnation: 1,
                sequence: 12,
                delivered: 2,
                again: true,
                kept: true,
            })),
            received: Instant::now(),
            ack: Ack::none(),
        }
    }

    #[test]
    fn they_say_where_why_and_whence() {
        let reject = Reject::new(Stage::Decode, "syntax", "line 1:\nexpected a value");
        let headers = headers(&message(), &reject);
        let headers: Vec<_> = headers
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            headers,
            [
                ("Forebay-Stage", "decode"),
                ("Forebay-Reason", "line 1: expected a value"),
                ("Forebay-Subject", "rows.MA"),
                ("Forebay-Stream", "ROWS"),
                ("Forebay-Sequence", "12"),
                ("Content-Type", "application/json"),
            ]
        );
    }

    #[test]
    fn values_are_clipped_between_characters() {
        let line = one_line(&"é\r\n".repeat(1000));
        assert!(
            line.len() <= VALUE_MAX && line.ends_with('…'),
            "{}",
            line.len()
        );
        assert!(!line.contains(['\r', '\n']));
    }

    #[test]
    fn a_message_from_nowhere_has_no_stream() {
        let mut message = message();
        message.position = None;
        message.headers = None;
        let reject = Reject::new(Stage::Source, "deliveries", "x");
        assert_eq!(headers(&message, &reject).len(), 3);
    }
}
