//! The NATS server that `send`, `tail` and `demo` talk to.

use std::{path::PathBuf, time::Duration};

use async_nats::{Client, ServerAddr, jetstream};
use futures_util::FutureExt as _;

use super::{Exit, Failure};
use crate::nats::{Auth, Connection, ServerOptions, TlsOptions};

/// How long to wait for a server to answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to try to connect: a person waits, and sees it when the server is not up yet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

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
    /// A PEM file with a root certificate to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

impl ServerArgs {
    /// What the connection wants to know.
    ///
    /// # Errors
    /// An address that is none; what is secret in it is not repeated.
    pub fn options(&self) -> Result<ServerOptions, Failure> {
        let urls: Vec<String> = self
            .url
            .split(',')
            .map(|url| url.trim().to_owned())
            .collect();
        if let Some(url) = urls.iter().find(|url| url.parse::<ServerAddr>().is_err()) {
            let shown = url.rsplit('@').next().unwrap_or_default();
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "`{shown}` is not the address of a NATS server; write it like `nats://127.0.0.1:4222`"
                ),
            ));
        }
        Ok(ServerOptions {
            urls,
            auth: self.creds.clone().map_or(Auth::None, Auth::CredentialsFile),
            tls: TlsOptions {
                ca_file: self.ca.clone(),
                ..TlsOptions::default()
            },
            inbox_prefix: None,
        })
    }
}

/// A server at this address that asks nothing.
pub(super) fn at(url: &str) -> ServerOptions {
    ServerOptions {
        urls: vec![url.to_owned()],
        auth: Auth::None,
        tls: TlsOptions::default(),
        inbox_prefix: None,
    }
}

/// A connection, for somebody who waits at a terminal.
#[derive(Debug, Clone)]
pub(super) struct Broker(Connection);

impl Broker {
    pub(super) fn client(&self) -> &Client {
        self.0.client()
    }

    /// The address as it may be printed.
    pub(super) fn address(&self) -> &str {
        self.0.server()
    }

    /// How often the connection was lost and made anew.
    pub(super) fn reconnects(&self) -> u64 {
        self.0.connects().saturating_sub(1)
    }

    /// Messages that the client has read, those included that it had to drop.
    pub(super) fn messages_read(&self) -> u64 {
        self.0.messages_read()
    }

    /// What the server does not allow, if it said so; a permission that is missing shows in no
    /// other way.
    pub(super) fn refusal(&self) -> Option<String> {
        self.0.fatal().now_or_never()
    }

    /// JetStream on this server.
    pub(super) fn jetstream(&self) -> jetstream::Context {
        jetstream::context::ContextBuilder::new()
            .timeout(ANSWER_TIMEOUT)
            .build(self.client().clone())
    }

    /// Waits until the server has everything that was published.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) async fn flush(&self) -> Result<(), Failure> {
        // Without a connection `flush` alone never returns.
        match tokio::time::timeout(ANSWER_TIMEOUT, self.client().flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.gone(&error.to_string())),
            Err(_) => Err(self.gone("no answer in 5 s")),
        }
    }

    /// The server does not answer any more.
    pub(super) fn gone(&self, why: &str) -> Failure {
        Failure::new(
            Exit::Unavailable,
            format!("the NATS server at {} is gone: {why}", self.address()),
        )
    }
}

/// Connects, or says why not.
///
/// # Errors
/// No server there, it refuses us, or a file with credentials cannot be read.
pub(super) async fn connect(server: &ServerOptions, name: &str) -> Result<Broker, Failure> {
    Connection::connect_within(server, name, CONNECT_TIMEOUT)
        .await
        .map(Broker)
        .map_err(|error| Failure::new(Exit::Unavailable, error.to_string()))
}
