//! Where rejected messages go: to the dead letter, and as an answer to whoever waits for one.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::reject_log::RejectLog;
use crate::{
    message::{Message, Outcome, Reject},
    sink::{Outgoing, dead_letter},
    telemetry::metrics::{RejectMetrics, SinkMetrics},
};

/// The ways out for a rejected message.
pub(super) struct RejectRoutes {
    /// The sink, when it answers requests.
    pub(super) replies: Option<mpsc::Sender<Vec<Outgoing>>>,
    /// The dead letter, when there is one.
    pub(super) dead_letter: Option<DeadLetter>,
    pub(super) metrics: RejectMetrics,
}

/// The way to the dead letter.
pub(super) struct DeadLetter {
    /// To its sink.
    pub(super) letters: mpsc::Sender<Vec<Outgoing>>,
    /// The subject, where nobody confirms that a dead letter arrived.
    pub(super) unconfirmed: Option<String>,
}

/// Routes rejects until `settled` (nothing is in flight any more), and then what is still queued.
pub(super) async fn route(
    routes: RejectRoutes,
    mut rejected: mpsc::Receiver<(Message, Reject)>,
    settled: CancellationToken,
) {
    let mut log = RejectLog::of(&routes);
    while let Some((message, reject)) = next(&mut rejected, &settled).await {
        if !message.ack.is_awaited() {
            // An answer of ours that could not be sent. Its message was rejected before.
            continue;
        }
        routes.metrics.rejected(&reject);
        log.say(&message, &reject);
        if let (Some(replies), Some(_)) = (&routes.replies, &message.reply) {
            let answer = vec![error_reply(&message, &reject)];
            // A closed sink has failed; the pipeline is stopping and says why.
            if replies.send(answer).await.is_err() {
                return;
            }
        }
        let Some(dead_letter) = &routes.dead_letter else {
            message.ack.resolve(Outcome::Rejected);
            continue;
        };
        let letter = Outgoing {
            headers: dead_letter::headers(&message, &reject),
            payload: message.payload.clone(),
            message,
            outcome: Outcome::Rejected,
        };
        if dead_letter.letters.send(vec![letter]).await.is_err() {
            return;
        }
    }
}

/// A message whose dead letter cannot be published comes back after this pause, again and again:
/// long enough that it costs nothing, short enough that it is soon gone once the operator has
/// made room for it.
const COMES_BACK_AFTER: Duration = Duration::from_secs(30);

/// Takes the dead letters that the dead letter's own sink cannot publish (larger than the broker
/// takes, say). There is nowhere else to put them. What stands in a stream stays there and comes
/// again; anything else is gone. The reject itself was counted when it was routed.
pub(super) async fn give_up(
    mut lost: mpsc::Receiver<(Message, Reject)>,
    pipeline: String,
    metrics: SinkMetrics,
    settled: CancellationToken,
) {
    while let Some((message, reject)) = next(&mut lost, &settled).await {
        let outcome = match &message.position {
            Some(position) if position.again => {
                metrics.retried(1);
                tracing::error!(
                    pipeline,
                    subject = message.subject(),
                    stream = &*position.stream,
                    sequence = position.sequence,
                    reason = reject.reason,
                    "a dead letter could not be published; the message stays in its stream and comes again"
                );
                Outcome::Retry {
                    after: Some(COMES_BACK_AFTER),
                }
            }
            _ => {
                metrics.lost();
                tracing::error!(
                    pipeline,
                    subject = message.subject(),
                    reason = reject.reason,
                    "a dead letter could not be published; the message is gone"
                );
                Outcome::Rejected
            }
        };
        message.ack.resolve(outcome);
    }
}

async fn next<T>(receiver: &mut mpsc::Receiver<T>, settled: &CancellationToken) -> Option<T> {
    tokio::select! {
        biased;
        item = receiver.recv() => item,
        () = settled.cancelled() => receiver.try_recv().ok(),
    }
}

/// The answer to a request that was rejected, in the form of the NATS service API.
fn error_reply(message: &Message, reject: &Reject) -> Outgoing {
    let answer = Message {
        subject: message.subject.clone(),
        reply: message.reply.clone(),
        received: message.received,
        ..Message::of(message.payload.clone())
    };
    let reason = serde_json::Value::from(reject.reason.as_str());
    let body = format!(
        r#"{{"error":{{"stage":"{}","reason":{reason}}}}}"#,
        reject.stage
    );
    Outgoing {
        payload: body.into(),
        headers: vec![
            (
                "Nats-Service-Error".into(),
                dead_letter::one_line(&reject.reason),
            ),
            ("Nats-Service-Error-Code".into(), "400".into()),
        ],
        message: answer,
        outcome: Outcome::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use bytes::Bytes;

    use super::*;
    use crate::{
        message::{Home, InFlight, Position, Stage},
        sink::Rejects,
        telemetry::metrics::PipelineMetrics,
    };

    /// What the source hears when the dead letter of a message in this position is refused.
    async fn outcome(position: Option<Position>) -> Outcome {
        let home = Home::new(InFlight {
            messages: 1,
            bytes: 100,
        });
        let message = Message {
            subject: Bytes::from_static(b"rows"),
            reply: None,
            payload: Bytes::from_static(b"{"),
            headers: None,
            position: position.map(Arc::new),
            received: Instant::now(),
            ack: home.admit(1, 1),
        };
        let (rejects, lost) = Rejects::new(1);
        rejects.reject(message, Reject::new(Stage::Sink, "size", "too large"));
        drop(rejects);
        let metrics = PipelineMetrics::new("test").dead_letter;
        give_up(lost, "test".to_owned(), metrics, CancellationToken::new()).await;
        home.next_settled().expect("settled").outcome
    }

    #[tokio::test]
    async fn a_dead_letter_that_cannot_be_published_keeps_its_message_where_it_stands() {
        let position = |again| Position {
            stream: "ROWS".into(),
            incarnation: 1,
            sequence: 7,
            delivered: 1,
            again,
            kept: true,
            stored: None,
        };
        let later = Outcome::Retry {
            after: Some(COMES_BACK_AFTER),
        };
        assert_eq!(outcome(Some(position(true))).await, later);
        assert_eq!(outcome(Some(position(false))).await, Outcome::Rejected);
        assert_eq!(outcome(None).await, Outcome::Rejected);
    }
}
