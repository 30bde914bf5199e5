//! Results to core NATS, on a subject of their own or as the reply to a request.

use std::time::{Duration, Instant};

use async_nats::{Subject, message::OutboundMessage};
use tokio::sync::mpsc;

use super::{
    BoxFuture, Outgoing, Rejects, Sink, SinkError,
    publish::{Subjects, fit, forbidden, header_map, not_a_subject, too_large},
    template::Template,
};
use crate::{
    message::{Ack, Outcome, Reject, Stage},
    nats::{Connection, PublishFailure, backoff::Seldom, scratch::Scratch},
    telemetry::metrics::SinkMetrics,
};

/// Where results go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NatsTarget {
    /// A subject made from the input's.
    Subject(Template),
    /// The reply subject of the request.
    Reply,
}

/// How long the end of the work may wait for a connection that is down.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// Publishes to core NATS, which confirms nothing: a result is done when the client has taken it
/// while connected.
#[derive(Debug)]
pub struct NatsSink {
    connection: Connection,
    target: NatsTarget,
}

impl NatsSink {
    /// A sink that publishes on this connection.
    pub fn new(connection: Connection, target: NatsTarget) -> Self {
        Self { connection, target }
    }
}

impl Sink for NatsSink {
    fn run(
        self: Box<Self>,
        mut outgoing: mpsc::Receiver<Vec<Outgoing>>,
        rejects: Rejects,
        metrics: SinkMetrics,
    ) -> BoxFuture<Result<(), SinkError>> {
        Box::pin(async move {
            let connection = self.connection.clone();
            let mut fatal = std::pin::pin!(connection.fatal());
            let mut publishing = Publishing {
                address: Address::new(self.target, &self.connection),
                connection: self.connection,
                rejects,
                metrics,
                held: Seldom::default(),
                last: None,
            };
            loop {
                let block = tokio::select! {
                    biased;
                    sentence = &mut fatal => return Err(SinkError::new(sentence)),
                    block = outgoing.recv() => block,
                };
                let Some(block) = block else { break };
                tokio::select! {
                    biased;
                    sentence = &mut fatal => return Err(SinkError::new(sentence)),
                    result = publishing.block(block, &outgoing) => result?,
                }
            }
            if !connection.flush_last(publishing.last, FINISH_WITHIN).await {
                return Err(SinkError::new(format!(
                    "the last results may not have reached NATS at {}: the connection is down",
                    connection.server()
                )));
            }
            Ok(())
        })
    }

    fn unconfirmed(&self) -> Option<String> {
        Some(match &self.target {
            NatsTarget::Subject(template) => template.to_string(),
            NatsTarget::Reply => "the reply subject".to_owned(),
        })
    }
}

struct Publishing {
    connection: Connection,
    address: Address,
    rejects: Rejects,
    metrics: SinkMetrics,
    held: Seldom,
    /// When the last results were published.
    last: Option<Instant>,
}

impl Publishing {
    async fn block(
        &mut self,
        mut block: Vec<Outgoing>,
        outgoing: &mpsc::Receiver<Vec<Outgoing>>,
    ) -> Result<(), SinkError> {
        let taken = Instant::now();
        let count = block.len();
        let mut rejected = Vec::new();
        for (at, next) in block.iter_mut().enumerate() {
            match self.publish(next, outgoing).await {
                Ok(()) => {}
                Err(Problem::Reject(reject)) => rejected.push((at, reject)),
                Err(Problem::Down) => {
                    return Err(SinkError::new(format!(
                        "{} results were not published: the connection to NATS at {} is down",
                        count - at,
                        self.connection.server()
                    )));
                }
            }
        }
        // The connection's task goes first: what waits for it is the sender of a lone message.
        tokio::task::yield_now().await;
        self.settle(block, rejected);
        self.metrics.confirmed(taken.elapsed());
        Ok(())
    }

