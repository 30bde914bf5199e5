//! What comes out of a model becomes series.

use ort::value::{DynValue, Shape, TensorElementType};

use super::model::Declared;
use crate::{
    block::{Column, Series},
    contract::{Dtype, Scalar},
    engine::{
        OutputInfo,
        cuda::{cells, plan::Slot, texts::Texts},
    },
};

/// Takes up one output, batch after batch.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) output: Declared,
    /// Everything since [`Collector::clear`].
    pub(super) series: Series,
}

impl Collector {
    pub(super) fn new(output: &Declared) -> Self {
        Self {
            output: output.clone(),
            series: Series::new(dtype_of(output), Vec::new()),
        }
    }

    /// The output that it takes up.
    pub(super) fn name(&self) -> &str {
        &self.output.name
    }

    /// With the shape of one row, which is known before anything has come out.
    pub(super) fn with_shape(mut self, shape: Option<&Vec<usize>>) -> Self {
        if let Some(shape) = shape {
            self.series.shape.clone_from(shape);
        }
        self
    }

    /// Puts the rows to their places among `total`; elsewhere stands `otherwise`, or nothing.
    pub(super) fn spread(&mut self, rows: &[usize], total: usize, otherwise: Option<&Scalar>) {
        let width = self.series.width();
        self.series.values = self.series.values.spread(rows, total, width, otherwise);
        self.series.present = otherwise.is_none().then(|| {
            let mut present = vec![false; total];
            for row in rows {
                if let Some(flag) = present.get_mut(*row) {
                    *flag = true;
                }
            }
            present
        });
    }

    /// Forgets the rows.
    pub(super) fn clear(&mut self) {
        let dtype = dtype_of(&self.output);
        if self.series.values.dtype() == dtype {
            self.series.values.truncate(0);
        } else {
            self.series.values = Column::new(dtype);
        }
        self.series.present = None;
    }

    /// The output as one thing that a pipeline can name; rows must have come out.
    pub(super) fn info(self) -> OutputInfo {
        OutputInfo {
            name: self.output.name,
            dtype: self.series.values.dtype(),
            shape: self.series.shape,
            labels: self.output.labels,
        }
    }

    /// Appends the first `keep` rows of what came out when `fed` rows went in.
    ///
    /// # Errors
    /// It does not have one value for each row, or a shape other than before; in words that name
    /// the output.
    pub(super) fn append(
        &mut self,
        value: &DynValue,
        fed: usize,
        keep: usize,
    ) -> Result<(), String> {
        let shape = value
            .dtype()
            .tensor_shape()
            .ok_or_else(|| self.words("is no tensor"))?;
        let elements = self.take_shape(shape, fed)? * keep;
        /// Appends the first elements, converted where the series has a wider type.
        macro_rules! take {
            ($type:ty, $to:expr) => {{
                let (_, data) = value
                    .try_extract_tensor::<$type>()
                    .map_err(|error| error.to_string())?;
                let data = data.get(..elements).unwrap_or(data);
                extend($to, data);
            }};
        }
        match (&mut self.series.values, self.output.ty) {
            (Column::F32(to), TensorElementType::Float32) => take!(f32, to),
            (Column::F64(to), TensorElementType::Float64) => take!(f64, to),
            (Column::I32(to), TensorElementType::Int32) => take!(i32, to),
            (Column::I64(to), TensorElementType::Int64) => take!(i64, to),
            (Column::U8(to), TensorElementType::Uint8) => take!(u8, to),
            (Column::Bool(to), TensorElementType::Bool) => take!(bool, to),
            (Column::I32(to), TensorElementType::Int8) => take!(i8, to),
            (Column::I32(to), TensorElementType::Int16) => take!(i16, to),
            (Column::I32(to), TensorElementType::Uint16) => take!(u16, to),
            (Column::I64(to), TensorElementType::Uint32) => take!(u32, to),
            (Column::String(to), TensorElementType::String) => {
                let (_, text) = value
                    .try_extract_strings()
                    .map_err(|error| error.to_string())?;
                text.iter().take(elements).for_each(|text| to.push(text));
            }
            (_, ty) => return Err(self.words(&format!("has elements of type {ty}"))),
        }
        Ok(())
    }

    /// Appends rows that a device gave.
    ///
    /// # Errors
    /// They have a shape other than before, or a type that cannot be kept; in words that name the output.
    pub(super) fn append_bytes(
        &mut self,
        slot: &Slot,
        bytes: &[u8],
        texts: &Texts,
    ) -> Result<(), String> {
        self.take_row(slot.dims.get(1..).unwrap_or_default())?;
        cells::append(
            &mut self.series.values,
            slot.element,
            |index| texts.text(slot, index),
            bytes,
        )
        .map_err(|why| self.words(&why))
    }

    /// Checks the batch dimension, keeps the row's shape, and returns the elements in a row.
    fn take_shape(&mut self, shape: &Shape, fed: usize) -> Result<usize, String> {
        let dims: Vec<usize> = shape
            .iter()
            .map(|dim| usize::try_from(*dim).unwrap_or(0))
            .collect();
        let Some((_, row)) = dims.split_first().filter(|(first, _)| **first == fed) else {
            return Err(self.words(&format!(
                "has no batch dimension: {fed} {} went in and shape {dims:?} came out; forebay can \
                 only serve outputs with one value per row",
                if fed == 1 { "row" } else { "rows" }
            )));
        };
        self.take_row(row)
    }

    /// Keeps the row's shape, and returns the elements in a row.
    fn take_row(&mut self, row: &[usize]) -> Result<usize, String> {
        if self.series.values.is_empty() {
            self.series.shape.clear();
            self.series.shape.extend_from_slice(row);
        } else if self.series.shape != row {
            return Err(self.words(&format!(
                "has rows of shape {row:?} after rows of shape {:?}",
                self.series.shape
            )));
        }
        match &self.output.labels {
            Some(labels) if row != [labels.len()] => Err(self.words(&format!(
                "has rows of shape {row:?} for {} labels",
                labels.len()
            ))),
            _ => Ok(row.iter().product()),
        }
    }

    fn words(&self, what: &str) -> String {
        format!("output `{}` {what}", self.output.name)
    }
}

fn extend<S: Copy, T: From<S>>(to: &mut Vec<T>, from: &[S]) {
    to.extend(from.iter().map(|value| T::from(*value)));
}

fn dtype_of(output: &Declared) -> Dtype {
    // What has no type was refused when the model was loaded.
    output.dtype().unwrap_or(Dtype::F32)
}
