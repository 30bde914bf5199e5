//! Asks the consumer for messages, and takes its word on each request.

use std::time::{Duration, Instant};

use async_nats::{Message, message::OutboundMessage};
use bytes::Bytes;

use super::{
    JetStreamOptions,
    consumer::{Consumer, Limits},
    pulls::{EXPIRES, HEARTBEAT, Pulls},
};
use crate::{
    message::InFlight,
    nats::{Connection, State, backoff::Backoff, scratch::Scratch},
};

/// Requests are refilled in parts of the credit: one message at a time would cost a request each.
const REFILLS: usize = 8;
/// Most messages in one request: well below what the client holds before it drops.
const PULL_MESSAGES_MAX: usize = 16_384;
/// Parts of the byte credit that one request may bring.
const BYTE_PARTS: usize = 4;
/// A request that has brought neither message nor heartbeat for so long is dead: the server stands
/// still, or the consumer has lost its leader, which says nothing before it dies.
const SILENCE_MAX: Duration = HEARTBEAT
    .saturating_mul(2)
    .saturating_add(Duration::from_millis(250));
/// While there is silence one message is asked for so often, until somebody answers. All that was
/// asked for would come at once from a server that only stood still.
const ASK_AGAIN_EVERY: Duration = Duration::from_millis(500);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// When the trouble is over, this much time is lost at most.
const PAUSE_MOST: Duration = Duration::from_secs(1);

/// So many requests refused in a row are more than an election or a full queue of requests.
const REFUSED: u64 = 5;

/// What a status means for the source.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Nothing to do.
    Heard,
    /// Perhaps the consumer is gone.
    Gone,
}

/// The requests under way, and when the next may be made.
#[derive(Debug)]
pub(super) struct Requests {
    connection: Connection,
    limit: InFlight,
    limits: Limits,
    subject: String,
    inbox: String,
    pulls: Pulls,
    scratch: Scratch,
    /// How often the client had connected when the requests were made.
    connects: u64,
    heard: Instant,
    /// Nobody answers; the last time that we asked.
    silent: Option<Instant>,
    /// A message larger than a request's share of the byte credit is next.
    oversize: bool,
    failures: u64,
    backoff: Backoff,
    paused_until: Option<Instant>,
}

impl Requests {
    pub(super) fn new(
        connection: Connection,
        options: &JetStreamOptions,
        limit: InFlight,
        consumer: &Consumer,
        inbox: String,
    ) -> Self {
        let (stream, name) = (&options.stream, &options.consumer);
        Self {
            subject: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"),
            connects: connection.connects(),
            connection,
            limit,
            limits: consumer.limits,
            inbox,
            pulls: Pulls::default(),
            scratch: Scratch::default(),
            heard: Instant::now(),
            silent: None,
            oversize: false,
            failures: 0,
            backoff: Backoff::new(PAUSE_FIRST, PAUSE_MOST),
            paused_until: None,
        }
    }

    /// Asks for as much as there is room for, unless that is too little to bother. `used` is what
    /// has been delivered and has not settled. `few` asks for so many instead, whatever room there
    /// is, and only when no other request is under way.
    pub(super) async fn refill(&mut self, used: InFlight, few: Option<usize>) {
        let now = Instant::now();
        if self.paused_until.is_some_and(|until| until > now)
            || self.connection.state() != State::Connected
            || self.connects != self.connection.connects()
        {
            return;
        }
        if let Some(asked) = &mut self.silent {
            if now.duration_since(*asked) < ASK_AGAIN_EVERY {
                return;
            }
            *asked = now;
            self.pulls.clear();
        }
        let size = match few {
            None => self.size(used),
            Some(few) => {
                let asks = few > 0 && self.pulls.is_empty();
                let few = few.min(self.limits.messages.unwrap_or(usize::MAX));
                asks.then_some((few, self.byte_share(), self.limits.bytes.unwrap_or(0)))
            }
        };
        let Some((mut messages, bytes, max_bytes)) = size else {
            return;
        };
        if self.silent.is_some() {
            messages = 1;
        }
        if self.pulls.is_empty() {
            self.heard = now;
        }
        let id = self.pulls.ask(messages, bytes, now);
        let expires = EXPIRES.min(self.limits.expires.unwrap_or(EXPIRES));
        let heartbeat = HEARTBEAT.min(expires / 2);
        let request = format!(
            "{{\"batch\":{messages},\"max_bytes\":{max_bytes},\"expires\":{},\"idle_heartbeat\":{}}}",
            expires.as_nanos(),
            heartbeat.as_nanos()
        );
        let message = OutboundMessage {
            subject: self.scratch.subject(&self.subject),
            reply: Some(self.scratch.format(format_args!("{}.{id}", self.inbox))),
            payload: Bytes::from(request),
            headers: None,
        };
        if self.connection.publish(message).await.is_err() {
            self.pulls.clear();
        }
    }

