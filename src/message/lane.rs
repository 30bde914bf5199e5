//! How much company a message may have.

use super::{Message, Position};

/// The lanes of the data path. What was delivered before and not acknowledged is suspected of
/// having brought down whatever worked on it, so it does not share a batch with what comes for the
/// first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Delivered for the first time.
    First,
    /// Delivered once before: it may have been in bad company.
    Again,
    /// Delivered twice or more before: it goes alone, so that only it fails if it is the culprit.
    Alone,
}

impl Lane {
    /// The lane of what is delivered for the `delivered`th time.
    pub fn of(delivered: u64) -> Self {
        match delivered {
            0 | 1 => Self::First,
            2 => Self::Again,
            _ => Self::Alone,
        }
    }
}

impl Position {
    /// How much company this delivery may have.
    pub fn lane(&self) -> Lane {
        Lane::of(self.delivered)
    }
}

impl Message {
    /// How much company it may have; what has no position comes once only.
    pub fn lane(&self) -> Lane {
        self.position
            .as_ref()
            .map_or(Lane::First, |position| position.lane())
    }
}
