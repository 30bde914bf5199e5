//! How old a message may be when its batch starts.

use std::time::{Duration, Instant, SystemTime};

use super::{Message, Reject, Stage};

/// How old a message may be when its batch starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// No older than this.
    pub after: Duration,
    /// From when its age is counted.
    pub from: AgeFrom,
}

/// From when the age of a message is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeFrom {
    /// When it was read, by this machine's clock.
    Read,
    /// When its stream stored it, by the server's clock; where the source does not say, when it was read.
    Stored,
}

/// The time by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For what happened here.
    pub here: Instant,
    /// For what happened on another machine.
    pub everywhere: SystemTime,
}

impl Now {
    /// The time.
    pub fn read() -> Self {
        Self {
            here: Instant::now(),
            everywhere: SystemTime::now(),
        }
    }
}

impl Deadline {
    /// Why this message is too late to be useful; `None` where it is not.
    pub fn missed(&self, message: &Message, now: Now) -> Option<Reject> {
        let age = self.age(message, now);
        (age > self.after).then(|| {
            let since = match self.from {
                AgeFrom::Read => "read",
                AgeFrom::Stored => "stored",
            };
            let reason = format!(
                "too late: {} after it was {since}, and `batch.deadline` is {:?}",
                rounded(age),
                self.after
            );
            Reject::new(Stage::Batch, "deadline", reason)
        })
    }

    fn age(&self, message: &Message, now: Now) -> Duration {
        let read = now.here.saturating_duration_since(message.received);
        let stored = (message.position.as_ref())
            .filter(|_| self.from == AgeFrom::Stored)
            .and_then(|position| position.stored);
        // Stored later than now: the clocks differ, and it is new.
        stored.map_or(read, |stored| {
            now.everywhere.duration_since(stored).unwrap_or_default()
        })
    }
}

/// In milliseconds, or in seconds where it is many.
fn rounded(age: Duration) -> String {
    match age.as_millis() {
        millis @ ..10_000 => format!("{millis} ms"),
        _ => format!("{} s", age.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::message::{Ack, Position};

    fn message(received: Instant, stored: Option<SystemTime>) -> Message {
        Message {
            subject: Bytes::new(),
            reply: None,
            payload: Bytes::new(),
            headers: None,
            position: Some(Arc::new(Position {
                stream: "S".into(),
                incarnation: 1,
                sequence: 1,
                delivered: 1,
                again: true,
                kept: true,
                stored,
            })),
            received,
            ack: Ack::none(),
        }
    }

    #[test]
    fn the_age_counts_from_where_the_file_says() {
        let now = Now::read();
        let ms = Duration::from_millis;
        let read = Deadline {
            after: ms(50),
            from: AgeFrom::Read,
        };
        let stored = Deadline {
            from: AgeFrom::Stored,
            ..read
        };
        let hour = Duration::from_hours(1);
        let just_read = now.here;
        let old = message(just_read, Some(now.everywhere - hour));
        assert_eq!(read.missed(&old, now), None);
        insta::assert_snapshot!(stored.missed(&old, now).expect("late"), @"batch: too late: 3600 s after it was stored, and `batch.deadline` is 50ms");
        let later = Now {
            here: now.here + ms(73),
            everywhere: now.everywhere + ms(73),
        };
        insta::assert_snapshot!(read.missed(&old, later).expect("late"), @"batch: too late: 73 ms after it was read, and `batch.deadline` is 50ms");
        // No time, or one to come: its age here counts, or it is new.
        assert!(stored.missed(&message(just_read, None), later).is_some());
        assert_eq!(
            stored.missed(&message(just_read, Some(now.everywhere + hour)), later),
            None
        );
        let fifty = Now {
            here: now.here + ms(50),
            ..now
        };
        assert_eq!(read.missed(&old, fifty), None, "as old as it may be");
    }
}
