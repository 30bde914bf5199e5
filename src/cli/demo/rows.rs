//! The rows that the demo sends, and what is true of them.

use std::path::Path;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::{Exit, Failure};

/// Names the row in the sample, in the row that is sent and in the result.
const ID: &str = "id";

/// The rows of a sample, each with its true label.
#[derive(Debug)]
pub(super) struct Rows(Vec<Row>);

#[derive(Debug)]
struct Row {
    /// The object's text behind its first key, which is the id.
    rest: String,
    truth: Option<Value>,
}

/// What the demo reads of a result.
#[derive(Debug, Deserialize)]
pub(super) struct Scored {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) label: Value,
}

impl Rows {
    /// Reads a sample; `truth` is the field with the true label.
    ///
    /// # Errors
    /// The file cannot be read, or is not JSON lines.
    pub(super) fn load(path: &Path, truth: &str) -> Result<Self, Failure> {
        let cannot =
            |why: String| Failure::new(Exit::NoInput, format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path)
            .map_err(|error| cannot(format!("the sample rows cannot be read: {error}")))?;
        let rows = text
            .lines()
            .zip(1_u64..)
            .filter(|(line, _)| !line.trim().is_empty())
            .map(|(line, number)| {
                Row::parse(line, truth).map_err(|error| cannot(format!("line {number}: {error}")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if rows.is_empty() {
            return Err(cannot("there are no rows in it".to_owned()));
        }
        Ok(Self(rows))
    }

    /// The message with this number: the rows over and over, each time under another id, so that
    /// every result can be told from every other.
    pub(super) fn message(&self, number: u64) -> Bytes {
        format!("{{\"{ID}\":{number}{}", self.row(number).rest).into()
    }

    /// Whether `label` is right for the message with this number, where that is known.
    pub(super) fn is_right(&self, number: u64, label: &Value) -> Option<bool> {
        let truth = self.row(number).truth.as_ref()?;
        Some(
            truth == label
                || truth
                    .as_f64()
                    .is_some_and(|truth| label.as_f64() == Some(truth)),
        )
    }

    fn row(&self, number: u64) -> &Row {
        let index = number % self.0.len() as u64;
        &self.0[usize::try_from(index).unwrap_or_default()]
    }
}

impl Row {
    fn parse(line: &str, truth: &str) -> Result<Self, serde_json::Error> {
        let mut row: Map<String, Value> = serde_json::from_str(line)?;
        row.remove(ID);
        let truth = row.get(truth).cloned();
        let text = serde_json::to_string(&row)?;
        let rest = match text.strip_prefix('{') {
            Some("}") | None => "}".to_owned(),
            Some(rest) => format!(",{rest}"),
        };
        Ok(Self { rest, truth })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Rows, Failure> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("writable");
        Rows::load(file.path(), "employed")
    }

    #[test]
    fn rows_come_round_under_new_ids() {
        let rows =
            rows("{\"id\":70,\"a\":1.5,\"employed\":1}\n\n{\"b\":2}\n{\"id\":3}\n").expect("three");
        assert_eq!(rows.message(0), r#"{"id":0,"a":1.5,"employed":1}"#);
        assert_eq!(rows.message(4), r#"{"id":4,"b":2}"#);
        assert_eq!(rows.message(5), r#"{"id":5}"#);
        assert_eq!(rows.is_right(0, &Value::from(1)), Some(true));
        assert_eq!(rows.is_right(3, &Value::from(1.0)), Some(true));
        assert_eq!(rows.is_right(3, &Value::from(0)), Some(false));
        assert_eq!(rows.is_right(3, &Value::Null), Some(false));
        assert_eq!(rows.is_right(1, &Value::from(1)), None);
    }

    #[test]
    fn a_wrong_sample_is_named() {
        let failure = rows("{}\n{").expect_err("no JSON");
        assert!(failure.to_string().contains("line 2: "), "{failure}");
        let failure = rows("\n").expect_err("empty");
        assert!(failure.to_string().contains("no rows"), "{failure}");
    }
}
