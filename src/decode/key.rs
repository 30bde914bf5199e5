//! By what results are kept in order: a token of the subject, or a field.

use std::{
    hash::{DefaultHasher, Hasher as _},
    ops::Range,
};

use super::breach::clip;
use crate::{
    block::{Column, Table},
    message::{Message, Reject, Stage},
};

/// What the messages whose results stay in order have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderBy {
    /// The token of the subject at this index, from 0.
    Token(usize),
    /// The field in the series of this index; no float.
    Field {
        /// Which series.
        series: usize,
        /// Its name, for sentences.
        name: String,
    },
}

impl OrderBy {
    /// Whether a table needs a series of its own for the keys of rows: of a field there is one.
    pub fn needs_series(&self) -> bool {
        matches!(self, Self::Token(_))
    }

    /// Writes the message's key for each of its rows into the last series of the table, where that
    /// is for it ([`OrderBy::needs_series`]).
    pub fn note(&self, message: &Message, table: &mut Table, rows: usize) {
        if let Self::Token(index) = self
            && let Some(Column::String(keys)) = table.series.last_mut().map(|last| &mut last.values)
        {
            let token = message.subject().split('.').nth(*index).unwrap_or_default();
            (0..rows).for_each(|_| keys.push(token));
        }
    }

    /// Takes the series for the keys off again, which encoders know nothing of: they find the passed
    /// keys at the end.
    pub fn take_off(&self, table: &mut Table) {
        if self.needs_series() {
            table.series.pop();
        }
    }

    /// The message's key, as a number that is equal where the keys are; `rows` are its rows in
    /// `table`. Unequal keys may share a number.
    ///
    /// # Errors
    /// The subject has no such token, or the message's rows differ in the field.
    pub fn key(&self, message: &Message, table: &Table, rows: Range<usize>) -> Result<u64, Reject> {
        match self {
            Self::Token(index) => {
                let subject = message.subject();
                let token = subject.split('.').nth(*index).ok_or_else(|| {
                    reject(format!(
                        "`order_by` needs token {} of the subject `{}`, which has {}",
                        index + 1,
                        clip(subject),
                        subject.split('.').count()
                    ))
                })?;
                Ok(hash(token))
            }
            Self::Field { series, name } => {
                let Some(series) = table.series.get(*series) else {
                    unreachable!("the config has found the field: this is a bug");
                };
                one_value(&series.values, rows, name)
            }
        }
    }
}

/// The value that all these rows have.
fn one_value(column: &Column, rows: Range<usize>, name: &str) -> Result<u64, Reject> {
    match column {
        Column::I32(values) => same(&values[rows], name),
        Column::I64(values) => same(&values[rows], name),
        Column::U8(values) => same(&values[rows], name),
        Column::Bool(values) => same(&values[rows], name),
        Column::String(values) => {
            let values: Vec<_> = rows
                .map(|row| values.get(row).unwrap_or_default())
                .collect();
            same(&values, name)
        }
        Column::F32(_) | Column::F64(_) | Column::Bytes(_) => {
            unreachable!("the config takes no float and no bytes for a key: this is a bug")
        }
    }
}

fn same<T: PartialEq + std::hash::Hash + std::fmt::Debug>(
    values: &[T],
    name: &str,
) -> Result<u64, Reject> {
    let Some(first) = values.first() else {
        // An empty list has no key, and is in nobody's way.
        return Ok(hash(()));
    };
    match values.iter().find(|value| *value != first) {
        None => Ok(hash(first)),
        Some(other) => Err(reject(format!(
            "the rows of one message must agree in `{name}`, by which results are kept in order (`order_by`): one has {} and another {}; send them in messages of their own",
            clip(&format!("{first:?}")),
            clip(&format!("{other:?}"))
        ))),
    }
}

fn hash(value: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn reject(reason: String) -> Reject {
    Reject::new(Stage::Decode, "order_by", reason)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;

    use super::*;
    use crate::{
        block::{Series, Strings},
        message::Ack,
    };

    fn message(subject: &'static str) -> Message {
        Message {
            subject: Bytes::from_static(subject.as_bytes()),
            reply: None,
            payload: Bytes::new(),
            headers: None,
            position: None,
            received: Instant::now(),
            ack: Ack::none(),
        }
    }

    fn table(values: Column) -> Table {
        Table {
            rows: values.len(),
            series: vec![Series {
                values,
                shape: vec![],
                present: None,
            }],
        }
    }

    #[test]
    fn a_token_is_a_key() {
        let by = OrderBy::Token(1);
        let key = |subject| by.key(&message(subject), &Table::default(), 0..0);
        assert_eq!(key("rows.a"), key("other.a.b"));
        assert_ne!(key("rows.a"), key("rows.b"));
        let reject = key("rows").expect_err("there is no second token");
        assert_eq!((reject.stage, reject.kind), (Stage::Decode, "order_by"));
        assert_eq!(
            reject.reason,
            "`order_by` needs token 2 of the subject `rows`, which has 1"
        );
    }

    #[test]
    fn all_rows_of_a_message_have_one_key() {
        let by = OrderBy::Field {
            series: 0,
            name: "device".into(),
        };
        let numbers = table(Column::I64(vec![7, 7, 8, 7]));
        let key = |table: &Table, rows| by.key(&message("x"), table, rows);
        assert_eq!(key(&numbers, 0..2), key(&numbers, 3..4));
        assert_ne!(key(&numbers, 0..1), key(&numbers, 2..3));
        assert!(key(&numbers, 1..1).is_ok(), "an empty list");
        let mut words = Strings::default();
        for word in ["a", "a", "b\n"] {
            words.push(word);
        }
        let words = table(Column::String(words));
        assert!(key(&words, 0..2).is_ok());
        let reject = key(&words, 1..3).expect_err("they differ");
        assert_eq!(
            reject.reason,
            r#"the rows of one message must agree in `device`, by which results are kept in order (`order_by`): one has "a" and another "b\n"; send them in messages of their own"#
        );
    }
}
