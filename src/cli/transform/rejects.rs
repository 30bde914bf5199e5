//! Rows that were rejected: counted by reason, and written where that is wanted.

use std::{collections::BTreeMap, io::Write, path::Path};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Failure, target::Target};
use crate::{message::Reject, rows::RowsError};

/// A row that was rejected.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) row: u64,
    /// Its place in the list, where the row was a list of records.
    pub(super) record: Option<usize>,
    pub(super) reject: Reject,
    /// The row as it was read.
    pub(super) text: Bytes,
}

/// All of them.
pub(super) struct Rejects {
    file: Option<(Target, Box<dyn Write + Send>, String)>,
    most: Option<u64>,
    pub(super) count: u64,
    /// By the kind of the reason.
    pub(super) kinds: BTreeMap<&'static str, u64>,
    pub(super) first: Option<String>,
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    row: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<usize>,
    stage: &'a str,
    kind: &'a str,
    reason: &'a str,
    /// The row: as JSON where it is JSON, else as text.
    input: Box<RawValue>,
}

impl Rejects {
    pub(super) fn open(path: Option<&Path>, most: Option<u64>) -> Result<Self, Failure> {
        let file = match path {
            None => None,
            Some(path) => {
                let (target, file) = Target::create(Some(path))?;
                Some((target, file, format!("`{}`", path.display())))
            }
        };
        Ok(Self {
            file,
            most,
            count: 0,
            kinds: BTreeMap::new(),
            first: None,
        })
    }

    /// Counts and writes rows that were rejected, in their order. Says whether there may be more.
    pub(super) fn add(&mut self, rejected: &[Rejected]) -> Result<bool, RowsError> {
        for one in rejected {
            self.count += 1;
            *self.kinds.entry(one.reject.kind).or_default() += 1;
            if self.first.is_none() {
                self.first = Some(format!("row {}: {}", one.row, one.reject.reason));
            }
            if let Some((_, file, name)) = &mut self.file {
                let line = Line {
                    row: one.row,
                    record: one.record,
                    stage: one.reject.stage.name(),
                    kind: one.reject.kind,
                    reason: &one.reject.reason,
                    input: input(one),
                };
                let written = serde_json::to_writer(&mut *file, &line)
                    .map_err(std::io::Error::from)
                    .and_then(|()| file.write_all(b"\n"));
                written.map_err(|error| RowsError::write(name, &error))?;
            }
            if self.is_too_many() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether there are more than there may be.
    pub(super) fn is_too_many(&self) -> bool {
        self.most.is_some_and(|most| self.count > most)
    }

    /// Ends the file.
    pub(super) fn finish(&mut self) -> Result<(), RowsError> {
        let Some((target, mut file, name)) = self.file.take() else {
            return Ok(());
        };
        file.flush()
            .map_err(|error| RowsError::write(&name, &error))?;
        target.keep()
    }
}

fn input(rejected: &Rejected) -> Box<RawValue> {
    let text = String::from_utf8_lossy(&rejected.text);
    if let Some(record) = rejected.record
        && let Ok(mut records) = serde_json::from_str::<Vec<Box<RawValue>>>(&text)
        && record < records.len()
    {
        return records.swap_remove(record);
    }
    // Line ends between the values would end the line here too.
    let json = serde_json::from_str::<Box<RawValue>>(text.trim()).ok();
    json.filter(|json| !json.get().contains(['\n', '\r']))
        .or_else(|| serde_json::value::to_raw_value(&text).ok())
        .unwrap_or_default()
}
