//! Golden rows: messages whose results are known. They go through the pipeline's own decoder, engine
//! and encoder before the first message is taken, and what comes out must be what was expected.

mod compare;
mod lines;
mod once;
mod settle;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

pub(super) use self::settle::{Settled, settle};
pub use self::{
    compare::{Part, Tolerance, Worst, compare},
    settle::{Verified, verify},
};
use super::build;
use crate::{
    block::{Record, Table},
    config::plan::{EncodePlan, GoldenPlan, Plan},
    decode::{self, Decode, msgpack},
    encode::Encode,
    engine::{Engine, isolate},
    message::{Message, Position, Reject, Stage},
};

/// How many keys that differ are named.
const NAMED: usize = 8;

/// How many rows are run alone as well.
const ALONE: usize = 4;
/// How much further than from what is expected a result alone may be from the one beside others.
const NOISE: f64 = 10.0;

/// What came of the golden rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Golden {
    /// How many there are.
    pub rows: usize,
    /// How each key of the results compares; what differs in the first row comes first.
    pub parts: Vec<Part>,
    /// The file with the messages.
    pub input: PathBuf,
}

/// Why a pipeline may not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GoldenError(pub String);

impl Golden {
    /// Whether every row is as expected.
    pub fn passed(&self) -> bool {
        self.parts.iter().all(Part::passed)
    }

    /// Nothing, where every row is as expected.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn verdict(&self) -> Result<(), GoldenError> {
        if self.passed() {
            Ok(())
        } else {
            Err(GoldenError(self.to_string()))
        }
    }
}

impl fmt::Display for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.passed() {
            let rows = if self.rows == 1 {
                "row passes"
            } else {
                "rows pass"
            };
            return write!(f, "golden: {} {rows}", self.rows);
        }
        let wrong: Vec<&Part> = self.parts.iter().filter(|part| !part.passed()).collect();
        write!(f, "the golden rows in {} do not pass", self.input.display())?;
        for part in wrong.iter().take(NAMED) {
            write!(f, "\n  {part}")?;
        }
        match wrong.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more keys"),
        }
    }
}

/// The messages in a file that is written as the input of golden rows is, as they come in.
///
/// # Errors
/// The file cannot be read, is empty, or a line is no message; in words, with the line.
pub fn messages(plan: &Plan, file: &Path) -> Result<Vec<Bytes>, String> {
    let lines = lines::messages(plan, file)?;
    Ok(lines.into_iter().map(|line| line.payload).collect())
}

/// One such message, of its line.
///
/// # Errors
/// The line is no message; in words.
pub fn message_of(plan: &Plan, line: &str) -> Result<Bytes, String> {
    lines::payload(plan, line, Path::new(""))
}

fn run(
    plan: &Plan,
    golden: &GoldenPlan,
    engine: &mut dyn Engine,
    tolerance: Tolerance,
) -> Result<Golden, GoldenError> {
    let messages = lines::messages(plan, &golden.input).map_err(GoldenError)?;
    let expected = lines::results(&golden.expected).map_err(GoldenError)?;
    if messages.len() != expected.len() {
        return Err(GoldenError(format!(
            "{} has {} rows and {} has {}: there must be a result for each",
            golden.input.display(),
            messages.len(),
            golden.expected.display(),
            expected.len()
        )));
    }
    for (message, expected) in messages.iter().zip(&expected) {
        let checked = message.check_passed(&plan.passed, expected);
        checked.map_err(GoldenError)?;
    }
    let messages: Vec<Bytes> = messages.into_iter().map(|line| line.payload).collect();
    let hosts = build::hosts(plan).map_err(|error| GoldenError(error.to_string()))?;
    let mut pass = Pass {
        plan,
        decoder: build::decoder(plan, build::placed(plan, &hosts)),
        encoder: build::encoder(plan),
        found: vec![Value::Null; messages.len()],
    };
    let most = plan.batch.max_rows.max(1);
    for (number, batch) in messages.chunks(most).enumerate() {
        pass.batch(number * most, batch, engine)?;
    }
    let mut parts = compare(&expected, &pass.found, tolerance);
    let mixed = pass.mixed(&messages, engine, tolerance)?;
    parts.splice(..0, mixed);
    Ok(Golden {
        rows: expected.len(),
        parts,
        input: golden.input.clone(),
    })
}

/// The rooms that a message goes through.
struct Pass<'p> {
    plan: &'p Plan,
    decoder: Box<dyn Decode>,
    encoder: Box<dyn Encode>,
    /// What became of each message.
    found: Vec<Value>,
}

