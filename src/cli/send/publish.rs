//! The three ways to hand a message to NATS, and what may go wrong with each.

use std::{pin::Pin, time::Duration};

use async_nats::{
    HeaderMap, PublishErrorKind, RequestErrorKind,
    jetstream::{
        self,
        context::{PublishError as StoreError, PublishErrorKind as StoreErrorKind},
        message::PublishMessage,
    },
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout};

use super::lines::Place;
use crate::cli::{
    Exit, Failure,
    server::{ANSWER_TIMEOUT, Broker},
};

/// How messages are handed over.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// Published and forgotten.
    Core,
    /// Stored in a stream, which confirms it.
    JetStream(Box<jetstream::Context>),
    /// Answered within this time.
    Request(Duration),
}

/// What became of a message.
#[derive(Debug)]
pub(super) enum Settled {
    /// A stream has it; or had it already.
    Stored { duplicate: bool },
    /// Somebody answered; a service that refused the message says so in a header.
    Reply {
        payload: Bytes,
        error: bool,
        took: Duration,
    },
    /// Nobody answered in time.
    NoReply,
}

/// A message whose outcome is not known yet.
pub(super) type Outstanding = Pin<Box<dyn Future<Output = Result<Settled, Failure>> + Send>>;

/// One message.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) place: Place,
    pub(super) subject: String,
    pub(super) payload: Bytes,
    pub(super) headers: HeaderMap,
}

/// Publishes one message; the outcome, where there will be one, is the returned future's.
///
/// # Errors
/// It can not be published, with the place that it came from.
pub(super) async fn publish(
    broker: &Broker,
    way: &Way,
    letter: Letter,
) -> Result<Option<Outstanding>, Failure> {
    // While the connection is down the client takes what fits its queue and then waits for ever.
    let handed = match way {
        Way::Core => timeout(ANSWER_TIMEOUT, core(broker, letter)).await,
        Way::JetStream(context) => {
            timeout(ANSWER_TIMEOUT, store(broker.clone(), context, letter)).await
        }
        Way::Request(patience) => Ok(Ok(Some(request(broker.clone(), *patience, letter)))),
    };
    handed.unwrap_or_else(|_| Err(broker.gone("messages cannot be handed over for 5 s")))
}

async fn core(broker: &Broker, letter: Letter) -> Result<Option<Outstanding>, Failure> {
    let Letter {
        place,
        subject,
        payload,
        headers,
    } = letter;
    let size = payload.len();
    let client = broker.client();
    let published = if headers.is_empty() {
        client.publish(subject, payload).await
    } else {
        client.publish_with_headers(subject, headers, payload).await
    };
    match published {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
            Err(too_large(broker, place, size))
        }
        Err(error) => Err(Failure::failed(format!(
            "{place} cannot be published: {error}"
        ))),
    }
}

async fn store(
    broker: Broker,
    context: &jetstream::Context,
    letter: Letter,
) -> Result<Option<Outstanding>, Failure> {
    let Letter {
        place,
        subject,
        payload,
        headers,
    } = letter;
    let size = payload.len();
    let message = PublishMessage::build().payload(payload).headers(headers);
    let explain = move |broker: &Broker, subject: &str, error: &StoreError| match error.kind() {
        StoreErrorKind::MaxPayloadExceeded => too_large(broker, place, size),
        StoreErrorKind::StreamNotFound => Failure::new(
            Exit::Unavailable,
            format!(
                "{place}: no stream takes the subject `{subject}`; create one, or leave out --jetstream"
            ),
        ),
        StoreErrorKind::TimedOut => Failure::new(
            Exit::Unavailable,
            format!(
                "{place}: no stream confirmed the subject `{subject}` within 5 s{}",
                refused(broker)
            ),
        ),
        _ => Failure::failed(format!(
            "{place} was not stored: {}",
            std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
        )),
    };
    match context.send_publish(subject.clone(), message).await {
        Ok(ack) => Ok(Some(Box::pin(ack.into_future().map(move |acked| {
            acked
                .map(|ack| Settled::Stored {
                    duplicate: ack.duplicate,
                })
                .map_err(|error| explain(&broker, &subject, &error))
        })))),
        Err(error) => Err(explain(&broker, &subject, &error)),
    }
}

fn request(broker: Broker, patience: Duration, letter: Letter) -> Outstanding {
    Box::pin(async move {
        let Letter {
            place,
            subject,
            payload,
            headers,
        } = letter;
        let size = payload.len();
        let started = Instant::now();
        let request = async_nats::Request::new()
            .payload(payload)
            .headers(headers)
            .timeout(Some(patience));
        let replied = broker.client().send_request(subject.clone(), request);
        // The client's own timeout starts only once the message is in its queue.
        match timeout(patience + ANSWER_TIMEOUT, replied).await {
            Ok(Ok(message)) => Ok(Settled::Reply {
                error: message
                    .headers
                    .as_ref()
                    .is_some_and(|headers| headers.get("Nats-Service-Error").is_some()),
                payload: message.payload,
                took: started.elapsed(),
            }),
            Ok(Err(error)) => match error.kind() {
                RequestErrorKind::TimedOut => Ok(Settled::NoReply),
                RequestErrorKind::NoResponders => Err(Failure::new(
                    Exit::Unavailable,
                    format!(
                        "{place}: nobody answers requests on `{subject}`; is the pipeline running, with this subject as its source?"
                    ),
                )),
                RequestErrorKind::MaxPayloadExceeded => Err(too_large(&broker, place, size)),
                _ => Err(Failure::failed(format!(
                    "{place} cannot be sent as a request: {error}{}",
                    refused(&broker)
                ))),
            },
            Err(_) => Err(broker.gone("requests cannot be handed over")),
        }
    })
}

fn too_large(broker: &Broker, place: Place, size: usize) -> Failure {
    Failure::failed(format!(
        "{place} makes a message of {size} bytes, and the server takes {}, headers included; send less at once, or raise max_payload in the server's configuration",
        broker.client().max_payload()
    ))
}

/// What the server refused, if it said so; a permission that is missing shows in no other way.
pub(super) fn refused(broker: &Broker) -> String {
    broker
        .refusal()
        .map(|said| format!("; the server said: {said}"))
        .unwrap_or_default()
}
