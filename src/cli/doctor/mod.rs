//! `forebay doctor`: says what this machine has of what forebay can use, what is missing, and what that costs.

mod machine;
mod parts;
mod table;

use serde::Serialize;

use super::{Exit, Failure, Globals, output};
use crate::engine::cuda::probe;

/// What `doctor` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Print one JSON object instead of a table for people
    #[arg(long)]
    json: bool,
}

pub(super) fn examples() -> String {
    super::examples!(
        "forebay doctor                     what is there, what is missing, and what that costs",
        "forebay doctor --json | jq .ready  whether it can run at all",
    )
}

/// How something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// It is there and can be used.
    Found,
    /// It is not there.
    Missing,
    /// It is there and cannot be used.
    Unusable,
    /// It is there, and less than may be needed.
    Low,
}

/// A line of the table.
#[derive(Debug, Serialize)]
struct Finding {
    /// Which part of the table it is in.
    part: &'static str,
    name: String,
    status: Status,
    /// Whether nothing goes without it.
    needed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// What else is to be said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<std::path::PathBuf>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What is so without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    without: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn found(part: &'static str, name: impl Into<String>) -> Self {
        Self {
            part,
            name: name.into(),
            status: Status::Found,
            needed: false,
            version: None,
            details: None,
            path: None,
            why: None,
            without: None,
            mend: None,
        }
    }
}

/// Everything, for programs.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether all that is needed is there.
    ready: bool,
    forebay: &'static str,
    findings: Vec<Finding>,
}

/// Looks, and prints.
///
/// # Errors
/// Something without which nothing goes is missing (exit 69): ONNX Runtime. A GPU is not needed.
pub fn doctor(args: &Args, globals: &Globals) -> Result<(), Failure> {
    let mut findings = machine::findings();
    findings.push(parts::onnxruntime(globals.onnxruntime.as_deref()));
    findings.push(parts::kernels());
    findings.extend(parts::cuda(&probe::probe()));
    findings.push(parts::nats_server());
    let lacking: Vec<&str> = (findings.iter())
        .filter(|one| one.needed && one.status != Status::Found)
        .map(|one| one.name.as_str())
        .collect();
    let missing = (!lacking.is_empty()).then(|| lacking.join(" and "));
    let report = Report {
        ready: missing.is_none(),
        forebay: env!("CARGO_PKG_VERSION"),
        findings,
    };
    if args.json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::failed(format!("the report cannot be written: {error}")))?;
        output::print(&(text + "\n"))?;
    } else {
        output::print(&table::render(&report.findings))?;
    }
    match missing {
        None if args.json => Ok(()),
        None => output::print("\nEverything that is needed is there.\n"),
        Some(names) => Err(Failure::new(
            Exit::Unavailable,
            format!("{names} cannot be used, and nothing goes without"),
        )),
    }
}
