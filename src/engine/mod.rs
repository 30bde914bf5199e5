//! Runs models over batches. An engine knows tables; it does not know that messages or
//! acknowledgements exist.

pub mod cpu;
pub mod cuda;
pub mod device;
mod dictionary;
pub mod isolate;
pub mod precision;
mod python;
pub mod raw;
pub mod state;

use std::path::{Path, PathBuf};

use bytes::Bytes;

use self::{
    cpu::CpuEngine,
    state::{Held, StateSpec, Stateful},
};
pub use self::{
    device::{Device, Gpus, Moved, Placed},
    precision::{Accuracy, Precision},
};
use crate::{
    block::Table,
    contract::{Dtype, Field, Scalar},
};

/// Where each step would run here. The models are loaded, as for serving, only where that depends on them.
///
/// # Errors
/// A model cannot be loaded, or not on the device that the file demands.
pub fn placed(spec: &EngineSpec, fields: &[Field]) -> Result<Vec<Placed>, ModelError> {
    let steps = spec.steps.iter();
    let settled = steps
        .map(|step| cpu::on_gpu::settled(step.device))
        .collect();
    match settled {
        Some(placed) => Ok(placed),
        None => Ok(load(spec, fields)?.placed()),
    }
}

/// Any error from below, kept as a cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Models on one device. Each engine thread owns one: neither a CUDA stream nor an ONNX Runtime
/// session likes to be shared.
pub trait Engine: Send {
    /// Runs every step over `input` (one series for each field; further series are ignored) and
    /// fills `output`: one series for each of [`EngineSpec::outputs`], in that order, with as many
    /// rows as `input`. What `output` held before is dropped; its memory may be used again.
    ///
    /// `input.rows` may be anything from 1 up: splitting and padding to the batch sizes that a
    /// model can take is the engine's work.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn run(&mut self, input: &Table, output: &mut Table) -> Result<(), EngineError>;

    /// What [`Engine::run`] would fill for no rows at all: the series, empty. Without any where
    /// that is not known.
    fn no_rows(&self) -> Table {
        Table::default()
    }

    /// Where each step runs, in their order. Without any where that is not known.
    fn placed(&self) -> Vec<Placed> {
        Vec::new()
    }

    /// Which steps run elsewhere since this was last asked: those whose device failed.
    fn moved(&mut self) -> Vec<Moved> {
        Vec::new()
    }

    /// What the rows that ran on the CPU too have shown since this was last asked.
    fn compared(&mut self) -> Vec<Compared> {
        Vec::new()
    }

    /// What is held of earlier rows, where anything is.
    fn held(&self) -> Option<Held> {
        None
    }

    /// Forgets what is held of earlier rows.
    fn forget(&mut self) {}
}

/// Loads the models of a pipeline, with what is held between rows where it has any.
///
/// # Errors
/// As [`CpuEngine::load`].
pub fn load(spec: &EngineSpec, fields: &[Field]) -> Result<Box<dyn Engine>, ModelError> {
    let engine = Box::new(CpuEngine::load(spec, fields)?);
    Ok(match &spec.state {
        None => engine,
        Some(state) => Box::new(Stateful::new(engine, spec, state.clone(), fields.len())),
    })
}

/// What it gave to run rows of one step on the CPU too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// Counted from 0.
    pub step: usize,
    /// Rows that were compared.
    pub rows: u64,
    /// Of these, how many were off by more than the tolerance.
    pub beyond: u64,
    /// The largest difference, as a part of the largest fraction of its output in the batch; 1 where anything else differs.
    pub difference: f64,
}

/// Why an engine could not run a batch.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The device is well; these rows, together, were too much for it, or one of them is bad.
    #[error("{0}")]
    Batch(#[source] BoxError),
    /// Nothing more can run here. Fatal: the process stops and the source redelivers.
    #[error("the device is lost: {0}")]
    Device(#[source] BoxError),
}

/// Why a model cannot be served; found before the first message is taken.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// What is wrong with which file, and what to do.
    pub message: String,
}

impl ModelError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// One dimension of a declared shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// Always this many.
    Fixed(usize),
    /// Anything; the name is empty where the model gives none.
    Free(String),
}

/// A model input as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputInfo {
    /// The graph's name for it.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// The declared dimensions, the batch dimension first. Never empty: a model whose input has
    /// no batch dimension is refused when it is loaded.
    pub dims: Vec<Dim>,
}

impl InputInfo {
    /// Shape of one row as declared, without the batch dimension.
    pub fn row_dims(&self) -> &[Dim] {
        self.dims.get(1..).unwrap_or_default()
    }
}

