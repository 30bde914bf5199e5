//! One step of a pipeline: a model, what feeds it, and what is kept of its outputs.

use std::{fmt, ops::Range};

use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, SessionInputValue};

use super::{
    collect::Collector,
    explain,
    gather::{self, Buffer},
    model::Model,
};
use crate::{
    block::{Series, Table},
    contract::{Dtype, Field},
    engine::{ColumnRef, Dim, EngineError, InputInfo, InputSpec, ModelError, StepSpec},
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

/// What feeds one input.
#[derive(Debug)]
struct Feed {
    columns: Vec<Source>,
    /// Shape of the tensor; the first number is set for every run.
    shape: Vec<usize>,
    /// Memory where the columns are put side by side.
    buffer: Buffer,
    /// The one column has the type that the model takes: its memory is the tensor.
    direct: bool,
}

/// A column, found without a search.
#[derive(Debug, Clone, Copy)]
enum Source {
    Field(usize),
    Result { step: usize, place: usize },
}

impl Source {
    fn series<'a>(self, table: &'a Table, earlier: &'a [Step]) -> Option<&'a Series> {
        match self {
            Self::Field(field) => table.series.get(field),
            Self::Result { step, place } => earlier
                .get(step)?
                .results
                .get(place)
                .map(|result| &result.series),
        }
    }
}

impl Step {
    /// Loads the model and checks that `spec` fits it. `wanted` is in rising order.
    pub(super) fn load(
        spec: &StepSpec,
        wanted: Vec<usize>,
        fields: &[Field],
        earlier: &[Self],
    ) -> Result<Self, ModelError> {
        let model = Model::load(&spec.source)?;
        if spec.inputs.len() != model.inputs.len() {
            return Err(model.error(&format!(
                "it has {} inputs, and {} are fed",
                model.inputs.len(),
                spec.inputs.len()
            )));
        }
        let feeds = (model.inputs.iter().zip(&spec.inputs))
            .map(|(input, feed)| {
                Feed::new(feed, input, fields, earlier)
                    .map_err(|why| model.error(&format!("input `{}` {why}", input.name)))
            })
            .collect::<Result<_, _>>()?;
        let mut results = Vec::with_capacity(wanted.len());
        let mut selector = OutputSelector::no_default();
        for output in &wanted {
            let declared = (model.outputs.get(*output))
                .ok_or_else(|| model.error(&format!("it has no output {}", output + 1)))?;
            selector = selector.with(declared.name.as_str());
            results.push(Collector::new(declared));
        }
        let options = RunOptions::new()
            .map_err(|error| model.error(&error.to_string()))?
            .with_outputs(selector);
        Ok(Self {
            model,
            feeds,
            wanted,
            results,
            options,
        })
    }

    /// The place of an output among the wanted ones.
    pub(super) fn place_of(&self, output: usize) -> Option<usize> {
        self.wanted.binary_search(&output).ok()
    }

    /// A wanted output of the last run.
    pub(super) fn result_mut(&mut self, place: usize) -> Option<&mut Series> {
        self.results.get_mut(place).map(|result| &mut result.series)
    }

    /// Runs all rows, as many at once as the model takes and `max_rows` allows.
    pub(super) fn run(
        &mut self,
        table: &Table,
        earlier: &[Self],
        max_rows: usize,
    ) -> Result<(), EngineError> {
        self.results.iter_mut().for_each(Collector::clear);
        if self.wanted.is_empty() {
            return Ok(());
        }
        let most = self.model.batch.unwrap_or(max_rows);
        for start in (0..table.rows).step_by(most) {
            let rows = start..table.rows.min(start + most);
            self.run_some(table, earlier, rows)?;
        }
        Ok(())
    }

    fn run_some(
        &mut self,
        table: &Table,
        earlier: &[Self],
        rows: Range<usize>,
    ) -> Result<(), EngineError> {
        let fed = self.model.batch.unwrap_or(rows.len());
        for feed in &mut self.feeds {
            feed.fill(table, earlier, rows.clone(), fed);
        }
        let values = (self.feeds.iter())
            .map(|feed| feed.tensor(table, earlier, rows.clone()))
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

impl Feed {
    fn new(
        spec: &InputSpec,
        input: &InputInfo,
        fields: &[Field],
        earlier: &[Step],
    ) -> Result<Self, String> {
        let dtype = input.dtype;
        let fits = |(declared, fed): (&Dim, &usize)| match declared {
            Dim::Fixed(size) => size == fed,
            Dim::Free(_) => true,
        };
        let declared = input.row_dims();
        if declared.len() != spec.shape.len() || !declared.iter().zip(&spec.shape).all(fits) {
            return Err(format!(
                "takes rows of shape {} and is fed with {:?}",
                shape_name(declared),
                spec.shape
            ));
        }
        let mut columns = Vec::with_capacity(spec.columns.len());
        let mut same = true;
        for column in &spec.columns {
            let (source, from) = match *column {
                ColumnRef::Field(place) => {
                    let field = fields
                        .get(place)
                        .ok_or("is fed by a field that does not exist")?;
                    (Source::Field(place), field.dtype)
                }
                ColumnRef::Output(output) => {
                    let step = earlier
                        .get(output.step)
                        .ok_or("is fed by a step that does not come before")?;
                    let place = step
                        .place_of(output.output)
                        .ok_or("is fed by an output that does not exist")?;
                    let from = step
                        .results
                        .get(place)
                        .map(|result| result.series.values.dtype());
                    let source = Source::Result {
                        step: output.step,
                        place,
                    };
                    (source, from.unwrap_or(dtype))
                }
            };
            if (from == Dtype::String) != (dtype == Dtype::String) || from == Dtype::Bytes {
                return Err(format!("takes {dtype} and cannot be fed with {from}"));
            }
            same &= from == dtype;
            columns.push(source);
        }
        Ok(Self {
            direct: same && columns.len() == 1 && dtype != Dtype::String,
            columns,
            shape: std::iter::once(0)
                .chain(spec.shape.iter().copied())
                .collect(),
            buffer: Buffer::new(dtype),
        })
    }

    /// Whether the tensor is the column's own memory: nothing to convert, nothing to pad.
    fn is_view(&self, rows: &Range<usize>) -> bool {
        self.direct && self.shape.first() == Some(&rows.len())
    }

    fn fill(&mut self, table: &Table, earlier: &[Step], rows: Range<usize>, fed: usize) {
        if let Some(first) = self.shape.first_mut() {
            *first = fed;
        }
        if !self.is_view(&rows) {
            let columns: Vec<&Series> = (self.columns.iter())
                .filter_map(|source| source.series(table, earlier))
                .collect();
            self.buffer.fill(&columns, rows, fed);
        }
    }

    fn tensor<'a>(
        &'a self,
        table: &'a Table,
        earlier: &'a [Step],
        rows: Range<usize>,
    ) -> ort::Result<SessionInputValue<'a>> {
        let own = self.columns.first().filter(|_| self.is_view(&rows));
        match own.and_then(|source| source.series(table, earlier)) {
            Some(series) => {
                let width = series.width();
                gather::view(
                    &series.values,
                    rows.start * width..rows.end * width,
                    &self.shape,
                )
            }
            None => self.buffer.tensor(&self.shape),
        }
    }
}

/// A declared shape as messages write it.
fn shape_name(dims: &[Dim]) -> String {
    let names: Vec<String> = (dims.iter())
        .map(|dim| match dim {
            Dim::Fixed(size) => size.to_string(),
            Dim::Free(name) if name.is_empty() => "?".to_owned(),
            Dim::Free(name) => name.clone(),
        })
        .collect();
    format!("[{}]", names.join(", "))
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
