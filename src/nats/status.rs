//! What the client's events mean for us: connected or not, and what only the operator can mend.

use std::collections::HashSet;

use async_nats::{ClientError, Event, ServerError};

/// How the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Messages flow.
    #[default]
    Connected,
    /// The client tries to connect again.
    Disconnected,
    /// The server is about to stop and has said so; it takes nothing new.
    LameDuck,
}

/// Everything that the client has told us.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    pub(crate) state: State,
    /// Whether to log that the connection is lost, and that it is there again.
    pub(crate) tells: bool,
    /// Refusals in a row.
    refused: u32,
    /// A sentence for the operator; set once.
    pub(crate) fatal: Option<String>,
    /// Publishing to subjects that are made of what senders chose may fail.
    pub(crate) foreign_subjects: bool,
    /// Subjects that the pipeline file names, which must not fail.
    pub(crate) fixed: Vec<String>,
    /// Look-ups that only make a message better. Not being allowed to is no error.
    pub(crate) courtesies: HashSet<String>,
    /// Subjects that we were not allowed to publish to, the last of them.
    pub(crate) forbidden: HashSet<String>,
}

/// One refusal may be a server that is just starting; this many in a row are not.
const REFUSALS_MAX: u32 = 3;
/// Forbidden subjects that are remembered: they come from senders, who may think of any number.
const FORBIDDEN_MAX: usize = 1024;
/// What this program itself publishes to. All other subjects with `$` are a sender's idea.
const OURS: [&str; 2] = ["$JS.ACK.", "$JS.API."];

impl Status {
    /// Takes in an event; says whether anything changed.
    pub(crate) fn apply(&mut self, event: &Event, server: &str) -> bool {
        match event {
            Event::Connected => {
                if self.tells && self.state == State::Disconnected {
                    tracing::info!("connected to NATS again");
                }
                self.state = State::Connected;
                self.refused = 0;
                // A server reads permissions anew for each connection.
                self.forbidden.clear();
            }
            Event::Disconnected => {
                if self.tells && self.state != State::Disconnected {
                    tracing::warn!("the connection to NATS at {server} is lost; trying again");
                }
                self.state = State::Disconnected;
            }
            Event::Closed => self.state = State::Disconnected,
            Event::LameDuckMode => self.state = State::LameDuck,
            Event::ServerError(ServerError::AuthorizationViolation) => self.refuse(server),
            Event::ServerError(ServerError::Other(text)) => return self.violated(text, server),
            Event::ClientError(ClientError::Other(text)) if is_refusal(text) => self.refuse(server),
            Event::SlowConsumer(_)
            | Event::Draining
            | Event::ServerError(_)
            | Event::ClientError(_) => {
                return false;
            }
        }
        true
    }

    fn refuse(&mut self, server: &str) {
        self.refused += 1;
        if self.refused >= REFUSALS_MAX {
            self.fail(refused(server));
        }
    }

    fn violated(&mut self, text: &str, server: &str) -> bool {
        let Some(violation) = Violation::parse(text) else {
            return false;
        };
        let (verb, allow) = match violation.verb {
            Verb::Publish => ("publish to", "publish"),
            Verb::Subscribe => ("subscribe to", "subscribe"),
        };
        if violation.verb == Verb::Publish {
            let courtesy = self.courtesies.contains(violation.subject);
            if courtesy || self.is_foreign(violation.subject) {
                return self.forbid(violation.subject, courtesy);
            }
        }
        let subject = general(violation.subject);
        let or = if subject.starts_with("_INBOX") {
            ", or set `inbox_prefix` to one that it has"
        } else if subject.starts_with('$') {
            ""
        } else {
            ", or change it in the pipeline file"
        };
        self.fail(format!(
            "not allowed to {verb} `{subject}` at {server}; add the subject to the {allow} permissions of the NATS user{or}"
        ));
        true
    }

    /// Remembers a refusal that is no error; says whether it is news.
    fn forbid(&mut self, subject: &str, courtesy: bool) -> bool {
        if self.forbidden.len() >= FORBIDDEN_MAX {
            self.forbidden.clear();
        }
        let news = self.forbidden.insert(subject.to_owned());
        if news && courtesy {
            tracing::debug!(subject, "not allowed to publish to this subject");
        } else if news {
            tracing::warn!(subject, "not allowed to publish to this subject");
        }
        news
    }

    /// Whether somebody else than the operator chose this subject.
    fn is_foreign(&self, subject: &str) -> bool {
        self.foreign_subjects
            && !OURS.iter().any(|ours| subject.starts_with(ours))
            && !self.fixed.iter().any(|fixed| fixed == subject)
    }

    fn fail(&mut self, sentence: String) {
        self.fatal.get_or_insert(sentence);
    }
}

