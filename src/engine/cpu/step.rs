//! One step of a pipeline: a model, what feeds it, and what is kept of its outputs.

use std::{fmt, ops::Range};

use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions};

use super::{
    collect::Collector,
    condition::Condition,
    explain,
    feed::{Feed, From, Taken},
    load::load,
    model::Model,
    on_gpu::{self, OnGpu, Wanted, micro},
    sampling::Sampling,
    trim::{self, Side, Trim},
};
use crate::{
    block::{Series, Table},
    engine::{
        Device, EngineError, ModelError, Placed, StepSpec,
        cuda::{model::RunError, sizes::Size, texts::Texts},
    },
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
    /// Leaves out padding that a batch does not need.
    trim: Option<Trim>,
    /// On which rows it runs, where not on all.
    when: Option<Condition>,
    /// Runs the model in place of its session, where it runs on a GPU.
    gpu: Option<OnGpu>,
    /// Runs some of the GPU's rows in the session too.
    pub(super) sampling: Option<Sampling>,
    /// Where it runs.
    pub(super) placed: Placed,
    /// Where it ran before, until that is told.
    pub(super) moved_from: Option<Placed>,
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
        let tried = trim::tried(spec, &wanted, taken, earlier);
        let (mut model, feeds, trim) = if let Some((model, feeds, trim)) = tried {
            (model, feeds, Some(trim))
        } else {
            let (model, feeds) = load(spec, taken, earlier)?;
            (model, feeds, None)
        };
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
            cut: trim.as_ref().map(Trim::cut),
        };
        let (gpu, placed) = on_gpu::place(&mut model, spec.device, &asked)?;
        let sampling = (gpu.as_ref().zip(spec.accuracy.parity))
            .map(|(gpu, every)| Sampling::new(every, gpu.limit, &results));
        Ok(Self {
            model,
            feeds,
            sampling,
            wanted,
            results,
            options,
            trim,
            when,
            gpu,
            placed,
            moved_from: None,
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
        let picked = self.picked(all, &rows);
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
        if let Some(gpu) = &self.gpu {
            if gpu.is_cut {
                return self.run_micro_batches(from, rows);
            }
        } else if let Some(trim) = self.trim.as_ref().filter(|_| self.model.batch.is_none())
            && let Some(groups) = trim.groups(&self.feeds, from, rows)
        {
            return self.run_groups(from, &groups, max_rows);
        }
        let most = self.model.batch.unwrap_or(max_rows);
        // The buckets of a GPU go up to `max_rows`, where its memory has room for them.
        let most = (self.gpu.as_ref()).map_or(most, |gpu| most.min(gpu.model.most_rows()));
        for start in (0..rows).step_by(most) {
            self.run_some(from, start..rows.min(start + most))?;
        }
        Ok(())
    }

    /// Runs rows on a GPU, each beside others that have about as many tokens.
    fn run_micro_batches(&mut self, from: From<'_>, rows: usize) -> Result<(), EngineError> {
        let needs = (self.trim.as_ref()).and_then(|trim| trim.needs(&self.feeds, from, 0..rows));
        // What has no mask runs whole.
        let (side, lengths) = needs.unwrap_or_else(|| (Side::Left, vec![usize::MAX; rows]));
        let sizes = self.gpu.iter().flat_map(|gpu| gpu.model.sizes());
        let batches = micro::batches(&lengths, &sizes.collect::<Vec<_>>());
        if let [micro::Batch { size, .. }] = batches.as_slice() {
            self.keep(side, size.length);
            return self.run_some(from, 0..rows);
        }
        let order: Vec<usize> = (batches.iter())
            .flat_map(|batch| batch.rows.iter().copied())
            .collect();
        let picked = self.picked(from, &order);
        let mut start = 0;
        for batch in &batches {
            let end = start + batch.rows.len();
            self.keep(side, batch.size.length);
            self.run_some(From::Picked(&picked), start..end)?;
            start = end;
        }
        self.put_back(&order);
        Ok(())
    }

    /// From now on so many tokens of each row go in, from this side.
    fn keep(&mut self, side: Side, length: usize) {
        let Some(trim) = &self.trim else {
            return;
        };
        if let Some(gpu) = &mut self.gpu {
            gpu.length = length;
        }
        let part = trim.part(side, length);
        for (place, feed) in self.feeds.iter_mut().enumerate() {
            if trim.cuts(place) {
                feed.keep(part.clone());
            }
        }
    }

    /// Runs groups of rows, and puts what comes out back into the order of the rows.
    fn run_groups(
        &mut self,
        from: From<'_>,
        groups: &[Vec<usize>],
        max_rows: usize,
    ) -> Result<(), EngineError> {
        let order = groups.concat();
        let picked = self.picked(from, &order);
        let mut start = 0;
        for group in groups {
            let end = start + group.len();
            for first in (start..end).step_by(max_rows) {
                self.run_some(From::Picked(&picked), first..end.min(first + max_rows))?;
            }
            start = end;
        }
        self.put_back(&order);
        Ok(())
    }

    /// Puts what came out of rows in this order back into the order of the rows.
    fn put_back(&mut self, order: &[usize]) {
        let mut back = vec![0; order.len()];
        for (at, row) in order.iter().enumerate() {
            if let Some(place) = back.get_mut(*row) {
                *place = at;
            }
        }
        for result in &mut self.results {
            let width = result.series.width();
            result.series.values = result.series.values.pick(&back, width);
        }
    }

    /// These rows of what feeds the step.
    fn picked(&self, from: From<'_>, rows: &[usize]) -> Vec<Vec<Series>> {
        let feeds = self.feeds.iter().enumerate();
        let of = |(place, feed): (usize, &Feed)| {
            let columns = feed.columns.iter().enumerate();
            let series = columns.filter_map(|(at, source)| from.series(place, at, *source));
            series.map(|series| picked(series, rows)).collect()
        };
        feeds.map(of).collect()
    }

    fn run_some(&mut self, from: From<'_>, rows: Range<usize>) -> Result<(), EngineError> {
        match self.run_on_gpu(from, rows.clone()) {
            Some(ran) => {
                if ran.is_ok() {
                    self.sample(from, rows);
                }
                ran
            }
            None => self.run_in_session(from, rows),
        }
    }

    /// Runs one of the rows that the GPU ran in the session too, where its turn has come.
    fn sample(&mut self, from: From<'_>, rows: Range<usize>) {
        let Some(mut sampling) = self.sampling.take() else {
            return;
        };
        if let Some(row) = sampling.next(rows) {
            sampling.results.iter_mut().for_each(Collector::clear);
            std::mem::swap(&mut self.results, &mut sampling.results);
            let ran = self.run_in_session(from, row..row + 1);
            std::mem::swap(&mut self.results, &mut sampling.results);
            sampling.compare(&self.results, row, ran.err(), &self.model.source.path);
        }
        self.sampling = Some(sampling);
    }

    /// Runs the rows on the GPU; `None` where the session is to run them.
    fn run_on_gpu(
        &mut self,
        from: From<'_>,
        rows: Range<usize>,
    ) -> Option<Result<(), EngineError>> {
        let gpu = self.gpu.as_mut()?;
        let size = Size {
            length: gpu.length,
            rows: rows.len(),
        };
        let (feeds, results) = (&mut self.feeds, &mut self.results);
        let fill = |place: usize, fed: usize, to: &mut [u8], texts: &mut Texts| match feeds
            .get_mut(place)
        {
            Some(feed) => feed.upload(place, from, rows.clone(), fed, (to, texts)),
            None => Ok(()),
        };
        let take =
            |place: usize, slot: &_, bytes: &[u8], texts: &Texts| match results.get_mut(place) {
                Some(result) => result.append_bytes(slot, bytes, texts),
                None => Ok(()),
            };
        let error = match gpu.model.run(size, fill, take) {
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
        let before = std::mem::replace(&mut self.placed, Placed::new(Device::Cpu, why));
        self.moved_from.get_or_insert(before);
        self.gpu = None;
        None
    }

    fn run_in_session(&mut self, from: From<'_>, rows: Range<usize>) -> Result<(), EngineError> {
        let fed = self.model.batch.unwrap_or(rows.len());
        // A row of a GPU that runs here too goes in as it did there.
        if let Some(trim) = self.trim.as_ref().filter(|_| self.gpu.is_none()) {
            let kept = trim.kept(&self.feeds, from, rows.clone());
            for (place, feed) in self.feeds.iter_mut().enumerate() {
                if trim.cuts(place) {
                    feed.keep(kept.clone());
                }
            }
        }
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
