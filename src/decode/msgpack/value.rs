//! One field's value: a scalar, or an array of the field's shape, checked and appended.

use super::{
    Fault,
    read::{Item, Reader},
};
use crate::{
    block::Column,
    contract::Dtype,
    decode::{
        breach::Breach,
        rules::{Number, Rules},
    },
};

/// Reads the value that begins here into the field's column.
#[inline]
pub(super) fn read(
    reader: &mut Reader<'_>,
    rules: &Rules,
    column: &mut Column,
) -> Result<(), Fault> {
    if rules.shape().is_empty()
        && let Column::F32(values) = column
        && let Some((value, bytes)) = reader.float()
        && let Ok(value) = rules.f32(value)
    {
        // The usual case, without the way over an item.
        values.push(value);
        reader.pos += bytes;
        return Ok(());
    }
    let item = reader.item()?;
    if rules.shape().is_empty() {
        return scalar(rules, column, item, None);
    }
    let kept = match item {
        Item::Array(_) => return array(reader, rules, column, item),
        Item::Nil => rules.push_null_value(column),
        Item::Binary(bytes) if column.dtype() == Dtype::U8 => return binary(rules, column, bytes),
        _ if rules.width == 1 => return scalar(rules, column, item, None),
        _ => Err(Breach::Form),
    };
    kept.map_err(|breach| rules.reject(breach, &item.to_string(), None).into())
}

#[inline]
fn scalar(
    rules: &Rules,
    column: &mut Column,
    item: Item<'_>,
    element: Option<usize>,
) -> Result<(), Fault> {
    let kept = match (item, column) {
        (Item::F32(value), column) => rules.push_number(column, Number::Float(f64::from(value))),
        (Item::F64(value), column) => rules.push_number(column, Number::Float(value)),
        (Item::Integer(value), column) => rules.push_number(column, Number::Integer(value)),
        (Item::Large(value), column) => rules.push_number(column, Number::Float(value as f64)),
        (Item::Bool(value), column) => rules.push_bool(column, value),
        (Item::Text(value), column) => rules.push_text(column, value),
        (Item::Binary(value), column) => Rules::push_bytes(column, value),
        (Item::Nil, column) => rules.push_null(column),
        _ => Err(Breach::Type),
    };
    kept.map_err(|breach| rules.reject(breach, &item.to_string(), element).into())
}

/// The elements of a u8 field as one piece of binary data.
fn binary(rules: &Rules, column: &mut Column, bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() != rules.width {
        return Err(rules.reject(Breach::Length(bytes.len()), "", None).into());
    }
    for (index, byte) in bytes.iter().enumerate() {
        let item = Item::Integer(i64::from(*byte));
        scalar(rules, column, item, Some(index))?;
    }
    Ok(())
}

/// Nested as the shape says, or, for two dimensions and more, flat: by the first element.
fn array(
    reader: &mut Reader<'_>,
    rules: &Rules,
    column: &mut Column,
    head: Item<'_>,
) -> Result<(), Fault> {
    let mark = reader.mark();
    let nested = matches!(head, Item::Array(1..)) && matches!(reader.item()?, Item::Array(_));
    reader.rewind(mark);
    let flat = [rules.width];
    let shape = if rules.shape().len() > 1 && !nested {
        &flat[..]
    } else {
        rules.shape()
    };
    dimension(reader, rules, column, head, shape, &mut 0)
}

fn dimension(
    reader: &mut Reader<'_>,
    rules: &Rules,
    column: &mut Column,
    head: Item<'_>,
    shape: &[usize],
    elements: &mut usize,
) -> Result<(), Fault> {
    let Some((size, inner)) = shape.split_first() else {
        let element = Some(*elements);
        *elements += 1;
        return scalar(rules, column, head, element);
    };
    let Item::Array(count) = head else {
        return Err(rules.reject(Breach::Form, &head.to_string(), None).into());
    };
    if count != *size {
        return Err(rules.reject(Breach::Length(count), "", None).into());
    }
    reader.enter()?;
    for _ in 0..count {
        let head = reader.item()?;
        dimension(reader, rules, column, head, inner, elements)?;
    }
    reader.leave();
    Ok(())
}
