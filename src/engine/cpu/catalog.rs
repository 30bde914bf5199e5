//! What models take and give, before anything is served.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::{Path, PathBuf},
};

use ort::session::SessionInputValue;

use super::{collect::Collector, explain, gather::Buffer, model::Model};
use crate::{
    block::{Column, Series, Strings},
    contract::Dtype,
    engine::{InputInfo, ModelError, OutputInfo},
};

/// Reads model files and keeps them loaded while questions are asked.
#[derive(Debug, Default)]
pub struct CpuCatalog {
    models: HashMap<PathBuf, Model>,
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
    pub fn inputs(&mut self, path: &Path) -> Result<Vec<InputInfo>, ModelError> {
        Ok(self.model(path)?.inputs.clone())
    }

    /// The names of the outputs, in the graph's order.
    ///
    /// # Errors
    /// As [`CpuCatalog::inputs`].
    pub fn declared_outputs(&mut self, path: &Path) -> Result<Vec<String>, ModelError> {
        let model = self.model(path)?;
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
        path: &Path,
        row_shapes: &[Vec<usize>],
    ) -> Result<Vec<OutputInfo>, ModelError> {
        let model = self.model(path)?;
        if row_shapes.len() != model.inputs.len() {
            return Err(model.error(&format!(
                "it has {} inputs, and shapes of {} were given",
                model.inputs.len(),
                row_shapes.len()
            )));
        }
        // Two sizes tell an output that always has three rows from one that follows its input.
        let sizes = model.batch.map_or(vec![3, 2], |rows| vec![rows]);
        let mut seen = Vec::new();
        for rows in sizes {
            seen = probe(model, row_shapes, rows).map_err(|why| model.error(&why))?;
        }
        Ok(seen)
    }

    fn model(&mut self, path: &Path) -> Result<&mut Model, ModelError> {
        match self.models.entry(path.to_path_buf()) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(Model::load(path)?)),
        }
    }
}

/// Runs `rows` rows of zeros and empty strings.
fn probe(
    model: &mut Model,
    row_shapes: &[Vec<usize>],
    rows: usize,
) -> Result<Vec<OutputInfo>, String> {
    let mut buffers = Vec::with_capacity(row_shapes.len());
    let shapes: Vec<Vec<usize>> = (row_shapes.iter())
        .map(|shape| std::iter::once(rows).chain(shape.iter().copied()).collect())
        .collect();
    for (input, shape) in model.inputs.iter().zip(row_shapes) {
        let mut buffer = Buffer::new(input.dtype);
        buffer.fill(&[&blank(input.dtype, shape)], 0..1, rows);
        buffers.push(buffer);
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
        outputs.push(OutputInfo {
            name: output.name.clone(),
            dtype: collector.series.values.dtype(),
            labels: collector.labels(),
            shape: collector.series.shape,
        });
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
        Dtype::String => {
            let mut text = Strings::default();
            (0..width).for_each(|_| text.push(""));
            Column::String(text)
        }
    };
    Series {
        values,
        shape: shape.to_vec(),
    }
}
