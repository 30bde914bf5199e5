//! What the server has given up delivering.
//!
//! A consumer that somebody made with a `max_deliver` of its own delivers a message so many times
//! and no more, even when the last delivery was lost on its way. It says so once, in an advisory to
//! whoever listens. Nobody would ever work on that message again, and a work queue would keep it
//! for ever; so it is fetched by its number, and goes to the dead letter like anything that was
//! delivered too often. What was given up while nobody listened is looked for at the start, where
//! the stream shows it: in a work queue, a message below the last delivered one that nobody has in
//! hand was given up.

use std::{
    ops::RangeInclusive,
    pin::Pin,
    time::{Duration, Instant},
};

use async_nats::{Subscriber, jetstream::message::StreamMessage};
use futures_util::StreamExt;
use serde::Deserialize;

use super::{JetStreamOptions, consumer::Consumer};
use crate::nats::{
    Connection,
    api::{ApiError, NO_MESSAGE, STREAM_NOT_FOUND, delete_message, message_at, message_from},
};

/// After this pause a look-up that failed is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A message that the server does not deliver any more.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) message: StreamMessage,
    /// How often it was delivered.
    pub(super) deliveries: u64,
}

/// One to be looked up.
#[derive(Debug, Clone, Copy)]
struct Known {
    sequence: u64,
    deliveries: u64,
    due: Instant,
}

type Look = Pin<Box<dyn Future<Output = Looked> + Send>>;

enum Looked {
    Up(Known, Result<StreamMessage, ApiError>),
    /// The next one of those given up before we came.
    Through(RangeInclusive<u64>, Result<StreamMessage, ApiError>),
}

/// Listens for what is given up, and looks it up.
pub(super) struct GivenUp {
    connection: Connection,
    stream: String,
    subject: String,
    /// How often the server delivers; `None` where it never gives up.
    max_deliver: Option<u64>,
    /// A work queue keeps what nobody acknowledges.
    removes: bool,
    advisories: Option<Subscriber>,
    known: Vec<Known>,
    /// Sequences to be looked through at the start.
    through: Option<RangeInclusive<u64>>,
    look: Option<Look>,
}

#[derive(Deserialize)]
struct Advisory {
    stream_seq: u64,
    deliveries: u64,
}

impl GivenUp {
    /// Listens, where the consumer is one that gives up.
    pub(super) async fn listen(
        connection: Connection,
        options: &JetStreamOptions,
        consumer: &Consumer,
    ) -> Result<Self, String> {
        let (stream, name) = (&options.stream, &options.consumer);
        let subject = format!("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{stream}.{name}");
        let advisories = if consumer.max_deliver.is_some() {
            Some(connection.subscribe(&subject, None).await?)
        } else {
            None
        };
        Ok(Self {
            connection,
            stream: stream.clone(),
            subject: options.filter_subject.clone().unwrap_or(">".to_owned()),
            max_deliver: consumer.max_deliver,
            removes: consumer.queue,
            advisories,
            known: Vec::new(),
            through: consumer.at_rest.clone(),
            look: None,
        })
    }

    /// Waits for the next one. Safe to cancel.
    pub(super) async fn next(&mut self) -> Lost {
        loop {
            if self.look.is_none() {
                self.look = self.begin();
            }
            let due = self.known.iter().map(|known| known.due).min();
            let Some(look) = &mut self.look else {
                self.hear(due).await;
                continue;
            };
            let looked = look.await;
            self.look = None;
            if let Some(lost) = self.looked(looked) {
                return lost;
            }
        }
    }

    /// Starts the next look-up, where one is due.
    fn begin(&mut self) -> Option<Look> {
        let (connection, stream) = (self.connection.clone(), self.stream.clone());
        if let Some(range) = self.through.take().filter(|range| !range.is_empty()) {
            let subject = self.subject.clone();
            return Some(Box::pin(async move {
                let found = message_from(&connection, &stream, *range.start(), &subject).await;
                Looked::Through(range, found)
            }));
        }
        let now = Instant::now();
        let due = self.known.iter().position(|known| known.due <= now)?;
        let known = self.known.swap_remove(due);
        Some(Box::pin(async move {
            Looked::Up(
                known,
                message_at(&connection, &stream, known.sequence).await,
            )
        }))
    }

    /// Waits for an advisory, or until something is due.
    async fn hear(&mut self, due: Option<Instant>) {
        let advisory = async {
            match &mut self.advisories {
                Some(advisories) => advisories.next().await,
                None => std::future::pending().await,
            }
        };
        let advisory = match due {
            None => advisory.await,
            Some(due) => match tokio::time::timeout_at(due.into(), advisory).await {
                Ok(advisory) => advisory,
                Err(_) => return,
            },
        };
        let Some(advisory) = advisory else {
            // The client is gone; the source's own subscription says so as well.
            self.advisories = None;
            return;
        };
        match serde_json::from_slice::<Advisory>(&advisory.payload) {
            Ok(advisory) => self.again(advisory.stream_seq, advisory.deliveries, Duration::ZERO),
            Err(error) => tracing::warn!(%error, "an advisory that cannot be read"),
        }
    }

    /// Looks a message up after a pause.
    pub(super) fn again(&mut self, sequence: u64, deliveries: u64, after: Duration) {
        self.known.push(Known {
            sequence,
            deliveries,
            due: Instant::now() + after,
        });
    }

    fn looked(&mut self, looked: Looked) -> Option<Lost> {
        match looked {
            Looked::Up(known, Ok(message)) => Some(Lost {
                message,
                deliveries: known.deliveries,
            }),
            // Somebody else was faster, or the stream's limits.
            Looked::Up(
                _,
                Err(ApiError::Refused {
                    code: NO_MESSAGE | STREAM_NOT_FOUND,
                    ..
                }),
            ) => None,
            Looked::Up(known, Err(error)) => {
                tracing::debug!(
                    ?error,
                    sequence = known.sequence,
                    "cannot look up a message"
                );
                self.again(known.sequence, known.deliveries, AGAIN_AFTER);
                None
            }
            Looked::Through(range, Ok(message)) if range.contains(&message.sequence) => {
                self.through = Some(message.sequence + 1..=*range.end());
                let deliveries = self.max_deliver.unwrap_or_default();
                Some(Lost {
                    message,
                    deliveries,
                })
            }
            // No more of them.
            Looked::Through(..) => None,
        }
    }

    /// Takes a message whose dead letter is stored out of the work queue.
    pub(super) async fn settled(&mut self, sequence: u64) {
        if self.removes {
            delete_message(&self.connection, &self.stream, sequence).await;
        }
    }
}
