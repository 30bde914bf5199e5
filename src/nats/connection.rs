//! One connection: made once, shared by clones, and never waited on without an end.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::{Duration, Instant},
};

use async_nats::{
    Client, ConnectErrorKind, HeaderMap, Message, PublishErrorKind, Request, RequestErrorKind,
    Subscriber, client::traits::Publisher, connection::State as ClientState,
    message::OutboundMessage,
};
use bytes::Bytes;
use tokio::{sync::watch, time::timeout};

use super::{
    ServerOptions, State,
    cause::{cause, tls_cause},
    options::{Addresses, client_options},
    status::{Status, refused},
};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConnectError {
    /// What failed, and what to do.
    pub message: String,
}

impl ConnectError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// A connection to NATS. Clones share it.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    server: String,
    status: watch::Sender<Status>,
    options: ServerOptions,
    name: String,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("server", &self.inner.server)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// How long a first connection may take: long enough for a server that starts beside us.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const CONNECT_PAUSE: Duration = Duration::from_millis(200);
/// The longest wait for the client to take a message while the connection is up.
const PUBLISH_WITHIN: Duration = Duration::from_secs(5);

/// Why the client did not take a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PublishFailure {
    /// Larger than the server allows.
    Size,
    /// Not a subject that can be published to.
    Subject,
    /// Disconnected, or stuck: time may help.
    Later,
}

impl Connection {
    /// Connects, and tries for ten seconds.
    ///
    /// # Errors
    /// A sentence that says what failed and what to do: no server, not let in, a file unreadable.
    pub async fn connect(options: &ServerOptions, name: &str) -> Result<Self, ConnectError> {
        Self::connect_within(options, name, CONNECT_WITHIN).await
    }

