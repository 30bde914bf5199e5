//! Messages from core NATS: at most once by nature.
//!
//! The client drops what a slow reader leaves lying and counts it for the whole connection only.
//! So this source has a connection of its own, reads at once whatever comes, and keeps what there
//! is no credit for in a backlog that is bounded in messages and bytes. What it must drop, it
//! counts itself.

use std::{collections::VecDeque, time::Duration};

use async_nats::{HeaderMap, Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{BoxFuture, Incoming, Intake, Source, SourceError};
use crate::{
    message::{Headers, Outcome, Settled},
    nats::{Connection, backoff::Seldom, ready, scratch::Scratch},
};

/// What to subscribe to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsOptions {
    /// The subject, wildcards allowed.
    pub subject: String,
    /// Share the subject's messages with other processes of this group.
    pub queue_group: Option<String>,
}

/// Messages that may wait for credit.
const BACKLOG_MESSAGES_MAX: usize = 65_536;
/// Payload bytes that may wait for credit.
const BACKLOG_BYTES_MAX: usize = 64 << 20;
/// Messages taken from the client before anything else gets a turn.
const TURN: usize = 1024;
const COUNT_DROPS_EVERY: Duration = Duration::from_secs(1);
/// How long a stop may spend on what has been read but not let in.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Reads a subject.
#[derive(Debug)]
pub struct NatsSource {
    connection: Connection,
    options: NatsOptions,
}

impl NatsSource {
    /// A source that subscribes when it runs, on a connection like this one but of its own.
    pub fn new(connection: Connection, options: NatsOptions) -> Self {
        Self {
            connection,
            options,
        }
    }
}

impl Source for NatsSource {
    fn run(
        self: Box<Self>,
        intake: Intake,
        stop: CancellationToken,
    ) -> BoxFuture<Result<(), SourceError>> {
        Box::pin(async move {
            let own = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                own = self.connection.another("source") => {
                    own.map_err(|error| SourceError::new(error.message))?
                }
            };
            let subscriber = own
                .subscribe(&self.options.subject, self.options.queue_group.as_deref())
                .await
                .map_err(SourceError::new)?;
            // Best effort: the server has our subscription a little sooner.
            own.flush(DRAIN_WITHIN).await;
            intake.set_attached(true);
            Reading::new(own, intake).run(subscriber, stop).await
        })
    }
}

/// The state of the source's one loop.
struct Reading {
    connection: Connection,
    intake: Intake,
    backlog: Backlog,
    drops: Drops,
    scratch: Scratch,
    last_subject: Bytes,
    unkept: Seldom,
}

impl Reading {
    fn new(connection: Connection, intake: Intake) -> Self {
        Self {
            connection,
            intake,
            backlog: Backlog::default(),
            drops: Drops::default(),
            scratch: Scratch::default(),
            last_subject: Bytes::new(),
            unkept: Seldom::default(),
        }
    }

    async fn run(
        mut self,
        mut subscriber: Subscriber,
        stop: CancellationToken,
    ) -> Result<(), SourceError> {
        let home = std::sync::Arc::clone(self.intake.home());
        let connection = self.connection.clone();
        let mut fatal = std::pin::pin!(connection.fatal());
        let mut tick = interval(COUNT_DROPS_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                sentence = &mut fatal => return Err(SourceError::new(sentence)),
                () = home.wait_settled() => self.settle(),
                _ = tick.tick() => self.count_drops(&mut subscriber)?,
                message = subscriber.next() => {
                    let Some(message) = message else {
                        return Err(SourceError::new("the client closed the subscription"));
                    };
                    self.take(message)?;
                    self.take_ready(&mut subscriber)?;
                }
            }
            self.admit()?;
        }
        self.drain(subscriber).await?;
        self.intake.close();
        let unkept = &mut self.unkept;
        let metrics = self.intake.metrics();
        self.intake
            .outcomes(|settled| settle(settled, metrics, unkept))
            .await;
        Ok(())
    }

    fn settle(&mut self) {
        for settled in self.intake.home().all_settled() {
            settle(settled, self.intake.metrics(), &mut self.unkept);
        }
    }

    /// Takes what is there without waiting; says whether that was all.
    fn take_ready(&mut self, subscriber: &mut Subscriber) -> Result<bool, SourceError> {
        for _ in 0..TURN {
            let Some(message) = ready(subscriber) else {
                return Ok(true);
            };
            self.take(message)?;
        }
        Ok(false)
    }

    /// Lets a message in at once where there is credit and nobody before it.
    fn take(&mut self, message: Message) -> Result<(), SourceError> {
        self.drops.taken += 1;
        let incoming = self.incoming(message);
        if self.backlog.waiting.is_empty() && self.intake.room() > 0 {
            self.intake.push(incoming);
            if self.intake.is_full() {
                self.intake.flush()?;
            }
        } else if !self.backlog.push(incoming) {
            self.drops.ours += 1;
        }
        Ok(())
    }

    fn incoming(&mut self, message: Message) -> Incoming {
        if self.last_subject != message.subject.as_bytes() {
            self.last_subject = self.scratch.copy(&message.subject);
        }
        Incoming {
            ticket: 0,
            subject: self.last_subject.clone(),
            reply: message.reply.map(|reply| self.scratch.copy(&reply)),
            payload: message.payload,
            headers: message
                .headers
                .as_ref()
                .map(|headers| headers_of(headers).into()),
            position: None,
        }
    }

    /// Lets in what there is credit for.
    fn admit(&mut self) -> Result<(), SourceError> {
        while self.intake.room() > 0
            && let Some(incoming) = self.backlog.pop()
        {
            self.intake.push(incoming);
            if self.intake.is_full() {
                self.intake.flush()?;
            }
        }
        self.intake.flush()
    }

    fn count_drops(&mut self, subscriber: &mut Subscriber) -> Result<(), SourceError> {
        let read = self.connection.messages_read();
        // Only with an empty channel is everything that was read by then taken, or dropped.
        if self.take_ready(subscriber)? {
            self.drops.dry(read);
        }
        let dropped = self.drops.in_all();
        self.intake.metrics().dropped_in_all(dropped);
        let new = dropped - self.drops.told;
        self.drops.told = dropped;
        if new > 0 {
            tracing::warn!(
                dropped = new,
                in_all = dropped,
                "messages came faster than the pipeline takes them and were dropped; core NATS cannot hold them back, JetStream can"
            );
        }
        Ok(())
    }

    /// Unsubscribes, and lets in what has been read already, for a bounded time.
    async fn drain(&mut self, mut subscriber: Subscriber) -> Result<(), SourceError> {
        let rest = async {
            if subscriber.drain().await.is_err() {
                return Ok(());
            }
            while let Some(message) = self.connection.next_drained(&mut subscriber).await {
                self.take(message)?;
                self.take_ready(&mut subscriber)?;
                self.admit()?;
                self.settle();
            }
            self.drops.clients = self.connection.messages_read() - self.drops.taken;
            while !self.backlog.waiting.is_empty() {
                self.intake.home().wait_settled().await;
                self.settle();
                self.admit()?;
            }
            Ok(())
        };
        let result = timeout(DRAIN_WITHIN, rest).await.unwrap_or(Ok(()));
        let left = self.backlog.waiting.len() as u64;
        self.drops.ours += left;
        if left > 0 {
            tracing::warn!(
                dropped = left,
                "messages that were read but not let in are lost by the stop"
            );
        }
        self.intake.metrics().dropped_in_all(self.drops.in_all());
        result
    }
}

