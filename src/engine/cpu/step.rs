//! One step of a pipeline: a model, what feeds it, and what is kept of its outputs.

use std::{fmt, ops::Range};

use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions};

use super::{
    collect::Collector,
    explain,
    feed::{Feed, From, Source, Taken},
    load::load,
    model::Model,
    on_gpu::{self, OnGpu, Wanted},
};
use crate::{
    block::{Column, Series, Table},
    contract::Scalar,
    engine::{Device, EngineError, ModelError, Placed, StepSpec, When, cuda::model::RunError},
};

/// A model with its feeds and the outputs that anything needs.
pub(super) struct Step {
    model: Model,
    feeds: Vec<Feed>,
    /// Places of the outputs that are needed, in rising order.
    wanted: Vec<usize>,
    /// One for each wanted output.
    results: Vec<Collector>,
    /// Asks the runtime for the wanted outputs only.
    options: RunOptions<HasSelectedOutputs>,
    /// On which rows it runs, where not on all.
    when: Option<Condition>,
    /// Runs the model in place of its session, where it runs on a GPU.
    gpu: Option<OnGpu>,
    /// Where it runs.
    pub(super) placed: Placed,
}

/// On which rows a step runs.
#[derive(Debug)]
struct Condition {
    columns: Vec<Source>,
    otherwise: Option<Scalar>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("model", &self.model)
            .field("feeds", &self.feeds)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl Step {
    /// Loads the model and checks that `spec` fits it. `wanted` is in rising order.
    pub(super) fn load(
        spec: &StepSpec,
        wanted: Vec<usize>,
        taken: Taken<'_>,
        earlier: &[Self],
        max_rows: usize,
    ) -> Result<Self, ModelError> {
        let (mut model, feeds) = load(spec, taken, earlier)?;
        let when = (spec.when.as_ref())
            .map(|when| Condition::new(when, earlier))
            .transpose()
            .map_err(|why| model.error(&why))?;
        let mut results = Vec::with_capacity(wanted.len());
        let mut selector = OutputSelector::no_default();
        for output in &wanted {
            let declared = (model.outputs.get(*output))
                .ok_or_else(|| model.error(&format!("it has no output {}", output + 1)))?;
            selector = selector.with(declared.name.as_str());
            let shape = spec.when.as_ref().and_then(|when| when.shapes.get(*output));
            results.push(Collector::new(declared).with_shape(shape));
        }
        let options = RunOptions::new()
            .map_err(|error| model.error(&error.to_string()))?
            .with_outputs(selector);
        let shapes: Vec<Vec<usize>> = feeds.iter().map(Feed::row_shape).collect();
        let asked = Wanted {
            shapes: &shapes,
            outputs: &wanted,
            max_rows,
            accuracy: spec.accuracy,
        };
        let (gpu, placed) = on_gpu::place(&mut model, spec.device, &asked)?;
        Ok(Self {
            model,
            feeds,
            wanted,
            results,
            options,
            when,
            gpu,
            placed,
        })
    }

    /// The place of an output among the wanted ones.
    pub(super) fn place_of(&self, output: usize) -> Option<usize> {
        self.wanted.binary_search(&output).ok()
    }

    /// A wanted output of the last run.
    pub(super) fn result(&self, place: usize) -> Option<&Series> {
        self.results.get(place).map(|result| &result.series)
    }

    /// A wanted output of the last run, to be taken.
    pub(super) fn result_mut(&mut self, place: usize) -> Option<&mut Series> {
        self.results.get_mut(place).map(|result| &mut result.series)
    }

    /// Runs all rows that the step is for, as many at once as the model takes and `max_rows` allows.
    /// `everywhere` runs all rows, whatever the conditions.
    pub(super) fn run(
        &mut self,
        table: &Table,
        earlier: &[Self],
        max_rows: usize,
        everywhere: bool,
    ) -> Result<(), EngineError> {
        self.results.iter_mut().for_each(Collector::clear);
        if self.wanted.is_empty() {
            return Ok(());
        }
        let all = From::All { table, earlier };
        let when = self.when.as_ref().filter(|_| !everywhere);
        let Some(rows) = when.map(|when| when.rows(table, earlier)) else {
            return self.run_rows(all, table.rows, max_rows);
        };
        if rows.len() == table.rows {
            return self.run_rows(all, table.rows, max_rows);
        }
        let picked: Vec<Vec<Series>> = (self.feeds.iter())
            .map(|feed| {
                let columns = feed.columns.iter();
                let series = columns.filter_map(|source| source.series(table, earlier));
                series.map(|series| picked(series, &rows)).collect()
            })
            .collect();
        self.run_rows(From::Picked(&picked), rows.len(), max_rows)?;
        let otherwise = self.when.as_ref().and_then(|when| when.otherwise.clone());
        for result in &mut self.results {
            result.spread(&rows, table.rows, otherwise.as_ref());
        }
        Ok(())
    }

    fn run_rows(
        &mut self,
        from: From<'_>,
        rows: usize,
        max_rows: usize,
    ) -> Result<(), EngineError> {
        // The buckets of a GPU go up to `max_rows`.
        let most = self.model.batch.unwrap_or(max_rows);
        for start in (0..rows).step_by(most) {
            self.run_some(from, start..rows.min(start + most))?;
        }
        Ok(())
    }

    fn run_some(&mut self, from: From<'_>, rows: Range<usize>) -> Result<(), EngineError> {
        match self.run_on_gpu(from, rows.clone()) {
            Some(ran) => ran,
            None => self.run_in_session(from, rows),
        }
    }

    /// Runs the rows on the GPU; `None` where the session is to run them.
    fn run_on_gpu(
        &mut self,
        from: From<'_>,
        rows: Range<usize>,
    ) -> Option<Result<(), EngineError>> {
        let gpu = self.gpu.as_mut()?;
        let (feeds, results) = (&mut self.feeds, &mut self.results);
        let fill = |place: usize, fed: usize, to: &mut [u8]| match feeds.get_mut(place) {
            Some(feed) => feed.upload(place, from, rows.clone(), fed, to),
            None => Ok(()),
        };
        let take = |place: usize, slot: &_, bytes: &[u8]| match results.get_mut(place) {
            Some(result) => result.append_bytes(slot, bytes),
            None => Ok(()),
        };
        let error = match gpu.model.run(rows.len(), fill, take) {
            Ok(()) => return Some(Ok(())),
            Err(RunError::Device(error)) => error,
            Err(error) => return Some(Err(EngineError::Batch(error.into()))),
        };
        if gpu.demanded {
            return Some(Err(EngineError::Device(error.into())));
        }
        // Nothing of the batch has come out yet: outputs are taken when all went well.
        let why = format!("{} failed: {error}", gpu.device);
        tracing::error!("{why}; from now on the CPU runs the model");
        self.placed = Placed::new(Device::Cpu, why);
        self.gpu = None;
        None
    }

    fn run_in_session(&mut self, from: From<'_>, rows: Range<usize>) -> Result<(), EngineError> {
        let fed = self.model.batch.unwrap_or(rows.len());
        for (place, feed) in self.feeds.iter_mut().enumerate() {
            feed.fill(place, from, rows.clone(), fed)
                .map_err(|why| EngineError::Batch(why.into()))?;
        }
        let values = (self.feeds.iter().enumerate())
            .map(|(place, feed)| feed.tensor(place, from, rows.clone()))
            .collect::<ort::Result<Vec<_>>>()
            .map_err(|error| failure(&error))?;
        let came_out = self
            .model
            .session
            .run_with_options(values.as_slice(), &self.options)
            .map_err(|error| failure(&error))?;
        for (place, result) in self.results.iter_mut().enumerate() {
            result
                .append(&came_out[place], fed, rows.len())
                .map_err(|why| EngineError::Batch(why.into()))?;
        }
        Ok(())
    }
}

impl Condition {
    fn new(when: &When, earlier: &[Step]) -> Result<Self, String> {
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
    fn rows(&self, table: &Table, earlier: &[Step]) -> Vec<usize> {
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

fn picked(series: &Series, rows: &[usize]) -> Series {
    Series {
        values: series.values.pick(rows, series.width()),
        shape: series.shape.clone(),
        present: None,
    }
}

/// A run's error: the rows' fault, unless the runtime says that the device is gone.
fn failure(error: &ort::Error) -> EngineError {
    let words = explain::clean(error.message());
    match error.code() {
        ort::ErrorCode::DeviceReset | ort::ErrorCode::ExecutionProviderFailure => {
            EngineError::Device(words.into())
        }
        _ => EngineError::Batch(words.into()),
    }
}
