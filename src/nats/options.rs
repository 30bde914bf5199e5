//! From what the pipeline file says to what the client needs.

use std::{io, path::Path, sync::Mutex, time::Duration};

use async_nats::{ConnectOptions, ServerAddr};

use super::{Auth, ServerOptions, TlsOptions, backoff::Backoff, connection::ConnectError};

/// A half-open link is noticed after about three of these.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
const RECONNECT_FIRST: Duration = Duration::from_millis(50);
const RECONNECT_MOST: Duration = Duration::from_millis(500);
/// Messages that the client holds for one subscription before it drops. Our loops empty this at
/// once, whatever the credit says, so it covers the time in which a loop is not scheduled; it is
/// allocated as it fills (184 bytes a message, and the payload).
pub(super) const SUBSCRIPTION_CAPACITY: usize = 65_536;

/// The addresses, with the user information that a URL may carry.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) list: Vec<ServerAddr>,
    /// For messages: without user information.
    pub(super) shown: String,
}

impl Addresses {
    pub(super) fn parse(urls: &[String]) -> Result<Self, ConnectError> {
        let list = urls
            .iter()
            .map(|url| {
                url.parse::<ServerAddr>().map_err(|_| {
                    let hidden = url.rsplit('@').next().unwrap_or_default();
                    ConnectError::new(format!(
                        "`{hidden}` is not the address of a NATS server; write it like `nats://127.0.0.1:4222`"
                    ))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let shown = list
            .iter()
            .map(|address| {
                let host = address.host();
                let host = if host.contains(':') {
                    format!("[{host}]")
                } else {
                    host.to_owned()
                };
                format!("{}://{host}:{}", address.scheme(), address.port())
            })
            .collect::<Vec<_>>()
            .join(", ");
        Ok(Self { list, shown })
    }

    /// The user information of the first address that has any; the client does not read it.
    fn user(&self) -> Option<(&str, Option<&str>)> {
        self.list
            .iter()
            .find_map(|address| Some((address.username()?, address.password())))
    }
}

/// Everything but the events.
pub(super) async fn client_options(
    options: &ServerOptions,
    addresses: &Addresses,
    name: &str,
) -> Result<ConnectOptions, ConnectError> {
    let backoff = Mutex::new(Backoff::new(RECONNECT_FIRST, RECONNECT_MOST));
    let mut client = ConnectOptions::new()
        .name(name)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECTION_TIMEOUT)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .reconnect_delay_callback(move |attempts| match attempts {
            0 | 1 => Duration::ZERO,
            more => backoff
                .lock()
                .map_or(RECONNECT_MOST, |mut backoff| backoff.wait(more as u64 - 1)),
        });
    if let Some(prefix) = &options.inbox_prefix {
        client = client.custom_inbox_prefix(prefix);
    }
    client = tls(client, &options.tls)?;
    authenticate(client, &options.auth, addresses).await
}

fn tls(mut client: ConnectOptions, tls: &TlsOptions) -> Result<ConnectOptions, ConnectError> {
    if tls.required {
        client = client.require_tls(true);
    }
    if let Some(path) = &tls.ca_file {
        holds(path, "certificate authority's file", CERTIFICATE)?;
        client = client.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &tls.client {
        holds(certificate, "client certificate", CERTIFICATE)?;
        holds(key, "client certificate's key", KEY)?;
        client = client.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(client)
}

async fn authenticate(
    client: ConnectOptions,
    auth: &Auth,
    addresses: &Addresses,
) -> Result<ConnectOptions, ConnectError> {
    Ok(match auth {
        Auth::None => match addresses.user() {
            None => client,
            Some((token, None)) => client.token(token.to_owned()),
            Some((user, Some(password))) => {
                client.user_and_password(user.to_owned(), password.to_owned())
            }
        },
        Auth::Token(token) => client.token(token.reveal().to_owned()),
        Auth::User { user, password } => {
            client.user_and_password(user.clone(), password.reveal().to_owned())
        }
        Auth::CredentialsFile(path) => {
            let text = read(path, "credentials file").await?;
            client.credentials(&text).map_err(|_| {
                ConnectError::new(format!(
                    "`{}` is not a NATS credentials file: it needs a user JWT and a seed, as `nsc generate creds` writes them",
                    path.display()
                ))
            })?
        }
        Auth::NkeyFile(path) => {
            let text = read(path, "nkey file").await?;
            let seed = text
                .lines()
                .map(str::trim)
                .find(|line| line.starts_with('S'));
            let seed = seed.ok_or_else(|| {
                ConnectError::new(format!(
                    "`{}` holds no nkey seed: a line that starts with `SU`",
                    path.display()
                ))
            })?;
            client.nkey(seed.to_owned())
        }
    })
}

/// What the line before a certificate or a key ends with.
const CERTIFICATE: &str = "CERTIFICATE-----";
const KEY: &str = "PRIVATE KEY-----";

/// The client takes a file without certificates for one that trusts nobody, and says so of the server.
fn holds(path: &Path, what: &str, label: &str) -> Result<(), ConnectError> {
    let text = std::fs::read(path).map_err(|error| unreadable(path, what, &error))?;
    let begins = |line: &[u8]| line.starts_with(b"-----BEGIN ") && line.ends_with(label.as_bytes());
    if text
        .split(|byte| *byte == b'\n')
        .any(|line| begins(line.trim_ascii_end()))
    {
        return Ok(());
    }
    Err(ConnectError::new(format!(
        "the {what} `{}` is not a PEM file that holds one: it needs a line `-----BEGIN {label}`",
        path.display()
    )))
}

async fn read(path: &Path, what: &str) -> Result<String, ConnectError> {
    tokio::fs::read_to_string(path)
        .await
        .map_err(|error| unreadable(path, what, &error))
}

fn unreadable(path: &Path, what: &str, error: &io::Error) -> ConnectError {
    ConnectError::new(format!(
        "cannot read the {what} `{}`: {}",
        path.display(),
        plain(error)
    ))
}

/// An operating system's error without its number.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let addresses = Addresses::parse(&[
            "nats://me:secret@host:4333".to_owned(),
            "tls://token@other".to_owned(),
            "[::1]:4222".to_owned(),
        ])
        .expect("addresses");
        assert_eq!(
            addresses.shown,
            "nats://host:4333, tls://other:4222, nats://[::1]:4222"
        );
        assert_eq!(addresses.user(), Some(("me", Some("secret"))));
        let error = Addresses::parse(&["http://me:secret@host".to_owned()]).expect_err("not NATS");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