    /// Connects, and tries for as long as `within`.
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub async fn connect_within(
        options: &ServerOptions,
        name: &str,
        within: Duration,
    ) -> Result<Self, ConnectError> {
        let addresses = Addresses::parse(&options.urls)?;
        let started = Instant::now();
        let (status, _) = watch::channel(Status::default());
        let mut told = false;
        let client = loop {
            let cause = match Self::once(options, &addresses, name, &status, within).await? {
                Ok(client) => break client,
                Err(cause) => cause,
            };
            if started.elapsed() + CONNECT_PAUSE >= within {
                return Err(ConnectError::new(format!(
                    "cannot reach NATS at {}: {cause}; is the server running, and is the address right?",
                    addresses.shown
                )));
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(server = %addresses.shown, %cause, "cannot reach NATS yet; trying for {} s", within.as_secs());
            }
            tokio::time::sleep(CONNECT_PAUSE).await;
        };
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                server: addresses.shown,
                status,
                options: options.clone(),
                name: name.to_owned(),
            }),
        })
    }

    /// One try. The outer error is final, the inner one is the cause of a failure that may pass.
    async fn once(
        options: &ServerOptions,
        addresses: &Addresses,
        name: &str,
        status: &watch::Sender<Status>,
        within: Duration,
    ) -> Result<Result<Client, String>, ConnectError> {
        let events = status.clone();
        let server = addresses.shown.clone();
        let client = client_options(options, addresses, name)
            .await?
            .event_callback(move |event| {
                events.send_if_modified(|status| status.apply(&event, &server));
                std::future::ready(())
            });
        let error = match timeout(within, client.connect(addresses.list.clone())).await {
            Ok(Ok(client)) => return Ok(Ok(client)),
            Ok(Err(error)) => error,
            Err(_) => return Ok(Err("no answer".to_owned())),
        };
        let server = &addresses.shown;
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation => Err(ConnectError::new(refused(server))),
            ConnectErrorKind::Authentication => Err(ConnectError::new(format!(
                "cannot sign in to NATS at {server}: the seed in the credentials or nkey file is not valid"
            ))),
            _ => match tls_cause(&error) {
                Some(cause) => Err(ConnectError::new(format!(
                    "cannot talk TLS with NATS at {server}: {cause}"
                ))),
                None => Ok(Err(cause(&error))),
            },
        }
    }

    /// A second connection with the same options, for what must not share one.
    pub(crate) async fn another(&self, purpose: &str) -> Result<Self, ConnectError> {
        Self::connect(
            &self.inner.options,
            &format!("{} {purpose}", self.inner.name),
        )
        .await
    }

    /// The client, for commands that need more than a pipeline does. Whoever awaits it bounds the
    /// wait: while disconnected, `flush` and `publish` may not return.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// The servers' addresses, without passwords.
    pub fn server(&self) -> &str {
        &self.inner.server
    }

    /// How the connection is.
    pub fn state(&self) -> State {
        // Events can be lost in a flood, the client's own state cannot.
        match self.inner.client.connection_state() {
            ClientState::Connected => match self.inner.status.borrow().state {
                State::LameDuck => State::LameDuck,
                State::Connected | State::Disconnected => State::Connected,
            },
            ClientState::Pending | ClientState::Disconnected => State::Disconnected,
        }
    }

    /// Resolves, with a sentence, when only the operator can help: permission denied, or
    /// credentials no longer accepted.
    pub async fn fatal(&self) -> String {
        let mut status = self.inner.status.subscribe();
        loop {
            if let Some(sentence) = &status.borrow_and_update().fatal {
                return sentence.clone();
            }
            if status.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Says where a sink publishes to: to `fixed`, or to subjects that are made of what senders
    /// chose. Not being allowed to publish to one of the latter is not fatal.
    pub(crate) fn will_publish_to(&self, fixed: Option<&str>) {
        self.inner.status.send_modify(|status| match fixed {
            Some(subject) => status.fixed.push(subject.to_owned()),
            None => status.foreign_subjects = true,
        });
    }

    /// Whether the server has refused something on this subject, which is not fatal.
    pub(crate) fn is_forbidden(&self, subject: &str) -> bool {
        self.inner.status.borrow().forbidden.contains(subject)
    }

    /// Asking this is a courtesy: not being allowed to is no error, and ends the request at once.
    pub(crate) fn may_ask(&self, subject: &str) {
        self.inner.status.send_modify(|status| {
            status.courtesies.insert(subject.to_owned());
        });
    }

    /// Waits until the server refuses a courtesy.
    async fn forbidden(&self, subject: &str) {
        let mut status = self.inner.status.subscribe();
        let refused = status.wait_for(|status| status.forbidden.contains(subject));
        if refused.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.inner.client.connection_state() == ClientState::Connected
    }

    /// Waits until connected; returns at once when it is.
    pub(crate) async fn connected(&self) {
        let mut status = self.inner.status.subscribe();
        while !self.is_connected() {
            // The event may have been lost in a flood, hence the second look.
            drop(timeout(Duration::from_millis(100), status.changed()).await);
        }
    }

    /// How often the client has connected: a change means that the server forgot what was under way.
    pub(crate) fn connects(&self) -> u64 {
        self.inner
            .client
            .statistics()
            .connects
            .load(Ordering::Relaxed)
    }

    /// Messages that the client has read, dropped ones included.
    pub(crate) fn messages_read(&self) -> u64 {
        self.inner
            .client
            .statistics()
            .in_messages
            .load(Ordering::Relaxed)
    }

    /// The largest payload, headers included, that the server takes.
    pub(crate) fn max_payload(&self) -> usize {
        self.inner.client.max_payload()
    }

    pub(crate) fn new_inbox(&self) -> String {
        self.inner.client.new_inbox()
    }

    /// Subscribes, alone or in a queue group.
    pub(crate) async fn subscribe(
        &self,
        subject: &str,
        queue_group: Option<&str>,
    ) -> Result<Subscriber, String> {
        let subscribe = async {
            match queue_group {
                Some(group) => {
                    self.inner
                        .client
                        .queue_subscribe(subject.to_owned(), group.to_owned())
                        .await
                }
                None => self.inner.client.subscribe(subject.to_owned()).await,
            }
        };
        match timeout(PUBLISH_WITHIN, subscribe).await {
            Ok(Ok(subscriber)) => Ok(subscriber),
            Ok(Err(error)) => Err(format!("cannot subscribe to `{subject}`: {error}")),
            Err(_) => Err(format!(
                "cannot subscribe to `{subject}`: the connection to {} is down",
                self.inner.server
            )),
        }
    }

    /// Hands a message to the client; `Later` at once while disconnected, because what the client
    /// holds then may be lost.
    pub(crate) async fn publish(&self, message: OutboundMessage) -> Result<(), PublishFailure> {
        if !self.is_connected() {
            return Err(PublishFailure::Later);
        }
        let mut publish = pin!(self.inner.client.publish_message(message));
        // Nearly always there is room, and then no timer is needed.
        let first = poll_fn(|context| Poll::Ready(publish.as_mut().poll(context))).await;
        let result = match first {
            Poll::Ready(result) => result,
            Poll::Pending => match timeout(PUBLISH_WITHIN, publish).await {
                Ok(result) => result,
                Err(_) => return Err(PublishFailure::Later),
            },
        };
        result.map_err(|error| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => PublishFailure::Size,
            PublishErrorKind::InvalidSubject => PublishFailure::Subject,
            PublishErrorKind::Send => PublishFailure::Later,
        })
    }

    /// Asks a question; `Ok(None)` when nobody is there to answer.
    pub(crate) async fn request(
        &self,
        subject: String,
        payload: Bytes,
        within: Duration,
    ) -> Result<Option<Message>, String> {
        // An inbox of its own: the client's shared one leaks an entry for every timeout.
        let request = Request::new()
            .payload(payload)
            .timeout(None)
            .inbox(self.new_inbox());
        let send = self.inner.client.send_request(subject.clone(), request);
        let answer = tokio::select! {
            answer = timeout(within, send) => answer,
            () = self.forbidden(&subject) => return Err("not allowed to ask".to_owned()),
        };
        match answer {
            Ok(Ok(message)) => Ok(Some(message)),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Ok(None),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", within.as_secs())),
        }
    }

    /// Waits until the socket has taken everything, for as long as `within`; says whether it has.
    pub(crate) async fn flush(&self, within: Duration) -> bool {
        matches!(timeout(within, self.inner.client.flush()).await, Ok(Ok(())))
    }
}

/// The bytes that `headers` take on the wire, as the server counts them against `max_payload`.
pub(crate) fn wire_len(headers: &HeaderMap) -> usize {
    if headers.is_empty() {
        return 0;
    }
    let lines = headers.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values
            .iter()
            .map(move |value| name.len() + value.as_str().len() + 4)
    });
    12 + lines.sum::<usize>()
}
