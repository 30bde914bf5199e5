//! What has been published and not confirmed.

use std::time::Instant;

use async_nats::{HeaderMap, Message, Subject, message::OutboundMessage};

use super::{Purpose, answer::Answer, headers::headers, trouble::Trouble};
use crate::{
    message::{Reject, Stage},
    nats::{Connection, PublishFailure, Unconfirmed, scratch::Scratch, slab::Slab},
    sink::{
        Held, Outgoing, Rejects, SinkError, dead_letter,
        publish::{Subjects, fit, forbidden, not_a_subject, too_large},
    },
    telemetry::metrics::SinkMetrics,
};

/// Unconfirmed results at which no more are taken: far above what a broker's latency needs, far
/// below what the client holds for one subscription.
const UNCONFIRMED_MAX: usize = 4096;
/// One result on its way.
struct Pending {
    outgoing: Outgoing,
    subject: Subject,
    state: State,
    taken: Instant,
    /// The last of its block, whose confirmation is the block's.
    last: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// With the broker since then.
    Sent(Instant),
    /// With us, until the trouble is over.
    Held,
}

/// The unconfirmed results, and how it goes with the broker.
pub(super) struct Window {
    connection: Connection,
    subjects: Subjects,
    purpose: Purpose,
    inbox: String,
    rejects: Rejects,
    metrics: SinkMetrics,
    pending: Slab<Pending>,
    scratch: Scratch,
    trouble: Trouble,
    /// A subject's trouble has just ended, or something was made smaller: what is held goes out
    /// again.
    resume: bool,
    connects: u64,
    unconfirmed: Unconfirmed,
}