impl Pass<'_> {
    /// Messages that run together, of which the first has this number.
    fn batch(
        &mut self,
        first: usize,
        messages: &[Bytes],
        engine: &mut dyn Engine,
    ) -> Result<(), GoldenError> {
        let table = build::table(self.plan);
        let numbered = messages.iter().enumerate();
        let messages = numbered.map(|(at, payload)| message(first + at, payload));
        let stateful = self.plan.engine.state.is_some();
        let by = self.plan.order_by.as_ref().filter(|_| stateful);
        let mut rejects = Vec::new();
        let block = decode::block(
            &mut *self.decoder,
            messages,
            table,
            |message, table, rows| {
                if let Some(by) = by {
                    by.note(message, table, rows.len());
                }
                Ok(())
            },
            |message, reject| rejects.push((message, reject)),
        );
        for (message, reject) in rejects {
            self.note(&message, rejected(&reject));
        }
        let ran = isolate::run_isolated(engine, block, Table::default())
            .map_err(|error| GoldenError(error.to_string()))?;
        for (record, reason) in ran.failed {
            let reject = Reject::new(Stage::Engine, "model", reason);
            self.note(&record.message, rejected(&reject));
        }
        for mut part in ran.scored {
            if let Some(by) = by {
                by.take_off(&mut part.block.table);
            }
            let mut row = 0;
            for record in &part.block.records {
                let rows = row..row + record.rows;
                row = rows.end;
                let mut bytes = BytesMut::new();
                let input = &part.block.table;
                let written = (self.encoder).encode(record, rows, input, &part.output, &mut bytes);
                let result = match written {
                    Ok(_) => self.read(record, &bytes)?,
                    Err(reject) => rejected(&reject),
                };
                self.note(&record.message, result);
            }
        }
        Ok(())
    }

    /// Runs some messages alone, where others were beside them before, and says what differs: a model that mixes the rows of
    /// a batch may give what is expected by chance.
    fn mixed(
        &mut self,
        messages: &[Bytes],
        engine: &mut dyn Engine,
        tolerance: Tolerance,
    ) -> Result<Option<Part>, GoldenError> {
        // Where something is held between rows, a row alone is another row.
        let stateful = self.plan.engine.state.is_some();
        let most = if self.plan.batch.max_rows < 2 || messages.len() < 2 || stateful {
            0
        } else {
            ALONE
        };
        let messages = messages.get(..messages.len().min(most)).unwrap_or_default();
        let together = self.found.clone();
        for (number, message) in messages.iter().enumerate() {
            self.batch(number, std::slice::from_ref(message), engine)?;
        }
        let alone = std::mem::replace(&mut self.found, together);
        let count = messages.len();
        // The runtime adds up in another order for another number of rows, which long sums show.
        let tolerance = Tolerance {
            relative: tolerance.relative.max(1e-3) * NOISE,
            absolute: tolerance.absolute.max(1e-5) * NOISE,
        };
        let parts = compare(&self.found[..count], &alone[..count], tolerance);
        let differs = parts.into_iter().find(|part| !part.passed());
        Ok(differs.map(compare::mixed))
    }

    /// A result as JSON, whatever it is written in.
    fn read(&self, record: &Record, bytes: &[u8]) -> Result<Value, GoldenError> {
        let bug = |error: String| GoldenError(format!("a result cannot be read again: {error}"));
        match &self.plan.encode {
            EncodePlan::Json(_) => {
                serde_json::from_slice(bytes).map_err(|error| bug(error.to_string()))
            }
            EncodePlan::Msgpack(_) => {
                let text = msgpack::json(bytes).map_err(|reject| bug(reject.reason))?;
                serde_json::from_slice(&text).map_err(|error| bug(error.to_string()))
            }
            EncodePlan::Tensor(_) => {
                let headers = self.encoder.headers(record.rows, &record.layout);
                lines::tensor(bytes, &headers).map_err(bug)
            }
        }
    }

    fn note(&mut self, message: &Message, result: Value) {
        let number = message.position.as_ref().map(|position| position.sequence);
        let place = number.and_then(|number| usize::try_from(number).ok());
        if let Some(found) = place.and_then(|place| self.found.get_mut(place)) {
            *found = result;
        }
    }
}

/// How a rejected message stands among results: as a rejected record does in a list.
fn rejected(reject: &Reject) -> Value {
    json!({ "error": { "stage": reject.stage.name(), "reason": reject.reason } })
}

/// A message of ours; its place in the stream is its number.
fn message(number: usize, payload: &Bytes) -> Message {
    let position = Position {
        stream: Arc::from("golden"),
        incarnation: 0,
        sequence: number as u64,
        delivered: 1,
        again: false,
        kept: false,
        stored: None,
    };
    Message {
        subject: Bytes::from_static(b"golden"),
        position: Some(Arc::new(position)),
        ..Message::of(payload.clone())
    }
}
