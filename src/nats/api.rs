//! The few questions that we ask JetStream, and one about ourselves. Asked by hand rather than through the client's own
//! JetStream context: every wait has an end, and a source needs no more permissions than these.

use std::{fmt::Write, time::Duration};

use async_nats::{
    jetstream::{consumer, message::StreamMessage, stream},
    message::OutboundMessage,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Connection;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// JetStream says no.
    Refused {
        /// JetStream's own number for it.
        code: u64,
        /// JetStream's own words.
        description: String,
    },
    /// Nobody listens: no JetStream, or not yet.
    NoJetStream,
    /// The user may not ask this, on this subject.
    Forbidden(String),
    /// Time may help.
    Silent(String),
}

/// JetStream's number for a stream that does not exist.
pub(crate) const STREAM_NOT_FOUND: u64 = 10_059;
/// JetStream's number for a message that is not there.
pub(crate) const NO_MESSAGE: u64 = 10_037;
/// JetStream's number for a consumer that does not exist.
pub(crate) const CONSUMER_NOT_FOUND: u64 = 10_014;

const WITHIN: Duration = Duration::from_secs(5);
const COURTESY_WITHIN: Duration = Duration::from_secs(2);

impl ApiError {
    /// The sentence for what is left when the expected refusals are handled.
    pub(crate) fn sentence(&self, what: &str, server: &str) -> String {
        match self {
            Self::Refused { description, .. } => format!("{what}: {description}"),
            Self::NoJetStream => format!(
                "{what}: NATS at {server} has no JetStream; start it with `nats-server -js`"
            ),
            Self::Forbidden(subject) => format!(
                "{what}: not allowed to publish to `{subject}` at {server}; add the subject to the publish permissions of the NATS user"
            ),
            Self::Silent(cause) => format!(
                "{what}: {cause}; is NATS at {server} healthy, and may the user use JetStream?"
            ),
        }
    }
}

#[derive(Deserialize)]
struct Failure {
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

async fn ask<T: DeserializeOwned>(
    connection: &Connection,
    subject: String,
    payload: Bytes,
    within: Duration,
) -> Result<T, ApiError> {
    ask_at(connection, format!("$JS.API.{subject}"), payload, within).await
}

async fn ask_at<T: DeserializeOwned>(
    connection: &Connection,
    subject: String,
    payload: Bytes,
    within: Duration,
) -> Result<T, ApiError> {
    let answer = match connection.request(subject.clone(), payload, within).await {
        Ok(answer) => answer.ok_or(ApiError::NoJetStream)?,
        Err(_) if connection.is_forbidden(&subject) => return Err(ApiError::Forbidden(subject)),
        Err(cause) => return Err(ApiError::Silent(cause)),
    };
    if let Ok(Failure {
        error: Some(problem),
    }) = serde_json::from_slice(&answer.payload)
    {
        return Err(ApiError::Refused {
            code: problem.err_code,
            description: problem.description,
        });
    }
    serde_json::from_slice(&answer.payload)
        .map_err(|error| ApiError::Silent(format!("an answer that cannot be read ({error})")))
}

/// A server that is just starting has no JetStream yet, and an election takes a moment.
const PATIENCE: [u64; 5] = [100, 200, 400, 800, 1500];
/// What has no leader says nothing at all. So often it is asked; the last time for `WITHIN`.
const SILENCES: usize = 4;
const SILENT_WITHIN: Duration = Duration::from_secs(3);

async fn ask_patiently<T: DeserializeOwned>(
    connection: &Connection,
    subject: &str,
    payload: Bytes,
) -> Result<T, ApiError> {
    let (mut pauses, mut silences) = (PATIENCE.iter(), 1);
    loop {
        let last = silences >= SILENCES;
        let within = if last { WITHIN } else { SILENT_WITHIN };
        match ask(connection, subject.to_owned(), payload.clone(), within).await {
            Err(ApiError::NoJetStream) => match pauses.next() {
                Some(pause) => tokio::time::sleep(Duration::from_millis(*pause)).await,
                None => return Err(ApiError::NoJetStream),
            },
            Err(ApiError::Silent(cause)) if !last => {
                tracing::debug!(subject, cause, "no answer; asking again");
                silences += 1;
            }
            answer => return answer,
        }
    }
}

/// What is known about a stream.
pub(crate) async fn stream_info(
    connection: &Connection,
    stream: &str,
) -> Result<stream::Info, ApiError> {
    ask_patiently(connection, &format!("STREAM.INFO.{stream}"), Bytes::new()).await
}

/// What is known about a consumer.
pub(crate) async fn consumer_info(
    connection: &Connection,
    stream: &str,
    consumer: &str,
) -> Result<consumer::Info, ApiError> {
    ask_patiently(
        connection,
        &format!("CONSUMER.INFO.{stream}.{consumer}"),
        Bytes::new(),
    )
    .await
}

/// Makes a durable consumer; fails where one of this name is there and differs.
pub(crate) async fn create_consumer(
    connection: &Connection,
    stream: &str,
    consumer: &str,
    config: &impl Serialize,
) -> Result<consumer::Info, ApiError> {
    let request =
        serde_json::json!({ "stream_name": stream, "action": "create", "config": config });
    ask(
        connection,
        format!("CONSUMER.CREATE.{stream}.{consumer}"),
        Bytes::from(request.to_string()),
        WITHIN,
    )
    .await
}

/// Makes a stream in a file, with JetStream's defaults and this window for message ids.
pub(crate) async fn create_stream(
    connection: &Connection,
    name: &str,
    subject: &str,
    duplicate_window: Duration,
) -> Result<(), ApiError> {
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        duplicate_window,
        ..stream::Config::default()
    };
    let request = serde_json::json!(config).to_string();
    let _made: stream::Info = ask(
        connection,
        format!("STREAM.CREATE.{name}"),
        Bytes::from(request),
        WITHIN,
    )
    .await?;
    Ok(())
}

