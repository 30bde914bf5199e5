//! A model's plans: for each number of rows that batches are padded to.

use std::collections::HashSet;

use bytes::Bytes;

use super::super::{model::Model, optimized::Whole};
use crate::{
    engine::{
        ModelError,
        cuda::{
            lower::{Products, lower},
            model::buckets,
            plan::Plan,
        },
    },
    graph::proto,
};

/// Makes the plans of one model.
pub(super) struct Planner<'m> {
    whole: Whole,
    shapes: &'m [Vec<usize>],
    outputs: Vec<String>,
    /// The numbers of rows, rising.
    rows: Vec<usize>,
    /// Each plan has its own copy of the weights; equal ones become one.
    constants: HashSet<Bytes>,
}

impl<'m> Planner<'m> {
    /// `shapes` has the shape of one row of each input; `wanted` are the places of the outputs that are needed.
    ///
    /// # Errors
    /// The model cannot be read; in words.
    pub(super) fn new(
        model: &Model,
        shapes: &'m [Vec<usize>],
        wanted: &[usize],
        max_rows: usize,
    ) -> Result<Self, String> {
        let outputs = wanted.iter();
        Ok(Self {
            whole: Whole::read(&model.source).map_err(said)?,
            shapes,
            outputs: outputs
                .filter_map(|place| Some(model.outputs.get(*place)?.name.clone()))
                .collect(),
            rows: match model.batch {
                Some(batch) => vec![batch],
                None => buckets(max_rows),
            },
            constants: HashSet::new(),
        })
    }

    /// Plans for half as many rows at most, where there are fewer.
    pub(super) fn fewer(&mut self) -> bool {
        let count = self.rows.len();
        // Every other number is half of one.
        self.rows.truncate(count.saturating_sub(2).max(1));
        self.rows.len() < count
    }

    /// The most rows that are planned for.
    pub(super) fn most(&self) -> usize {
        self.rows.last().copied().unwrap_or(1)
    }

    /// The model for so many rows, as ONNX Runtime optimises it.
    ///
    /// # Errors
    /// ONNX Runtime's, in words.
    pub(super) fn optimized(&self, rows: usize) -> Result<proto::Model, String> {
        let dims: Vec<Vec<usize>> = (self.shapes.iter())
            .map(|row| std::iter::once(rows).chain(row.iter().copied()).collect())
            .collect();
        let outputs: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        (self.whole).optimized(&dims, Some(&outputs)).map_err(said)
    }

    /// The plan for so many rows of the model that was optimised for these.
    ///
    /// # Errors
    /// What cannot be lowered, in words.
    pub(super) fn plan(
        &mut self,
        optimized: &proto::Model,
        rows: usize,
        products: Products,
    ) -> Result<Plan, String> {
        let mut plan = lower(optimized, products).map_err(|error| error.to_string())?;
        // Each row has its place in every input and output.
        let slots = plan.inputs.iter().chain(&plan.outputs);
        if let Some(odd) = slots
            .into_iter()
            .find(|slot| slot.dims.first() != Some(&rows))
        {
            return Err(format!(
                "`{}` has the shape {:?} for {rows} rows",
                odd.name, odd.dims
            ));
        }
        for constant in &mut plan.constants {
            match self.constants.get(&constant.bytes) {
                Some(known) => constant.bytes = known.clone(),
                None => {
                    self.constants.insert(constant.bytes.clone());
                }
            }
        }
        Ok(plan)
    }

    /// All plans, by rising number of rows; the largest is there already.
    ///
    /// # Errors
    /// As [`Planner::plan`].
    pub(super) fn all(
        &mut self,
        largest: Plan,
        products: Products,
    ) -> Result<Vec<(usize, Plan)>, String> {
        let mut plans = vec![(self.most(), largest)];
        for rows in self.rows.clone().into_iter().rev().skip(1) {
            let optimized = self.optimized(rows)?;
            plans.push((rows, self.plan(&optimized, rows, products)?));
        }
        plans.reverse();
        Ok(plans)
    }
}

fn said(error: ModelError) -> String {
    error.to_string()
}
