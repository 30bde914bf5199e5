//! Looks columns up in a list, and writes a row of a table for each element.

use std::ops::Range;

use super::front::Into;
use crate::{
    block::{Column, Series, Strings},
    engine::dictionary::Dictionary,
    graph::front::Keys,
};

/// A list, and what stands for each of its keys.
#[derive(Debug)]
pub(super) struct Lookup<T> {
    keys: Dictionary,
    /// A row for each key, and one for all others.
    rows: Vec<T>,
    /// Elements in one of them.
    width: usize,
}

/// What finds the places of elements among the keys.
trait Places {
    /// Gives `each` the place of each of these elements.
    fn each(&self, elements: Range<usize>, each: impl FnMut(usize));
}

struct Texts<'a>(&'a Dictionary, &'a Strings);

impl Places for Texts<'_> {
    #[inline]
    fn each(&self, elements: Range<usize>, each: impl FnMut(usize)) {
        self.0.texts(self.1, elements, each);
    }
}

struct Whole<'a>(&'a Dictionary, &'a Column);

impl Places for Whole<'_> {
    #[inline]
    fn each(&self, elements: Range<usize>, each: impl FnMut(usize)) {
        let places = elements.map(|at| self.0.whole(whole_at(self.1, at)));
        places.for_each(each);
    }
}

impl<T: Copy> Lookup<T> {
    pub(super) fn new(keys: &Keys, rows: &[T], width: usize) -> Self {
        Self {
            keys: Dictionary::new(keys),
            rows: rows.to_vec(),
            width,
        }
    }

    /// Writes these rows of the series; says how many elements of each row it wrote.
    pub(super) fn run(
        &self,
        series: &Series,
        rows: &Range<usize>,
        into: Into,
        to: &mut [T],
    ) -> usize {
        let own = series.width();
        let elements = rows.start * own..rows.end * own;
        match &series.values {
            Column::String(texts) => self.each(&Texts(&self.keys, texts), own, elements, into, to),
            values => self.each(&Whole(&self.keys, values), own, elements, into, to),
        }
        own * self.width
    }

    fn each(
        &self,
        places: &impl Places,
        own: usize,
        elements: Range<usize>,
        into: Into,
        to: &mut [T],
    ) {
        match (own, self.width) {
            (1, 1) => {
                let mut to = into.each(to, 0);
                places.each(elements, |place| {
                    if let (Some(to), Some(from)) = (to.next(), self.rows.get(place)) {
                        *to = *from;
                    }
                });
            }
            (1, 2) => self.fixed::<2>(places, elements, into, to),
            (1, 3) => self.fixed::<3>(places, elements, into, to),
            (1, 4) => self.fixed::<4>(places, elements, into, to),
            (1, 5) => self.fixed::<5>(places, elements, into, to),
            (1, 6) => self.fixed::<6>(places, elements, into, to),
            (1, 7) => self.fixed::<7>(places, elements, into, to),
            (1, 8) => self.fixed::<8>(places, elements, into, to),
            _ => {
                let part = into.offset..into.offset + own * self.width;
                let mut to = (to.chunks_exact_mut(into.width)).flat_map(|row| {
                    let part = row.get_mut(part.clone()).unwrap_or_default();
                    part.chunks_exact_mut(self.width)
                });
                places.each(elements, |place| {
                    let from = self.rows.get(place * self.width..(place + 1) * self.width);
                    if let (Some(to), Some(from)) = (to.next(), from) {
                        to.copy_from_slice(from);
                    }
                });
            }
        }
    }

    /// For one element in a row, and few for each of them: no call to copy them.
    #[inline]
    fn fixed<const WIDTH: usize>(
        &self,
        places: &impl Places,
        elements: Range<usize>,
        into: Into,
        to: &mut [T],
    ) {
        let (rows, _) = self.rows.as_chunks::<WIDTH>();
        let mut to = (to.chunks_exact_mut(into.width))
            .map(|row| row.get_mut(into.offset..)?.first_chunk_mut::<WIDTH>());
        places.each(elements, |place| {
            if let (Some(Some(to)), Some(from)) = (to.next(), rows.get(place)) {
                *to = *from;
            }
        });
    }
}

/// Whole numbers of any type; the engine sees to it that none else come here.
#[inline]
pub(super) fn whole_at(values: &Column, at: usize) -> i64 {
    match values {
        Column::I64(values) => values[at],
        Column::I32(values) => values[at].into(),
        Column::U8(values) => values[at].into(),
        Column::Bool(values) => values[at].into(),
        _ => 0,
    }
}
