//! One field's value: a scalar, or an array of the field's shape, checked and appended.

use super::{Fault, scan::Scanner};
use crate::{
    block::Column,
    decode::{breach::Breach, rules::Rules},
};

/// Reads the value that begins here into the field's column.
#[inline]
pub(super) fn read(
    scan: &mut Scanner<'_>,
    rules: &Rules,
    column: &mut Column,
    scratch: &mut String,
) -> Result<(), Fault> {
    if rules.shape().is_empty() {
        return scalar(scan, rules, column, scratch, None);
    }
    array_value(scan, rules, column, scratch)
}

#[inline]
fn scalar(
    scan: &mut Scanner<'_>,
    rules: &Rules,
    column: &mut Column,
    scratch: &mut String,
    element: Option<usize>,
) -> Result<(), Fault> {
    let start = scan.pos;
    let kept = match scan.peek() {
        Some(b'-' | b'0'..=b'9') => match column {
            Column::F32(values) => rules.f32(scan.float()?).map(|value| values.push(value)),
            Column::F64(values) => rules.f64(scan.float()?).map(|value| values.push(value)),
            _ => rules.push_number(column, scan.number()?.number()),
        },
        Some(b'"') => rules.push_text(column, scan.string(scratch)?),
        Some(b'[' | b'{') => {
            scan.skip()?;
            Err(Breach::Type)
        }
        _ => match scan.literal()? {
            Some(value) => rules.push_bool(column, value),
            None => rules.push_null(column),
        },
    };
    kept.map_err(|breach| rules.reject(breach, scan.since(start), element).into())
}

/// An array nested as the shape says; or, for two dimensions and more, one flat array; or, for a
/// single element, the bare scalar.
fn array_value(
    scan: &mut Scanner<'_>,
    rules: &Rules,
    column: &mut Column,
    scratch: &mut String,
) -> Result<(), Fault> {
    let start = scan.pos;
    match scan.peek() {
        Some(b'[') => {}
        Some(b'n') => {
            scan.literal()?;
            return rules
                .push_null_value(column)
                .map_err(|breach| rules.reject(breach, "null", None).into());
        }
        _ if rules.width == 1 => return scalar(scan, rules, column, scratch, None),
        _ => {
            scan.skip()?;
            return Err(rules.reject(Breach::Form, scan.since(start), None).into());
        }
    }
    let flat = [rules.width];
    let shape = if rules.shape().len() > 1 && !nested(scan) {
        &flat[..]
    } else {
        rules.shape()
    };
    let mut array = Array {
        rules,
        column,
        scratch,
        elements: 0,
    };
    array.read(scan, shape)
}

/// Whether the array that begins here holds arrays.
fn nested(scan: &mut Scanner<'_>) -> bool {
    let mark = scan.mark();
    scan.pos += 1;
    scan.blank();
    let nested = scan.peek() == Some(b'[');
    scan.rewind(mark);
    nested
}

struct Array<'r> {
    rules: &'r Rules,
    column: &'r mut Column,
    scratch: &'r mut String,
    /// Elements read so far.
    elements: usize,
}

impl Array<'_> {
    /// Reads an array of this shape, which is never empty.
    fn read(&mut self, scan: &mut Scanner<'_>, shape: &[usize]) -> Result<(), Fault> {
        let Some((size, inner)) = shape.split_first() else {
            return Ok(());
        };
        let start = scan.pos;
        if scan.peek() != Some(b'[') {
            scan.skip()?;
            return Err(self
                .rules
                .reject(Breach::Form, scan.since(start), None)
                .into());
        }
        scan.enter()?;
        scan.pos += 1;
        let mut count = 0;
        while !scan.array_ends(count == 0)? {
            count += 1;
            if count > *size {
                // Only the count matters from here on.
                scan.skip()?;
            } else if inner.is_empty() {
                let element = Some(self.elements);
                scalar(scan, self.rules, self.column, self.scratch, element)?;
                self.elements += 1;
            } else {
                self.read(scan, inner)?;
            }
        }
        scan.leave();
        if count != *size {
            return Err(self.rules.reject(Breach::Length(count), "", None).into());
        }
        Ok(())
    }
}
