//! Messages that go before others.

use super::Message;

/// Which messages are urgent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priority {
    /// What says so.
    pub by: PriorityBy,
    /// The values that mean urgent.
    pub urgent: Vec<String>,
}

/// What says that a message is urgent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PriorityBy {
    /// The header of this name, in any case.
    Header(String),
    /// The token of the subject at this index, from 0.
    Token(usize),
}

impl Priority {
    /// Whether this message is urgent; one without the header or the token is not.
    pub fn is_urgent(&self, message: &Message) -> bool {
        let value = match &self.by {
            PriorityBy::Header(name) => message.header(name),
            PriorityBy::Token(index) => message.subject().split('.').nth(*index),
        };
        value.is_some_and(|value| self.urgent.iter().any(|urgent| urgent == value))
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use bytes::Bytes;

    use super::*;
    use crate::message::Ack;

    fn message(subject: &'static str, headers: &[(&str, &str)]) -> Message {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Message {
            subject: Bytes::from_static(subject.as_bytes()),
            reply: None,
            payload: Bytes::new(),
            headers: Some(Arc::new(headers.collect())),
            position: None,
            received: Instant::now(),
            ack: Ack::none(),
        }
    }

    #[test]
    fn a_header_or_a_token_says_so() {
        let urgent = vec!["high".to_owned(), "now".to_owned()];
        let header = Priority {
            by: PriorityBy::Header("Priority".to_owned()),
            urgent: urgent.clone(),
        };
        assert!(header.is_urgent(&message("a", &[("priority", "high")])));
        assert!(!header.is_urgent(&message("a", &[("priority", "HIGH")])));
        assert!(!header.is_urgent(&message("high", &[])));
        let token = Priority {
            by: PriorityBy::Token(1),
            urgent,
        };
        assert!(token.is_urgent(&message("rows.now.x", &[])));
        assert!(!token.is_urgent(&message("now.rows", &[("Priority", "high")])));
        assert!(!token.is_urgent(&message("rows", &[])));
    }
}