/// What a user may do; everything, where both lists are empty.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct UserPermissions {
    #[serde(default)]
    pub(crate) publish: Rules,
    #[serde(default)]
    pub(crate) subscribe: Rules,
}

/// Subjects, some of them with a queue group behind a space.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Rules {
    #[serde(default)]
    pub(crate) allow: Vec<String>,
    #[serde(default)]
    pub(crate) deny: Vec<String>,
}

#[derive(Deserialize)]
struct UserInfo {
    data: UserData,
}

#[derive(Deserialize)]
struct UserData {
    permissions: Option<UserPermissions>,
}

/// What the server lets us do. A courtesy: servers before 2.10 do not say, nor may every user ask.
pub(crate) async fn own_permissions(connection: &Connection) -> Option<UserPermissions> {
    let subject = "$SYS.REQ.USER.INFO";
    connection.may_ask(subject);
    let asked = ask_at(
        connection,
        subject.to_owned(),
        Bytes::new(),
        COURTESY_WITHIN,
    );
    let info: UserInfo = asked.await.ok()?;
    Some(info.data.permissions.unwrap_or_default())
}

#[derive(Deserialize)]
struct Stored {
    message: stream::RawMessage,
}

/// The message with this sequence number.
pub(crate) async fn message_at(
    connection: &Connection,
    stream: &str,
    sequence: u64,
) -> Result<StreamMessage, ApiError> {
    stored(connection, stream, &serde_json::json!({ "seq": sequence })).await
}

/// The first message from this sequence number on with a subject that `subject` covers.
pub(crate) async fn message_from(
    connection: &Connection,
    stream: &str,
    sequence: u64,
    subject: &str,
) -> Result<StreamMessage, ApiError> {
    let request = serde_json::json!({ "seq": sequence, "next_by_subj": subject });
    stored(connection, stream, &request).await
}

async fn stored(
    connection: &Connection,
    stream: &str,
    request: &serde_json::Value,
) -> Result<StreamMessage, ApiError> {
    let request = Bytes::from(request.to_string());
    let stored: Stored = ask(
        connection,
        format!("STREAM.MSG.GET.{stream}"),
        request,
        WITHIN,
    )
    .await?;
    StreamMessage::try_from(stored.message)
        .map_err(|error| ApiError::Silent(format!("a message that cannot be read ({error})")))
}

/// Takes a message out of its stream. Not waited for: should it fail, the message is found again.
pub(crate) async fn delete_message(connection: &Connection, stream: &str, sequence: u64) {
    let request = serde_json::json!({ "seq": sequence, "no_erase": true });
    let message = OutboundMessage {
        subject: format!("$JS.API.STREAM.MSG.DELETE.{stream}").into(),
        // The server answers, but nobody needs to hear it.
        reply: Some(connection.new_inbox().into()),
        payload: Bytes::from(request.to_string()),
        headers: None,
    };
    if let Err(failure) = connection.publish(message).await {
        tracing::debug!(?failure, sequence, "a message was not deleted");
    }
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    streams: Option<Vec<String>>,
}

/// The same, asked once.
pub(crate) async fn quick_stream_info(
    connection: &Connection,
    stream: &str,
) -> Result<stream::Info, ApiError> {
    let subject = format!("STREAM.INFO.{stream}");
    ask(connection, subject, Bytes::new(), COURTESY_WITHIN).await
}

/// The same for a stream that the pipeline could do without asking about.
pub(crate) async fn courteous_stream_info(
    connection: &Connection,
    stream: &str,
) -> Result<stream::Info, ApiError> {
    connection.may_ask(&format!("$JS.API.STREAM.INFO.{stream}"));
    quick_stream_info(connection, stream).await
}

/// The same for a consumer.
pub(crate) async fn courteous_consumer_info(
    connection: &Connection,
    stream: &str,
    consumer: &str,
) -> Result<consumer::Info, ApiError> {
    let subject = format!("CONSUMER.INFO.{stream}.{consumer}");
    connection.may_ask(&format!("$JS.API.{subject}"));
    ask(connection, subject, Bytes::new(), COURTESY_WITHIN).await
}

/// The streams that take `subject`, or all streams. A courtesy.
pub(crate) async fn find_streams(
    connection: &Connection,
    subject: Option<&str>,
) -> Result<Vec<String>, ApiError> {
    let request = subject.map_or_else(Bytes::new, |subject| {
        Bytes::from(serde_json::json!({ "subject": subject }).to_string())
    });
    let api = "STREAM.NAMES";
    connection.may_ask(&format!("$JS.API.{api}"));
    let names: Names = ask(connection, api.to_owned(), request, COURTESY_WITHIN).await?;
    Ok(names.streams.unwrap_or_default())
}

/// As [`find_streams`]; `None` where that cannot be known.
pub(crate) async fn stream_names(
    connection: &Connection,
    subject: Option<&str>,
) -> Option<Vec<String>> {
    find_streams(connection, subject).await.ok()
}

/// `; there are the streams A, B`, or nothing where that is not known.
pub(crate) async fn existing_streams(connection: &Connection) -> String {
    const SHOWN: usize = 10;
    let Some(names) = stream_names(connection, None).await else {
        return String::new();
    };
    if names.is_empty() {
        return "; the server has no streams".to_owned();
    }
    let mut text = "; the server has".to_owned();
    for (index, name) in names.iter().take(SHOWN).enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        write!(text, "{comma} `{name}`").ok();
    }
    if names.len() > SHOWN {
        write!(text, " and {} more", names.len() - SHOWN).ok();
    }
    text
}
