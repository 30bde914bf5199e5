//! A model's plans: one for each size of batches.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use super::{
    super::{model::Model, optimized::Whole, trim::Cut},
    Wanted,
};
use crate::{
    engine::cuda::{
        constants::Constants,
        lower::{Products, lower_with},
        plan::Plan,
        sizes::{self, Size},
    },
    graph::proto,
    threads,
};

/// Threads that make plans at most: each has the optimiser's memory for a model.
const THREADS: usize = 8;

/// Makes the plans of one model.
pub(super) struct Planner<'m> {
    whole: &'m Whole,
    shapes: &'m [Vec<usize>],
    outputs: Vec<String>,
    /// Inputs whose rows are cut.
    cut: Option<&'m Cut>,
    /// In order.
    sizes: Vec<Size>,
    /// All plans have the same weights.
    constants: Arc<Constants>,
}

impl<'m> Planner<'m> {
    /// `whole` is all of the model.
    pub(super) fn new(
        model: &Model,
        whole: &'m Whole,
        there: &Wanted<'m>,
        cut: Option<&'m Cut>,
    ) -> Self {
        let constants = Constants::of_weights(whole.weights());
        let outputs = there.outputs.iter();
        Self {
            whole,
            shapes: there.shapes,
            outputs: outputs
                .filter_map(|place| Some(model.outputs.get(*place)?.name.clone()))
                .collect(),
            sizes: match (model.batch, cut) {
                (Some(batch), _) => vec![Size::whole(batch)],
                (None, Some(cut)) => sizes::cut(there.max_rows, cut.length),
                (None, None) => sizes::whole(there.max_rows),
            },
            cut: cut.filter(|_| model.batch.is_none()),
            constants: Arc::new(constants),
        }
    }

    /// Plans for half as much at most, where there are fewer.
    pub(super) fn fewer(&mut self) -> bool {
        match sizes::fewer(&self.sizes) {
            Some(fewer) => {
                self.sizes = fewer;
                true
            }
            None => false,
        }
    }

    /// The most of the longest rows: no other plan takes more memory, or longer.
    pub(super) fn largest(&self) -> Size {
        self.sizes.last().copied().unwrap_or(Size::whole(1))
    }

    /// The model for this size, as ONNX Runtime optimises it.
    ///
    /// # Errors
    /// ONNX Runtime's, in words.
    pub(super) fn optimized(&self, size: Size) -> Result<proto::Model, String> {
        let dims = self.shapes.iter().enumerate().map(|(input, row)| {
            let cut = self.cut.is_some_and(|cut| cut.inputs.contains(&input));
            let row = if cut { &[size.length][..] } else { row };
            std::iter::once(size.rows)
                .chain(row.iter().copied())
                .collect()
        });
        let dims: Vec<Vec<usize>> = dims.collect();
        let outputs: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        let optimized = self.whole.optimized(&dims, Some(&outputs));
        optimized.map_err(|error| error.to_string())
    }

    /// The plan for this size of the model that was optimised for it.
    ///
    /// # Errors
    /// What cannot be lowered, in words.
    pub(super) fn plan(
        &self,
        optimized: &proto::Model,
        size: Size,
        products: Products,
    ) -> Result<Plan, String> {
        let plan = lower_with(optimized, products, &self.constants);
        let plan = plan.map_err(|error| error.to_string())?;
        // Each row has its place in every input and output.
        let slots = plan.inputs.iter().chain(&plan.outputs);
        if let Some(odd) = slots
            .into_iter()
            .find(|slot| slot.dims.first() != Some(&size.rows))
        {
            return Err(format!(
                "`{}` has the shape {:?} for {} rows",
                odd.name, odd.dims, size.rows
            ));
        }
        Ok(plan)
    }

    /// All plans, in order; that of the largest is there already.
    ///
    /// # Errors
    /// As [`Planner::plan`], of the largest that cannot be planned.
    pub(super) fn all(
        &self,
        largest: Plan,
        products: Products,
    ) -> Result<Vec<(Size, Plan)>, String> {
        let began = Instant::now();
        let others = self
            .sizes
            .split_last()
            .map_or(&[][..], |(_, others)| others);
        let mut plans = self.planned(others, products)?;
        plans.push((self.largest(), largest));
        tracing::info!(
            "plans that were made: {}, in {} ms",
            plans.len(),
            began.elapsed().as_millis()
        );
        Ok(plans)
    }

    /// Plans of these sizes, made on several threads, the largest first.
    fn planned(&self, sizes: &[Size], products: Products) -> Result<Vec<(Size, Plan)>, String> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            while let Some(at) = (sizes.len()).checked_sub(next.fetch_add(1, Ordering::Relaxed) + 1)
                && let Some(size) = sizes.get(at)
            {
                let plan = self.optimized(*size);
                let plan = plan.and_then(|optimized| self.plan(&optimized, *size, products));
                if plan.is_err() {
                    // There is no use in others.
                    next.store(sizes.len(), Ordering::Relaxed);
                }
                let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                made.push((*size, plan));
            }
        };
        thread::scope(|scope| {
            for _ in 1..cores.min(THREADS).min(sizes.len()) {
                // Where there is no thread, those that there are do its work.
                drop(threads::deep("plan").spawn_scoped(scope, work));
            }
            work();
        });
        let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
        made.sort_unstable_by_key(|(size, _)| std::cmp::Reverse(*size));
        let plans = made.into_iter().map(|(size, plan)| Ok((size, plan?)));
        let mut plans: Vec<(Size, Plan)> = plans.collect::<Result<_, String>>()?;
        plans.reverse();
        Ok(plans)
    }
}
