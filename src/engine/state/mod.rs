//! What is held of a row for the next one with the same key.
//!
//! An engine knows rows and no time: here it is given rows whose keys are all different, each with
//! what is held for its key, and what comes out is held for the next. So the rows of a batch run in
//! waves: the first row of each key, then the second of each, and so on. What is held changes only
//! when the whole batch has run: one that the engine refuses is cut and run again, and a row that
//! fails alone leaves no trace.

mod store;
#[cfg(test)]
mod tests;
mod waves;

use std::time::{Duration, Instant};

use self::{
    store::Store,
    waves::{Waves, together},
};
use super::{ColumnRef, Compared, Engine, EngineError, EngineSpec, Moved, OutputRef, Placed};
use crate::{
    block::{Column, Series, Table},
    contract::{Dtype, Field, Scalar},
};

/// What is held, for which key, and how long.
#[derive(Debug, Clone, PartialEq)]
pub struct StateSpec {
    /// The series of the input table that has the key of each row: text, whole numbers or truth
    /// values.
    pub key: usize,
    /// For so many keys; the one that was not seen for longest is dropped for a new one.
    pub max_keys: usize,
    /// A key that was not seen for longer than this starts anew; `None` where time means nothing.
    pub max_age: Option<Duration>,
    /// What is held for each key.
    pub values: Vec<StateValue>,
}

/// One value that is held for each key.
#[derive(Debug, Clone, PartialEq)]
pub struct StateValue {
    /// What steps call it.
    pub name: String,
    /// The type of its elements: numbers or truth values.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What each element is for a new key.
    pub initial: Scalar,
    /// The output that it becomes after each row, of the same type and shape.
    pub from: OutputRef,
}

impl StateValue {
    /// The same as a field of a row.
    pub fn as_field(&self) -> Field {
        let mut field = Field::new(self.name.as_str(), self.dtype, self.shape.clone());
        field.default = Some(self.initial.clone());
        field
    }

    /// The value of a new key.
    fn blank(&self) -> Column {
        let mut blank = Column::new(self.dtype);
        blank.push_scalar(Some(&self.initial), self.shape.iter().product());
        blank
    }
}

/// How much is held, and what was dropped since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Keys that are held now.
    pub keys: usize,
    /// Keys that were dropped because there were too many.
    pub dropped_full: u64,
    /// Keys that were dropped because they were not seen for long.
    pub dropped_age: u64,
}

/// An engine whose rows see what was held of the rows before them.
pub struct Stateful {
    /// Takes the fields and then the state values; gives the outputs and then what they become.
    inner: Box<dyn Engine>,
    spec: StateSpec,
    /// For each field, whether the engine reads it: the others are not copied.
    read: Vec<bool>,
    blank: Vec<Column>,
    store: Store,
}

impl std::fmt::Debug for Stateful {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stateful")
            .field("spec", &self.spec)
            .field("keys", &self.store.len())
            .finish_non_exhaustive()
    }
}

impl Stateful {
    /// Around an engine of this spec, with nothing held yet; `fields` is the number of fields.
    pub fn new(
        inner: Box<dyn Engine>,
        engine: &EngineSpec,
        spec: StateSpec,
        fields: usize,
    ) -> Self {
        let mut read = vec![false; fields];
        let inputs = engine.steps.iter().flat_map(|step| &step.inputs);
        for column in inputs.flat_map(|input| &input.columns) {
            if let ColumnRef::Field(field) = column
                && let Some(read) = read.get_mut(*field)
            {
                *read = true;
            }
        }
        let blank: Vec<Column> = spec.values.iter().map(StateValue::blank).collect();
        Self {
            inner,
            read,
            store: Store::new(&blank, spec.max_keys),
            blank,
            spec,
        }
    }

