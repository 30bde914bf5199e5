//! Tables that are used again. A thread that decodes also takes batches and encodes results, and what it has emptied
//! there has just the columns that it needs for the next block, grown to what a block takes.

use std::cell::RefCell;

use super::{Column, Table};

/// Bytes of columns that a thread keeps: what a single huge message needed is given back.
const BYTES_MAX: usize = 1 << 20;

/// What a thread keeps.
#[derive(Debug)]
struct Spare {
    tables: Vec<Table>,
    bytes: usize,
}

thread_local! {
    static SPARE: RefCell<Spare> = const {
        RefCell::new(Spare {
            tables: Vec::new(),
            bytes: 0,
        })
    };
}

impl Table {
    /// Keeps the memory of a table that nobody needs any more for [`Table::spare_like`] on this thread.
    pub fn keep_memory(mut self) {
        self.truncate(0);
        let bytes = self.allocated();
        SPARE.with_borrow_mut(|spare| {
            if spare.bytes + bytes <= BYTES_MAX {
                spare.bytes += bytes;
                spare.tables.push(self);
            }
        });
    }

    /// An empty table of the same types and shapes, in memory that was kept where there is some.
    #[must_use]
    pub fn spare_like(&self) -> Self {
        let spare = SPARE.with_borrow_mut(|spare| {
            let table = spare.tables.pop()?;
            spare.bytes -= table.allocated();
            Some(table)
        });
        match spare.filter(|spare| spare.is_like(self)) {
            Some(spare) => spare,
            None => self.empty_like(),
        }
    }

    /// Bytes that the columns hold, used or not; a little for each even where they hold none, so that the number of
    /// tables has a bound.
    fn allocated(&self) -> usize {
        let series = self.series.iter();
        size_of::<Self>()
            + series
                .map(|one| size_of_val(one) + one.values.allocated())
                .sum::<usize>()
    }

    fn is_like(&self, other: &Self) -> bool {
        self.series.len() == other.series.len()
            && (self.series.iter().zip(&other.series)).all(|(own, other)| {
                own.present.is_none()
                    && own.values.dtype() == other.values.dtype()
                    && own.shape == other.shape
            })
    }
}

impl Column {
    /// Bytes that the column holds, used or not.
    fn allocated(&self) -> usize {
        match self {
            Self::F32(values) => values.capacity() * size_of::<f32>(),
            Self::F64(values) => values.capacity() * size_of::<f64>(),
            Self::I32(values) => values.capacity() * size_of::<i32>(),
            Self::I64(values) => values.capacity() * size_of::<i64>(),
            Self::U8(values) => values.capacity(),
            Self::Bool(values) => values.capacity(),
            Self::String(values) => values.allocated(),
            Self::Bytes(values) => values.allocated(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block::Series, contract::Dtype};

    fn table(dtypes: &[Dtype]) -> Table {
        Table {
            rows: 0,
            series: dtypes
                .iter()
                .map(|dtype| Series::new(*dtype, vec![]))
                .collect(),
        }
    }

    fn address(table: &Table) -> *const i64 {
        let Column::I64(values) = &table.series[0].values else {
            panic!("made for i64");
        };
        values.as_ptr()
    }

    #[test]
    fn memory_is_used_again_where_it_fits() {
        let like = table(&[Dtype::I64]);
        let mut used = like.spare_like();
        used.series[0].values = Column::I64(vec![1; 100]);
        used.rows = 100;
        let before = address(&used);
        used.keep_memory();
        let again = like.spare_like();
        assert_eq!((again.rows, address(&again)), (0, before));
        assert_eq!(again, like);
        again.keep_memory();
        let other = table(&[Dtype::I64, Dtype::String]);
        assert_eq!(other.spare_like(), other, "other columns, other memory");
        assert_ne!(address(&like.spare_like()), before, "it is gone");
    }

    #[test]
    fn what_is_huge_is_given_back() {
        let like = table(&[Dtype::I64]);
        let mut huge = like.empty_like();
        huge.series[0].values = Column::I64(Vec::with_capacity(BYTES_MAX / 8 + 1));
        let before = address(&huge);
        let other = Vec::<i64>::with_capacity(BYTES_MAX / 8 + 1);
        huge.keep_memory();
        assert_ne!(address(&like.spare_like()), before);
        drop(other);
    }
}
