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
    let there = if column.is_partial {
        Repetition::OPTIONAL
    } else {
        Repetition::REQUIRED
    };
    if column.is_single() {
        return leaf(key, column.dtype, there);
    }
    if let Some(labels) = &column.field.labels {
        let leaves = labels
            .iter()
            .map(|label| leaf(label, column.dtype, Repetition::REQUIRED).map(Arc::new));
        return Type::group_type_builder(key)
            .with_repetition(there)
            .with_fields(leaves.collect::<Result<_, _>>()?)
            .build();
    }
    let mut inner = leaf("element", column.dtype, Repetition::REQUIRED)?;
    for depth in (0..column.shape.len()).rev() {
        let list = Type::group_type_builder("list")
            .with_repetition(Repetition::REPEATED)
            .with_fields(vec![Arc::new(inner)])
            .build()?;
        let (name, there) = match depth {
            0 => (key.as_str(), there),
            _ => ("element", Repetition::REQUIRED),
        };
        inner = Type::group_type_builder(name)
            .with_repetition(there)
            .with_converted_type(ConvertedType::LIST)
            .with_fields(vec![Arc::new(list)])
            .build()?;
    }
    Ok(inner)
}

fn leaf(name: &str, dtype: Dtype, there: Repetition) -> Result<Type, ParquetError> {
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
        .with_repetition(there)
        .build()
}

/// Where the values of a column stand: how much of each is there, and at which depth it begins.
pub(super) struct Levels {
    pub(super) definitions: Option<Vec<i16>>,
    pub(super) repetitions: Option<Vec<i16>>,
}

impl Levels {
    /// For so many rows of single values, of which those that are not `present` have none.
    pub(super) fn single(present: Option<&[bool]>) -> Self {
        let level = |present: &bool| i16::from(*present);
        Self {
            definitions: present.map(|present| present.iter().map(level).collect()),
            repetitions: None,
        }
    }

    /// For `rows` values of this shape, none of whose sizes is 0.
    pub(super) fn list(rows: usize, shape: &[usize], present: Option<&[bool]>) -> Self {
        let one = starts(shape);
        let depth = i16::try_from(shape.len()).unwrap_or(i16::MAX - 1);
        let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
        for row in 0..rows {
            match present.map(|present| present.get(row).copied().unwrap_or(false)) {
                Some(false) => {
                    definitions.push(0);
                    repetitions.push(0);
                }
                there => {
                    let level = depth + i16::from(there.is_some());
                    definitions.extend(one.iter().map(|_| level));
                    repetitions.extend_from_slice(&one);
                }
            }
        }
        Self {
            definitions: Some(definitions),
            repetitions: Some(repetitions),
        }
    }
}

/// For each element of a value, the depth of the outermost list that goes on with it.
fn starts(shape: &[usize]) -> Vec<i16> {
    let width: usize = shape.iter().product();
    let start = |element: usize| {
        let (mut inner, mut level) = (width, 0);
        for size in shape {
            if element % inner == 0 {
                break;
            }
            inner /= size;
            level += 1;
        }
        level
    };
    (0..width).map(start).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_begins_where_its_outermost_one_does() {
        assert_eq!(starts(&[2, 3]), [0, 2, 2, 1, 2, 2]);
        assert_eq!(starts(&[3]), [0, 1, 1]);
        assert_eq!(starts(&[1, 2]), [0, 2]);
        let levels = Levels::list(2, &[2], None);
        assert_eq!(levels.repetitions.as_deref(), Some(&[0, 1, 0, 1][..]));
        assert_eq!(levels.definitions.as_deref(), Some(&[1; 4][..]));
        let levels = Levels::list(3, &[2], Some(&[true, false, true]));
        assert_eq!(levels.repetitions.as_deref(), Some(&[0, 1, 0, 0, 1][..]));
        assert_eq!(levels.definitions.as_deref(), Some(&[2, 2, 0, 2, 2][..]));
    }
}
