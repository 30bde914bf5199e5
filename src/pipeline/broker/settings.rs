//! Settings of streams and consumers under which messages or results are lost, or stored twice.

use std::time::Duration;

use async_nats::jetstream::{
    consumer,
    stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType},
};

use super::Finding;

/// What is wrong with a stream that keeps `what` (results, dead letters). A message is delivered
/// again for as long as `horizon`, where it is at all.
pub(super) fn output(info: &Info, what: &str, horizon: Option<Duration>) -> Vec<Finding> {
    let config = &info.config;
    let stream = format!("the stream `{}`", config.name);
    let mut found = Vec::new();
    if config.no_ack {
        found.push(Finding::error(format!(
            "{stream} confirms nothing (no_ack), so no {what} would ever count as stored; set its no_ack to false"
        )));
    }
    if config.sealed {
        found.push(Finding::error(format!(
            "{stream} is sealed and takes no {what}; name another subject, or make the stream anew"
        )));
    }
    if let Some(horizon) = horizon.filter(|horizon| config.duplicate_window < *horizon) {
        let age = match config.max_age {
            age if !age.is_zero() && age < horizon => format!(", and its max_age of {age:?} too"),
            _ => String::new(),
        };
        found.push(Finding::warning(format!(
            "{stream} knows message ids for {:?} (duplicate_window), and a message may be delivered again for {horizon:?} (ack_wait × max_deliver): a message delivered again after the window would be stored twice; set duplicate_window to at least {horizon:?}{age}",
            config.duplicate_window
        )));
    }
    let limits = limits(config);
    if config.discard == DiscardPolicy::Old && !limits.is_empty() {
        found.push(Finding::warning(format!(
            "{stream} removes its oldest messages when it is full ({}, discard: old): {what} that nobody has read would be lost without a word; set `discard: new`, and forebay waits while it is full",
            limits.join(", ")
        )));
    }
    if let Some(most) = kept_per_subject(config) {
        found.push(Finding::note(format!(
            "{stream} keeps the last {most} of each subject only (max_msgs_per_subject)"
        )));
    }
    if config.retention == RetentionPolicy::Interest && info.state.consumer_count == 0 {
        found.push(Finding::warning(format!(
            "{stream} keeps only what a consumer waits for (retention: interest), and has no consumer: {what} would be lost; make the consumer first"
        )));
    }
    found.extend(in_memory(config, what));
    found
}

/// What is to be known about the stream that messages come from.
pub(super) fn input(info: &Info) -> Vec<Finding> {
    let config = &info.config;
    let mut causes = Vec::new();
    if !config.max_age.is_zero() {
        causes.push(format!("max_age {:?}", config.max_age));
    }
    if config.discard == DiscardPolicy::Old {
        causes.extend(limits(config));
    }
    if let Some(most) = kept_per_subject(config) {
        causes.push(format!("max_msgs_per_subject {most}"));
    }
    let mut found = Vec::new();
    if !causes.is_empty() {
        found.push(Finding::note(format!(
            "the stream `{}` removes messages by itself ({}): what is not read by then is lost",
            config.name,
            causes.join(", ")
        )));
    }
    found.extend(in_memory(config, "messages"));
    found
}

/// What makes a durable consumer less than durable.
pub(super) fn durable(config: &consumer::Config) -> Option<Finding> {
    let after = config.inactive_threshold;
    (!after.is_zero()).then(|| {
        Finding::warning(format!(
            "the consumer `{}` is removed when nobody reads for {after:?} (inactive_threshold), and a new one would deliver everything again; set it to 0",
            config.durable_name.as_deref().or(config.name.as_deref()).unwrap_or_default()
        ))
    })
}

fn limits(config: &Config) -> Vec<String> {
    let limits = [
        ("max_msgs", config.max_messages),
        ("max_bytes", config.max_bytes),
    ];
    let set = limits.into_iter().filter(|(_, most)| *most > 0);
    set.map(|(name, most)| format!("{name} {most}")).collect()
}

/// How many messages of one subject are kept, where older ones make room for newer ones.
fn kept_per_subject(config: &Config) -> Option<i64> {
    let refused = config.discard == DiscardPolicy::New && config.discard_new_per_subject;
    let most = config.max_messages_per_subject;
    (most > 0 && !refused).then_some(most)
}

fn in_memory(config: &Config, what: &str) -> Option<Finding> {
    (config.storage == StorageType::Memory && config.num_replicas <= 1).then(|| {
        Finding::warning(format!(
            "the stream `{}` keeps {what} in the memory of one server, and a restart of it loses them; use file storage, or several replicas",
            config.name
        ))
    })
}
