//! Models on the CPU, by ONNX Runtime.
//!
//! - [`library`] finds and loads the runtime's shared library
//! - `model` loads one model file; `explain` says in plain words why that failed
//! - [`catalog`] says what models take and give, before anything is served
//! - `mixing` finds out whether a model's rows depend on each other
//! - `feed` is what feeds one input: `gather` turns columns into tensors, `front` runs what was taken off a graph on the
//!   way (`lookup` is what it looks up), `trim` leaves out padding; `collect` turns outputs into series
//! - `trees` walks ensembles of trees in ONNX Runtime's place
//! - [`CpuEngine`] runs the steps; `sampling` runs some rows of a GPU's again, to compare
//! - [`raw`] runs a model as it is, to check it
//! - [`optimized`](mod@optimized) has the optimiser write a model anew, for other devices (`weights` are those it need not see)

pub mod catalog;
mod collect;
mod condition;
mod explain;
mod feed;
mod front;
mod gather;
pub mod library;
mod load;
mod lookup;
mod mixing;
mod model;
pub(super) mod on_gpu;
pub mod optimized;
mod parity;
pub mod raw;
mod sampling;
mod step;
mod trees;
mod trim;
mod weights;

use self::{feed::Taken, step::Step};
use super::{
    Compared, Engine, EngineError, EngineSpec, ModelError, Moved, OutputRef, Placed,
    state::StateValue,
};
pub use crate::graph::hints::Width;
use crate::{
    block::{Column, Series, Strings, Table},
    contract::{Dtype, Field, Scalar},
};

/// The steps of one pipeline, each with a session of its own.
#[derive(Debug)]
pub struct CpuEngine {
    steps: Vec<Step>,
    outputs: Vec<Output>,
    max_rows: usize,
    /// The output table without rows; the shapes are what came out first.
    blank: Table,
}

/// One series of the output table.
#[derive(Debug, Clone, Copy)]
struct Output {
    step: usize,
    /// Place among the step's wanted outputs.
    place: usize,
    /// The last series that needs it takes its memory and gives its own in return.
    last: bool,
}

impl CpuEngine {
    /// Loads the models and runs them once, so that the first message finds them warm. What is held
    /// between rows stands behind the fields in its tables, and what it becomes behind the outputs;
    /// [`super::load`] puts around it what holds it.
    ///
    /// # Errors
    /// The runtime's library or a model cannot be loaded, or `spec` does not fit the models.
    pub fn load(spec: &EngineSpec, fields: &[Field]) -> Result<Self, ModelError> {
        let held = spec.state.iter().flat_map(|state| &state.values);
        let held: Vec<Field> = held.map(StateValue::as_field).collect();
        let taken = Taken {
            fields,
            state: &held,
        };
        let mut steps: Vec<Step> = Vec::with_capacity(spec.steps.len());
        for (index, step) in spec.steps.iter().enumerate() {
            let wanted = wanted(spec, index);
            let step = Step::load(step, wanted, taken, &steps, spec.max_rows.max(1))?;
            steps.push(step);
        }
        let outputs = (spec.outputs.iter().enumerate())
            .map(|(at, output)| {
                let rest = spec.outputs.get(at + 1..).unwrap_or_default();
                let place = steps
                    .get(output.step)
                    .and_then(|step| step.place_of(output.output));
                place
                    .map(|place| Output {
                        step: output.step,
                        place,
                        last: !rest.contains(output),
                    })
                    .ok_or_else(|| {
                        ModelError::new(format!(
                            "step {} has no output {}",
                            output.step + 1,
                            output.output + 1
                        ))
                    })
            })
            .collect::<Result<_, _>>()?;
        let mut engine = Self {
            steps,
            outputs,
            max_rows: spec.max_rows.max(1),
            blank: Table::default(),
        };
        engine.warm_up(taken);
        Ok(engine)
    }

    /// Runs one row that keeps the contract. What is wrong with it will be wrong with messages too,
    /// and they are the ones to be rejected: a model may refuse a made-up value.
    fn warm_up(&mut self, taken: Taken<'_>) {
        let all = taken.fields.iter().chain(taken.state);
        let table = Table {
            rows: 1,
            series: all.map(row_of).collect(),
        };
        if let Err(error) = self.run_steps(&table, &mut Table::default(), true) {
            tracing::info!("the models were not warmed up, they refuse a made-up row: {error}");
        }
    }
}

