//! The durable consumer: found or made, and checked against the pipeline file.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use async_nats::jetstream::{
    consumer::{AckPolicy, Config, Info},
    stream::RetentionPolicy,
};
use serde::Serialize;

use super::{JetStreamOptions, circle::no_circle};
use crate::{
    message::InFlight,
    nats::{
        Connection,
        api::{
            ApiError, CONSUMER_NOT_FOUND, STREAM_NOT_FOUND, consumer_info, create_consumer,
            existing_streams, stream_info,
        },
    },
};

/// A consumer that is there.
#[derive(Debug, Clone)]
pub(super) struct Consumer {
    pub(super) stream: Arc<str>,
    /// Whether the stream keeps messages that are settled.
    pub(super) kept: bool,
    /// Whether the stream is a work queue: it keeps what is not settled, whatever its consumer does.
    pub(super) queue: bool,
    /// How often the server delivers a message; `None` where it does not give up.
    pub(super) max_deliver: Option<u64>,
    /// Where a work queue may hold messages that the server has given up delivering.
    pub(super) at_rest: Option<RangeInclusive<u64>>,
    pub(super) limits: Limits,
    /// When it was made, in nanoseconds: another one of its name was made at another time.
    pub(super) created: i128,
    /// How it stood with it before our first request.
    pub(super) before: Before,
}

/// The most that a consumer gives for one request, where it has such limits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub(super) messages: Option<usize>,
    pub(super) bytes: Option<usize>,
    pub(super) expires: Option<Duration>,
}

impl Limits {
    pub(super) fn of(config: &Config) -> Self {
        let most = |limit: i64| usize::try_from(limit).ok().filter(|&limit| limit > 0);
        Self {
            messages: most(config.max_batch),
            bytes: most(config.max_bytes),
            expires: Some(config.max_expires).filter(|expires| !expires.is_zero()),
        }
    }
}

/// What a consumer had done before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    /// Its deliveries, all of them.
    pub(super) deliveries: u64,
    /// Those not acknowledged.
    pub(super) unacknowledged: usize,
    /// Requests of others that wait there.
    pub(super) requests: usize,
}

/// What we make where there is none.
#[derive(Serialize)]
struct NewConsumer<'a> {
    durable_name: &'a str,
    name: &'a str,
    description: &'static str,
    deliver_policy: &'static str,
    ack_policy: &'static str,
    replay_policy: &'static str,
    /// Nanoseconds.
    ack_wait: u128,
    /// Without a limit: whoever delivers for the last time must be told so, and the server only
    /// stops delivering. The source counts.
    max_deliver: i64,
    max_ack_pending: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_subject: Option<&'a str>,
}

/// Room for many processes on one consumer: each takes no more than its own credit anyway.
const PROCESSES: usize = 16;
/// The server's own default.
const ACK_PENDING_MIN: usize = 1000;

/// Finds the stream, and finds or makes the consumer.
pub(super) async fn prepare(
    connection: &Connection,
    options: &JetStreamOptions,
    limit: InFlight,
    own_subjects: &[String],
) -> Result<Consumer, String> {
    let (stream, name) = (options.stream.as_str(), options.consumer.as_str());
    let about = match stream_info(connection, stream).await {
        Ok(about) => about,
        Err(ApiError::Refused {
            code: STREAM_NOT_FOUND,
            ..
        }) => {
            return Err(no_stream(connection, stream).await);
        }
        Err(error) => {
            return Err(error.sentence(
                &format!("cannot look up the stream `{stream}`"),
                connection.server(),
            ));
        }
    };
    no_circle(connection, &about.config, options, own_subjects).await?;
    let info = match consumer_info(connection, stream, name).await {
        Ok(info) => info,
        Err(ApiError::Refused {
            code: CONSUMER_NOT_FOUND,
            ..
        }) => make(connection, options, limit).await?,
        Err(error) => {
            return Err(error.sentence(
                &format!("cannot look up the consumer `{name}` of the stream `{stream}`"),
                connection.server(),
            ));
        }
    };
    check(&info.config, options)?;
    warn_of_few(&info.config, options, limit);
    let queue = about.config.retention == RetentionPolicy::WorkQueue;
    let max_deliver = deliveries(&info.config);
    if let (Some(most), false) = (max_deliver, queue) {
        tracing::warn!(
            max_deliver = most,
            consumer = options.consumer,
            "the consumer gives messages up by itself; what it gives up while no process listens has neither result nor dead letter: set its max_deliver to -1, forebay counts"
        );
    }
    Ok(Consumer {
        queue,
        max_deliver,
        at_rest: (queue && max_deliver.is_some() && info.num_ack_pending == 0)
            .then(|| info.ack_floor.stream_sequence + 1..=info.delivered.stream_sequence),
        stream: stream.into(),
        kept: about.config.retention == RetentionPolicy::Limits,
        limits: Limits::of(&info.config),
        created: info.created.unix_timestamp_nanos(),
        before: Before {
            deliveries: info.delivered.consumer_sequence,
            unacknowledged: info.num_ack_pending,
            requests: info.num_waiting,
        },
    })
}