/// Core NATS cannot deliver again, so the outcome only frees the place.
fn settle(
    settled: Settled,
    metrics: &crate::telemetry::metrics::SourceMetrics,
    unkept: &mut Seldom,
) {
    if let Outcome::Retry { .. } = settled.outcome {
        metrics.retried(1);
        if let Some(count) = unkept.happened(1) {
            tracing::warn!(
                messages = count,
                "messages failed in a way that time could mend, but core NATS cannot deliver again; they are lost"
            );
        }
    }
}

pub(super) fn headers_of(headers: &HeaderMap) -> Headers {
    headers
        .iter()
        .flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values
                .iter()
                .map(move |value| (name.to_owned(), value.as_str().to_owned()))
        })
        .collect()
}

/// What has been read and waits for credit.
#[derive(Debug, Default)]
struct Backlog {
    waiting: VecDeque<Incoming>,
    bytes: usize,
}

impl Backlog {
    /// Keeps a message; says no, and drops it, when there is no room.
    fn push(&mut self, incoming: Incoming) -> bool {
        if self.waiting.len() >= BACKLOG_MESSAGES_MAX || self.bytes >= BACKLOG_BYTES_MAX {
            return false;
        }
        self.bytes += incoming.payload.len();
        self.waiting.push_back(incoming);
        true
    }

    fn pop(&mut self) -> Option<Incoming> {
        let incoming = self.waiting.pop_front()?;
        self.bytes -= incoming.payload.len();
        Some(incoming)
    }
}

/// How many messages were dropped, by us and by the client.
#[derive(Debug, Default)]
struct Drops {
    /// Messages taken from the client.
    taken: u64,
    ours: u64,
    /// What the client has dropped for sure.
    clients: u64,
    /// What it seemed to have dropped at the last look. It counts a message just before it hands
    /// it over, so one look may see one too many; two looks a second apart do not.
    seen: u64,
    told: u64,
}

impl Drops {
    /// The client had read `read` messages before its channel was found empty.
    fn dry(&mut self, read: u64) {
        let seen = read.saturating_sub(self.taken);
        self.clients = self.clients.max(seen.min(self.seen));
        self.seen = seen;
    }

    fn in_all(&self) -> u64 {
        self.ours + self.clients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_is_counted_when_seen_twice() {
        let mut drops = Drops {
            taken: 10,
            ..Drops::default()
        };
        drops.dry(11);
        assert_eq!(drops.in_all(), 0, "the message may be on its way");
        drops.taken = 11;
        drops.dry(11);
        assert_eq!(drops.in_all(), 0, "it was");
        drops.dry(14);
        drops.dry(15);
        assert_eq!(drops.in_all(), 3);
    }

    #[test]
    fn the_backlog_is_bounded_in_bytes() {
        let message = || Incoming {
            ticket: 0,
            subject: Bytes::new(),
            reply: None,
            payload: Bytes::from(vec![0; BACKLOG_BYTES_MAX / 2]),
            headers: None,
            position: None,
        };
        let mut backlog = Backlog::default();
        assert!(backlog.push(message()) && backlog.push(message()));
        assert!(!backlog.push(message()));
        assert!(backlog.pop().is_some());
        assert!(backlog.push(message()));
    }
}