    fn run_at(
        &mut self,
        input: &Table,
        output: &mut Table,
        now: Instant,
    ) -> Result<(), EngineError> {
        if let Some(max_age) = self.spec.max_age {
            self.store.expire(now, max_age);
        }
        let Some(key) = input.series.get(self.spec.key) else {
            return Err(EngineError::Batch(
                "a row without its key: this is a bug".into(),
            ));
        };
        let waves = Waves::of(&key.values, input.rows);
        let mut held = self.held_for(&waves);
        let mut parts = Vec::with_capacity(waves.rows.len());
        for rows in &waves.rows {
            let keys: Vec<usize> = rows.iter().map(|row| waves.key_of[*row]).collect();
            let mut ran = std::mem::take(output);
            let table = self.table(input, rows, &held, &keys);
            self.inner.run(&table, &mut ran)?;
            let outputs = ran.series.len().saturating_sub(self.spec.values.len());
            let next = ran.series.split_off(outputs);
            self.advance(&mut held, &keys, &next)?;
            parts.push(ran);
        }
        *output = together(parts, &waves.rows, input.rows)?;
        for key in waves.by_last_row() {
            self.store.write(&waves.keys[key], now, &held, key);
        }
        Ok(())
    }

    /// What is held for each key of the batch: one row for each.
    fn held_for(&self, waves: &Waves<'_>) -> Vec<Column> {
        let columns = self.blank.iter();
        let mut held: Vec<Column> = columns.map(|blank| Column::new(blank.dtype())).collect();
        for key in &waves.keys {
            if !self.store.read(key, &mut held) {
                for (held, blank) in held.iter_mut().zip(&self.blank) {
                    held.extend_from(blank, 0..blank.len());
                }
            }
        }
        held
    }

    /// What the engine takes: these rows, and what is held for the key of each.
    fn table(&self, input: &Table, rows: &[usize], held: &[Column], keys: &[usize]) -> Table {
        let fields = input.series.iter().zip(&self.read).map(|(series, read)| {
            let values = match read {
                true => series.values.pick(rows, series.width()),
                false => Column::new(series.values.dtype()),
            };
            Series {
                values,
                shape: series.shape.clone(),
                present: None,
            }
        });
        let state = held
            .iter()
            .zip(&self.spec.values)
            .map(|(held, value)| Series {
                values: held.pick(keys, value.shape.iter().product()),
                shape: value.shape.clone(),
                present: None,
            });
        Table {
            rows: rows.len(),
            series: fields.chain(state).collect(),
        }
    }

    /// Puts what came out in the place of what is held for these keys; where nothing came out, since
    /// a step did not run on the row, what is held stays.
    fn advance(
        &self,
        held: &mut [Column],
        keys: &[usize],
        next: &[Series],
    ) -> Result<(), EngineError> {
        for ((held, value), next) in held.iter_mut().zip(&self.spec.values).zip(next) {
            let any = next
                .present
                .as_ref()
                .is_none_or(|rows| rows.contains(&true));
            if any && (next.shape != value.shape || next.values.dtype() != value.dtype) {
                let words = format!(
                    "the state value `{}` is {} of shape {:?}, and {} of shape {:?} came out for it",
                    value.name,
                    value.dtype,
                    value.shape,
                    next.values.dtype(),
                    next.shape
                );
                return Err(EngineError::Batch(words.into()));
            }
            let width = next.width();
            for (row, key) in keys.iter().enumerate() {
                if next.is_present(row) {
                    held.overwrite(key * width, &next.values, row * width..(row + 1) * width);
                }
            }
        }
        Ok(())
    }
}

impl Engine for Stateful {
    fn run(&mut self, input: &Table, output: &mut Table) -> Result<(), EngineError> {
        self.run_at(input, output, Instant::now())
    }

    fn no_rows(&self) -> Table {
        let mut blank = self.inner.no_rows();
        let outputs = blank.series.len().saturating_sub(self.spec.values.len());
        blank.series.truncate(outputs);
        blank
    }

    fn placed(&self) -> Vec<Placed> {
        self.inner.placed()
    }

    fn moved(&mut self) -> Vec<Moved> {
        self.inner.moved()
    }

    fn compared(&mut self) -> Vec<Compared> {
        self.inner.compared()
    }

    fn held(&self) -> Option<Held> {
        Some(Held {
            keys: self.store.len(),
            dropped_full: self.store.dropped_full,
            dropped_age: self.store.dropped_age,
        })
    }

    fn forget(&mut self) {
        self.store.clear();
    }
}
