//! Runs the front of a graph: columns go into a tensor side by side, through the arithmetic and the lookups that
//! stand in front of the model.

use std::ops::Range;

use super::{
    gather::CHUNK,
    lookup::{Lookup, whole_at},
};
use crate::{
    block::{Column, Series},
    graph::front::{Made, Op, Operator, Part, Table, What},
};

/// Chooses the operator once, so that the loop in the body is made for each of them.
macro_rules! per_operator {
    ($operator:expr, $name:ident => $body:block) => {
        per_operator!(@ $operator, $name, $body, Add Sub SubFrom Mul Div Max Min IsNan)
    };
    (@ $operator:expr, $name:ident, $body:block, $($each:ident)*) => {
        match $operator {
            $(Operator::$each => {
                let $name = Operator::$each;
                $body
            })*
            Operator::Fill(missing) if missing.is_nan() => {
                let $name = Operator::Fill(f32::NAN);
                $body
            }
            $name @ Operator::Fill(_) => $body,
        }
    };
}

/// From so many elements in a row on, a series is done row by row, not element by element.
const WIDE: usize = 8;

/// What makes one tensor.
#[derive(Debug)]
pub(super) struct Front {
    /// Elements in a row of the tensor.
    width: usize,
    places: Vec<Place>,
}

/// A part of each row.
#[derive(Debug)]
struct Place {
    /// The columns of its input, among those of the feed.
    columns: Range<usize>,
    /// Elements that they have in a row.
    width: usize,
    /// Where it begins in a row of the tensor.
    offset: usize,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Numbers(Vec<Op>),
    Floats(Lookup<f32>),
    Whole(Lookup<i64>),
}

impl Front {
    /// `columns` gives the place of an input's columns among those that [`Front::run`] gets.
    pub(super) fn new(made: &Made, columns: impl Fn(usize) -> Range<usize>) -> Self {
        let mut offset = 0;
        let places = (made.parts.iter())
            .map(|part| {
                let place = Place {
                    columns: columns(part.input),
                    width: part.width / part.spread().max(1),
                    offset,
                    work: Work::of(part),
                };
                offset += part.width;
                place
            })
            .collect();
        Self {
            width: offset,
            places,
        }
    }

    /// Elements in a row of the tensor.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Writes these rows of `columns` into `to`, which is of the tensor's type.
    ///
    /// # Errors
    /// A column is not as wide as it was said to be.
    pub(super) fn run(
        &self,
        columns: &[&Series],
        rows: &Range<usize>,
        to: &mut Column,
    ) -> Result<(), String> {
        for place in &self.places {
            let columns = columns.get(place.columns.clone()).unwrap_or_default();
            let width: usize = columns.iter().map(|series| series.width()).sum();
            if width != place.width {
                let said = place.width;
                return Err(format!(
                    "columns of {width} elements came where {said} were said to"
                ));
            }
        }
        match to {
            Column::F32(to) => self.fill(columns, rows, to),
            Column::I64(to) => self.fill(columns, rows, to),
            _ => {}
        }
        Ok(())
    }

    fn fill<T: Element>(&self, columns: &[&Series], rows: &Range<usize>, to: &mut Vec<T>) {
        // Every element is written below: what stands there need not be cleared.
        to.resize(rows.len() * self.width, T::default());
        // Some rows of all columns, then the next: what is written stays near.
        let chunks = rows
            .clone()
            .step_by(CHUNK)
            .zip(to.chunks_mut(CHUNK * self.width));
        for (start, to) in chunks {
            let rows = start..rows.end.min(start + CHUNK);
            for place in &self.places {
                let mut offset = place.offset;
                for series in columns.get(place.columns.clone()).unwrap_or_default() {
                    let into = Into {
                        offset,
                        width: self.width,
                        done: offset - place.offset,
                    };
                    offset += T::run(&place.work, series, &rows, into, to);
                }
            }
        }
    }
}

/// Where the elements of a series go.
#[derive(Clone, Copy)]
pub(super) struct Into {
    /// Their first place in a row.
    pub(super) offset: usize,
    /// Elements in a row.
    pub(super) width: usize,
    /// Elements of the same part that stand before.
    done: usize,
}

impl Into {
    /// The place of an element in each of the rows.
    pub(super) fn each<T>(self, to: &mut [T], element: usize) -> impl Iterator<Item = &mut T> {
        let at = self.offset + element;
        assert!(at < self.width, "an element behind its row: this is a bug");
        // Twice as fast as stepping over the elements between.
        (to.chunks_exact_mut(self.width)).map(move |row| &mut row[at])
    }
}

impl Work {
    fn of(part: &Part) -> Self {
        match &part.what {
            What::Numbers(ops) => Self::Numbers(ops.clone()),
            What::Lookup { keys, table } => match table {
                Table::F32(rows) => Self::Floats(Lookup::new(keys, rows, part.spread())),
                Table::I64(rows) => Self::Whole(Lookup::new(keys, rows, part.spread())),
            },
        }
    }
}