impl CpuEngine {
    /// Runs the steps; `everywhere` runs them on all rows, whatever their conditions.
    fn run_steps(
        &mut self,
        input: &Table,
        output: &mut Table,
        everywhere: bool,
    ) -> Result<(), EngineError> {
        for index in 0..self.steps.len() {
            let (earlier, rest) = self.steps.split_at_mut(index);
            if let Some(step) = rest.first_mut() {
                step.run(input, earlier, self.max_rows, everywhere)?;
            }
        }
        output.rows = input.rows;
        output
            .series
            .resize_with(self.outputs.len(), || Series::new(Dtype::F32, Vec::new()));
        for (to, from) in output.series.iter_mut().zip(&self.outputs) {
            let Some(series) = self
                .steps
                .get_mut(from.step)
                .and_then(|step| step.result_mut(from.place))
            else {
                continue;
            };
            if from.last {
                std::mem::swap(to, series);
            } else {
                to.clone_from(series);
            }
        }
        if self.blank.series.is_empty() {
            self.blank = output.empty_like();
        }
        Ok(())
    }
}

impl Engine for CpuEngine {
    fn run(&mut self, input: &Table, output: &mut Table) -> Result<(), EngineError> {
        self.run_steps(input, output, false)
    }

    fn no_rows(&self) -> Table {
        self.blank.clone()
    }

    fn placed(&self) -> Vec<Placed> {
        self.steps.iter().map(|step| step.placed.clone()).collect()
    }

    fn moved(&mut self) -> Vec<Moved> {
        let steps = self.steps.iter_mut().enumerate();
        let moved = steps.filter_map(|(number, step)| {
            Some(Moved {
                step: number,
                from: step.moved_from.take()?,
                to: step.placed.clone(),
            })
        });
        moved.collect()
    }

    fn compared(&mut self) -> Vec<Compared> {
        let steps = self.steps.iter_mut().enumerate();
        steps
            .filter_map(|(number, step)| step.sampling.as_mut()?.found(number))
            .collect()
    }
}

/// The outputs of a step that anything needs, in rising order.
fn wanted(spec: &EngineSpec, step: usize) -> Vec<usize> {
    let fed = (spec.steps.iter())
        .flat_map(|step| &step.inputs)
        .flat_map(|input| &input.columns)
        .filter_map(|column| match column {
            super::ColumnRef::Output(output) => Some(*output),
            super::ColumnRef::Field(_) | super::ColumnRef::State(_) => None,
        });
    let conditions = (spec.steps.iter())
        .filter_map(|step| step.when.as_ref())
        .flat_map(|when| when.conditions.iter().copied());
    let mut wanted: Vec<usize> = (spec.outputs.iter().copied().chain(fed).chain(conditions))
        .filter(|output: &OutputRef| output.step == step)
        .map(|output| output.output)
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

/// One row's value that keeps a field's contract: the first allowed value, the default, or the
/// allowed number nearest to zero.
fn row_of(field: &Field) -> Series {
    let mut series = catalog::blank(field.dtype, &field.shape);
    let allowed = field.values.as_ref().and_then(|values| values.first());
    let range = field
        .range
        .map(|[low, high]| Scalar::Float(0f64.max(low).min(high)));
    let Some(value) = allowed.or(field.default.as_ref()).or(range.as_ref()) else {
        return series;
    };
    let number = match value {
        Scalar::Integer(value) => *value as f64,
        Scalar::Float(value) => *value,
        Scalar::Bool(value) => f64::from(u8::from(*value)),
        Scalar::String(_) => 0.0,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a warm-up row need not be exact"
    )]
    match &mut series.values {
        Column::F32(values) => values.fill(number as f32),
        Column::F64(values) => values.fill(number),
        Column::I32(values) => values.fill(number as i32),
        Column::I64(values) => values.fill(number as i64),
        Column::U8(values) => values.fill(number as u8),
        Column::Bool(values) => values.fill(number != 0.0),
        Column::Bytes(_) => {}
        Column::String(values) => {
            let mut text = Strings::default();
            if let Scalar::String(value) = value {
                (0..values.len()).for_each(|_| text.push(value));
                *values = text;
            }
        }
    }
    series
}
