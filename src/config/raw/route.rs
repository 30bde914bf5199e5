//! The ends of a pipeline: `source`, `sink` and `dead_letter`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, BrokerName, Count, FilePath, OneOrMany, Subject, SubjectTemplate, Time, Url};

/// Where messages come from: one of `nats`, `jetstream`, `file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Source {
    /// Core NATS: at most once. With a reply subject on the messages and `sink: { reply: {} }`,
    /// this serves requests.
    Nats(NatsSource),
    /// A JetStream stream: at least once, acknowledged after the result is stored.
    JetStream(JetStreamSource),
    /// A file or standard input, one message a line.
    File(FileEnd),
}

/// Core NATS as a source.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct NatsSource {
    /// Server addresses, `nats://host:port` or `tls://host:port`: one, or a list.
    #[schemars(extend("default" = "nats://127.0.0.1:4222"))]
    pub(in crate::config) url: Option<OneOrMany<At<Url>>>,
    /// The subject to subscribe to; `*` stands for one token, `>` for all that follow.
    pub(in crate::config) subject: At<Subject>,
    /// Share the subject's messages with the other subscribers of this group.
    pub(in crate::config) queue_group: Option<BrokerName>,
    /// How to say who we are.
    pub(in crate::config) auth: Option<At<AuthKeys>>,
    /// Certificates, where the system's are not enough.
    pub(in crate::config) tls: Option<At<TlsKeys>>,
    /// Prefix of our inboxes, for accounts that may subscribe to one prefix only.
    pub(in crate::config) inbox_prefix: Option<BrokerPrefix>,
}

/// Prefixes are subjects without wildcards.
pub(in crate::config) type BrokerPrefix = super::value::PlainSubject;

/// A JetStream stream as a source.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct JetStreamSource {
    /// Server addresses, `nats://host:port` or `tls://host:port`: one, or a list.
    #[schemars(extend("default" = "nats://127.0.0.1:4222"))]
    pub(in crate::config) url: Option<OneOrMany<At<Url>>>,
    /// The stream to read; it must exist.
    pub(in crate::config) stream: BrokerName,
    /// The durable consumer; made if it does not exist.
    pub(in crate::config) consumer: BrokerName,
    /// Read only the messages on this subject (`*` and `>` allowed).
    pub(in crate::config) filter_subject: Option<At<Subject>>,
    /// How long the broker waits for our word before it delivers a message again; at least 1s.
    #[serde(default = "ack_wait")]
    pub(in crate::config) ack_wait: At<Time>,
    /// How often a message is delivered before it goes to the dead letter; at least 3. What was
    /// delivered twice and not acknowledged goes in alone. Of what comes more often than this only
    /// the first is taken for the culprit, one in the life of a process.
    #[serde(default = "max_deliver")]
    pub(in crate::config) max_deliver: At<Count>,
    /// How to say who we are.
    pub(in crate::config) auth: Option<At<AuthKeys>>,
    /// Certificates, where the system's are not enough.
    pub(in crate::config) tls: Option<At<TlsKeys>>,
    /// Prefix of our inboxes, for accounts that may subscribe to one prefix only.
    pub(in crate::config) inbox_prefix: Option<BrokerPrefix>,
}

fn ack_wait() -> At<Time> {
    At::unwritten(Time::from_secs(30))
}

fn max_deliver() -> At<Count> {
    At::unwritten(Count(5))
}

/// A file, one line for each message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct FileEnd {
    /// The file's path; `-` is standard input, or output.
    pub(in crate::config) path: At<FilePath>,
}

/// Where results go: one of `nats`, `jetstream`, `file`, `reply`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Sink {
    /// Core NATS: handed to the broker, not confirmed by it.
    Nats(Target),
    /// A JetStream stream: confirmed by the broker, and stored once.
    JetStream(Target),
    /// A file or standard output, one result a line.
    File(FileEnd),
    /// The reply subject of each message; the source must be `nats`.
    Reply(Nothing),
}

/// Where messages go that can never succeed: one of `nats`, `jetstream`, `file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum DeadLetter {
    /// Core NATS.
    Nats(Target),
    /// A JetStream stream: confirmed by the broker.
    JetStream(Target),
    /// A file, one message a line.
    File(FileEnd),
}

/// A subject to publish to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Target {
    /// Server addresses: one, or a list. The source's, where left out, and then also its `auth`,
    /// `tls` and `inbox_prefix`.
    pub(in crate::config) url: Option<OneOrMany<At<Url>>>,
    /// The subject; `{2}` stands for the second token of the input's subject.
    pub(in crate::config) subject: At<SubjectTemplate>,
    /// How to say who we are.
    pub(in crate::config) auth: Option<At<AuthKeys>>,
    /// Certificates, where the system's are not enough.
    pub(in crate::config) tls: Option<At<TlsKeys>>,
    /// Prefix of our inboxes, for accounts that may subscribe to one prefix only.
    pub(in crate::config) inbox_prefix: Option<BrokerPrefix>,
}

/// There is nothing to set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Nothing {}

/// One way to say who we are: a token, a user and password, a credentials file, or an nkey file.
/// Secrets come from the environment or from files, never from the text of this file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AuthKeys {
    /// A token, from the environment: `${NATS_TOKEN}`.
    #[schemars(extend("pattern" = "^\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}$"))]
    pub(in crate::config) token: Option<At<String>>,
    /// A file that holds a token.
    pub(in crate::config) token_file: Option<At<FilePath>>,
    /// A user's name; goes with `password` or `password_file`.
    pub(in crate::config) user: Option<At<String>>,
    /// The user's password, from the environment: `${NATS_PASSWORD}`.
    #[schemars(extend("pattern" = "^\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}$"))]
    pub(in crate::config) password: Option<At<String>>,
    /// A file that holds the user's password.
    pub(in crate::config) password_file: Option<At<FilePath>>,
    /// A `.creds` file: a JWT and its seed.
    pub(in crate::config) credentials_file: Option<At<FilePath>>,
    /// A file that holds an nkey seed.
    pub(in crate::config) nkey_file: Option<At<FilePath>>,
}

/// Certificates for TLS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TlsKeys {
    /// Demand TLS even where the URL does not.
    #[serde(default)]
    pub(in crate::config) required: bool,
    /// Root certificates (PEM) to trust instead of the system's.
    pub(in crate::config) ca_file: Option<At<FilePath>>,
    /// Our certificate (PEM), where the server wants one; goes with `key_file`.
    pub(in crate::config) cert_file: Option<At<FilePath>>,
    /// The key of our certificate (PEM); goes with `cert_file`.
    pub(in crate::config) key_file: Option<At<FilePath>>,
}
