//! The way to the dead letter.

use tokio::sync::mpsc;

use crate::message::{Message, Reject};

/// The way to the dead letter for what a stage cannot finish.
#[derive(Debug, Clone)]
pub struct Rejects(mpsc::Sender<(Message, Reject)>);

impl Rejects {
    /// A way with room for `max_in_flight` messages, and its far end.
    pub fn new(max_in_flight: usize) -> (Self, mpsc::Receiver<(Message, Reject)>) {
        let (sender, receiver) = mpsc::channel(max_in_flight);
        (Self(sender), receiver)
    }

    /// Rejects a message. Never waits: each place in the channel is backed by a credit. When the
    /// far end is gone the message is dropped, which means it is delivered again.
    pub fn reject(&self, mut message: Message, reject: Reject) {
        // A dead letter that is held must not hold up results.
        message.ack.leave_line();
        if let Err(mpsc::error::TrySendError::Full(_)) = self.0.try_send((message, reject)) {
            unreachable!("each place in this channel is backed by a credit: this is a bug");
        }
    }
}
