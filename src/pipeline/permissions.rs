//! What a pipeline's NATS users must be allowed to do: exactly what the rooms publish and subscribe.
//!
//! Whoever has a room ask the broker something new adds it here; a test runs pipelines under these
//! permissions, and under all but one of them.

use crate::{
    config::plan::{Plan, SinkPlan, SourcePlan},
    nats::{Auth, ServerOptions},
    sink::{jetstream::JetStreamTarget, nats::NatsTarget, template::Template},
    source::{jetstream::JetStreamOptions, nats::NatsOptions},
};

/// What one user must be allowed at one set of servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// The pipelines that sign in as this user.
    pub pipelines: Vec<String>,
    /// The servers' addresses.
    pub server: String,
    /// The user, in words.
    pub user: String,
    /// Subjects to publish to.
    pub publish: Vec<Allow>,
    /// Subjects to subscribe to, with a queue group where there is one.
    pub subscribe: Vec<Allow>,
}

/// One subject, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// As it is written in the server's configuration.
    pub subject: String,
    /// Why it is needed.
    pub purpose: String,
    /// Whether the pipeline works without it.
    pub need: Need,
}

/// Whether a pipeline works without a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// It does not.
    Always,
    /// That depends on the server, or on others.
    Sometimes,
    /// It does, and says less.
    OfUse,
}

/// What each user of these pipelines must be allowed, in the order of the files.
pub fn permissions(plans: &[Plan]) -> Vec<Permissions> {
    let mut users = Users::default();
    for plan in plans {
        match &plan.source {
            SourcePlan::Nats(server, options) => core_source(users.at(server, plan), options),
            SourcePlan::JetStream(server, options) => {
                stream_source(users.at(server, plan), server, options);
            }
            SourcePlan::File(_) => {}
        }
        let ends = [
            (Some(&plan.sink), "results"),
            (plan.dead_letter.as_ref(), "dead letters"),
        ];
        for (end, what) in ends {
            match end {
                Some(SinkPlan::Nats(server, target)) => {
                    core_sink(users.at(server, plan), target, what);
                }
                Some(SinkPlan::JetStream(server, target)) => {
                    stream_sink(users.at(server, plan), server, target, what);
                }
                Some(SinkPlan::File(_)) | None => {}
            }
        }
    }
    users.all
}

fn core_source(user: &mut Permissions, options: &NatsOptions) {
    let NatsOptions {
        subject,
        queue_group,
    } = options;
    let (subject, purpose) = match queue_group {
        Some(group) => (
            format!("{subject} {group}"),
            "the source's messages, in its queue group only",
        ),
        None => (subject.clone(), "the source's messages"),
    };
    user.subscribe(subject, purpose);
}

/// What the source does where the consumer is one that gives up.
const GIVEN_UP: &str = "needed only where the consumer has a `max_deliver` of its own: a dead letter for what the server gives up delivering";

fn stream_source(user: &mut Permissions, server: &ServerOptions, options: &JetStreamOptions) {
    let (stream, consumer) = (&options.stream, &options.consumer);
    let path = format!("{stream}.{consumer}");
    user.publish(
        format!("$JS.API.STREAM.INFO.{stream}"),
        "find the source's stream",
    );
    user.publish(format!("$JS.API.CONSUMER.INFO.{path}"), "find its consumer");
    user.sometimes(
        format!("$JS.API.CONSUMER.CREATE.{path}"),
        "make the consumer; remove this where somebody else makes it",
    );
    user.publish(
        format!("$JS.API.CONSUMER.MSG.NEXT.{path}"),
        "ask for messages",
    );
    user.publish(format!("$JS.ACK.{path}.>"), "acknowledge messages");
    user.sometimes(
        format!("$JS.ACK.*.*.{path}.>"),
        "the same, for servers that put domain and account first",
    );
    // A consumer that forebay makes does not give up; one that somebody else made may.
    user.of_use(format!("$JS.API.STREAM.MSG.GET.{stream}"), GIVEN_UP);
    user.of_use(format!("$JS.API.STREAM.MSG.DELETE.{stream}"), GIVEN_UP);
    add(
        &mut user.subscribe,
        format!("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{path}"),
        GIVEN_UP,
        Need::OfUse,
    );
    // More that the source asks of its stream goes here.
    inbox(user, server);
    names(user);
}

