//! The source's one loop: pulls, takes, lets in, settles, and keeps the server informed.

use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::{Message, Subscriber, message::OutboundMessage};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    JetStreamOptions,
    consumer::{Consumer, still_there},
    flight::{Delivered, Flight},
    position::Delivery,
    pulls::{EXPIRES, HEARTBEAT, Pulls},
};
use crate::{
    message::{Home, InFlight, Position, Reject, Stage},
    nats::{Connection, State, backoff::Backoff, ready, scratch::Scratch},
    source::{Incoming, Intake, SourceError, nats::headers_of},
};

/// Requests are refilled in parts of the credit: one message at a time would cost a request each.
const REFILLS: usize = 8;
/// Most messages in one request: well below what the client holds before it drops.
const PULL_MESSAGES_MAX: usize = 16_384;
/// Parts of the byte credit that one request may bring.
const BYTE_PARTS: usize = 4;
/// Messages taken from the client before anything else gets a turn.
const TURN: usize = 1024;
/// A request that has brought neither message nor heartbeat for so long is dead.
const SILENCE_MAX: Duration = HEARTBEAT
    .saturating_mul(2)
    .saturating_add(Duration::from_secs(1));
const TICK_MAX: Duration = Duration::from_millis(250);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(5);
const FLUSH_WITHIN: Duration = Duration::from_secs(5);
const DRAIN_WITHIN: Duration = Duration::from_secs(1);

type Check = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The state of the loop.
pub(super) struct Reading {
    connection: Connection,
    options: JetStreamOptions,
    limit: InFlight,
    consumer: Consumer,
    next_request: String,
    inbox: String,
    intake: Intake,
    pulls: Pulls,
    flight: Flight,
    /// Here, but without credit (bytes ran out meanwhile).
    waiting: VecDeque<Incoming>,
    waiting_bytes: usize,
    scratch: Scratch,
    /// How often the client had connected when the requests were made.
    connects: u64,
    heard: Instant,
    /// A message larger than a request's share of the byte credit is next.
    oversize: bool,
    failures: u64,
    backoff: Backoff,
    paused_until: Option<Instant>,
    check: Option<Check>,
}

impl Reading {
    pub(super) fn new(
        connection: Connection,
        options: JetStreamOptions,
        limit: InFlight,
        consumer: Consumer,
        inbox: String,
        intake: Intake,
    ) -> Self {
        let (stream, name) = (&options.stream, &options.consumer);
        Self {
            next_request: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"),
            flight: Flight::new(connection.clone(), options.ack_wait),
            connects: connection.connects(),
            connection,
            options,
            limit,
            consumer,
            inbox,
            intake,
            pulls: Pulls::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            scratch: Scratch::default(),
            heard: Instant::now(),
            oversize: false,
            failures: 0,
            backoff: Backoff::new(PAUSE_FIRST, PAUSE_MOST),
            paused_until: None,
            check: None,
        }
    }

