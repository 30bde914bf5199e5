//! Server addresses, certificates, and who we are.

use std::path::PathBuf;

use super::Resolver;
use crate::{
    config::{
        raw::{
            At, AuthKeys, FilePath, JetStreamSource, NatsSource, OneOrMany, Target, TlsKeys, Url,
        },
        report::Report,
    },
    nats::{Auth, Secret, ServerOptions, TlsOptions},
};

const DEFAULT_URL: &str = "nats://127.0.0.1:4222";
const SECRET_HELP: &str =
    "write `${NAME}` and set the environment variable, or name a file that holds the secret";

/// The keys that every NATS end has.
pub(super) struct ServerKeys<'a> {
    url: Option<&'a OneOrMany<At<Url>>>,
    auth: Option<&'a At<AuthKeys>>,
    tls: Option<&'a At<TlsKeys>>,
    inbox_prefix: Option<&'a str>,
}

macro_rules! server_keys {
    ($($end:ty),*) => {$(
        impl<'a> From<&'a $end> for ServerKeys<'a> {
            fn from(end: &'a $end) -> Self {
                Self {
                    url: end.url.as_ref(),
                    auth: end.auth.as_ref(),
                    tls: end.tls.as_ref(),
                    inbox_prefix: end.inbox_prefix.as_ref().map(|prefix| prefix.0.as_str()),
                }
            }
        }
    )*};
}
server_keys!(NatsSource, JetStreamSource, Target);