fn core_sink(user: &mut Permissions, target: &NatsTarget, what: &str) {
    match target {
        NatsTarget::Subject(template) => publish_results(user, template, what),
        // The source has a connection of its own, and the server counts who may answer by
        // connection: `allow_responses` would not let the sink's answer.
        NatsTarget::Reply => user.sometimes(
            "_INBOX.>",
            "answers; where senders have another inbox prefix, that one (`allow_responses` is not enough: requests come in on another connection)",
        ),
    }
}

fn stream_sink(
    user: &mut Permissions,
    server: &ServerOptions,
    target: &JetStreamTarget,
    what: &str,
) {
    publish_results(user, &target.subject, what);
    inbox(user, server);
    names(user);
    user.of_use(
        "$JS.API.STREAM.INFO.*",
        "warn of streams that lose what is stored in them",
    );
}

fn publish_results(user: &mut Permissions, template: &Template, what: &str) {
    user.publish(template.pattern(), what);
}

fn inbox(user: &mut Permissions, server: &ServerOptions) {
    let purpose = "whatever was asked for comes in here";
    match &server.inbox_prefix {
        Some(prefix) => user.subscribe(format!("{prefix}.>"), purpose),
        None => user.subscribe(
            "_INBOX.>",
            &format!(
                "{purpose}; with an `inbox_prefix` of its own it could not read others' answers"
            ),
        ),
    }
}

fn names(user: &mut Permissions) {
    user.of_use(
        "$JS.API.STREAM.NAMES",
        "say which streams there are where one is missing",
    );
    user.of_use(
        "$SYS.REQ.USER.INFO",
        "have `check --connect` compare these lists with what is allowed",
    );
}

impl Permissions {
    fn publish(&mut self, subject: impl Into<String>, purpose: &str) {
        add(&mut self.publish, subject.into(), purpose, Need::Always);
    }

    fn sometimes(&mut self, subject: impl Into<String>, purpose: &str) {
        add(&mut self.publish, subject.into(), purpose, Need::Sometimes);
    }

    fn of_use(&mut self, subject: impl Into<String>, purpose: &str) {
        add(&mut self.publish, subject.into(), purpose, Need::OfUse);
    }

    fn subscribe(&mut self, subject: impl Into<String>, purpose: &str) {
        add(&mut self.subscribe, subject.into(), purpose, Need::Always);
    }
}

fn add(list: &mut Vec<Allow>, subject: String, purpose: &str, need: Need) {
    match list.iter_mut().find(|known| known.subject == subject) {
        Some(known) => {
            if !known.purpose.split(", ").any(|part| part == purpose) {
                known.purpose = format!("{}, {purpose}", known.purpose);
            }
            known.need = known.need.min(need);
        }
        None => list.push(Allow {
            subject,
            purpose: purpose.to_owned(),
            need,
        }),
    }
}

/// What the user of `server` must be allowed for one pipeline, and where nothing is, `None`.
pub(super) fn permissions_at(plan: &Plan, server: &ServerOptions) -> Option<Permissions> {
    let mut all = permissions(std::slice::from_ref(plan));
    let (at, who) = (server.urls.join(", "), who(&server.auth));
    let index = all
        .iter()
        .position(|user| user.server == at && user.user == who)?;
    Some(all.swap_remove(index))
}

/// Everybody who signs in anywhere.
#[derive(Default)]
struct Users<'a> {
    /// Which servers, and who; one for each of `all`.
    keys: Vec<(&'a [String], &'a Auth)>,
    all: Vec<Permissions>,
}

impl<'a> Users<'a> {
    fn at(&mut self, server: &'a ServerOptions, plan: &Plan) -> &mut Permissions {
        let key = (server.urls.as_slice(), &server.auth);
        let index = self.keys.iter().position(|known| *known == key);
        let index = index.unwrap_or_else(|| {
            self.keys.push(key);
            self.all.push(Permissions {
                pipelines: Vec::new(),
                server: server.urls.join(", "),
                user: who(&server.auth),
                publish: Vec::new(),
                subscribe: Vec::new(),
            });
            self.all.len() - 1
        });
        let user = &mut self.all[index];
        if !user.pipelines.contains(&plan.name) {
            user.pipelines.push(plan.name.clone());
        }
        user
    }
}

fn who(auth: &Auth) -> String {
    match auth {
        Auth::None => "whoever does not sign in (`no_auth_user`)".to_owned(),
        Auth::Token(_) => "who has the token".to_owned(),
        Auth::User { user, .. } => format!("the user `{user}`"),
        Auth::CredentialsFile(path) => format!("the user of `{}`", path.display()),
        Auth::NkeyFile(path) => format!("the nkey of `{}`", path.display()),
    }
}
