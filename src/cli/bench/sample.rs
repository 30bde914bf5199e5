//! The messages that are sent: from a file, from the golden rows, or made up from the contract.

use std::path::Path;

use bytes::Bytes;

use super::{made, memory};
use crate::{
    cli::{Exit, Failure},
    config::plan::{Plan, SourcePlan},
    pipeline::golden,
    rows::{
        Format,
        read::{self, Wanted},
    },
};

/// More messages than this are not held.
const MOST: usize = 100_000;
/// Subjects, where the source reads more than one.
const SUBJECTS: u64 = 100;

/// Messages as they come in.
#[derive(Debug)]
pub(super) struct Sample {
    messages: Vec<Bytes>,
    subjects: Vec<Bytes>,
    /// Where they are from, in words.
    pub(super) from: String,
}

impl Sample {
    /// The messages in this file; else the golden rows; else made up.
    ///
    /// # Errors
    /// The file cannot be read or has another form, or such rows cannot be made up.
    pub(super) fn of(plan: &Plan, file: Option<&Path>) -> Result<Self, Failure> {
        let unreadable = |why: String| Failure::new(Exit::NoInput, why);
        let (messages, from) = match (file, &plan.golden) {
            (Some(file), _) => (of_file(plan, file)?, format!("rows of {}", file.display())),
            (None, Some(golden)) => (
                golden::messages(plan, &golden.input).map_err(unreadable)?,
                "the golden rows".to_owned(),
            ),
            (None, None) => (
                made::messages(plan).map_err(|why| Failure::new(Exit::Usage, why))?,
                "rows made up from the fields' types and limits".to_owned(),
            ),
        };
        let pattern = match &plan.source {
            SourcePlan::Nats(_, options) => options.subject.as_str(),
            SourcePlan::JetStream(_, options) => {
                options.filter_subject.as_deref().unwrap_or("bench.*")
            }
            SourcePlan::File(_) => "bench",
        };
        let subjects = (0..SUBJECTS).map(|number| memory::subject(pattern, number));
        Ok(Self {
            messages,
            subjects: subjects.collect(),
            from,
        })
    }

    /// The subject and the payload of the message with this number.
    pub(super) fn message(&self, number: u64) -> (Bytes, Bytes) {
        let of = |all: &[Bytes]| {
            let place = number % (all.len().max(1) as u64);
            let place = usize::try_from(place).unwrap_or_default();
            all.get(place).cloned().unwrap_or_default()
        };
        (of(&self.subjects), of(&self.messages))
    }

    /// How many different messages there are.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }
}

fn of_file(plan: &Plan, file: &Path) -> Result<Vec<Bytes>, Failure> {
    let unreadable = |why: String| Failure::new(Exit::NoInput, why);
    let format = match Format::of(file) {
        // Lines may also be lists of rows, or name files.
        None | Some(Format::Jsonl) => {
            let mut messages = golden::messages(plan, file).map_err(unreadable)?;
            messages.truncate(MOST);
            return Ok(messages);
        }
        Some(format) => format,
    };
    let wanted = Wanted {
        fields: &plan.fields,
        passed: &plan.passed,
    };
    let failed = |error: crate::rows::RowsError| unreadable(error.to_string());
    let (mut reader, _) = read::open(Some(file), format, wanted).map_err(failed)?;
    let mut messages = Vec::new();
    loop {
        let mut rows = Vec::new();
        reader.read(1024, &mut rows).map_err(failed)?;
        if rows.is_empty() || messages.len() >= MOST {
            break;
        }
        for row in rows {
            if let Some(fault) = row.fault {
                let (file, number) = (file.display(), row.number);
                return Err(unreadable(format!(
                    "{file}, row {number}: {}",
                    fault.reason
                )));
            }
            let line = String::from_utf8_lossy(&row.text);
            messages.push(golden::message_of(plan, &line).map_err(unreadable)?);
        }
    }
    if messages.is_empty() {
        return Err(unreadable(format!("{} has no rows", file.display())));
    }
    Ok(messages)
}