/// The subject to ask for: acknowledgements of one consumer differ in what follows its name, and
/// inboxes in every run.
fn general(subject: &str) -> String {
    let tokens: Vec<_> = subject.split('.').collect();
    let keep = match tokens.as_slice() {
        ["$JS", "ACK", ..] if tokens.len() >= 11 => 6,
        ["$JS", "ACK", ..] => 4,
        ["_INBOX", ..] => 1,
        _ => return subject.to_owned(),
    };
    let kept = tokens.get(..keep).unwrap_or(&tokens);
    format!("{}.>", kept.join("."))
}

/// The sentence for wrong credentials.
pub(crate) fn refused(server: &str) -> String {
    format!(
        "NATS at {server} does not accept who we say we are; check the token, user and password, credentials file or nkey"
    )
}

fn is_refusal(text: &str) -> bool {
    text.contains("authorization violation")
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Verb {
    Publish,
    Subscribe,
}

#[derive(Debug, PartialEq, Eq)]
struct Violation<'a> {
    verb: Verb,
    subject: &'a str,
}

impl<'a> Violation<'a> {
    /// Reads `Permissions Violation for Publish to "subject"`.
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_matches('\'');
        let rest = text.strip_prefix("Permissions Violation for ")?;
        let (verb, rest) = if let Some(rest) = rest.strip_prefix("Publish to ") {
            (Verb::Publish, rest)
        } else {
            (Verb::Subscribe, rest.strip_prefix("Subscription to ")?)
        };
        let subject = rest.trim_start_matches('"').split('"').next()?;
        Some(Self { verb, subject })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation(text: &str) -> Event {
        Event::ServerError(ServerError::Other(text.into()))
    }

    #[test]
    fn a_violation_names_its_subject() {
        let mut status = Status::default();
        status.apply(
            &violation(r#"Permissions Violation for Publish to "a.b""#),
            "nats://s",
        );
        assert_eq!(
            status.fatal.as_deref(),
            Some(
                "not allowed to publish to `a.b` at nats://s; add the subject to the publish permissions of the NATS user, or change it in the pipeline file"
            )
        );
        assert_eq!(
            Violation::parse(
                r#"'Permissions Violation for Subscription to "a.>" using queue "q"'"#
            ),
            Some(Violation {
                verb: Verb::Subscribe,
                subject: "a.>"
            })
        );
        assert_eq!(Violation::parse("Stale Connection"), None);
        assert_eq!(general("$JS.ACK.S.C.1.2.3.4.5"), "$JS.ACK.S.C.>");
        assert_eq!(general("$JS.ACK.d.h.S.C.1.2.3.4.5"), "$JS.ACK.d.h.S.C.>");
        assert_eq!(general("_INBOX.x.*"), "_INBOX.>");
    }

    #[test]
    fn what_others_chose_is_not_fatal() {
        let mut status = Status {
            foreign_subjects: true,
            ..Status::default()
        };
        status.fixed.push("dead.x".into());
        for (subject, fatal) in [
            ("_INBOX.x", false),
            ("$SYS.x", false),
            ("$X", false),
            ("dead.x", true),
            ("$JS.ACK.x", true),
        ] {
            status.fatal = None;
            let text = format!(r#"Permissions Violation for Publish to "{subject}""#);
            status.apply(&violation(&text), "s");
            assert_eq!(status.fatal.is_some(), fatal, "{subject}");
            assert_eq!(status.forbidden.contains(subject), !fatal, "{subject}");
            status.apply(&Event::Connected, "s");
            assert!(status.forbidden.is_empty(), "{subject}");
        }
    }

    #[test]
    fn a_courtesy_is_not_fatal() {
        let mut status = Status::default();
        let names = "$JS.API.STREAM.NAMES";
        status.courtesies.insert(names.into());
        status.apply(
            &violation(r#"Permissions Violation for Publish to "$JS.API.STREAM.NAMES""#),
            "s",
        );
        assert_eq!(status.fatal, None);
        assert!(status.forbidden.contains(names));
    }

    #[test]
    fn only_refusals_in_a_row_are_fatal() {
        let mut status = Status::default();
        let refusal = Event::ClientError(ClientError::Other("authorization violation".into()));
        for event in [&refusal, &refusal, &Event::Connected, &refusal, &refusal] {
            status.apply(event, "s");
            assert_eq!(status.fatal, None);
        }
        status.apply(&refusal, "s");
        assert!(status.fatal.is_some());
    }

    #[test]
    fn states_follow_events() {
        let mut status = Status::default();
        for (event, state) in [
            (Event::LameDuckMode, State::LameDuck),
            (Event::Disconnected, State::Disconnected),
            (Event::SlowConsumer(1), State::Disconnected),
            (Event::Connected, State::Connected),
        ] {
            status.apply(&event, "s");
            assert_eq!(status.state, state);
        }
    }
}
