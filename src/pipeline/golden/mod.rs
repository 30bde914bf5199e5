//! Golden rows: messages whose results are known. They go through the pipeline's own decoder, engine
//! and encoder before the first message is taken, and what comes out must be what was expected.

mod compare;
mod lines;
#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf, sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

pub use self::compare::{Part, Tolerance, Worst, compare};
use super::build;
use crate::{
    block::{Block, Record, Table},
    config::plan::{EncodePlan, GoldenPlan, Plan},
    decode::{Decode, msgpack},
    encode::Encode,
    engine::{self, Engine, isolate},
    message::{Ack, Message, Position, Reject, Stage},
};

/// How many keys that differ are named.
const NAMED: usize = 8;

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

/// Runs the golden rows of the pipeline, where it has any, in an engine of its own.
///
/// # Errors
/// A file cannot be read or has another form; the models cannot be loaded. Not: rows that differ.
pub fn verify(
    plan: &Plan,
    tolerance: impl Fn(&GoldenPlan) -> Tolerance,
) -> Result<Option<Golden>, GoldenError> {
    let Some(golden) = &plan.golden else {
        return Ok(None);
    };
    let mut engine =
        engine::load(&plan.engine, &plan.fields).map_err(|error| GoldenError(error.to_string()))?;
    run(plan, golden, &mut *engine, tolerance(golden)).map(Some)
}

/// Runs the golden rows of the pipeline, where it has any, in this engine.
///
/// # Errors
/// As [`verify`]; or rows differ.
pub(super) fn check(plan: &Plan, engine: &mut dyn Engine) -> Result<Option<Golden>, GoldenError> {
    let Some(golden) = &plan.golden else {
        return Ok(None);
    };
    let ran = run(plan, golden, engine, Tolerance::of(golden));
    // What is held of the golden rows is nothing to the first messages.
    engine.forget();
    let ran = ran?;
    ran.verdict()?;
    Ok(Some(ran))
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
    Ok(Golden {
        rows: expected.len(),
        parts: compare(&expected, &pass.found, tolerance),
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
        let mut block = Block {
            records: Vec::with_capacity(messages.len()),
            table: build::table(self.plan),
        };
        let held_by = self.plan.order_by.as_ref();
        let held_by = held_by.filter(|_| self.plan.engine.state.is_some());
        let mut rows = 0;
        for (at, payload) in messages.iter().enumerate() {
            let message = message(first + at, payload);
            match self.decoder.decode(&message, &mut block.table) {
                Ok(decoded) => {
                    if let Some(by) = held_by {
                        by.note(&message, &mut block.table, decoded.rows);
                    }
                    rows += decoded.rows;
                    block.table.rows = rows;
                    block.records.push(Record {
                        message,
                        rows: decoded.rows,
                        layout: decoded.layout,
                    });
                }
                Err(reject) => {
                    block.table.truncate(rows);
                    self.note(&message, rejected(&reject));
                }
            }
        }
        let ran = isolate::run_isolated(engine, block, Table::default())
            .map_err(|error| GoldenError(error.to_string()))?;
        for (record, reason) in ran.failed {
            let reject = Reject::new(Stage::Engine, "model", reason);
            self.note(&record.message, rejected(&reject));
        }
        for mut part in ran.scored {
            if let Some(by) = held_by {
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
    };
    Message {
        subject: Bytes::from_static(b"golden"),
        reply: None,
        payload: payload.clone(),
        headers: None,
        position: Some(Arc::new(position)),
        received: Instant::now(),
        ack: Ack::none(),
    }
}
