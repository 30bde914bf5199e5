//! What models take and give, before anything is served.

use std::collections::{HashMap, hash_map::Entry};

use ort::session::SessionInputValue;

use super::{
    collect::Collector,
    explain,
    gather::Buffer,
    mixing::{self, Mixing},
    model::Model,
};
use crate::{
    block::{Blobs, Column, Series, Strings},
    contract::Dtype,
    engine::{InputInfo, ModelCatalog, ModelError, ModelSource, OutputInfo},
    graph::{
        self, GraphError,
        hints::{self, Sample, Width},
        proto,
    },
};

/// Reads model files and keeps them loaded while questions are asked.
#[derive(Debug, Default)]
pub struct CpuCatalog {
    models: HashMap<ModelSource, Model>,
}

impl CpuCatalog {
    /// An empty catalog. The runtime's library is loaded with the first model.
    pub fn new() -> Self {
        Self::default()
    }

    /// The inputs that the file declares, in the graph's order.
    ///
    /// # Errors
    /// The file cannot be loaded or has an input that cannot be fed.
    pub fn inputs(&mut self, source: impl Into<ModelSource>) -> Result<Vec<InputInfo>, ModelError> {
        Ok(self.model(&source.into())?.inputs.clone())
    }

    /// The names of the outputs, in the graph's order.
    ///
    /// # Errors
    /// As [`CpuCatalog::inputs`].
    pub fn declared_outputs(
        &mut self,
        source: impl Into<ModelSource>,
    ) -> Result<Vec<String>, ModelError> {
        let model = self.model(&source.into())?;
        Ok(model
            .outputs
            .iter()
            .map(|output| output.name.clone())
            .collect())
    }

    /// What really comes out, found by running a few made-up rows; `row_shapes` has the shape of
    /// one row of each input.
    ///
    /// # Errors
    /// As [`CpuCatalog::inputs`]; the model does not run on such rows; an output does not have one
    /// value for each row.
    pub fn outputs(
        &mut self,
        source: impl Into<ModelSource>,
        row_shapes: &[Vec<usize>],
    ) -> Result<Vec<OutputInfo>, ModelError> {
        let source = source.into();
        let model = self.model(&source)?;
        if row_shapes.len() != model.inputs.len() {
            return Err(model.error(&format!(
                "it has {} inputs, and shapes of {} were given",
                model.inputs.len(),
                row_shapes.len()
            )));
        }
        let blank = rows(model, row_shapes, &HashMap::new());
        seen_twice(model, &blank).or_else(|why| {
            // An encoder may refuse zeros and empty strings; try what it says that it knows.
            let sampled = sampled(model, row_shapes).ok_or_else(|| model.error(&why))?;
            seen_twice(model, &sampled).map_err(|why| model.error(&why))
        })
    }

    /// Whether what comes out of a row depends on the rows beside it; in words that name the output. What a few
    /// made-up rows do not show is not found.
    ///
    /// # Errors
    /// As [`CpuCatalog::inputs`].
    pub fn mixes_rows(
        &mut self,
        source: impl Into<ModelSource>,
        row_shapes: &[Vec<usize>],
    ) -> Result<Option<String>, ModelError> {
        let source = source.into();
        let model = self.model(&source)?;
        if row_shapes.len() != model.inputs.len() {
            return Ok(None);
        }
        let blank = rows(model, row_shapes, &HashMap::new());
        let found = mixing::mixes_rows(model, &blank).or_else(|| {
            let sampled = sampled(model, row_shapes)?;
            mixing::mixes_rows(model, &sampled)
        });
        let Some(Mixing::Mixed(what)) = found else {
            return Ok(None);
        };
        // It measures the range of the whole batch, on purpose.
        let quantized = graph_of(&source).is_ok_and(|file| hints::quantizes_batches(&file));
        Ok((!quantized).then_some(what))
    }

    /// How wide a row of the input at `place` must be where the file leaves it open, judged by
    /// what the graph does with it; `None` where that says nothing.
    ///
    /// # Errors
    /// As [`CpuCatalog::inputs`].
    pub fn width(
        &mut self,
        source: impl Into<ModelSource>,
        place: usize,
    ) -> Result<Option<Width>, ModelError> {
        let source = source.into();
        let model = self.model(&source)?;
        let Some(input) = model.inputs.get(place) else {
            return Ok(None);
        };
        // The runtime has read the file; what cannot be read here gives no hint.
        let file = graph_of(&source).ok();
        Ok(file.and_then(|file| hints::width(&file, &input.name)))
    }

    fn model(&mut self, source: &ModelSource) -> Result<&mut Model, ModelError> {
        match self.models.entry(source.clone()) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(Model::load(source)?)),
        }
    }
}

impl ModelCatalog for CpuCatalog {
    fn inputs(&mut self, source: &ModelSource) -> Result<Vec<InputInfo>, ModelError> {
        Self::inputs(self, source)
    }

    fn declared_outputs(&mut self, source: &ModelSource) -> Result<Vec<String>, ModelError> {
        Self::declared_outputs(self, source)
    }

    fn outputs(
        &mut self,
        source: &ModelSource,
        row_shapes: &[Vec<usize>],
    ) -> Result<Vec<OutputInfo>, ModelError> {
        Self::outputs(self, source, row_shapes)
    }

    fn mixes_rows(
        &mut self,
        source: &ModelSource,
        row_shapes: &[Vec<usize>],
    ) -> Result<Option<String>, ModelError> {
        Self::mixes_rows(self, source, row_shapes)
    }
}

