//! On which rows a step runs, where not on all.

use super::{feed::Source, step::Step};
use crate::{
    block::{Column, Series, Table},
    contract::Scalar,
    engine::When,
};

/// On which rows a step runs.
#[derive(Debug)]
pub(super) struct Condition {
    columns: Vec<Source>,
    /// What stands for the other rows.
    pub(super) otherwise: Option<Scalar>,
}

impl Condition {
    pub(super) fn new(when: &When, earlier: &[Step]) -> Result<Self, String> {
        let columns = when.conditions.iter().map(|output| {
            let step = earlier.get(output.step)?;
            let place = step.place_of(output.output)?;
            Some(Source::Result {
                step: output.step,
                place,
            })
        });
        Ok(Self {
            columns: columns
                .collect::<Option<_>>()
                .ok_or("its condition is no output of a step before it")?,
            otherwise: when.otherwise.clone(),
        })
    }

    /// The rows of the batch in which all conditions are true.
    pub(super) fn rows(&self, table: &Table, earlier: &[Step]) -> Vec<usize> {
        let conditions: Vec<&Series> = (self.columns.iter())
            .filter_map(|source| source.series(table, earlier))
            .collect();
        let holds = |row: usize| {
            conditions.iter().all(|series| match &series.values {
                Column::Bool(values) => {
                    series.is_present(row) && values.get(row).copied().unwrap_or(false)
                }
                _ => false,
            })
        };
        (0..table.rows).filter(|row| holds(*row)).collect()
    }
}