impl Resolver<'_> {
    /// The servers of one end. Without a `url` of its own (or with the same one) an end takes over
    /// from the source what it does not say itself; credentials never go to other servers.
    pub(super) fn server(
        &mut self,
        keys: &ServerKeys<'_>,
        source: Option<&ServerOptions>,
    ) -> Option<ServerOptions> {
        let (urls, url_auth) = match keys.url {
            Some(urls) => self.urls(urls)?,
            None => match source {
                Some(source) => (source.urls.clone(), Auth::None),
                None => (vec![DEFAULT_URL.to_owned()], Auth::None),
            },
        };
        let source = source.filter(|source| source.urls == urls);
        let auth = match keys.auth {
            Some(auth) => {
                let resolved = self.auth(auth);
                if url_auth != Auth::None {
                    self.report(
                        Report::new("both `url` and `auth` say who we are")
                            .at(&auth.span(), "")
                            .help("remove user, password or token from the `url`"),
                    );
                }
                resolved?
            }
            None if url_auth != Auth::None => url_auth,
            None => source.map(|source| source.auth.clone()).unwrap_or_default(),
        };
        let tls = match keys.tls {
            Some(tls) => self.tls(tls)?,
            None => source.map(|source| source.tls.clone()).unwrap_or_default(),
        };
        let inbox_prefix = match keys.inbox_prefix {
            Some(prefix) => Some(prefix.to_owned()),
            None => source.and_then(|source| source.inbox_prefix.clone()),
        };
        Some(ServerOptions {
            urls,
            auth,
            tls,
            inbox_prefix,
        })
    }

    fn urls(&mut self, urls: &OneOrMany<At<Url>>) -> Option<(Vec<String>, Auth)> {
        if urls.0.is_empty() {
            self.report(Report::new("`url` is an empty list").help("name at least one server"));
            return None;
        }
        let mut auth: Option<(&At<Url>, &Auth)> = None;
        for url in urls.0.iter().filter(|url| url.value.auth != Auth::None) {
            let span = url.span();
            if has_literal_secret(&self.text[span.clone()]) {
                self.report(
                    Report::new("a password or token stands in the text of this file")
                        .at(&span, "")
                        .help("write `nats://user:${NAME}@host` and set the environment variable, or use `auth`"),
                );
            }
            match auth {
                Some((first, other)) if *other != url.value.auth => self.report(
                    Report::new("the addresses in `url` say different things about who we are")
                        .at(&span, "")
                        .also(&first.span(), "the first one")
                        .help("use the same for all, or `auth`"),
                ),
                _ => auth = Some((url, &url.value.auth)),
            }
        }
        let addresses = urls.0.iter().map(|url| url.value.address.clone());
        let auth = auth.map(|(_, auth)| auth.clone()).unwrap_or_default();
        Some((addresses.collect(), auth))
    }

    fn auth(&mut self, auth: &At<AuthKeys>) -> Option<Auth> {
        let keys = &auth.value;
        let ways = [
            keys.token.is_some(),
            keys.token_file.is_some(),
            keys.user.is_some() || keys.password.is_some() || keys.password_file.is_some(),
            keys.credentials_file.is_some(),
            keys.nkey_file.is_some(),
        ];
        if ways.into_iter().filter(|way| *way).count() != 1 {
            let title = if ways.contains(&true) {
                "`auth` says in more than one way who we are"
            } else {
                "`auth` does not say who we are"
            };
            self.report(Report::new(title).at(&auth.span(), "").help(
                "use one of: `token`, `token_file`, `user` with `password` or `password_file`, `credentials_file`, `nkey_file`",
            ));
            return None;
        }
        if let Some(token) = &keys.token {
            return self.inline_secret(token, "token").map(Auth::Token);
        }
        if let Some(file) = &keys.token_file {
            return self.secret_file(file, "token file").map(Auth::Token);
        }
        if let Some(file) = &keys.credentials_file {
            return self
                .existing(file, "credentials file")
                .map(Auth::CredentialsFile);
        }
        if let Some(file) = &keys.nkey_file {
            return self.existing(file, "nkey file").map(Auth::NkeyFile);
        }
        self.user(auth)
    }

    fn user(&mut self, auth: &At<AuthKeys>) -> Option<Auth> {
        let keys = &auth.value;
        let password = match (&keys.password, &keys.password_file) {
            (Some(password), None) => self.inline_secret(password, "password"),
            (None, Some(file)) => self.secret_file(file, "password file"),
            (Some(_), Some(file)) => {
                self.report(
                    Report::new("there are both `password` and `password_file`")
                        .at(&file.span(), "")
                        .help("keep one of the two"),
                );
                None
            }
            (None, None) => {
                self.report(
                    Report::new("`auth` has a `user` but no password")
                        .at(&auth.span(), "")
                        .help("add `password: \"${NAME}\"` or `password_file`"),
                );
                None
            }
        };
        let Some(user) = &keys.user else {
            self.report(
                Report::new("`auth` has a password but no `user`")
                    .at(&auth.span(), "")
                    .help("add `user`"),
            );
            return None;
        };
        Some(Auth::User {
            user: user.value.clone(),
            password: password?,
        })
    }

    fn inline_secret(&mut self, secret: &At<String>, key: &str) -> Option<Secret> {
        let span = secret.span();
        let written = self.text[span.clone()].trim_matches(['"', '\'']);
        let fault = if !is_reference(written) {
            "stands in the text of this file"
        } else if secret.value.is_empty() {
            "is empty"
        } else {
            return Some(Secret::new(secret.value.as_str()));
        };
        self.report(
            Report::new(format!("the `{key}` {fault}"))
                .at(&span, "")
                .help(SECRET_HELP),
        );
        None
    }

    fn secret_file(&mut self, file: &At<FilePath>, what: &str) -> Option<Secret> {
        let path = self.existing(file, what)?;
        let fault = match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Some(Secret::new(text.trim())),
            Ok(_) => "is empty".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        };
        self.report(
            Report::new(format!("the {what} `{}` {fault}", file.value.0)).at(&file.span(), ""),
        );
        None
    }

    fn tls(&mut self, tls: &At<TlsKeys>) -> Option<TlsOptions> {
        let keys = &tls.value;
        let mut file = |path: &Option<At<FilePath>>, what| match path {
            Some(path) => self.existing(path, what).map(Some),
            None => Some(None),
        };
        let ca_file = file(&keys.ca_file, "certificate file");
        let cert = file(&keys.cert_file, "certificate file");
        let key = file(&keys.key_file, "key file");
        let client: Option<(PathBuf, PathBuf)> = match (cert?, key?) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (cert, _) => {
                let (has, lacks) = match cert {
                    Some(_) => ("cert_file", "key_file"),
                    None => ("key_file", "cert_file"),
                };
                self.report(
                    Report::new(format!("`tls` has a `{has}` but no `{lacks}`"))
                        .at(&tls.span(), "")
                        .help(format!("add `{lacks}`")),
                );
                return None;
            }
        };
        Some(TlsOptions {
            required: keys.required,
            ca_file: ca_file?,
            client,
        })
    }
}

/// Whether an address, as it is written, has a secret that is not a reference to the environment.
fn has_literal_secret(written: &str) -> bool {
    let Some((_, rest)) = written.split_once("://") else {
        return false;
    };
    let Some((info, _)) = rest.rsplit_once('@') else {
        return false;
    };
    // The colon of a `${NAME:-default}` is not the one between user and password, but a default
    // is a literal secret either way.
    let secret = info.split_once(':').map_or(info, |(_, secret)| secret);
    !is_reference(secret)
}

/// Whether this is `${NAME}` and nothing else. A default would be a secret in the file.
fn is_reference(text: &str) -> bool {
    text.strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}