/// A model output as it really comes out: declared shapes are not to be trusted (LightGBM's
/// converter declares `label` as `[1]` and returns `[rows]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputInfo {
    /// The graph's name for it.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Shape of one row, without the batch dimension.
    pub shape: Vec<usize>,
    /// The keys where the model returns a map for each row (ZipMap): the values are then a series
    /// of shape `[labels.len()]` in this order.
    pub labels: Option<Vec<String>>,
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelSource {
    /// The model's file. Beside it are its weights, where they have files of their own.
    pub path: PathBuf,
    /// What runs in place of the file's bytes: the model with steps around it, or steps alone.
    pub graph: Option<Bytes>,
}

impl ModelSource {
    /// A file as it is.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            graph: None,
        }
    }

    /// A graph that was built; `path` is the file of the model in it, or what to call it in messages.
    pub fn built(path: impl Into<PathBuf>, graph: impl Into<Bytes>) -> Self {
        Self {
            path: path.into(),
            graph: Some(graph.into()),
        }
    }
}

impl From<&Path> for ModelSource {
    fn from(path: &Path) -> Self {
        Self::file(path)
    }
}

impl From<&PathBuf> for ModelSource {
    fn from(path: &PathBuf) -> Self {
        Self::file(path)
    }
}

impl From<&Self> for ModelSource {
    fn from(source: &Self) -> Self {
        source.clone()
    }
}

/// Answers what `config` must know about models before anything runs.
pub trait ModelCatalog {
    /// The inputs that the model declares.
    ///
    /// # Errors
    /// The file is no model, or one that cannot be served.
    fn inputs(&mut self, source: &ModelSource) -> Result<Vec<InputInfo>, ModelError>;

    /// The names of the outputs that the model declares, without running it.
    ///
    /// # Errors
    /// As for [`ModelCatalog::inputs`].
    fn declared_outputs(&mut self, source: &ModelSource) -> Result<Vec<String>, ModelError>;

    /// Runs the model on a probe batch and says what really comes out. `row_shapes` has the shape
    /// of one row for each input, in the order of [`ModelCatalog::inputs`].
    ///
    /// # Errors
    /// The model does not run on these shapes, or gives what cannot be served.
    fn outputs(
        &mut self,
        source: &ModelSource,
        row_shapes: &[Vec<usize>],
    ) -> Result<Vec<OutputInfo>, ModelError>;

    /// Whether what comes out of a row depends on the rows beside it, as far as made-up rows show that; in words
    /// that name the output. Shapes as for [`ModelCatalog::outputs`]. Where nobody looks, nothing is found.
    ///
    /// # Errors
    /// As for [`ModelCatalog::inputs`].
    fn mixes_rows(
        &mut self,
        _: &ModelSource,
        _: &[Vec<usize>],
    ) -> Result<Option<String>, ModelError> {
        Ok(None)
    }
}

/// What one engine runs, resolved from the pipeline file: names have become indices.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineSpec {
    /// The steps in the order they run.
    pub steps: Vec<StepSpec>,
    /// What the pipeline wants out, in the order of the output table; behind that, what each value
    /// of `state` becomes.
    pub outputs: Vec<OutputRef>,
    /// What is held of a row for the next one with the same key.
    pub state: Option<StateSpec>,
    /// Largest number of rows a step is given at once; a batch with more rows (one huge message)
    /// is cut.
    pub max_rows: usize,
}

impl EngineSpec {
    /// For the engine of this number, counted from 0, where a step has several devices.
    #[must_use]
    pub fn for_engine(&self, number: usize) -> Self {
        let mut spec = self.clone();
        for step in &mut spec.steps {
            step.device = step.device.for_engine(number);
        }
        spec
    }
}

/// One model and what feeds it.
#[derive(Debug, Clone, PartialEq)]
pub struct StepSpec {
    /// The model.
    pub source: ModelSource,
    /// What feeds each input of the model, in the order of [`InputInfo`].
    pub inputs: Vec<InputSpec>,
    /// On which rows it runs; on all, where nothing is said.
    pub when: Option<When>,
    /// Where it runs.
    pub device: Device,
    /// How exact it must be on a GPU.
    pub accuracy: Accuracy,
}

/// A step that runs on some of the rows only. They are gathered, and what comes out is put back to
/// their places.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    /// Outputs of earlier steps, one truth value for each row: it runs where all of them are true.
    pub conditions: Vec<OutputRef>,
    /// What the outputs are in the other rows; without it, they are not there.
    pub otherwise: Option<Scalar>,
    /// Shape of one row of each output.
    pub shapes: Vec<Vec<usize>>,
}

/// What feeds one model input: columns side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// The columns, left to right.
    pub columns: Vec<ColumnRef>,
    /// Shape of one row of the tensor that the model gets; its product is the sum of the columns'
    /// widths.
    pub shape: Vec<usize>,
}

/// A column that can feed a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnRef {
    /// A field of the contract, by its place.
    Field(usize),
    /// An output of an earlier step.
    Output(OutputRef),
    /// What is held of the row before, by its place among [`StateSpec::values`].
    State(usize),
}

/// An output of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutputRef {
    /// The step's place.
    pub step: usize,
    /// The output's place among the model's outputs.
    pub output: usize,
}
