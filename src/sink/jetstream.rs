//! Results to a JetStream stream: confirmed by the broker, and stored once even if sent twice.

use super::template::Template;

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
#[derive(Debug)]
pub struct JetStreamSink;
impl JetStreamSink {
    pub fn new(_: crate::nats::Connection, _: JetStreamTarget) -> Self {
        Self
    }
}
impl super::Sink for JetStreamSink {
    fn run(
        self: Box<Self>,
        _: tokio::sync::mpsc::Receiver<Vec<super::Outgoing>>,
        _: super::Rejects,
        _: super::SinkMetrics,
    ) -> super::BoxFuture<Result<(), super::SinkError>> {
        Box::pin(async { Err(super::SinkError::new("not yet")) })
    }
}
