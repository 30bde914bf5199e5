//! The rows of a batch, so that no two of the same key run at once.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    block::{Column, Series, Table},
    engine::EngineError,
};

/// The rows of a batch by their keys.
#[derive(Debug)]
pub(super) struct Waves<'a> {
    /// The keys, in the order in which they come first.
    pub(super) keys: Vec<Cow<'a, [u8]>>,
    /// For each row, the place of its key.
    pub(super) key_of: Vec<usize>,
    /// The rows that run together, in rising order: the first of each key, the second of each, and
    /// so on.
    pub(super) rows: Vec<Vec<usize>>,
}

impl<'a> Waves<'a> {
    pub(super) fn of(keys: &'a Column, rows: usize) -> Self {
        let mut known: HashMap<Cow<'a, [u8]>, usize> = HashMap::new();
        let mut these = Self {
            keys: Vec::new(),
            key_of: Vec::with_capacity(rows),
            rows: Vec::new(),
        };
        let mut seen: Vec<usize> = Vec::new();
        for row in 0..rows {
            let key = bytes_of(keys, row);
            let place = *known.entry(key).or_insert_with_key(|key| {
                these.keys.push(key.clone());
                seen.push(0);
                seen.len() - 1
            });
            these.key_of.push(place);
            let wave = seen[place];
            seen[place] += 1;
            match these.rows.get_mut(wave) {
                Some(rows) => rows.push(row),
                None => these.rows.push(vec![row]),
            }
        }
        these
    }

    /// The places of the keys, that of the last row last.
    pub(super) fn by_last_row(&self) -> Vec<usize> {
        let mut met = vec![false; self.keys.len()];
        let mut order = Vec::with_capacity(self.keys.len());
        for key in self.key_of.iter().rev() {
            if !std::mem::replace(&mut met[*key], true) {
                order.push(*key);
            }
        }
        order.reverse();
        order
    }
}

/// A key as bytes; those of one column are of one type.
fn bytes_of(keys: &Column, row: usize) -> Cow<'_, [u8]> {
    match keys {
        Column::String(values) => values.get(row).unwrap_or_default().as_bytes().into(),
        Column::Bytes(values) => values.get(row).unwrap_or_default().into(),
        Column::I64(values) => values[row].to_le_bytes().to_vec().into(),
        Column::I32(values) => values[row].to_le_bytes().to_vec().into(),
        Column::U8(values) => vec![values[row]].into(),
        Column::Bool(values) => vec![u8::from(values[row])].into(),
        Column::F32(_) | Column::F64(_) => {
            unreachable!("the config takes no float for a key: this is a bug")
        }
    }
}

/// The outputs of all waves as one table, each row where it was in the batch.
///
/// # Errors
/// The waves differ in the shape of an output.
pub(super) fn together(
    mut parts: Vec<Table>,
    waves: &[Vec<usize>],
    rows: usize,
) -> Result<Table, EngineError> {
    if parts.len() <= 1 {
        return Ok(parts.pop().unwrap_or_default());
    }
    let mut from = vec![0; rows];
    for (at, row) in waves.iter().flatten().enumerate() {
        from[*row] = at;
    }
    let mut whole = Table {
        rows,
        series: Vec::new(),
    };
    for number in 0..parts.first().map_or(0, |part| part.series.len()) {
        let pieces = parts.iter_mut().filter_map(|part| {
            let rows = part.rows;
            Some((part.series.get_mut(number)?, rows))
        });
        whole.series.push(joined(pieces.collect(), &from)?);
    }
    Ok(whole)
}

/// The pieces of one output with their rows, one behind another and then each row from its place.
fn joined(pieces: Vec<(&mut Series, usize)>, from: &[usize]) -> Result<Series, EngineError> {
    let partial = pieces.iter().any(|(piece, _)| piece.present.is_some());
    let mut present: Vec<bool> = Vec::new();
    let mut all: Option<Series> = None;
    for (piece, rows) in pieces {
        if partial {
            present.extend((0..rows).map(|row| piece.is_present(row)));
        }
        let piece = std::mem::replace(piece, Series::new(piece.values.dtype(), Vec::new()));
        match &mut all {
            None => all = Some(piece),
            Some(all) if all.shape == piece.shape => all.values.append(&piece.values),
            Some(all) => {
                let words = format!(
                    "an output has rows of shape {:?} after rows of shape {:?}",
                    piece.shape, all.shape
                );
                return Err(EngineError::Batch(words.into()));
            }
        }
    }
    let Some(all) = all else {
        return Err(EngineError::Batch(
            "an output is lost: this is a bug".into(),
        ));
    };
    Ok(Series {
        values: all.values.pick(from, all.width()),
        shape: all.shape,
        present: partial.then(|| from.iter().map(|at| present[*at]).collect()),
    })
}
