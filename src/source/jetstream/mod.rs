//! Messages from a JetStream stream: a durable pull consumer, acknowledged after the result is out.

mod circle;
mod consumer;
mod earlier;
mod flight;
mod given_up;
mod lag;
mod position;
mod pulls;
mod reading;
mod requests;
mod waiting;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub(crate) use self::{
    circle::no_circle,
    consumer::{check, no_stream},
};
use self::{earlier::Earlier, given_up::GivenUp};
use super::{BoxFuture, Intake, Source, SourceError};
use crate::{message::InFlight, nats::Connection};

/// Which consumer to pull from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JetStreamOptions {
    /// The stream; must exist.
    pub stream: String,
    /// The durable consumer; made if it does not exist.
    pub consumer: String,
    /// Only messages on this subject (wildcards allowed).
    pub filter_subject: Option<String>,
    /// How long the broker waits for our word before it delivers again.
    pub ack_wait: Duration,
    /// How often a message is delivered before it goes to the dead letter.
    pub max_deliver: u64,
}

/// Pulls from a durable consumer.
#[derive(Debug)]
pub struct JetStreamSource {
    connection: Connection,
    options: JetStreamOptions,
    max_in_flight: InFlight,
    own_subjects: Vec<String>,
    in_order: bool,
}

impl JetStreamSource {
    /// A source that asks for no more than `max_in_flight` at a time.
    pub fn new(connection: Connection, options: JetStreamOptions, max_in_flight: InFlight) -> Self {
        Self {
            connection,
            options,
            max_in_flight,
            own_subjects: Vec::new(),
            in_order: false,
        }
    }

    /// Lets messages in only in the order of the stream, also after a crash or a lost connection:
    /// what was delivered before and not acknowledged is waited for, up to about `ack_wait`. Only
    /// for the one process that reads the consumer.
    #[must_use]
    pub fn in_order(mut self, in_order: bool) -> Self {
        self.in_order = in_order;
        self
    }

    /// Where this pipeline publishes to on the same servers. The source refuses to read what would
    /// come in again from there.
    #[must_use]
    pub fn with_own_subjects(mut self, patterns: Vec<String>) -> Self {
        self.own_subjects = patterns;
        self
    }
}

impl Source for JetStreamSource {
    fn run(
        self: Box<Self>,
        intake: Intake,
        stop: CancellationToken,
    ) -> BoxFuture<Result<(), SourceError>> {
        Box::pin(async move {
            let Self {
                connection,
                options,
                max_in_flight,
                own_subjects,
                in_order,
            } = *self;
            let consumer = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                sentence = connection.fatal() => return Err(SourceError::new(sentence)),
                consumer = consumer::prepare(&connection, &options, max_in_flight, &own_subjects) => {
                    consumer.map_err(SourceError::unavailable)?
                }
            };
            let inbox = connection.new_inbox();
            let subscriber = connection
                .subscribe(&format!("{inbox}.*"), None)
                .await
                .map_err(SourceError::new)?;
            let given_up = GivenUp::listen(connection.clone(), &options, &consumer)
                .await
                .map_err(SourceError::new)?;
            intake.set_attached(true);
            let inbox = (inbox, given_up);
            let earlier = in_order
                .then(|| Earlier::new(connection.clone(), options.clone(), consumer.before));
            reading::Reading::new(connection, options, max_in_flight, consumer, inbox, intake)
                .keeping_order(earlier)
                .run(subscriber, stop)
                .await
        })
    }
}
