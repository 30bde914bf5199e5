//! What comes out of a model becomes series.

use std::fmt::Display;

use ort::value::{DynMapValueType, DynValue, Shape, TensorElementType};

use super::model::{Declared, MapKey, MapValue, OutputKind};
use crate::{
    block::{Column, Series},
    contract::Dtype,
};

/// Takes up one output, batch after batch.
#[derive(Debug)]
pub(super) struct Collector {
    output: Declared,
    labels: Labels,
    /// Everything since [`Collector::clear`].
    pub(super) series: Series,
}

/// The keys of ZipMap's maps, in rising order; learned from the first row that ever came out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Labels {
    Unknown,
    I64(Vec<i64>),
    String(Vec<String>),
}

impl Collector {
    pub(super) fn new(output: &Declared) -> Self {
        Self {
            output: output.clone(),
            labels: Labels::Unknown,
            series: Series::new(dtype_of(output), Vec::new()),
        }
    }

    /// Forgets the rows, not the labels.
    pub(super) fn clear(&mut self) {
        let dtype = dtype_of(&self.output);
        if self.series.values.dtype() == dtype {
            self.series.values.truncate(0);
        } else {
            self.series.values = Column::new(dtype);
        }
    }

    /// The keys of the maps, once a row has come out; `None` for a tensor.
    pub(super) fn labels(&self) -> Option<Vec<String>> {
        match &self.labels {
            Labels::Unknown => None,
            Labels::I64(keys) => Some(keys.iter().map(i64::to_string).collect()),
            Labels::String(keys) => Some(keys.clone()),
        }
    }

    /// Appends the first `keep` rows of what came out when `fed` rows went in.
    ///
    /// # Errors
    /// It does not have one value for each row, or other keys or a shape other than before; in
    /// words that name the output.
    pub(super) fn append(
        &mut self,
        value: &DynValue,
        fed: usize,
        keep: usize,
    ) -> Result<(), String> {
        match self.output.kind {
            OutputKind::Tensor(ty) => self.append_tensor(value, ty, fed, keep),
            OutputKind::Maps(key, kind) => self.append_maps(value, key, kind, fed, keep),
        }
    }

    fn append_tensor(
        &mut self,
        value: &DynValue,
        ty: TensorElementType,
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
        match (&mut self.series.values, ty) {
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

    /// Checks the batch dimension, keeps the row's shape, and returns the elements in a row.
    fn take_shape(&mut self, shape: &Shape, fed: usize) -> Result<usize, String> {
        let dims: Vec<usize> = shape
            .iter()
            .map(|dim| usize::try_from(*dim).unwrap_or(0))
            .collect();
        let Some((first, row)) = dims.split_first().filter(|(first, _)| **first == fed) else {
            return Err(self.words(&format!(
                "has no batch dimension: {fed} {} went in and shape {dims:?} came out; forebay can \
                 only serve outputs with one value per row",
                if fed == 1 { "row" } else { "rows" }
            )));
        };
        debug_assert_eq!(*first, fed);
        if self.series.values.is_empty() {
            self.series.shape.clear();
            self.series.shape.extend_from_slice(row);
        } else if self.series.shape != row {
            return Err(self.words(&format!(
                "has rows of shape {row:?} after rows of shape {:?}",
                self.series.shape
            )));
        }
        Ok(row.iter().product())
    }

    fn append_maps(
        &mut self,
        value: &DynValue,
        key: MapKey,
        kind: MapValue,
        fed: usize,
        keep: usize,
    ) -> Result<(), String> {
        let maps = value
            .try_extract_sequence::<DynMapValueType>()
            .map_err(|error| error.to_string())?;
        if maps.len() != fed {
            return Err(self.words(&format!(
                "has no batch dimension: {fed} rows went in and {} maps came out; forebay can only \
                 serve outputs with one value per row",
                maps.len()
            )));
        }
        /// Appends the maps' values in the order of the labels.
        macro_rules! take {
            ($key:ty, $value:ty, $labels:path, $column:path) => {{
                for map in maps.iter().take(keep) {
                    let mut pairs = map
                        .try_extract_key_values::<$key, $value>()
                        .map_err(|error| error.to_string())?;
                    if !pairs.is_sorted_by(|a, b| a.0 <= b.0) {
                        pairs.sort_by(|a, b| a.0.cmp(&b.0));
                    }
                    if self.labels == Labels::Unknown {
                        self.labels = $labels(pairs.iter().map(|(key, _)| key.clone()).collect());
                    }
                    let $labels(labels) = &self.labels else {
                        return Err(self.words("has keys of another type than before"));
                    };
                    if !same_keys(labels, &pairs) {
                        return Err(self.words(&other_keys(labels, &pairs)));
                    }
                    if let $column(to) = &mut self.series.values {
                        to.extend(pairs.iter().map(|(_, value)| *value));
                    }
                }
            }};
        }
        match (key, kind) {
            (MapKey::I64, MapValue::F32) => take!(i64, f32, Labels::I64, Column::F32),
            (MapKey::I64, MapValue::F64) => take!(i64, f64, Labels::I64, Column::F64),
            (MapKey::String, MapValue::F32) => take!(String, f32, Labels::String, Column::F32),
            (MapKey::String, MapValue::F64) => take!(String, f64, Labels::String, Column::F64),
        }
        let labels = match &self.labels {
            Labels::Unknown => 0,
            Labels::I64(keys) => keys.len(),
            Labels::String(keys) => keys.len(),
        };
        self.series.shape.clear();
        self.series.shape.push(labels);
        Ok(())
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
    output.kind.dtype().unwrap_or(Dtype::F32)
}

fn same_keys<K: PartialEq, V>(labels: &[K], pairs: &[(K, V)]) -> bool {
    labels.len() == pairs.len()
        && labels
            .iter()
            .zip(pairs)
            .all(|(label, (key, _))| label == key)
}

fn other_keys<K: Display, V>(labels: &[K], pairs: &[(K, V)]) -> String {
    let list = |keys: Vec<String>| keys.join(", ");
    format!(
        "has the keys {} in one row and {} in another; forebay can only serve maps whose keys are always the same",
        list(labels.iter().map(ToString::to_string).collect()),
        list(pairs.iter().map(|(key, _)| key.to_string()).collect()),
    )
}
