//! Messages from a JetStream stream: a durable pull consumer, acknowledged after the result is out.

use std::time::Duration;

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
#[derive(Debug)]
pub struct JetStreamSource;
impl JetStreamSource {
    pub fn new(_: crate::nats::Connection, _: JetStreamOptions, _: usize) -> Self {
        Self
    }
}
impl super::Source for JetStreamSource {
    fn run(
        self: Box<Self>,
        _: super::Intake,
        _: tokio_util::sync::CancellationToken,
    ) -> super::BoxFuture<Result<(), super::SourceError>> {
        Box::pin(async { Err(super::SourceError::new("not yet")) })
    }
}