/// The model as its file, or the graph around it, has it.
fn graph_of(source: &ModelSource) -> Result<proto::Model, GraphError> {
    match &source.graph {
        Some(built) => graph::parse(built.clone()),
        None => graph::read(&source.path),
    }
}

/// One row for each input with what the graph says that it knows; `None` where that is nothing.
fn sampled(model: &Model, row_shapes: &[Vec<usize>]) -> Option<Vec<Series>> {
    let widths = row_shapes.iter().map(|shape| shape.iter().product());
    let names = model.inputs.iter().map(|input| input.name.as_str());
    let inputs: Vec<(&str, usize)> = names.zip(widths).collect();
    let samples = hints::samples(&graph_of(&model.source).ok()?, &inputs);
    (!samples.is_empty()).then(|| rows(model, row_shapes, &samples))
}

/// One row for each input: what is known of its elements, else zeros and empty strings.
fn rows(
    model: &Model,
    row_shapes: &[Vec<usize>],
    known: &HashMap<(usize, usize), Sample>,
) -> Vec<Series> {
    let inputs = model.inputs.iter().zip(row_shapes).enumerate();
    inputs
        .map(|(place, (input, shape))| {
            let mut row = blank(input.dtype, shape);
            let width = row.width();
            if let Column::String(text) = &mut row.values {
                *text = Strings::default();
                for element in 0..width {
                    text.push(match known.get(&(place, element)) {
                        Some(Sample::Text(sample)) => sample,
                        _ => "",
                    });
                }
            }
            for element in 0..width {
                if let Some(Sample::Number(sample)) = known.get(&(place, element)) {
                    set(&mut row.values, element, *sample);
                }
            }
            row
        })
        .collect()
}

fn set(column: &mut Column, element: usize, number: i64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a category that does not fit its own input is of no use"
    )]
    match column {
        Column::F32(values) => values[element] = number as f32,
        Column::F64(values) => values[element] = number as f64,
        Column::I32(values) => values[element] = number as i32,
        Column::I64(values) => values[element] = number,
        Column::U8(values) => values[element] = number as u8,
        Column::Bool(values) => values[element] = number != 0,
        Column::String(_) | Column::Bytes(_) => {}
    }
}

/// What comes out of batches of two sizes, which tells an output that always has three rows from
/// one that follows its input; of the one size that the model takes, where it takes only one.
fn seen_twice(model: &mut Model, rows: &[Series]) -> Result<Vec<OutputInfo>, String> {
    if let Some(fixed) = model.batch {
        return probe(model, rows, fixed);
    }
    let three = probe(model, rows, 3)?;
    let two = probe(model, rows, 2)?;
    match three
        .iter()
        .zip(&two)
        .find(|(three, two)| three.shape != two.shape)
    {
        None => Ok(two),
        Some((three, two)) => Err(format!(
            "output `{}` has rows of shape {:?} in a batch of 3 and {:?} in a batch of 2; forebay can \
             only serve outputs whose rows do not depend on the batch",
            three.name, three.shape, two.shape
        )),
    }
}

/// Runs each input's row so many times over.
fn probe(model: &mut Model, row: &[Series], rows: usize) -> Result<Vec<OutputInfo>, String> {
    let outputs = came_out(model, row, 1, rows)?;
    Ok(outputs.into_iter().map(Collector::info).collect())
}

/// What comes out of each input's `given` rows, the last of which is repeated until there are `rows` of them.
pub(super) fn came_out(
    model: &mut Model,
    row: &[Series],
    given: usize,
    rows: usize,
) -> Result<Vec<Collector>, String> {
    let mut buffers = Vec::with_capacity(row.len());
    let mut shapes = Vec::with_capacity(row.len());
    for (input, row) in model.inputs.iter().zip(row) {
        let mut buffer = Buffer::new(input.dtype);
        buffer.fill(&[row], 0..given, rows);
        buffers.push(buffer);
        shapes.push(
            std::iter::once(rows)
                .chain(row.shape.iter().copied())
                .collect::<Vec<_>>(),
        );
    }
    let values: Vec<SessionInputValue<'_>> = (buffers.iter().zip(&shapes))
        .map(|(buffer, shape)| buffer.tensor(shape))
        .collect::<Result<_, _>>()
        .map_err(|error| explain::clean(error.message()))?;
    let came_out = model
        .session
        .run(values.as_slice())
        .map_err(|error| format!("it does not run: {}", explain::clean(error.message())))?;
    let mut outputs = Vec::with_capacity(model.outputs.len());
    for (output, value) in model.outputs.iter().zip(came_out.values()) {
        let mut collector = Collector::new(output);
        collector.append(&value, rows, rows)?;
        outputs.push(collector);
    }
    Ok(outputs)
}

/// One row of zeros or empty strings.
pub(super) fn blank(dtype: Dtype, shape: &[usize]) -> Series {
    let width = shape.iter().product();
    let values = match dtype {
        Dtype::F32 => Column::F32(vec![0.0; width]),
        Dtype::F64 => Column::F64(vec![0.0; width]),
        Dtype::I32 => Column::I32(vec![0; width]),
        Dtype::I64 => Column::I64(vec![0; width]),
        Dtype::U8 => Column::U8(vec![0; width]),
        Dtype::Bool => Column::Bool(vec![false; width]),
        Dtype::Bytes => {
            let mut blobs = Blobs::default();
            (0..width).for_each(|_| blobs.push(&[]));
            Column::Bytes(blobs)
        }
        Dtype::String => {
            let mut text = Strings::default();
            (0..width).for_each(|_| text.push(""));
            Column::String(text)
        }
    };
    Series {
        values,
        shape: shape.to_vec(),
        present: None,
    }
}