    pub(super) async fn run(
        mut self,
        mut subscriber: Subscriber,
        stop: CancellationToken,
    ) -> Result<(), SourceError> {
        let home = Arc::clone(self.intake.home());
        let connection = self.connection.clone();
        let mut fatal = pin!(connection.fatal());
        let mut tick =
            interval((self.options.ack_wait / 12).clamp(Duration::from_millis(5), TICK_MAX));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.pull().await;
            // Word that is given while disconnected is lost, so outcomes wait.
            let up = self.connection.is_connected();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                sentence = &mut fatal => return Err(SourceError::new(sentence)),
                _ = tick.tick() => self.tick().await,
                () = home.wait_settled(), if up => self.settle(&home).await,
                message = subscriber.next() => {
                    let Some(message) = message else {
                        return Err(SourceError::new("the client closed the subscription"));
                    };
                    self.take(message);
                    self.take_ready(&mut subscriber);
                }
                checked = checked(&mut self.check) => {
                    self.check = None;
                    checked.map_err(SourceError::unavailable)?;
                }
            }
            self.admit()?;
        }
        self.give_back(subscriber).await;
        self.intake.close();
        while home.in_flight().messages > 0 {
            let up = self.connection.is_connected();
            tokio::select! {
                biased;
                sentence = &mut fatal => return Err(SourceError::new(sentence)),
                _ = tick.tick() => self.flight.progress(Instant::now()).await,
                () = home.wait_settled(), if up => self.settle(&home).await,
            }
        }
        if !self.connection.flush(FLUSH_WITHIN).await {
            tracing::warn!(
                "the last acknowledgements may not have reached the server; it delivers those messages again"
            );
        }
        Ok(())
    }

    async fn settle(&mut self, home: &Home) {
        while self.connection.is_connected()
            && let Some(settled) = home.next_settled()
        {
            if let crate::message::Outcome::Retry { .. } = settled.outcome {
                self.intake.metrics().retried(1);
            }
            self.flight.settle(settled.ticket, settled.outcome).await;
        }
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        self.flight.progress(now).await;
        self.pulls.expire(now);
        if self.connects != self.connection.connects() {
            self.connects = self.connection.connects();
            self.pulls.clear();
        } else if !self.pulls.is_empty() && now.duration_since(self.heard) > SILENCE_MAX {
            tracing::debug!("neither message nor heartbeat for {SILENCE_MAX:?}; asking anew");
            self.pulls.clear();
        }
    }

    /// Asks for as much as there is credit for, unless that is too little to bother.
    async fn pull(&mut self) {
        let now = Instant::now();
        if self.paused_until.is_some_and(|until| until > now)
            || self.connection.state() != State::Connected
            || self.connects != self.connection.connects()
        {
            return;
        }
        let taken = self.waiting.len() + self.pulls.messages();
        let room = self.intake.room().saturating_sub(taken);
        if room < (self.limit.messages / REFILLS).max(1) {
            return;
        }
        let bytes_taken =
            self.intake.home().in_flight().bytes + self.waiting_bytes + self.pulls.bytes();
        let bytes_room = self.limit.bytes.saturating_sub(bytes_taken);
        if bytes_room == 0 {
            return;
        }
        let mut messages = room
            .min(PULL_MESSAGES_MAX)
            .min(self.consumer.max_messages.unwrap_or(usize::MAX));
        let mut bytes = bytes_room
            .min((self.limit.bytes / BYTE_PARTS).max(1))
            .min(self.consumer.max_bytes.unwrap_or(usize::MAX));
        let mut max_bytes = bytes;
        if self.oversize {
            if !self.pulls.is_empty() {
                return;
            }
            // One message may pass the limit by its own size.
            (messages, bytes, max_bytes) = (1, bytes_room, self.consumer.max_bytes.unwrap_or(0));
        }
        if self.pulls.is_empty() {
            self.heard = now;
        }
        let id = self.pulls.ask(messages, bytes, now);
        let expires = EXPIRES.min(self.consumer.max_expires.unwrap_or(EXPIRES));
        let heartbeat = HEARTBEAT.min(expires / 2);
        let request = format!(
            "{{\"batch\":{messages},\"max_bytes\":{max_bytes},\"expires\":{},\"idle_heartbeat\":{}}}",
            expires.as_nanos(),
            heartbeat.as_nanos()
        );
        let message = OutboundMessage {
            subject: self.scratch.subject(&self.next_request),
            reply: Some(self.scratch.format(format_args!("{}.{id}", self.inbox))),
            payload: Bytes::from(request),
            headers: None,
        };
        if self.connection.publish(message).await.is_err() {
            self.pulls.clear();
        }
    }

    /// Takes what is there without waiting; says whether that was all.
    fn take_ready(&mut self, subscriber: &mut Subscriber) -> bool {
        for _ in 0..TURN {
            let Some(message) = ready(subscriber) else {
                return true;
            };
            self.take(message);
        }
        false
    }

    fn take(&mut self, message: Message) {
        self.heard = Instant::now();
        if message.status.is_some() {
            self.status(&message);
            return;
        }
        self.pulls.came(message.length);
        self.failures = 0;
        self.oversize = false;
        let Some((reply, delivery)) = message
            .reply
            .as_ref()
            .and_then(|reply| Some((reply, Delivery::parse(reply)?)))
        else {
            tracing::warn!(subject = %message.subject, "a message that is no delivery came to the source's inbox");
            return;
        };
        if delivery.delivered > 1 {
            self.intake.metrics().redelivered(1);
            let reply = self.scratch.subject(reply);
            if self.flight.knows(delivery, reply, self.heard) {
                return;
            }
        }
        let ticket = self.flight.insert(Delivered {
            reply: self.scratch.subject(reply),
            sequence: delivery.sequence,
            times: delivery.delivered,
            told: self.heard,
        });
        self.waiting_bytes += message.payload.len();
        self.waiting.push_back(Incoming {
            ticket,
            subject: self.scratch.copy(&message.subject),
            // Its reply subject is for acknowledgements; nobody waits there for an answer.
            reply: None,
            payload: message.payload,
            headers: message
                .headers
                .as_ref()
                .map(|headers| headers_of(headers).into()),
            position: Some(Arc::new(Position {
                stream: Arc::clone(&self.consumer.stream),
                incarnation: self.consumer.incarnation,
                sequence: delivery.sequence,
                delivered: delivery.delivered,
                again: true,
                kept: self.consumer.kept,
            })),
        });
    }

    /// The server says something about a request.
    fn status(&mut self, message: &Message) {
        let code = message.status.map_or(0, |status| status.as_u16());
        let text = message.description.as_deref().unwrap_or_default();
        if code == 100 {
            return;
        }
        let number = |name: &str| {
            let value = message.headers.as_ref()?.get(name)?;
            value.as_str().parse::<usize>().ok()
        };
        let id = message
            .subject
            .rsplit('.')
            .next()
            .and_then(|id| id.parse().ok());
        self.pulls
            .ended(id.unwrap_or_default(), number("Nats-Pending-Messages"));
        match (code, text) {
            // Its time is over, or it is done.
            (408, _) | (409, "Batch Completed") => self.failures = 0,
            (409, text) if text.contains("MaxBytes") => {
                // Where nothing of its bytes was used, the next message is larger than all of them.
                self.oversize = number("Nats-Pending-Bytes").is_none_or(|left| {
                    left >= self.limit.bytes / BYTE_PARTS
                        || self.consumer.max_bytes.is_some_and(|most| left >= most)
                });
                if !self.oversize {
                    // The byte credit is nearly used up: let some of it come back first.
                    self.paused_until = Some(Instant::now() + PAUSE_FIRST);
                }
            }
            _ => {
                self.failures += 1;
                self.paused_until = Some(Instant::now() + self.backoff.wait(self.failures));
                tracing::debug!(code, text, "the consumer ended a request");
                if (code == 503 || text.contains("Deleted")) && self.check.is_none() {
                    let check = still_there(self.connection.clone(), self.options.clone());
                    self.check = Some(Box::pin(check));
                }
            }
        }
    }

    /// Lets in what there is credit for, and sends to the dead letter what comes too often.
    fn admit(&mut self) -> Result<(), SourceError> {
        while self.intake.room() > 0
            && let Some(incoming) = self.waiting.pop_front()
        {
            self.waiting_bytes -= incoming.payload.len();
            let times = self.flight.times(incoming.ticket);
            if times > self.options.max_deliver {
                let reason = format!(
                    "delivered {} times and not acknowledged once (max_deliver)",
                    times - 1
                );
                self.intake
                    .reject(incoming, Reject::new(Stage::Source, "deliveries", reason));
                continue;
            }
            self.intake.push(incoming);
            if self.intake.is_full() {
                self.intake.flush()?;
            }
        }
        self.intake.flush()
    }

    /// Ends all requests, and gives back what was not let in, so that another process has it at once.
    async fn give_back(&mut self, mut subscriber: Subscriber) {
        let rest = async {
            if subscriber.drain().await.is_ok() {
                while let Some(message) = subscriber.next().await {
                    self.take(message);
                }
            }
        };
        drop(timeout(DRAIN_WITHIN, rest).await);
        for incoming in std::mem::take(&mut self.waiting) {
            self.flight.give_back(incoming.ticket).await;
        }
        self.waiting_bytes = 0;
    }
}

/// Waits for a check, where one is under way.
async fn checked(check: &mut Option<Check>) -> Result<(), String> {
    match check {
        Some(check) => check.await,
        None => std::future::pending().await,
    }
}
