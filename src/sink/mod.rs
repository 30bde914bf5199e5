//! Where results go: publishes, waits for the broker's word where there is one, and says what
//! became of each message.

pub mod dead_letter;
pub mod file;
pub mod jetstream;
pub mod nats;
mod publish;
pub mod template;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

pub use crate::source::{BoxFuture, Rejects};
use crate::{
    message::{Headers, Message, Outcome},
    telemetry::metrics::SinkMetrics,
};

/// Why a sink had to give up. Fatal: the operator must act.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What failed, and what to do.
    pub message: String,
    /// Whether something that the sink needs (a stream, say) is not there.
    pub unavailable: bool,
}

impl SinkError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            unavailable: false,
        }
    }

    /// Something that the sink needs is not there.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            unavailable: true,
        }
    }
}

/// Why a sink cannot get rid of what it holds: part of readiness. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Held(Arc<Mutex<Option<String>>>);

impl Held {
    /// The reason in words; `None` while all is well.
    pub fn reason(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, reason: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// One thing to publish: a result, an error reply, or a dead letter.
#[derive(Debug)]
pub struct Outgoing {
    /// The message that this answers. Its ack is resolved with `outcome` once the publish is
    /// confirmed (or handed to the client, where the broker does not confirm).
    pub message: Message,
    /// The bytes to publish.
    pub payload: Bytes,
    /// Headers to publish.
    pub headers: Headers,
    /// What publishing this means for the message.
    pub outcome: Outcome,
}

/// Publishes results.
pub trait Sink: Send {
    /// Publishes until `outgoing` closes and everything is confirmed. Resolves each message's ack:
    /// with its `outcome` when published, with [`Outcome::Retry`] when time may help. What can
    /// never be published (too large for the broker, no reply subject) goes to `rejects`.
    ///
    /// # Errors
    /// What the operator must fix.
    fn run(
        self: Box<Self>,
        outgoing: mpsc::Receiver<Vec<Outgoing>>,
        rejects: Rejects,
        metrics: SinkMetrics,
    ) -> BoxFuture<Result<(), SinkError>>;

    /// The subject that this publishes to, as the file has it, where nobody confirms what arrives
    /// there; `None` where each publish is confirmed.
    fn unconfirmed(&self) -> Option<String> {
        None
    }
}