    /// Messages, bytes that they may have, and what to tell the server about bytes (0: no limit).
    fn size(&self, used: InFlight) -> Option<(usize, usize, usize)> {
        let taken = used.messages + self.pulls.messages();
        let room = self.limit.messages.saturating_sub(taken);
        let bytes_room = self
            .limit
            .bytes
            .saturating_sub(used.bytes + self.pulls.bytes());
        if room < (self.limit.messages / REFILLS).max(1) || bytes_room == 0 {
            return None;
        }
        if self.oversize {
            // One message may pass the limit by its own size.
            let alone = (1, bytes_room, self.limits.bytes.unwrap_or(0));
            return self.pulls.is_empty().then_some(alone);
        }
        let messages = room
            .min(PULL_MESSAGES_MAX)
            .min(self.limits.messages.unwrap_or(usize::MAX));
        let bytes = bytes_room
            .min(self.byte_share())
            .min(self.limits.bytes.unwrap_or(usize::MAX));
        Some((messages, bytes, bytes))
    }

    fn byte_share(&self) -> usize {
        (self.limit.bytes / BYTE_PARTS).max(1)
    }

    /// What the consumer gives at most may have been changed.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether the consumer has refused everything for a while.
    pub(super) fn is_refused(&self) -> bool {
        self.failures >= REFUSED
    }

    /// Something came from the server.
    pub(super) fn heard(&mut self) -> Instant {
        self.heard = Instant::now();
        self.silent = None;
        self.heard
    }

    /// A message of this size came.
    pub(super) fn came(&mut self, bytes: usize) {
        self.pulls.came(bytes);
        self.failures = 0;
        self.oversize = false;
    }

    /// The server says something about a request.
    pub(super) fn status(&mut self, message: &Message) -> Word {
        let code = message.status.map_or(0, |status| status.as_u16());
        let text = message.description.as_deref().unwrap_or_default();
        if code == 100 {
            return Word::Heard;
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
            (409, text) if text.contains("MaxBytes") && !self.gives_no_more() => {
                // Where nothing of its bytes was used, the next message is larger than all of them.
                self.oversize = number("Nats-Pending-Bytes").is_none_or(|left| {
                    left >= self.byte_share() || self.limits.bytes.is_some_and(|most| left >= most)
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
                if self.failures == REFUSED {
                    tracing::warn!(
                        code,
                        text,
                        "the consumer refuses every request, so no message comes; change the consumer, or wait until the server is well"
                    );
                }
                if code == 503 || text.contains("Deleted") {
                    return Word::Gone;
                }
            }
        }
        Word::Heard
    }

    /// Whether the next message is larger than all that this consumer gives for one request.
    fn gives_no_more(&self) -> bool {
        self.oversize && self.limits.bytes.is_some()
    }

    /// Forgets requests that the server has forgotten.
    pub(super) fn tick(&mut self, now: Instant) {
        self.pulls.expire(now);
        if self.connects != self.connection.connects() {
            self.connects = self.connection.connects();
            self.pulls.clear();
            self.silent = None;
        } else if self.silent.is_none()
            && !self.pulls.is_empty()
            && now.duration_since(self.heard) > SILENCE_MAX
        {
            tracing::debug!("neither message nor heartbeat for {SILENCE_MAX:?}; asking anew");
            self.silent = Some(now);
            self.pulls.clear();
        }
    }
}
