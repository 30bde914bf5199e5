//! What a Parquet file says of its columns, and how lists lie in them.

use std::sync::Arc;

use parquet::{
    basic::{ConvertedType, Repetition, Type as Physical},
    errors::ParquetError,
    schema::types::Type,
};

use super::{OutColumn, Shape, kind::Held};
use crate::contract::Dtype;

/// The schema of a file.
pub(super) fn schema(shape: &Shape, held: &[Held]) -> Result<Type, ParquetError> {
    let mut fields = Vec::with_capacity(shape.passed.len() + shape.columns.len());
    for (key, held) in shape.passed.iter().zip(held) {
        let (physical, converted) = match held {
            Held::Bool => (Physical::BOOLEAN, ConvertedType::NONE),
            Held::I64 => (Physical::INT64, ConvertedType::NONE),
            Held::F64 => (Physical::DOUBLE, ConvertedType::NONE),
            Held::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        };
        let leaf = Type::primitive_type_builder(key, physical)
            .with_converted_type(converted)
            .with_repetition(Repetition::OPTIONAL);
        fields.push(Arc::new(leaf.build()?));
    }
    for column in &shape.columns {
        fields.push(Arc::new(column_type(column)?));
    }
    Type::group_type_builder("rows").with_fields(fields).build()
}

fn column_type(column: &OutColumn) -> Result<Type, ParquetError> {
    let key = &column.field.key;
    if column.is_single() {
        return leaf(key, column.dtype);
    }
    if let Some(labels) = &column.field.labels {
        let leaves = labels
            .iter()
            .map(|label| leaf(label, column.dtype).map(Arc::new));
        return Type::group_type_builder(key)
            .with_repetition(Repetition::REQUIRED)
            .with_fields(leaves.collect::<Result<_, _>>()?)
            .build();
    }
    let mut inner = leaf("element", column.dtype)?;
    for depth in (0..column.shape.len()).rev() {
        let list = Type::group_type_builder("list")
            .with_repetition(Repetition::REPEATED)
            .with_fields(vec![Arc::new(inner)])
            .build()?;
        let name = if depth == 0 { key.as_str() } else { "element" };
        inner = Type::group_type_builder(name)
            .with_repetition(Repetition::REQUIRED)
            .with_converted_type(ConvertedType::LIST)
            .with_fields(vec![Arc::new(list)])
            .build()?;
    }
    Ok(inner)
}

fn leaf(name: &str, dtype: Dtype) -> Result<Type, ParquetError> {
    let (physical, converted) = match dtype {
        Dtype::F32 => (Physical::FLOAT, ConvertedType::NONE),
        Dtype::F64 => (Physical::DOUBLE, ConvertedType::NONE),
        Dtype::I32 => (Physical::INT32, ConvertedType::NONE),
        Dtype::I64 => (Physical::INT64, ConvertedType::NONE),
        Dtype::U8 => (Physical::INT32, ConvertedType::UINT_8),
        Dtype::Bool => (Physical::BOOLEAN, ConvertedType::NONE),
        Dtype::String => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        Dtype::Bytes => (Physical::BYTE_ARRAY, ConvertedType::NONE),
    };
    Type::primitive_type_builder(name, physical)
        .with_converted_type(converted)
        .with_repetition(Repetition::REQUIRED)
        .build()
}

/// Where the values of a list stand: at which depth each begins anew.
pub(super) struct Levels {
    pub(super) definitions: Vec<i16>,
    pub(super) repetitions: Vec<i16>,
}

impl Levels {
    /// For `rows` values of this shape, none of whose sizes is 0.
    pub(super) fn new(rows: usize, shape: &[usize]) -> Self {
        let width: usize = shape.iter().product();
        let depth = i16::try_from(shape.len()).unwrap_or(i16::MAX);
        let one: Vec<i16> = (0..width)
            .map(|element| {
                // The outermost list that goes on, counted from the outside.
                let mut inner = width;
                let mut level = 0;
                for size in shape {
                    if element % inner == 0 {
                        return level;
                    }
                    inner /= size;
                    level += 1;
                }
                level
            })
            .collect();
        Self {
            definitions: vec![depth; rows * width],
            repetitions: one.iter().copied().cycle().take(rows * width).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_begins_where_its_outermost_one_does() {
        let levels = Levels::new(2, &[2, 3]);
        assert_eq!(levels.repetitions, [0, 2, 2, 1, 2, 2, 0, 2, 2, 1, 2, 2]);
        assert_eq!(levels.definitions, [2; 12]);
        assert_eq!(Levels::new(2, &[3]).repetitions, [0, 1, 1, 0, 1, 1]);
        assert_eq!(Levels::new(1, &[1, 2]).repetitions, [0, 2]);
    }
}
