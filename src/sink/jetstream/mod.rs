//! Results to a JetStream stream: confirmed by the broker, and stored once even if sent twice.
//!
//! A result carries an id made of its message's place in the input stream, so that the broker
//! stores it once however often it is sent. What the broker does not confirm is held and sent
//! again with the same id: trouble at the output is not the message's fault, and it is not given
//! back for it.

mod answer;
mod headers;
mod trouble;
mod window;

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use async_nats::{Subject, Subscriber};
use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use self::window::Window;
use super::{
    BoxFuture, Held, Outgoing, Rejects, Sink, SinkError, publish::Subjects, template::Template,
};
use crate::{
    nats::{Connection, api::stream_names, ready},
    telemetry::metrics::SinkMetrics,
};

/// Where results go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JetStreamTarget {
    /// A subject made from the input's; a stream must take it.
    pub subject: Template,
    /// Set in the message id, so that a result and a dead letter of one message are told apart.
    pub purpose: Purpose,
}

/// What is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Results.
    Result,
    /// Dead letters.
    DeadLetter,
}

impl Purpose {
    /// One of them, in words.
    pub(crate) fn one(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::DeadLetter => "dead letter",
        }
    }

    /// Several of them, in words.
    pub(crate) fn many(self) -> &'static str {
        match self {
            Self::Result => "results",
            Self::DeadLetter => "dead letters",
        }
    }
}

const TICK: Duration = Duration::from_millis(50);
/// Confirmations taken before anything else gets a turn.
const TURN: usize = 1024;

/// Publishes to whatever stream takes the subject.
#[derive(Debug)]
pub struct JetStreamSink {
    connection: Connection,
    target: JetStreamTarget,
    held: Held,
}

impl JetStreamSink {
    /// A sink that publishes on this connection.
    pub fn new(connection: Connection, target: JetStreamTarget) -> Self {
        Self {
            connection,
            target,
            held: Held::default(),
        }
    }

    /// Says in `held` when and why nothing can be stored.
    #[must_use]
    pub fn reporting_to(mut self, held: Held) -> Self {
        self.held = held;
        self
    }
}

impl Sink for JetStreamSink {
    fn run(
        self: Box<Self>,
        outgoing: mpsc::Receiver<Vec<Outgoing>>,
        rejects: Rejects,
        metrics: SinkMetrics,
    ) -> BoxFuture<Result<(), SinkError>> {
        Box::pin(async move {
            let Self {
                connection,
                target,
                held,
            } = *self;
            let pattern = target.subject.pattern();
            let subjects = Subjects::new(target.subject);
            connection.will_publish_to(subjects.fixed().map(Subject::as_str));
            expect_stream(&connection, &pattern, target.purpose).await?;
            let inbox = connection.new_inbox();
            let confirmations = connection
                .subscribe(&format!("{inbox}.*"), None)
                .await
                .map_err(SinkError::new)?;
            let window = Window::new(
                connection.clone(),
                subjects,
                target.purpose,
                inbox,
                rejects,
                metrics,
                held,
            );
            run(&connection, window, outgoing, confirmations).await
        })
    }
}

async fn run(
    connection: &Connection,
    mut window: Window,
    mut outgoing: mpsc::Receiver<Vec<Outgoing>>,
    mut confirmations: Subscriber,
) -> Result<(), SinkError> {
    let mut fatal = pin!(connection.fatal());
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = true;
    // Nothing is under way, and the last look found nothing to do: an idle pipeline costs nothing.
    let mut rests = false;
    while open || !window.is_empty() {
        tokio::select! {
            biased;
            sentence = &mut fatal => return Err(SinkError::new(sentence)),
            _ = tick.tick(), if !rests => {
                window.tick(Instant::now()).await;
                rests = window.is_empty();
            }
            message = confirmations.next() => {
                let Some(message) = message else {
                    return Err(SinkError::new("the client closed the subscription for confirmations"));
                };
                let now = Instant::now();
                window.confirm(&message, now)?;
                for _ in 0..TURN {
                    let Some(message) = ready(&mut confirmations) else { break };
                    window.confirm(&message, now)?;
                }
                window.after_confirmations().await;
            }
            block = outgoing.recv(), if open && window.takes_more() => match block {
                Some(block) => {
                    if std::mem::take(&mut rests) {
                        // What happened to the connection meanwhile is not about this block.
                        window.tick(Instant::now()).await;
                    }
                    window.publish(block).await;
                }
                None => open = false,
            }
        }
    }
    Ok(())
}

/// A subject that no stream takes is a mistake in the pipeline file, and best said before the
/// first message is read. Where the subject is made of the input's, one stream that takes some of
/// them is enough.
async fn expect_stream(
    connection: &Connection,
    subject: &str,
    purpose: Purpose,
) -> Result<(), SinkError> {
    match stream_names(connection, Some(subject)).await {
        Some(names) if names.is_empty() => Err(SinkError::unavailable(no_taker(
            connection,
            subject,
            purpose.many(),
        ))),
        // Not knowing is no error: the first publish will show.
        Some(_) | None => Ok(()),
    }
}

/// The sentence for a subject that no stream takes; `what` is published there.
pub(crate) fn no_taker(connection: &Connection, subject: &str, what: &str) -> String {
    format!(
        "no stream at {} takes the subject `{subject}`, so {what} could not be stored; make one, or let `forebay run --create-streams` make what is missing",
        connection.server()
    )
}
