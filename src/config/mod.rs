//! The pipeline file: what may be written (`raw`), what it means ([`plan`]), and what is wrong with
//! it (`report`). Knows no broker and runs no model; what must be known about models it asks of a
//! [`ModelCatalog`].

mod env;
mod mask;
mod node;
pub mod plan;
mod print;
mod print_keys;
mod raw;
mod read;
mod reference;
mod report;
mod resolve;
mod schema;
mod url;

use std::path::Path;

pub use self::{
    plan::Plan, print::resolved, reference::reference, report::ConfigErrors, schema::schema,
};
use self::{
    plan::{Offline, Selection, SourcePlan},
    report::Report,
};
use crate::engine::ModelCatalog;

/// Reads and checks a pipeline file, with the environment of this process.
///
/// # Errors
/// Everything that is wrong with the file, each with its place in it.
pub fn load(path: &Path, catalog: &mut dyn ModelCatalog) -> Result<Plan, ConfigErrors> {
    read_file(path, None, catalog).map(|(plan, _)| plan)
}

/// The same for a run over rows of files: what the file says of source, sink and dead letter is
/// not looked at, and `offline` says which steps run and what is written.
///
/// # Errors
/// As for [`load`]; or what is to be written is not there.
pub fn load_offline(
    path: &Path,
    offline: &Offline,
    catalog: &mut dyn ModelCatalog,
) -> Result<(Plan, Selection), ConfigErrors> {
    read_file(path, Some(offline), catalog)
}

fn read_file(
    path: &Path,
    offline: Option<&Offline>,
    catalog: &mut dyn ModelCatalog,
) -> Result<(Plan, Selection), ConfigErrors> {
    let text = std::fs::read(path).map_err(|error| ConfigErrors::unreadable(path, &error))?;
    let text = String::from_utf8(text).map_err(|_| {
        let report = Report::new(format!("`{}` is not UTF-8 text", path.display()));
        ConfigErrors::new(
            path,
            "",
            vec![report.help("a pipeline file is YAML, not a model")],
        )
    })?;
    let env = |name: &str| std::env::var(name).ok();
    resolve_text(path, &text, &env, offline, catalog)
}

/// Checks the text of a pipeline file that stands at `path`, with the environment that `env` gives.
///
/// # Errors
/// As for [`load`].
pub fn load_text(
    path: &Path,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    catalog: &mut dyn ModelCatalog,
) -> Result<Plan, ConfigErrors> {
    resolve_text(path, text, env, None, catalog).map(|(plan, _)| plan)
}

fn resolve_text(
    path: &Path,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    offline: Option<&Offline>,
    catalog: &mut dyn ModelCatalog,
) -> Result<(Plan, Selection), ConfigErrors> {
    let mut reports = Vec::new();
    let raw = node::parse(text, env, &mut reports)
        .and_then(|root| read::read::<raw::Pipeline>(&root, &mut reports));
    let plan =
        raw.and_then(|raw| resolve::resolve(&raw, (path, text), offline, catalog, &mut reports));
    plan.ok_or_else(|| ConfigErrors::new(path, text, reports))
}

/// Checks what several pipelines in one process must not have in common.
///
/// # Errors
/// Two of them have the same name, so that their metrics could not be told apart; or they share a
/// JetStream consumer, so that each would get a part of the messages.
pub fn check_together(plans: &[Plan]) -> Result<(), ConfigErrors> {
    let mut reports = Vec::new();
    for (at, plan) in plans.iter().enumerate() {
        let before = &plans[..at];
        let file = plan.file.display();
        if let Some(other) = before.iter().find(|other| other.name == plan.name) {
            reports.push(
                Report::new(format!(
                    "two pipelines are called `{}`: `{}` and `{file}`",
                    plan.name,
                    other.file.display(),
                ))
                .help("give one of them another `name`: it tells their metrics apart"),
            );
        }
        if let Some(other) = before.iter().find(|other| shares_consumer(other, plan))
            && let SourcePlan::JetStream(_, options) = &plan.source
        {
            reports.push(
                Report::new(format!(
                    "two pipelines read the consumer `{}` of the stream `{}`: `{}` and `{file}`",
                    options.consumer,
                    options.stream,
                    other.file.display(),
                ))
                .help("give one of them another `consumer`: with one, each gets a part of the messages")
                .help("for more threads in one pipeline, raise `workers`"),
            );
        }
    }
    match plans.last() {
        Some(last) if !reports.is_empty() => Err(ConfigErrors::new(&last.file, "", reports)),
        _ => Ok(()),
    }
}

fn shares_consumer(one: &Plan, other: &Plan) -> bool {
    match (&one.source, &other.source) {
        (SourcePlan::JetStream(server, one), SourcePlan::JetStream(other_server, other)) => {
            one.stream == other.stream
                && one.consumer == other.consumer
                && server
                    .urls
                    .iter()
                    .any(|url| other_server.urls.contains(url))
        }
        _ => false,
    }
}
