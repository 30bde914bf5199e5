//! Where rejected messages go: to the dead letter, and as an answer to whoever waits for one.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    message::{Ack, Message, Outcome, Reject},
    sink::{Outgoing, dead_letter},
    telemetry::metrics::RejectMetrics,
};

/// The ways out for a rejected message.
pub(super) struct RejectRoutes {
    /// The sink, when it answers requests.
    pub(super) replies: Option<mpsc::Sender<Vec<Outgoing>>>,
    /// The dead letter, when there is one.
    pub(super) dead_letter: Option<mpsc::Sender<Vec<Outgoing>>>,
    pub(super) metrics: RejectMetrics,
}

/// Routes rejects until `settled` (nothing is in flight any more), and then what is still queued.
pub(super) async fn route(
    routes: RejectRoutes,
    mut rejected: mpsc::Receiver<(Message, Reject)>,
    settled: CancellationToken,
) {
    let mut log = RejectLog::default();
    while let Some((message, reject)) = next(&mut rejected, &settled).await {
        routes.metrics.rejected(&reject);
        log.say(&message, &reject, routes.dead_letter.is_some());
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
        if dead_letter.send(vec![letter]).await.is_err() {
            return;
        }
    }
}

/// Takes the dead letters that the dead letter's own sink cannot publish (larger than the broker
/// takes, say). There is nowhere else to put them: they are counted, and logged as errors.
pub(super) async fn give_up(
    mut lost: mpsc::Receiver<(Message, Reject)>,
    metrics: RejectMetrics,
    settled: CancellationToken,
) {
    while let Some((message, reject)) = next(&mut lost, &settled).await {
        metrics.rejected(&Reject {
            kind: "dead_letter",
            ..reject.clone()
        });
        tracing::error!(
            subject = message.subject(),
            sequence = message.position.as_ref().map(|position| position.sequence),
            reason = reject.reason,
            "a dead letter could not be published; the message is gone"
        );
        message.ack.resolve(Outcome::Rejected);
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
        payload: message.payload.clone(),
        headers: None,
        position: None,
        received: message.received,
        ack: Ack::none(),
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

/// Logs the first rejects, and then one line each ten seconds: a sender that is wrong is wrong
/// for every message.
#[derive(Default)]
struct RejectLog {
    said: Option<Instant>,
    silent: u64,
}

impl RejectLog {
    fn say(&mut self, message: &Message, reject: &Reject, kept: bool) {
        const PAUSE: Duration = Duration::from_secs(10);
        if self.said.is_some_and(|said| said.elapsed() < PAUSE) {
            self.silent += 1;
            return;
        }
        tracing::warn!(
            stage = reject.stage.name(),
            reason = reject.reason,
            subject = message.subject(),
            sequence = message.position.as_ref().map(|position| position.sequence),
            more = self.silent,
            "message rejected{}",
            if kept {
                "; it is in the dead letter"
            } else {
                " and dropped: the pipeline has no dead_letter"
            }
        );
        self.said = Some(Instant::now());
        self.silent = 0;
    }
}