async fn make(
    connection: &Connection,
    options: &JetStreamOptions,
    limit: InFlight,
) -> Result<Info, String> {
    let config = NewConsumer {
        durable_name: &options.consumer,
        name: &options.consumer,
        description: "made by forebay",
        deliver_policy: "all",
        ack_policy: "explicit",
        replay_policy: "instant",
        ack_wait: options.ack_wait.as_nanos(),
        max_deliver: -1,
        max_ack_pending: limit
            .messages
            .saturating_mul(PROCESSES)
            .max(ACK_PENDING_MIN),
        filter_subject: options.filter_subject.as_deref(),
    };
    let (stream, name) = (&options.stream, &options.consumer);
    match create_consumer(connection, stream, name, &config).await {
        Ok(info) => Ok(info),
        Err(error) => {
            // Two processes that start together both try; the second finds what the first made.
            if let Ok(info) = consumer_info(connection, stream, name).await {
                return Ok(info);
            }
            Err(error.sentence(
                &format!("cannot make the consumer `{name}` of the stream `{stream}`"),
                connection.server(),
            ))
        }
    }
}

/// The sentence for a stream that is not there.
pub(crate) async fn no_stream(connection: &Connection, stream: &str) -> String {
    format!(
        "there is no stream `{stream}` at {}{}; make it, or let `forebay run --create-streams` make what is missing",
        connection.server(),
        existing_streams(connection).await
    )
}

/// Says why a consumer that was found will not do.
pub(crate) fn check(config: &Config, options: &JetStreamOptions) -> Result<(), String> {
    let mut differs = Vec::new();
    if config.deliver_subject.is_some() {
        differs.push("it is a push consumer, and a pull consumer is needed".to_owned());
    }
    if config.ack_policy != AckPolicy::Explicit {
        differs.push(format!(
            "ack_policy is {}, and must be explicit",
            format!("{:?}", config.ack_policy).to_lowercase()
        ));
    }
    if config.ack_wait != options.ack_wait {
        differs.push(format!(
            "ack_wait is {:?}, and {:?} in the pipeline file",
            config.ack_wait, options.ack_wait
        ));
    }
    let filter = Some(config.filter_subject.as_str()).filter(|subject| !subject.is_empty());
    if filter != options.filter_subject.as_deref() || !config.filter_subjects.is_empty() {
        let show = |filter: Option<&str>| filter.map_or("not set".to_owned(), |f| format!("`{f}`"));
        let found = if config.filter_subjects.is_empty() {
            show(filter)
        } else {
            format!("`{}`", config.filter_subjects.join("`, `"))
        };
        differs.push(format!(
            "filter_subject is {found}, and {} in the pipeline file",
            show(options.filter_subject.as_deref())
        ));
    }
    if let Some(most) = deliveries(config).filter(|&most| most <= options.max_deliver) {
        differs.push(format!(
            "max_deliver is {most}, so the server would give up before the dead letter is written; it must be -1, or above the {} in the pipeline file",
            options.max_deliver
        ));
    }
    if !config.priority_groups.is_empty() {
        differs.push("it has priority groups, which forebay does not ask for".to_owned());
    }
    if config.headers_only {
        differs.push("headers_only is set, so there are no payloads".to_owned());
    }
    if !differs.is_empty() {
        return Err(format!(
            "the consumer `{}` of the stream `{}` is there but does not fit: {}. Change the consumer or the pipeline file, or name another consumer",
            options.consumer,
            options.stream,
            differs.join("; ")
        ));
    }
    Ok(())
}

/// Says that the consumer holds the pipeline back.
fn warn_of_few(config: &Config, options: &JetStreamOptions, limit: InFlight) {
    let pending = usize::try_from(config.max_ack_pending).unwrap_or(usize::MAX);
    if pending > 0 && pending < limit.messages {
        tracing::warn!(
            max_ack_pending = pending,
            max_in_flight = limit.messages,
            consumer = options.consumer,
            "the consumer gives out fewer messages than the pipeline may hold"
        );
    }
}

/// How often the server delivers a message before it gives up.
fn deliveries(config: &Config) -> Option<u64> {
    u64::try_from(config.max_deliver)
        .ok()
        .filter(|&most| most > 0)
}

/// Whether the consumer is still there; `Err` says that it is not.
pub(super) async fn still_there(
    connection: Connection,
    options: JetStreamOptions,
) -> Result<(), String> {
    let (stream, name) = (&options.stream, &options.consumer);
    match consumer_info(&connection, stream, name).await {
        Err(ApiError::Refused {
            code: CONSUMER_NOT_FOUND,
            ..
        }) => Err(format!(
            "the consumer `{name}` of the stream `{stream}` was deleted; a new one would deliver everything again, so this is for you to decide: start again to make it"
        )),
        Err(ApiError::Refused {
            code: STREAM_NOT_FOUND,
            ..
        }) => Err(format!("the stream `{stream}` was deleted")),
        // Whatever else it is, time may mend it.
        Ok(_) | Err(_) => Ok(()),
    }
}
