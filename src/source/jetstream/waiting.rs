//! What was delivered and waits for credit.

use std::collections::VecDeque;

use crate::source::Incoming;

/// Deliveries in the order they came.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: VecDeque<Incoming>,
    bytes: usize,
}

impl Waiting {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Bytes of their payloads.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, incoming: Incoming) {
        self.bytes += incoming.payload.len();
        self.queue.push_back(incoming);
    }

    /// The next to be let in.
    pub(super) fn pop(&mut self) -> Option<Incoming> {
        let incoming = self.queue.pop_front()?;
        self.bytes -= incoming.payload.len();
        Some(incoming)
    }

    /// All of them, in order.
    pub(super) fn take(&mut self) -> VecDeque<Incoming> {
        self.bytes = 0;
        std::mem::take(&mut self.queue)
    }
}
