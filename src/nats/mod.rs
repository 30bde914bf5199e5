//! The connection to NATS, shared by sources and sinks that name the same servers.

pub(crate) mod api;
pub(crate) mod backoff;
mod cause;
mod connection;
mod lame_duck;
mod options;
mod ready;
pub(crate) mod scratch;
pub(crate) mod slab;
mod status;
pub(crate) mod subject;
mod traffic;

use std::{fmt, path::PathBuf};

pub(crate) use connection::Unconfirmed;
pub use connection::{ConnectError, Connection};
pub(crate) use options::plain;
pub(crate) use ready::ready;
pub use status::State;
pub(crate) use traffic::{PublishFailure, wire_len};

/// Which servers, and who we are to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Server addresses, `nats://host:port` or `tls://host:port`. Never empty.
    pub urls: Vec<String>,
    /// How we say who we are.
    pub auth: Auth,
    /// Certificates, where the system's will not do.
    pub tls: TlsOptions,
    /// Prefix of our inboxes, for accounts that may subscribe to one prefix only.
    pub inbox_prefix: Option<String>,
}

/// How a client says who it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Auth {
    /// Not at all (or in the URL).
    #[default]
    None,
    /// A token.
    Token(Secret),
    /// A user name and a password.
    User {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A `.creds` file with a JWT and a seed.
    CredentialsFile(PathBuf),
    /// A file with an nkey seed.
    NkeyFile(PathBuf),
}

/// Certificates for TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// Demand TLS even where the URL does not.
    pub required: bool,
    /// Root certificates (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate (PEM) and its key, where the server wants one.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
