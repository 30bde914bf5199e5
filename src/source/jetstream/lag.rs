//! Looks at the consumer now and then: how much it still has (the number to scale by, and to be
//! woken by), and whether it is still the one that we know.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use async_nats::jetstream::consumer::Info;

use super::JetStreamOptions;
use crate::nats::{Connection, api::consumer_info};

const ASK_EVERY: Duration = Duration::from_secs(5);

/// Asks now and then.
pub(super) struct Lag {
    connection: Connection,
    options: JetStreamOptions,
    due: Instant,
    question: Option<Pin<Box<dyn Future<Output = Option<Info>> + Send>>>,
}

impl Lag {
    pub(super) fn new(connection: Connection, options: JetStreamOptions) -> Self {
        Self {
            connection,
            options,
            due: Instant::now(),
            question: None,
        }
    }

    /// Asks when it is time.
    pub(super) fn tick(&mut self, now: Instant) {
        if now < self.due || self.question.is_some() {
            return;
        }
        self.due = now + ASK_EVERY;
        let (connection, options) = (self.connection.clone(), self.options.clone());
        self.question = Some(Box::pin(async move {
            let info = consumer_info(&connection, &options.stream, &options.consumer).await;
            info.ok()
        }));
    }

    /// Waits for the answer to what was asked; `None` when there is none. Safe to cancel.
    pub(super) async fn answer(&mut self) -> Option<Info> {
        let Some(question) = &mut self.question else {
            return std::future::pending().await;
        };
        let answer = question.await;
        self.question = None;
        answer
    }
}