impl Window {
    pub(super) fn new(
        connection: Connection,
        subjects: Subjects,
        purpose: Purpose,
        inbox: String,
        rejects: Rejects,
        metrics: SinkMetrics,
        held: Held,
    ) -> Self {
        Self {
            connects: connection.connects(),
            unconfirmed: connection.count_unconfirmed(),
            connection,
            subjects,
            purpose,
            inbox,
            rejects,
            metrics,
            pending: Slab::new(),
            scratch: Scratch::default(),
            trouble: Trouble::new(purpose, held),
            resume: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether the next block may come. In trouble too: what comes may be for another stream. Where
    /// it is not it is held, and credit holds the source back.
    pub(super) fn takes_more(&self) -> bool {
        self.pending.len() < UNCONFIRMED_MAX
    }

    pub(super) async fn publish(&mut self, block: Vec<Outgoing>) {
        let taken = Instant::now();
        let count = block.len();
        for (index, mut outgoing) in block.into_iter().enumerate() {
            let purpose = self.purpose;
            let made = self
                .subjects
                .render(outgoing.message.subject())
                .and_then(|subject| {
                    let headers = fit(&self.connection, &mut outgoing, |outgoing| {
                        headers(outgoing, purpose)
                    })?;
                    Ok((subject, headers))
                });
            match made {
                Err(reject) => self.rejects.reject(outgoing.message, reject),
                Ok((subject, headers)) => {
                    let send = !self.trouble.is_with(&subject);
                    let key = self.pending.insert(Pending {
                        outgoing,
                        subject,
                        state: State::Held,
                        taken,
                        last: index + 1 == count,
                    });
                    if send {
                        self.send(key, headers).await;
                    }
                }
            }
        }
    }

    /// Sends one result, for the first time or again. Its headers are made anew for each try: most
    /// results are sent once, and keeping a copy would cost more than making them.
    async fn send(&mut self, key: u64, made: Option<HeaderMap>) {
        let Some(pending) = self.pending.get_mut(key) else {
            return;
        };
        let message = OutboundMessage {
            subject: pending.subject.clone(),
            reply: Some(self.scratch.format(format_args!("{}.{key:x}", self.inbox))),
            payload: pending.outgoing.payload.clone(),
            headers: made,
        };
        pending.state = State::Sent(Instant::now());
        match self.connection.publish(message).await {
            Ok(()) => {}
            Err(PublishFailure::Later) => self.hold(key, "disconnected"),
            Err(PublishFailure::Subject) => {
                self.reject(key, |pending, _| not_a_subject(&pending.subject));
            }
            Err(PublishFailure::Size) => {
                let purpose = self.purpose;
                self.reject(key, |Pending { outgoing, .. }, connection| {
                    too_large(connection, outgoing, headers(outgoing, purpose).as_ref())
                });
            }
        }
    }

    fn reject(&mut self, key: u64, why: impl FnOnce(&Pending, &Connection) -> Reject) {
        if let Some(pending) = self.pending.remove(key) {
            let reject = why(&pending, &self.connection);
            self.rejects.reject(pending.outgoing.message, reject);
        }
    }

    /// Holds a result whose sending failed.
    fn hold(&mut self, key: u64, cause: &str) {
        let Some(pending) = self.pending.get_mut(key) else {
            return;
        };
        let State::Sent(sent) = std::mem::replace(&mut pending.state, State::Held) else {
            return;
        };
        self.metrics.retried(1);
        self.trouble.failed(&pending.subject, sent, cause);
    }

    /// Takes the broker's word on one result.
    pub(super) fn confirm(&mut self, message: &Message, now: Instant) -> Result<(), SinkError> {
        let key = message
            .subject
            .rsplit('.')
            .next()
            .and_then(|key| u64::from_str_radix(key, 16).ok());
        let Some(key) = key else { return Ok(()) };
        let what = self.purpose.one();
        match Answer::read(message, what) {
            Answer::Stored { duplicate } => {
                if duplicate {
                    tracing::debug!("the {what} was stored before");
                    self.metrics.duplicate();
                }
                let Some(Pending {
                    outgoing,
                    subject,
                    taken,
                    last,
                    ..
                }) = self.pending.remove(key)
                else {
                    return Ok(());
                };
                self.resume |= self.trouble.answered(&subject);
                let Outgoing {
                    message,
                    payload,
                    outcome,
                    ..
                } = outgoing;
                self.metrics.published(payload.len(), message.received, now);
                if last {
                    self.metrics.confirmed(now.duration_since(taken));
                }
                message.ack.resolve(outcome);
            }
            Answer::NotNow(cause) => self.hold(key, &cause),
            Answer::Never { kind, reason } => {
                // A definite word about one result is word that its stream works.
                if let Some(pending) = self.pending.get_mut(key) {
                    self.resume |= self.trouble.answered(&pending.subject);
                }
                if kind == "size" && self.shorten(key) {
                    return Ok(());
                }
                self.reject(key, |_, _| Reject::new(Stage::Sink, kind, reason));
            }
            Answer::Fatal(sentence) => return Err(SinkError::new(sentence)),
        }
        Ok(())
    }

    /// A stream may take less than the server does: a dead letter is shortened as far as it can be,
    /// and sent again.
    fn shorten(&mut self, key: u64) -> bool {
        let Some(pending) = self.pending.get_mut(key) else {
            return false;
        };
        let letter = &mut pending.outgoing;
        if !dead_letter::is_one(letter) || !dead_letter::shorten_payload(letter, 0) {
            return false;
        }
        dead_letter::shorten_headers(letter);
        pending.state = State::Held;
        self.resume = true;
        true
    }

    /// Sends what is held for subjects that are no longer in trouble.
    pub(super) async fn after_confirmations(&mut self) {
        if std::mem::take(&mut self.resume) {
            let trouble = &self.trouble;
            let keys = self
                .pending
                .keys(|pending| pending.state == State::Held && !trouble.is_with(&pending.subject));
            self.send_again(keys).await;
        }
    }

    /// Looks for what is overdue, and tries again when it is time.
    pub(super) async fn tick(&mut self, now: Instant) {
        self.unconfirmed.set(self.pending.len());
        let connected_again = self.connects != self.connection.connects();
        let overdue = self.pending.keys(|pending| match pending.state {
            State::Sent(sent) => {
                let within = self.trouble.confirmed_within(&pending.subject);
                connected_again || now.duration_since(sent) > within
            }
            State::Held => false,
        });
        for key in overdue {
            let Some(pending) = self.pending.get_mut(key) else {
                continue;
            };
            if self.connection.is_forbidden(&pending.subject) {
                self.resume |= self.trouble.forget(&pending.subject);
                self.reject(key, |pending, _| forbidden(&pending.subject));
            } else {
                self.hold(key, "no confirmation");
            }
        }
        if connected_again {
            self.connects = self.connection.connects();
        }
        if self.pending.is_empty() {
            // What was held has been rejected since.
            self.trouble.clear();
        }
        self.after_confirmations().await;
        let trouble = &self.trouble;
        let under_way =
            |pending: &Pending| pending.state != State::Held && trouble.is_with(&pending.subject);
        if !self.trouble.is_over()
            && self.connection.is_connected()
            && self.trouble.is_due(
                now,
                connected_again,
                !self.pending.keys(under_way).is_empty(),
            )
        {
            let held = self.held();
            let keys = self.trouble.probe(now, held);
            self.send_again(keys).await;
        }
    }

    /// What is held for subjects in trouble, in the order of the keys.
    fn held(&mut self) -> Vec<(u64, Subject)> {
        let trouble = &self.trouble;
        let keys = self
            .pending
            .keys(|pending| pending.state == State::Held && trouble.is_with(&pending.subject));
        let with_subject = |key| Some((key, self.pending.get_mut(key)?.subject.clone()));
        keys.into_iter().filter_map(with_subject).collect()
    }

    async fn send_again(&mut self, keys: Vec<u64>) {
        for key in keys {
            if let Some(Pending { outgoing, .. }) = self.pending.get_mut(key) {
                let headers = headers(outgoing, self.purpose);
                self.send(key, headers).await;
            }
        }
    }
}
