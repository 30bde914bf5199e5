//! What has been published and not confirmed.

use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message, Subject, message::OutboundMessage};

use super::{Purpose, answer::Answer, headers::headers};
use crate::{
    message::{Reject, Stage},
    nats::{
        Connection, PublishFailure, Unconfirmed,
        backoff::{Backoff, Seldom},
        scratch::Scratch,
        slab::Slab,
    },
    sink::{
        Held, Outgoing, Rejects, SinkError, dead_letter,
        publish::{Subjects, fit, forbidden, not_a_subject, too_large},
    },
    telemetry::metrics::SinkMetrics,
};

/// Unconfirmed results at which no more are taken: far above what a broker's latency needs, far
/// below what the client holds for one subscription.
const UNCONFIRMED_MAX: usize = 4096;
/// A confirmation that is not here by then was lost, or the broker is in trouble.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);
/// Results sent to see whether the trouble is over.
const PROBES: usize = 16;
/// What is sent while a stream has no leader is lost without a word: so nobody waits for long
/// before the next try. The word on an earlier try counts too.
const PROBED_WITHIN: Duration = Duration::from_millis(500);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// When the trouble is over, this much time is lost at most.
const PAUSE_MOST: Duration = Duration::from_millis(500);

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

/// The broker does not store results.
struct Trouble {
    failures: u64,
    phase: Phase,
}

enum Phase {
    /// Nothing is sent until then.
    Pause { until: Instant },
    /// A few results are with the broker since then, to see whether it stores them.
    Probe { since: Instant },
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
    trouble: Option<Trouble>,
    held: Held,
    /// The trouble has just ended, or something was made smaller: what is held goes out again.
    resume: bool,
    backoff: Backoff,
    complaint: Seldom,
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
            trouble: None,
            held,
            resume: false,
            backoff: Backoff::new(PAUSE_FIRST, PAUSE_MOST),
            complaint: Seldom::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether the next block may come. Not in trouble: what comes would only be held, and credit
    /// holds the source back meanwhile.
    pub(super) fn takes_more(&self) -> bool {
        self.trouble.is_none() && self.pending.len() < UNCONFIRMED_MAX
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
                    let key = self.pending.insert(Pending {
                        outgoing,
                        subject,
                        state: State::Held,
                        taken,
                        last: index + 1 == count,
                    });
                    self.send(key, headers).await;
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
        let now = Instant::now();
        let failures = match &self.trouble {
            None => 1,
            // All that was sent in one go fails in one go; that is one failure.
            Some(Trouble {
                phase: Phase::Pause { .. },
                ..
            }) => return,
            Some(Trouble {
                phase: Phase::Probe { since },
                ..
            }) if sent < *since => return,
            Some(Trouble { failures, .. }) => failures + 1,
        };
        self.trouble = Some(Trouble {
            failures,
            phase: Phase::Pause {
                until: now + self.backoff.wait(failures),
            },
        });
        let what = match self.purpose {
            Purpose::Result => "results",
            Purpose::DeadLetter => "dead letters",
        };
        self.held
            .set(Some(format!("{what} cannot be stored: {cause}")));
        if self.complaint.happened(1).is_some() {
            tracing::warn!(
                cause,
                unconfirmed = self.pending.len(),
                "results are not being stored; they are held and sent again until they are"
            );
        }
    }

    /// Takes the broker's word on one result.
    pub(super) fn confirm(&mut self, message: &Message, now: Instant) -> Result<(), SinkError> {
        let key = message
            .subject
            .rsplit('.')
            .next()
            .and_then(|key| u64::from_str_radix(key, 16).ok());
        let Some(key) = key else { return Ok(()) };
        let what = match self.purpose {
            Purpose::Result => "result",
            Purpose::DeadLetter => "dead letter",
        };
        match Answer::read(message, what) {
            Answer::Stored { duplicate } => {
                if duplicate {
                    tracing::debug!("the {what} was stored before");
                    self.metrics.duplicate();
                }
                let Some(Pending {
                    outgoing,
                    taken,
                    last,
                    ..
                }) = self.pending.remove(key)
                else {
                    return Ok(());
                };
                self.answered();
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
                // A definite word about one result is word that the stream works.
                self.answered();
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

    /// The stream has given a definite answer, so whatever the trouble was, it is over.
    fn answered(&mut self) {
        if self.trouble.take().is_some() {
            self.held.set(None);
            tracing::info!("results are being stored again");
            self.resume = true;
        }
    }

    /// Sends what is held when the trouble has just ended.
    pub(super) async fn after_confirmations(&mut self) {
        if std::mem::take(&mut self.resume) {
            self.send_held(usize::MAX).await;
        }
    }

    /// Looks for what is overdue, and tries again when it is time.
    pub(super) async fn tick(&mut self, now: Instant) {
        self.unconfirmed.set(self.pending.len());
        let connected_again = self.connects != self.connection.connects();
        let within = match &self.trouble {
            Some(_) => PROBED_WITHIN,
            None => CONFIRMED_WITHIN,
        };
        let overdue = self.pending.keys(|pending| match pending.state {
            State::Sent(sent) => connected_again || now.duration_since(sent) > within,
            State::Held => false,
        });
        for key in overdue {
            let refused = |pending: &mut Pending| self.connection.is_forbidden(&pending.subject);
            if self.pending.get_mut(key).is_some_and(refused) {
                self.reject(key, |pending, _| forbidden(&pending.subject));
            } else {
                self.hold(key, "no confirmation");
            }
        }
        if connected_again {
            self.connects = self.connection.connects();
        }
        if self.pending.is_empty() && self.trouble.take().is_some() {
            // What was held has been rejected since.
            self.held.set(None);
        }
        let Some(Trouble { phase, .. }) = &mut self.trouble else {
            return;
        };
        let due = match phase {
            Phase::Pause { until } => connected_again || *until <= now,
            // No probe is left to be answered: the client took none of them.
            Phase::Probe { .. } => {
                let sent = |pending: &Pending| pending.state != State::Held;
                self.pending.keys(sent).is_empty()
            }
        };
        if due && self.connection.is_connected() {
            *phase = Phase::Probe { since: now };
            self.send_held(PROBES).await;
        }
    }

    /// Sends up to `most` of what is held.
    async fn send_held(&mut self, most: usize) {
        let held = self.pending.keys(|pending| pending.state == State::Held);
        for key in held.into_iter().take(most) {
            if let Some(Pending { outgoing, .. }) = self.pending.get_mut(key) {
                let headers = headers(outgoing, self.purpose);
                self.send(key, headers).await;
            }
        }
    }
}
