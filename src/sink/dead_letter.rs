//! What a dead letter says about itself.

use bytes::Bytes;

use super::Outgoing;
use crate::message::{Headers, Message, Reject};

/// Longest header value: a reason quotes what it found, and that may be anything.
const VALUE_MAX: usize = 1024;
/// Longest reason of a dead letter that is too large.
const SHORT_REASON: usize = 100;
const STAGE: &str = "Forebay-Stage";
const REASON: &str = "Forebay-Reason";
const PAYLOAD: &str = "Forebay-Payload";

/// The headers of the dead letter for `message`: where it failed and why, and where it came from.
/// Its own headers go along, so that it can be sent again as it was.
pub fn headers(message: &Message, reject: &Reject) -> Headers {
    let mut headers: Headers = vec![
        (STAGE.into(), reject.stage.name().into()),
        (REASON.into(), one_line(&reject.reason)),
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

/// Whether this is a dead letter, and not a result or an answer.
pub(super) fn is_one(outgoing: &Outgoing) -> bool {
    outgoing
        .headers
        .first()
        .is_some_and(|(name, _)| name == STAGE)
}

/// Leaves out what a dead letter can do without: the message's own headers, and most of the reason.
pub(super) fn shorten_headers(letter: &mut Outgoing) {
    letter.headers.retain(|(name, _)| is_ours(name));
    for (name, value) in &mut letter.headers {
        if name == REASON {
            clip(value, SHORT_REASON);
        }
    }
}

/// Shortens the payload of a dead letter to `room` bytes and says so in a header; `false` where
/// that would lose something, or was done before.
///
/// A payload that can still be read where it came from is left out, because half of one is of no
/// use to anybody. One that is in its stream only until it is settled stays there: its message must
/// not be settled. Of one that is nowhere else, as much is kept as fits.
pub(super) fn shorten_payload(letter: &mut Outgoing, room: usize) -> bool {
    if letter.headers.iter().any(|(name, _)| name == PAYLOAD) {
        return false;
    }
    let bytes = letter.payload.len();
    let note = match &letter.message.position {
        Some(position) if position.kept => {
            letter.payload = Bytes::new();
            format!("omitted ({bytes} bytes; see stream and sequence)")
        }
        Some(position) if position.again => return false,
        _ => {
            letter.payload.truncate(room);
            format!("cut (the first {} of {bytes} bytes)", room.min(bytes))
        }
    };
    letter.headers.push((PAYLOAD.into(), note));
    true
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
    clip(&mut line, VALUE_MAX);
    line
}

fn clip(line: &mut String, most: usize) {
    if line.len() > most {
        let end = line.floor_char_boundary(most - '…'.len_utf8());
        line.truncate(end);
        line.push('…');
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use bytes::Bytes;

    use super::*;
    use crate::message::{Ack, Outcome, Position, Stage};

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
                stored: None,
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

    fn letter(position: Option<(bool, bool)>) -> Outgoing {
        let mut message = message();
        message.position = position.map(|(again, kept)| {
            Arc::new(Position {
                stream: "ROWS".into(),
                incarnation: 1,
                sequence: 12,
                delivered: 1,
                again,
                kept,
                stored: None,
            })
        });
        let reject = Reject::new(Stage::Decode, "syntax", "y".repeat(500));
        Outgoing {
            headers: headers(&message, &reject),
            payload: Bytes::from(vec![b'x'; 50]),
            message,
            outcome: Outcome::Rejected,
        }
    }

    #[test]
    fn a_large_one_is_shortened_and_says_so() {
        let mut large = letter(Some((true, true)));
        assert!(is_one(&large));
        shorten_headers(&mut large);
        assert_eq!(large.headers.len(), 5, "{:?}", large.headers);
        assert_eq!(large.headers[1].1.len(), SHORT_REASON);
        assert!(shorten_payload(&mut large, 10));
        assert!(large.payload.is_empty());
        assert_eq!(
            large.headers[5].1,
            "omitted (50 bytes; see stream and sequence)"
        );
        assert!(!shorten_payload(&mut large, 0), "once");

        let mut from_nowhere = letter(None);
        assert!(shorten_payload(&mut from_nowhere, 10));
        assert_eq!(from_nowhere.payload.len(), 10);
        let note = from_nowhere.headers.last().expect("a note");
        assert_eq!(note.1, "cut (the first 10 of 50 bytes)");

        let mut from_a_queue = letter(Some((true, false)));
        assert!(!shorten_payload(&mut from_a_queue, 10));
        assert_eq!(from_a_queue.payload.len(), 50);
    }
}