    /// Counts what is out, and says so to whoever waits for it; what was `rejected`, by its place, is not.
    fn settle(&mut self, block: Vec<Outgoing>, rejected: Vec<(usize, Reject)>) {
        let now = Instant::now();
        self.last = Some(now);
        let replies = matches!(self.address, Address::Reply(_));
        let mut rejected = rejected.into_iter().peekable();
        // Messages that were read together are counted together.
        let mut together: Option<(Instant, usize, usize)> = None;
        let settled = block.into_iter().enumerate().filter_map(|(at, result)| {
            let Outgoing {
                message,
                payload,
                outcome,
                ..
            } = result;
            if let Some((_, reject)) = rejected.next_if(|(place, _)| *place == at) {
                self.rejects.reject(message, reject);
                return None;
            }
            // What tells a sender that its message was rejected is an answer, and no result.
            if outcome == Outcome::Done || !replies {
                together = Some(match together {
                    Some((received, results, bytes)) if received == message.received => {
                        (received, results + 1, bytes + payload.len())
                    }
                    before => {
                        self.count(before, now);
                        (message.received, 1, payload.len())
                    }
                });
            }
            Some((message.ack, outcome))
        });
        Ack::resolve_all(settled);
        self.count(together, now);
    }

    fn count(&self, together: Option<(Instant, usize, usize)>, now: Instant) {
        if let Some((received, results, bytes)) = together {
            self.metrics.published_many(results, bytes, received, now);
        }
    }

    async fn publish(
        &mut self,
        next: &mut Outgoing,
        outgoing: &mpsc::Receiver<Vec<Outgoing>>,
    ) -> Result<(), Problem> {
        loop {
            let subject = self.address.of(next)?;
            if self.address.is_made() && self.connection.is_forbidden(&subject) {
                return Err(forbidden(&subject).into());
            }
            let message = OutboundMessage {
                subject,
                reply: None,
                headers: fit(&self.connection, next, |next| header_map(&next.headers))?,
                payload: next.payload.clone(),
            };
            match self.connection.publish(message).await {
                Ok(()) => return Ok(()),
                Err(PublishFailure::Size) => {
                    let headers = header_map(&next.headers);
                    return Err(too_large(&self.connection, next, headers.as_ref()).into());
                }
                Err(PublishFailure::Subject) => {
                    return Err(not_a_subject(&self.address.of(next)?).into());
                }
                Err(PublishFailure::Later) => self.wait(outgoing).await?,
            }
        }
    }

    /// Waits for the connection: without an end while work goes on, for credit holds everything
    /// back meanwhile; for a bounded time when this is the last of it.
    async fn wait(&mut self, outgoing: &mpsc::Receiver<Vec<Outgoing>>) -> Result<(), Problem> {
        if self.held.happened(1).is_some() {
            tracing::warn!(
                server = self.connection.server(),
                "disconnected; results are held until the connection is back"
            );
        }
        let mut last_chance = None;
        while !self.connection.is_connected() {
            drop(
                tokio::time::timeout(Duration::from_millis(100), self.connection.connected()).await,
            );
            if outgoing.is_closed() {
                let since: Instant = *last_chance.get_or_insert_with(Instant::now);
                if since.elapsed() > FINISH_WITHIN {
                    return Err(Problem::Down);
                }
            }
        }
        Ok(())
    }
}

enum Problem {
    Reject(Reject),
    Down,
}

impl From<Reject> for Problem {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

enum Address {
    Made(Subjects),
    Reply(Scratch),
}

impl Address {
    fn new(target: NatsTarget, connection: &Connection) -> Self {
        match target {
            NatsTarget::Subject(template) => {
                let subjects = Subjects::new(template);
                connection.will_publish_to(subjects.fixed().map(Subject::as_str));
                Self::Made(subjects)
            }
            NatsTarget::Reply => {
                connection.will_publish_to(None);
                Self::Reply(Scratch::default())
            }
        }
    }

    /// Whether the subject differs from message to message, and is ours to make.
    fn is_made(&self) -> bool {
        matches!(self, Self::Made(subjects) if subjects.fixed().is_none())
    }

    fn of(&mut self, outgoing: &Outgoing) -> Result<Subject, Reject> {
        match self {
            Self::Made(subjects) => match subjects.fixed() {
                Some(fixed) => Ok(fixed.clone()),
                None => subjects.render(outgoing.message.subject()),
            },
            Self::Reply(scratch) => match outgoing.message.reply() {
                // The answer would be taken for an order of ours to the broker.
                Some(reply) if reply.starts_with("$JS.") => Err(Reject::new(
                    Stage::Sink,
                    "reply",
                    format!(
                        "the reply subject `{reply}` is JetStream's, and nobody waits for an answer there"
                    ),
                )),
                Some(reply) => Ok(scratch.subject(reply)),
                None => Err(Reject::new(
                    Stage::Sink,
                    "no_reply",
                    "the sink answers requests, and this message has no reply subject",
                )),
            },
        }
    }
}