/// An element of a tensor.
trait Element: Copy + Default {
    /// Does the work for one series; says how many elements of each row it wrote.
    fn run(work: &Work, series: &Series, rows: &Range<usize>, into: Into, to: &mut [Self])
    -> usize;
}

impl Element for f32 {
    fn run(
        work: &Work,
        series: &Series,
        rows: &Range<usize>,
        into: Into,
        to: &mut [Self],
    ) -> usize {
        match work {
            Work::Numbers(ops) => numbers(ops, series, rows, into, to),
            Work::Floats(lookup) => lookup.run(series, rows, into, to),
            Work::Whole(_) => 0,
        }
    }
}

impl Element for i64 {
    fn run(
        work: &Work,
        series: &Series,
        rows: &Range<usize>,
        into: Into,
        to: &mut [Self],
    ) -> usize {
        match work {
            Work::Whole(lookup) => lookup.run(series, rows, into, to),
            // Whole numbers that stand beside codes.
            Work::Numbers(_) => {
                let own = series.width();
                for element in 0..own {
                    let places = into.each(to, element);
                    for (row, to) in rows.clone().zip(places) {
                        *to = whole_at(&series.values, row * own + element);
                    }
                }
                own
            }
            Work::Floats(_) => 0,
        }
    }
}

fn numbers(ops: &[Op], series: &Series, rows: &Range<usize>, into: Into, to: &mut [f32]) -> usize {
    let own = series.width();
    let elements = rows.start * own..rows.end * own;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "as columns go into tensors of f32"
    )]
    match &series.values {
        Column::F32(values) => spread(ops, &values[elements], own, into, to, |x| x),
        Column::F64(values) => spread(ops, &values[elements], own, into, to, |x| x as f32),
        Column::I32(values) => spread(ops, &values[elements], own, into, to, |x| x as f32),
        Column::I64(values) => spread(ops, &values[elements], own, into, to, |x| x as f32),
        Column::U8(values) => spread(ops, &values[elements], own, into, to, f32::from),
        Column::Bool(values) => {
            spread(ops, &values[elements], own, into, to, |x| {
                u8::from(x).into()
            });
        }
        Column::String(_) | Column::Bytes(_) => {}
    }
    own
}

fn spread<S: Copy>(
    ops: &[Op],
    from: &[S],
    own: usize,
    into: Into,
    to: &mut [f32],
    convert: impl Fn(S) -> f32,
) {
    if own >= WIDE {
        let rows = to.chunks_exact_mut(into.width).zip(from.chunks_exact(own));
        for (to, from) in rows {
            let Some(to) = to.get_mut(into.offset..into.offset + own) else {
                return;
            };
            to.iter_mut()
                .zip(from)
                .for_each(|(to, from)| *to = convert(*from));
            for op in ops {
                match op.numbers.get(into.done..into.done + own) {
                    Some(numbers) if op.numbers.len() > 1 => apply_each(op, numbers, to),
                    _ => apply(op, number_at(op, 0), to),
                }
            }
        }
        return;
    }
    let mut scratch = [0.0; CHUNK];
    for element in 0..own {
        let values = if own == 1 {
            taken(&mut scratch, from.iter(), &convert)
        } else {
            taken(
                &mut scratch,
                from.iter().skip(element).step_by(own),
                &convert,
            )
        };
        for op in ops {
            apply(op, number_at(op, into.done + element), values);
        }
        let places = into.each(to, element);
        places.zip(values).for_each(|(to, from)| *to = *from);
    }
}

/// The converted values, as many as there are.
#[inline]
fn taken<'s, 'v, S: Copy + 'v>(
    scratch: &'s mut [f32; CHUNK],
    values: impl ExactSizeIterator<Item = &'v S>,
    convert: impl Fn(S) -> f32,
) -> &'s mut [f32] {
    let count = values.len().min(CHUNK);
    let taken = &mut scratch[..count];
    (taken.iter_mut().zip(values)).for_each(|(to, from)| *to = convert(*from));
    taken
}

/// The number for an element.
fn number_at(op: &Op, element: usize) -> f32 {
    let element = if op.numbers.len() > 1 { element } else { 0 };
    op.numbers.get(element).copied().unwrap_or_default()
}

/// One operation on many elements.
fn apply(op: &Op, number: f32, values: &mut [f32]) {
    per_operator!(op.operator, operator => {
        for x in &mut *values {
            *x = operator.of(*x, number);
        }
    });
}

/// One operation on many elements, each with a number of its own.
fn apply_each(op: &Op, numbers: &[f32], values: &mut [f32]) {
    per_operator!(op.operator, operator => {
        values.iter_mut().zip(numbers).for_each(|(x, number)| *x = operator.of(*x, *number));
    });
}
