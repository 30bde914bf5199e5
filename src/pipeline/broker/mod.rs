//! The broker's side of a pipeline: is everything there, and does it keep what the pipeline promises?
//!
//! All questions are courtesies: a user who may not ask them can run the pipeline all the same.

mod allowed;
mod settings;

use std::{future::Future, time::Duration};

use super::{
    build::{BuildError, own_subjects},
    connections::Connections,
    permissions::permissions_at,
};
use crate::{
    config::plan::{Plan, SinkPlan, SourcePlan},
    nats::{
        Connection, ServerOptions,
        api::{
            ApiError, CONSUMER_NOT_FOUND, STREAM_NOT_FOUND, courteous_consumer_info,
            courteous_stream_info, find_streams, own_permissions, quick_stream_info,
        },
    },
    sink::jetstream::no_taker,
    source::jetstream::{JetStreamOptions, check as check_consumer, no_circle, no_stream},
};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The pipeline cannot run.
    Error,
    /// It runs, and may lose something or store it twice.
    Warning,
    /// To be known.
    Note,
}

/// One thing that the broker's answers tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, and what to do.
    pub text: String,
}

impl Finding {
    fn error(text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            text: text.into(),
        }
    }

    fn warning(text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            text: text.into(),
        }
    }

    fn note(text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Note,
            text: text.into(),
        }
    }
}

/// How long `inspect` tries to connect: a person waits.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// How long a start may be held up by questions that it could do without.
const LOOK_WITHIN: Duration = Duration::from_secs(3);
const ASK: &str = "; see `forebay check --permissions`";

/// Connects, and looks for everything that the pipeline needs: streams, consumer, settings. Makes
/// and changes nothing.
pub async fn inspect(plan: &Plan) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut connections = Connections::within(CONNECT_WITHIN);
    for server in servers(plan) {
        let connection = match connections.get(server, &plan.name).await {
            Ok(connection) => connection,
            Err(error) => {
                found.push(Finding::error(error.message));
                continue;
            }
        };
        let looked = async {
            let mut here = look_at_permissions(&connection, plan, server).await;
            if let SourcePlan::JetStream(at, options) = &plan.source
                && at == server
            {
                here.extend(look_at_source(&connection, plan, options).await);
            }
            let targets = look_at_targets(&connection, plan, server).await;
            here.extend(targets.missing);
            here.extend(targets.settings);
            here
        };
        found.extend(unless_fatal(&connection, looked).await);
    }
    found.sort_by_key(|finding| finding.severity);
    found
}

/// At the start of a run: warns of settings that break the promise. What is missing, the rooms say.
///
/// # Errors
/// A stream under which nothing could ever be settled.
pub(super) async fn warn(plan: &Plan, connections: &mut Connections) -> Result<(), BuildError> {
    for server in servers(plan) {
        let connection = connections.get(server, &plan.name).await?;
        let looked = async {
            let mut here = look_at_targets(&connection, plan, server).await.settings;
            if let SourcePlan::JetStream(at, options) = &plan.source
                && at == server
                && let Ok(info) = quick_stream_info(&connection, &options.stream).await
            {
                here.extend(settings::input(&info));
            }
            here
        };
        // What is fatal, the rooms say in their own words.
        let found = tokio::select! {
            found = looked => found,
            _ = connection.fatal() => continue,
            () = tokio::time::sleep(LOOK_WITHIN) => continue,
        };
        for Finding { severity, text } in found {
            match severity {
                Severity::Error => return Err(BuildError::Stream(text)),
                Severity::Warning => tracing::warn!(pipeline = plan.name, "{text}"),
                Severity::Note => tracing::info!(pipeline = plan.name, "{text}"),
            }
        }
    }
    Ok(())
}

async fn unless_fatal(
    connection: &Connection,
    looked: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    tokio::select! {
        found = looked => found,
        sentence = connection.fatal() => vec![Finding::error(format!("{sentence}{ASK}"))],
    }
}

