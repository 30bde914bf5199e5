//! One connection: made once, shared by clones, and never waited on without an end.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::{Client, ConnectErrorKind, connection::State as ClientState};
use tokio::{sync::watch, time::timeout};

use super::{
    ServerOptions, State,
    cause::{cause, tls_cause},
    lame_duck,
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
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) client: Client,
    pub(super) server: String,
    pub(super) status: watch::Sender<Status>,
    options: ServerOptions,
    name: String,
    /// Published, and not confirmed by the server.
    unconfirmed: AtomicUsize,
    /// How often the client had connected when its server said that it would stop.
    lame_since: AtomicU64,
}

/// How many messages a sink has published that the server has not confirmed.
#[derive(Debug)]
pub(crate) struct Unconfirmed {
    connection: Connection,
    count: usize,
}

impl Unconfirmed {
    /// Says how many there are now.
    pub(crate) fn set(&mut self, count: usize) {
        let all = &self.connection.inner.unconfirmed;
        all.fetch_add(count.wrapping_sub(self.count), Ordering::Relaxed);
        self.count = count;
    }
}

impl Drop for Unconfirmed {
    fn drop(&mut self) {
        self.set(0);
    }
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
impl Connection {
    /// Connects, and tries for ten seconds. It is logged when the connection is lost later, and when
    /// it is there again.
    ///
    /// # Errors
    /// A sentence that says what failed and what to do: no server, not let in, a file unreadable.
    pub async fn connect(options: &ServerOptions, name: &str) -> Result<Self, ConnectError> {
        let connection = Self::connect_within(options, name, CONNECT_WITHIN).await?;
        let status = &connection.inner.status;
        status.send_modify(|status| status.tells = true);
        Ok(connection)
    }

    /// Connects, and tries for as long as `within`. For commands, which say by themselves what a lost
    /// connection means to them.
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
        let (watched, name) = (status.subscribe(), name.to_owned());
        let inner = Arc::new(Inner {
            client,
            server: addresses.shown,
            status,
            options: options.clone(),
            name,
            unconfirmed: AtomicUsize::new(0),
            lame_since: AtomicU64::new(0),
        });
        // Ends with the connection.
        tokio::spawn(lame_duck::watch(Arc::downgrade(&inner), watched));
        Ok(Self { inner })
    }

    pub(super) fn upgrade(inner: &Weak<Inner>) -> Option<Self> {
        inner.upgrade().map(|inner| Self { inner })
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

    /// A second connection with the same options, for what must not share one. What is lost and there
    /// again is logged for the first.
    pub(crate) async fn another(&self, purpose: &str) -> Result<Self, ConnectError> {
        let name = format!("{} {purpose}", self.inner.name);
        Self::connect_within(&self.inner.options, &name, CONNECT_WITHIN).await
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
                // It is not, where the client has connected anew since.
                State::LameDuck if [0, self.connects()].contains(&self.lame_since()) => {
                    State::LameDuck
                }
                State::LameDuck | State::Connected | State::Disconnected => State::Connected,
            },
            ClientState::Pending | ClientState::Disconnected => State::Disconnected,
        }
    }

    fn lame_since(&self) -> u64 {
        self.inner.lame_since.load(Ordering::Relaxed)
    }

    /// The server that the client is with has said that it will stop.
    pub(super) fn note_lame_duck(&self) {
        let connects = self.connects();
        self.inner.lame_since.store(connects, Ordering::Relaxed);
    }

    /// A count of messages that are published on this connection and not confirmed.
    pub(crate) fn count_unconfirmed(&self) -> Unconfirmed {
        Unconfirmed {
            connection: self.clone(),
            count: 0,
        }
    }

    pub(super) fn unconfirmed(&self) -> usize {
        self.inner.unconfirmed.load(Ordering::Relaxed)
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

    pub(crate) fn is_connected(&self) -> bool {
        self.inner.client.connection_state() == ClientState::Connected
    }

    /// Waits until connected; returns at once when it is.
    pub(crate) async fn connected(&self) {
        self.becomes(true).await;
    }

    /// Waits until not connected; returns at once when it is not.
    pub(super) async fn disconnected(&self) {
        self.becomes(false).await;
    }

    async fn becomes(&self, connected: bool) {
        let mut status = self.inner.status.subscribe();
        while self.is_connected() != connected {
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
}
