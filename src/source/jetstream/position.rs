//! What the subject says that a delivery is acknowledged on.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::message::Position;

/// A delivery's place in its stream.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) struct Delivery {
    /// From 1.
    pub(super) sequence: u64,
    /// This time included.
    pub(super) delivered: u64,
    /// The consumer's own count of all its deliveries.
    pub(super) number: u64,
    /// When the message was stored, in nanoseconds since 1970.
    pub(super) stored: i128,
}

impl Delivery {
    /// Reads `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<consumer sequence>.<time>.<pending>`,
    /// or the longer form with `<domain>.<account>` before the stream (and perhaps a token at the end).
    pub(super) fn parse(subject: &str) -> Option<Self> {
        let rest = subject.strip_prefix("$JS.ACK.")?;
        let skip = match rest.bytes().filter(|byte| *byte == b'.').count() {
            6 => 2,
            8.. => 4,
            _ => return None,
        };
        let mut tokens = rest.split('.').skip(skip);
        Some(Self {
            delivered: tokens.next()?.parse().ok()?,
            sequence: tokens.next()?.parse().ok()?,
            number: tokens.next()?.parse().ok()?,
            stored: tokens.next()?.parse().ok()?,
        })
    }

    /// Where the message stands in this stream, of which it can still be read where it is `kept`.
    pub(super) fn position(self, stream: &Arc<str>, consumer: &str, kept: bool) -> Arc<Position> {
        Arc::new(Position {
            incarnation: incarnation(self.stored, stream, consumer),
            stream: Arc::clone(stream),
            sequence: self.sequence,
            delivered: self.delivered,
            again: true,
            kept,
            stored: self.stored_at(),
        })
    }

    /// When the message was stored.
    fn stored_at(self) -> Option<SystemTime> {
        let nanos = u64::try_from(self.stored).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))
    }
}

/// Tells apart messages that have, or had, the same sequence number.
///
/// Results are stored once per incarnation and sequence. A stream made anew starts at 1 again, and
/// one whose server lost its last writes gives their numbers again, perhaps while we go on; so it is
/// the time at which a message was stored that tells. Two pipelines that read one stream may well
/// write to one stream too, hence the consumer. FNV-1a, written out so that every build of this
/// program computes the same.
fn incarnation(stored_nanos: i128, stream: &str, consumer: &str) -> u64 {
    let time = stored_nanos.to_le_bytes();
    time.iter()
        .chain(stream.as_bytes())
        .chain(b".")
        .chain(consumer.as_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let delivery = Some(Delivery {
            sequence: 42,
            delivered: 3,
            number: 50,
            stored: 1_700_000_000_000_000_000,
        });
        for subject in [
            "$JS.ACK.ROWS.income.3.42.50.1700000000000000000.7",
            "$JS.ACK._.hash.ROWS.income.3.42.50.1700000000000000000.7",
            "$JS.ACK.hub.hash.ROWS.income.3.42.50.1700000000000000000.7.token",
        ] {
            assert_eq!(Delivery::parse(subject), delivery, "{subject}");
        }
        for subject in [
            "",
            "_INBOX.x",
            "$JS.ACK.ROWS.income.3.42",
            "$JS.ACK.ROWS.income.x.42.50.1.7",
        ] {
            assert_eq!(Delivery::parse(subject), None, "{subject}");
        }
    }

    #[test]
    fn incarnations_differ() {
        assert_eq!(incarnation(0, "", ""), incarnation(0, "", ""));
        assert_ne!(incarnation(1, "s", "a"), incarnation(2, "s", "a"));
        assert_ne!(incarnation(1, "s", "a"), incarnation(1, "s", "b"));
        assert_ne!(incarnation(1, "s", "a"), incarnation(1, "t", "a"));
    }
}