/// All servers of a pipeline, each once.
fn servers(plan: &Plan) -> Vec<&ServerOptions> {
    let ends = [
        plan.source.server(),
        plan.sink.server(),
        plan.dead_letter.as_ref().and_then(SinkPlan::server),
    ];
    let mut servers: Vec<&ServerOptions> = Vec::new();
    for server in ends.into_iter().flatten() {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

/// How long a message may come again, where it does.
pub(super) fn horizon(plan: &Plan) -> Option<Duration> {
    match &plan.source {
        SourcePlan::JetStream(_, options) => {
            let times = u32::try_from(options.max_deliver).unwrap_or(u32::MAX);
            Some(options.ack_wait.saturating_mul(times))
        }
        SourcePlan::Nats(..) | SourcePlan::File(_) => None,
    }
}

/// Only where answers are needed anyway: to ask, one must be allowed to listen for the answer.
async fn look_at_permissions(
    connection: &Connection,
    plan: &Plan,
    server: &ServerOptions,
) -> Vec<Finding> {
    let Some(needed) = permissions_at(plan, server) else {
        return Vec::new();
    };
    let inbox = format!("{}.>", server.inbox_prefix.as_deref().unwrap_or("_INBOX"));
    if needed.subscribe.iter().all(|allow| allow.subject != inbox) {
        return Vec::new();
    }
    let granted = own_permissions(connection).await;
    granted.map_or_else(Vec::new, |granted| allowed::compare(&needed, &granted))
}

async fn look_at_source(
    connection: &Connection,
    plan: &Plan,
    options: &JetStreamOptions,
) -> Vec<Finding> {
    let (stream, name) = (&options.stream, &options.consumer);
    let server = connection.server();
    let info = match courteous_stream_info(connection, stream).await {
        Ok(info) => info,
        Err(ApiError::Refused {
            code: STREAM_NOT_FOUND,
            ..
        }) => {
            return vec![Finding::error(no_stream(connection, stream).await)];
        }
        Err(error) => {
            return vec![problem(
                &error,
                &format!("cannot look up the stream `{stream}`"),
                server,
            )];
        }
    };
    let mut found = settings::input(&info);
    let own = match &plan.source {
        SourcePlan::JetStream(server, _) => own_subjects(plan, server),
        SourcePlan::Nats(..) | SourcePlan::File(_) => Vec::new(),
    };
    found.extend(
        no_circle(connection, &info.config, options, &own)
            .await
            .err()
            .map(Finding::error),
    );
    match courteous_consumer_info(connection, stream, name).await {
        Ok(info) => {
            let misfit = check_consumer(&info.config, options).err();
            found.extend(misfit.map(Finding::error));
            found.extend(settings::durable(&info.config));
        }
        Err(ApiError::Refused {
            code: CONSUMER_NOT_FOUND,
            ..
        }) => found.push(Finding::note(format!(
            "the stream `{stream}` has no consumer `{name}`; `forebay run` makes it"
        ))),
        Err(error) => {
            let what = format!("cannot look up the consumer `{name}` of the stream `{stream}`");
            found.push(problem(&error, &what, server));
        }
    }
    found
}

fn problem(error: &ApiError, what: &str, server: &str) -> Finding {
    let hint = if matches!(error, ApiError::Forbidden(_)) {
        ASK
    } else {
        ""
    };
    Finding::error(format!("{}{hint}", error.sentence(what, server)))
}

/// What the streams that take results or dead letters tell.
#[derive(Default)]
struct Targets {
    /// What is not there, or cannot be looked up.
    missing: Vec<Finding>,
    settings: Vec<Finding>,
}

async fn look_at_targets(connection: &Connection, plan: &Plan, server: &ServerOptions) -> Targets {
    let mut found = Targets::default();
    let mut streams: Vec<(String, &str)> = Vec::new();
    for (subject, what) in targets(plan, server) {
        match find_streams(connection, Some(&subject)).await {
            Ok(names) if names.is_empty() => {
                let sentence = no_taker(connection, &subject, what);
                found.missing.push(Finding::error(sentence));
            }
            Ok(names) => {
                for name in names {
                    match streams.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, both)) => *both = "results and dead letters",
                        None => streams.push((name, what)),
                    }
                }
            }
            Err(error) => found.missing.push(unasked(
                &error,
                &format!("cannot look up which stream takes the {what}"),
                connection.server(),
            )),
        }
    }
    for (name, what) in streams {
        match courteous_stream_info(connection, &name).await {
            Ok(info) => found
                .settings
                .extend(settings::output(&info, what, horizon(plan))),
            Err(error) => found.missing.push(unasked(
                &error,
                &format!("cannot look up how the stream `{name}` keeps {what}"),
                connection.server(),
            )),
        }
    }
    found
}

/// The subjects at `server` that must be stored, and what goes there.
fn targets(plan: &Plan, server: &ServerOptions) -> Vec<(String, &'static str)> {
    let ends = [Some(&plan.sink), plan.dead_letter.as_ref()];
    let target = |end: &SinkPlan| match end {
        SinkPlan::JetStream(at, target) if at == server => {
            Some((target.subject.pattern(), target.purpose.many()))
        }
        _ => None,
    };
    ends.into_iter().flatten().filter_map(target).collect()
}

/// The pipeline runs without this answer, so not being allowed to ask is no error.
fn unasked(error: &ApiError, what: &str, server: &str) -> Finding {
    match error {
        ApiError::Forbidden(_) => Finding::note(format!("{}{ASK}", error.sentence(what, server))),
        _ => Finding::error(error.sentence(what, server)),
    }
}
