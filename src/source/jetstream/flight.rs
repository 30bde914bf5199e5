//! Every delivery that the server waits for our word on.

use std::time::{Duration, Instant};

use async_nats::{Subject, message::OutboundMessage};
use bytes::Bytes;

use crate::{
    message::Outcome,
    nats::{Connection, backoff::Backoff, slab::Slab},
};

const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(30);

/// One delivery. Its reply subject is all that is needed to speak about it.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) reply: Subject,
    pub(super) times: u64,
    /// When the server last heard of it.
    pub(super) told: Instant,
}

/// The table of deliveries.
#[derive(Debug)]
pub(super) struct Flight {
    connection: Connection,
    table: Slab<Delivered>,
    backoff: Backoff,
    /// How long the server waits for a word, and a third of it.
    remind: Duration,
}

impl Flight {
    pub(super) fn new(connection: Connection, ack_wait: Duration) -> Self {
        Self {
            connection,
            table: Slab::new(),
            backoff: Backoff::new(RETRY_FIRST, RETRY_MOST),
            remind: ack_wait / 3,
        }
    }

    pub(super) fn insert(&mut self, delivered: Delivered) -> u64 {
        self.table.insert(delivered)
    }

    /// How often this was delivered.
    pub(super) fn times(&mut self, ticket: u64) -> u64 {
        self.table
            .get_mut(ticket)
            .map_or(0, |delivered| delivered.times)
    }

    /// Tells the server what became of a delivery. Should the word get lost, it delivers again.
    pub(super) async fn settle(&mut self, ticket: u64, outcome: Outcome) {
        let Some(delivered) = self.table.remove(ticket) else {
            return;
        };
        let word = match outcome {
            Outcome::Done => Bytes::from_static(b"+ACK"),
            Outcome::Rejected => Bytes::from_static(b"+TERM rejected"),
            Outcome::Retry { after } => {
                // Without a delay it would be back at once, and use up its deliveries in no time.
                let delay = after.unwrap_or_else(|| self.backoff.wait(delivered.times));
                Bytes::from(format!("-NAK {{\"delay\": {}}}", delay.as_nanos()))
            }
        };
        tell(&self.connection, delivered.reply, word).await;
    }

    /// Gives a delivery back, to whoever is free.
    pub(super) async fn give_back(&mut self, ticket: u64) {
        if let Some(delivered) = self.table.remove(ticket) {
            tell(
                &self.connection,
                delivered.reply,
                Bytes::from_static(b"-NAK"),
            )
            .await;
        }
    }

    /// Says of everything that the server has not heard of for a while that it is being worked on.
    pub(super) async fn progress(&mut self, now: Instant) {
        for delivered in self.table.values_mut() {
            if now.duration_since(delivered.told) < self.remind {
                continue;
            }
            if !self.connection.is_connected() {
                return;
            }
            delivered.told = now;
            tell(
                &self.connection,
                delivered.reply.clone(),
                Bytes::from_static(b"+WPI"),
            )
            .await;
        }
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
