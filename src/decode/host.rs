//! Derived fields: steps on the host turn a field's value into further columns, as each row ends.

use std::ops::Range;

use crate::{
    block::{Column, Table},
    host::{Cell, HostStep},
    message::{Reject, Stage},
};

/// A step, with the places of its columns.
#[derive(Debug)]
pub struct Placed {
    /// The step.
    pub step: Box<dyn HostStep>,
    /// The name of the field that it reads.
    pub field: String,
    /// The place of that field's series.
    pub input: usize,
    /// The places of the series that it makes, all behind `input`.
    pub outputs: Range<usize>,
    /// Nothing else reads the field: its bytes need not be kept.
    pub last: bool,
}

/// All steps of a pipeline that run while messages are decoded.
#[derive(Debug, Default)]
pub struct HostSteps(pub Vec<Placed>);

impl HostSteps {
    /// Makes the derived fields of the row behind the table's last, whose other fields are there.
    pub(super) fn run(&mut self, table: &mut Table) -> Result<(), Reject> {
        let row = table.rows;
        for placed in &mut self.0 {
            let (before, behind) = table.series.split_at_mut(placed.outputs.start);
            let into = &mut behind[..placed.outputs.len()];
            let column = &mut before[placed.input].values;
            let cell = match &*column {
                Column::Bytes(values) => Cell::Bytes(values.get(row).unwrap_or_default()),
                Column::String(values) => Cell::Text(values.get(row).unwrap_or_default()),
                _ => unreachable!("the config checks what a step reads: this is a bug"),
            };
            placed.step.run(cell, into).map_err(|fault| {
                let reason = format!("field `{}`: {}", placed.field, fault.reason);
                Reject::new(Stage::Decode, fault.kind, reason)
            })?;
            if let (true, Column::Bytes(values)) = (placed.last, column) {
                values.clear_last();
            }
        }
        Ok(())
    }
}
