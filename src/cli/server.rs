//! The NATS server that `send`, `tail` and `demo` talk to.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, jetstream};

use super::{Exit, Failure};

/// How long to wait for a server to answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Which server, and who we are to it.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// The NATS server; user and password may stand in it. Several, for one cluster, are
    /// separated by commas
    #[arg(
        long,
        value_name = "URL",
        env = "NATS_URL",
        hide_env_values = true,
        default_value = "nats://127.0.0.1:4222"
    )]
    pub url: String,
    /// A .creds file that says who we are
    #[arg(long, value_name = "FILE")]
    pub creds: Option<PathBuf>,
    /// A PEM file with a root certificate to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

impl ServerArgs {
    /// A server at this address that asks nothing.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            creds: None,
            ca: None,
        }
    }
}

/// A connection, and what has befallen it.
#[derive(Debug, Clone)]
pub(super) struct Broker {
    pub(super) client: Client,
    /// The address as it may be printed.
    pub(super) address: String,
    link: Arc<Link>,
}

#[derive(Debug, Default)]
struct Link {
    connects: AtomicU64,
    slow: AtomicU64,
    refusal: Mutex<Option<String>>,
}

impl Broker {
    /// How often the connection was lost and made anew.
    pub(super) fn reconnects(&self) -> u64 {
        self.link.connects.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Whether messages were dropped because we read too slowly.
    pub(super) fn was_slow(&self) -> bool {
        self.link.slow.load(Ordering::Relaxed) > 0
    }

    /// What the server said it does not allow, the last time it did; and forgets it.
    pub(super) fn refusal(&self) -> Option<String> {
        self.link
            .refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// JetStream on this server.
    pub(super) fn jetstream(&self) -> jetstream::Context {
        jetstream::context::ContextBuilder::new()
            .timeout(ANSWER_TIMEOUT)
            .build(self.client.clone())
    }

    /// Waits until the server has everything that was published.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) async fn flush(&self) -> Result<(), Failure> {
        // Without a connection `flush` alone never returns.
        match tokio::time::timeout(ANSWER_TIMEOUT, self.client.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.gone(&error.to_string())),
            Err(_) => Err(self.gone("no answer in 5 s")),
        }
    }

    /// The server does not answer any more.
    pub(super) fn gone(&self, why: &str) -> Failure {
        Failure::new(
            Exit::Unavailable,
            format!("the NATS server at {} is gone: {why}", self.address),
        )
    }
}

/// Connects, or says why not.
///
/// # Errors
/// No server there, it refuses us, or a file with credentials cannot be read.
pub(super) async fn connect(server: &ServerArgs, name: &str) -> Result<Broker, Failure> {
    let link = Arc::new(Link::default());
    let events = Arc::clone(&link);
    let mut options = ConnectOptions::new()
        .name(name)
        .connection_timeout(ANSWER_TIMEOUT)
        // The default of 60 s sees a dead link after three minutes.
        .ping_interval(Duration::from_secs(10))
        .event_callback(move |event| {
            events.note(event);
            std::future::ready(())
        });
    if let Some(file) = &server.creds {
        options = options.credentials_file(file).await.map_err(|error| {
            Failure::new(
                Exit::NoInput,
                format!(
                    "the credentials file {} cannot be read: {error}",
                    file.display()
                ),
            )
        })?;
    }
    if let Some(file) = &server.ca {
        options = options.add_root_certificates(file.clone());
    }
    let urls: Vec<&str> = server.url.split(',').map(str::trim).collect();
    let address = urls
        .iter()
        .map(|url| masked(url))
        .collect::<Vec<_>>()
        .join(",");
    match options.connect(&urls[..]).await {
        Ok(client) => Ok(Broker {
            client,
            address,
            link,
        }),
        Err(error) => Err(explain(&error, &address)),
    }
}

impl Link {
    fn note(&self, event: Event) {
        match event {
            Event::Connected => {
                self.connects.fetch_add(1, Ordering::Relaxed);
            }
            Event::SlowConsumer(_) => {
                self.slow.fetch_add(1, Ordering::Relaxed);
            }
            Event::ServerError(error) => {
                *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(error.to_string());
            }
            _ => {}
        }
    }
}

fn explain(error: &async_nats::ConnectError, address: &str) -> Failure {
    let detail = std::error::Error::source(error).map(|source| format!(" ({source})"));
    let detail = detail.unwrap_or_default();
    match error.kind() {
        ConnectErrorKind::ServerParse => Failure::new(
            Exit::Usage,
            format!("`{address}` is no server address; write it like nats://host:4222"),
        ),
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            Failure::new(
                Exit::Unavailable,
                format!(
                    "the NATS server at {address} does not let us in{detail}; give --creds FILE, or user and password in the URL"
                ),
            )
        }
        ConnectErrorKind::Tls => Failure::new(
            Exit::Unavailable,
            format!(
                "no TLS connection with {address}{detail}; if its certificate is your own, give --ca FILE"
            ),
        ),
        _ => Failure::new(
            Exit::Unavailable,
            format!(
                "no NATS server answers at {address}: {error}; start one, or say where it is with --url or NATS_URL"
            ),
        ),
    }
}

/// The address without user, password or token.
pub(super) fn masked(url: &str) -> String {
    let (scheme, rest) = url
        .split_once("://")
        .map_or(("", url), |(scheme, rest)| (scheme, rest));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() {
        host.to_owned()
    } else {
        format!("{scheme}://{host}")
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn secrets_in_addresses_are_not_printed() {
        assert_eq!(masked("nats://ann:p@ss@host:4222"), "nats://host:4222");
        assert_eq!(masked("token@host"), "host");
        assert_eq!(masked("nats://host:4222"), "nats://host:4222");
    }
}
