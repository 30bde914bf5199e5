//! Every delivery that the server waits for our word on.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use async_nats::{Subject, message::OutboundMessage};
use bytes::Bytes;

use super::position::Delivery;
use crate::{
    message::Outcome,
    nats::{Connection, backoff::Backoff, slab::Slab},
};

const DONE: Bytes = Bytes::from_static(b"+ACK");
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(30);

/// Places for sequences that were done a while ago; a later one takes an earlier one's place.
const RECENT: u64 = 1 << 16;

/// One delivery. Its reply subject is all that is needed to speak about it.
#[derive(Debug)]
pub(super) struct Delivered {
    /// `None` for what the server has given up: it does not wait for a word.
    pub(super) reply: Option<Subject>,
    pub(super) sequence: u64,
    pub(super) times: u64,
    /// When the server last heard of it.
    pub(super) told: Instant,
}

/// The table of deliveries.
#[derive(Debug)]
pub(super) struct Flight {
    connection: Connection,
    table: Slab<Delivered>,
    /// Sequence to ticket of what is in the table.
    tickets: HashMap<u64, u64>,
    recent: Recent,
    /// Deliveries of what was done before, which the server must be told once more.
    done_before: Vec<Subject>,
    backoff: Backoff,
    /// How many the server has been told the outcome of.
    settled: u64,
    /// How long the server waits for a word, and a third of it.
    remind: Duration,
}

impl Flight {
    pub(super) fn new(connection: Connection, ack_wait: Duration) -> Self {
        Self {
            connection,
            table: Slab::new(),
            tickets: HashMap::new(),
            recent: Recent::new(),
            done_before: Vec::new(),
            backoff: Backoff::new(RETRY_FIRST, RETRY_MOST),
            settled: 0,
            remind: ack_wait / 3,
        }
    }

    pub(super) fn insert(&mut self, delivered: Delivered) -> u64 {
        let (sequence, times) = (delivered.sequence, delivered.times);
        if times <= 1 {
            self.recent.forget(sequence);
        }
        let ticket = self.table.insert(delivered);
        self.tickets.insert(sequence, ticket);
        ticket
    }

    /// Takes note of a delivery of a message that is in flight or was done a moment ago, and says
    /// so: the server did not hear of it for too long, because this process stood still or the
    /// connection did. Such a message must not be worked on twice, and it is no poison.
    pub(super) fn knows(&mut self, delivery: Delivery, reply: Subject, now: Instant) -> bool {
        let ticket = self.tickets.get(&delivery.sequence);
        if let Some(delivered) = ticket.and_then(|&ticket| self.table.get_mut(ticket)) {
            // The server has just started to wait anew, and for a word on this delivery.
            delivered.reply = Some(reply);
            delivered.told = now;
            return true;
        }
        let done = self.recent.has(delivery.sequence);
        if done {
            self.done_before.push(reply);
        }
        done
    }

    /// Whether a message is in flight.
    pub(super) fn holds(&self, sequence: u64) -> bool {
        self.tickets.contains_key(&sequence)
    }

    /// Whether a message was done a moment ago.
    pub(super) fn has_done(&mut self, sequence: u64) -> bool {
        self.recent.has(sequence)
    }

    /// How many messages are in the table, and how many have left it since the start.
    pub(super) fn tally(&self) -> (usize, u64) {
        // Counted by sequence: a server that lost its last writes may have given one twice.
        (self.tickets.len(), self.settled)
    }

    fn remove(&mut self, ticket: u64) -> Option<Delivered> {
        let delivered = self.table.remove(ticket)?;
        self.tickets.remove(&delivered.sequence);
        self.settled += 1;
        Some(delivered)
    }

    /// Tells the server what became of a delivery. Should the word get lost, it delivers again.
    /// Gives back what the server does not wait for.
    pub(super) async fn settle(&mut self, ticket: u64, outcome: Outcome) -> Option<Delivered> {
        let delivered = self.remove(ticket)?;
        if outcome == Outcome::Done {
            self.recent.note(delivered.sequence);
        }
        let word = match outcome {
            Outcome::Done => DONE,
            Outcome::Rejected => Bytes::from_static(b"+TERM rejected"),
            Outcome::Retry { after } => {
                // Without a delay it would be back at once, and use up its deliveries in no time.
                let delay = after.unwrap_or_else(|| self.backoff.wait(delivered.times));
                Bytes::from(format!("-NAK {{\"delay\": {}}}", delay.as_nanos()))
            }
        };
        let Some(reply) = delivered.reply else {
            return Some(delivered);
        };
        tell(&self.connection, reply, word).await;
        None
    }

    /// Gives a delivery back, to whoever is free.
    pub(super) async fn give_back(&mut self, ticket: u64) {
        if let Some(Delivered {
            reply: Some(reply), ..
        }) = self.remove(ticket)
        {
            tell(&self.connection, reply, Bytes::from_static(b"-NAK")).await;
        }
    }

    /// Says of everything that the server has not heard of for a while that it is being worked on.
    pub(super) async fn progress(&mut self, now: Instant) {
        for reply in std::mem::take(&mut self.done_before) {
            tell(&self.connection, reply, DONE).await;
        }
        for delivered in self.table.values_mut() {
            let Some(reply) = &delivered.reply else {
                continue;
            };
            if now.duration_since(delivered.told) < self.remind {
                continue;
            }
            if !self.connection.is_connected() {
                return;
            }
            delivered.told = now;
            tell(&self.connection, reply.clone(), Bytes::from_static(b"+WPI")).await;
        }
    }
}

/// Sequences whose messages were done, each in the place that its number gives it.
#[derive(Debug)]
struct Recent(Vec<u64>);

impl Recent {
    fn new() -> Self {
        Self(vec![0; usize::try_from(RECENT).unwrap_or_default()])
    }

    fn place(&mut self, sequence: u64) -> Option<&mut u64> {
        let index = usize::try_from(sequence % RECENT).ok()?;
        self.0.get_mut(index)
    }

    fn note(&mut self, sequence: u64) {
        if let Some(place) = self.place(sequence) {
            *place = sequence;
        }
    }

    /// What is delivered for the first time is not done, whatever was in its place in the stream:
    /// a server that lost its last writes gives their numbers again.
    fn forget(&mut self, sequence: u64) {
        if let Some(place) = self.place(sequence).filter(|place| **place == sequence) {
            *place = 0;
        }
    }

    fn has(&mut self, sequence: u64) -> bool {
        self.place(sequence).is_some_and(|place| *place == sequence)
    }
}

async fn tell(connection: &Connection, reply: Subject, word: Bytes) {
    let message = OutboundMessage {
        subject: reply,
        reply: None,
        payload: word,
        headers: None,
    };
    if let Err(failure) = connection.publish(message).await {
        tracing::debug!(
            ?failure,
            "an acknowledgement was not sent; the message will be delivered again"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_known_until_its_place_is_taken_or_it_comes_anew() {
        let mut recent = Recent::new();
        recent.note(7);
        recent.note(8);
        assert!(recent.has(7) && recent.has(8) && !recent.has(9));
        recent.note(7 + RECENT);
        assert!(!recent.has(7) && recent.has(7 + RECENT));
        recent.forget(7);
        assert!(recent.has(7 + RECENT), "another's place");
        recent.forget(8);
        assert!(!recent.has(8));
    }
}
