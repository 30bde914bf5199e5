//! Rows that ran on a GPU are run on the CPU too while a pipeline serves: one of so many, and compared.
//!
//! Made-up rows are compared before a model serves; what real ones come to, and whether the device still computes what it did,
//! only they can tell.

use std::{num::NonZeroU32, ops::Range, path::Path};

use super::{
    collect::Collector,
    parity::{apart, shown},
};
use crate::{
    block::Column,
    engine::{Compared, EngineError},
};

/// Which rows, and what they have shown.
#[derive(Debug)]
pub(super) struct Sampling {
    every: NonZeroU32,
    /// Rows until the next.
    left: usize,
    limit: f64,
    /// What comes out on the CPU, one for each output that is needed.
    pub(super) results: Vec<Collector>,
    rows: u64,
    beyond: u64,
    difference: f64,
    /// It was said that a row is beyond the limit; the metrics say how many.
    told: bool,
}

impl Sampling {
    /// One row of so many; `limit` is how far a fraction may be off, as a part of the largest of its output.
    pub(super) fn new(every: NonZeroU32, limit: f64, results: &[Collector]) -> Self {
        Self {
            every,
            left: 0,
            limit,
            results: (results.iter().map(|result| &result.output))
                .map(Collector::new)
                .collect(),
            rows: 0,
            beyond: 0,
            difference: 0.0,
            told: false,
        }
    }

    /// The row whose turn has come, of these that run at once: one at most.
    pub(super) fn next(&mut self, rows: Range<usize>) -> Option<usize> {
        let count = rows.len();
        if self.left >= count {
            self.left -= count;
            return None;
        }
        let row = rows.start + self.left;
        let every = usize::try_from(self.every.get()).unwrap_or(usize::MAX);
        self.left = (self.left.saturating_add(every)).saturating_sub(count);
        Some(row)
    }

    /// Compares what came out here with a row of what came out on the GPU. A row that the CPU refuses is as far off as can
    /// be.
    pub(super) fn compare(
        &mut self,
        on_gpu: &[Collector],
        row: usize,
        refused: Option<EngineError>,
        model: &Path,
    ) {
        let pairs = self.results.iter().zip(on_gpu);
        let worst = pairs
            .map(|(cpu, gpu)| (difference(cpu, gpu, row), gpu.name()))
            .max_by(|(one, _), (other, _)| one.total_cmp(other));
        let (off, output) = worst.unwrap_or((0.0, ""));
        let off = if refused.is_some() {
            f64::INFINITY
        } else {
            off
        };
        self.rows += 1;
        self.difference = self.difference.max(off);
        if off <= self.limit {
            return;
        }
        self.beyond += 1;
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let model = model.display();
        if let Some(error) = refused {
            tracing::warn!(%model, "a row that the GPU ran does not run on the CPU: {error}");
            return;
        }
        tracing::warn!(
            %model,
            "output `{output}` of a row is off by {off:.1e} of the largest on the GPU, against {:.1e} that are allowed; \
             further ones are counted in forebay_parity_rows_beyond_total",
            self.limit
        );
    }

    /// What the rows have shown since this was last asked.
    pub(super) fn found(&mut self, step: usize) -> Option<Compared> {
        let compared = Compared {
            step,
            rows: std::mem::take(&mut self.rows),
            beyond: std::mem::take(&mut self.beyond),
            difference: std::mem::take(&mut self.difference),
        };
        (compared.rows > 0).then_some(compared)
    }
}

/// How far the one row on the CPU is from this row on the GPU.
fn difference(cpu: &Collector, gpu: &Collector, row: usize) -> f64 {
    let (cpu, gpu) = (&cpu.series, &gpu.series);
    let width = gpu.width();
    match (&cpu.values, &gpu.values) {
        (Column::F32(cpu), Column::F32(gpu)) => fractions(cpu, gpu, row * width),
        (Column::F64(cpu), Column::F64(gpu)) => fractions(cpu, gpu, row * width),
        (cpu, gpu) => {
            let differs = |at: usize| shown(cpu, at) != shown(gpu, row * width + at);
            let off = cpu.len() != width || (0..width).any(differs);
            f64::from(u8::from(off))
        }
    }
}

fn fractions<T: Copy + Into<f64>>(cpu: &[T], gpu: &[T], first: usize) -> f64 {
    let wide = |value: &T| -> f64 { (*value).into() };
    let finite = (cpu.iter().chain(gpu).map(wide)).filter(|value| value.is_finite());
    let scale = finite.fold(0.0, |scale: f64, value| scale.max(value.abs()));
    let Some(row) = gpu.get(first..first + cpu.len()) else {
        return f64::INFINITY;
    };
    let off = cpu.iter().zip(row).map(|(cpu, gpu)| {
        let (cpu, gpu) = (wide(cpu), wide(gpu));
        // Zeros of two signs are equal, also where all is zero.
        if (cpu - gpu).abs() == 0.0 {
            return 0.0;
        }
        apart(cpu, gpu, scale)
    });
    off.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sampling(every: u32) -> Sampling {
        let every = NonZeroU32::new(every).expect("not zero");
        Sampling::new(every, 1e-3, &[])
    }

    proptest! {
        /// Where batches are smaller than the distance, the rows are exactly so far apart.
        #[test]
        fn one_row_of_so_many_is_taken(every in 1_u32..50, batches in prop::collection::vec(1_usize..60, 1..40)) {
            let mut sampling = sampling(every);
            let mut before = 0;
            let mut taken = Vec::new();
            for batch in &batches {
                let row = sampling.next(0..*batch);
                prop_assert!(row.is_none_or(|row| row < *batch));
                taken.extend(row.map(|row| before + row));
                before += batch;
            }
            prop_assert_eq!(taken.first(), Some(&0));
            let largest = batches.iter().copied().max().unwrap_or(0);
            for pair in taken.windows(2) {
                let apart = pair[1] - pair[0];
                prop_assert!(apart >= every as usize || largest > every as usize, "{:?}", taken);
                prop_assert!(apart < every as usize + largest, "{:?}", taken);
            }
        }
    }

    #[test]
    fn differences_are_parts_of_the_largest() {
        let gpu = [1.0_f32, 2.0, -4.0, f32::NAN];
        let off = |cpu: &[f32], first| fractions(cpu, &gpu, first);
        assert!(off(&[1.0, 2.0], 0).abs() < f64::EPSILON);
        assert!((off(&[2.5], 1) - 0.125).abs() < f64::EPSILON);
        assert!(off(&[f32::NAN], 3).abs() < f64::EPSILON);
        assert!(off(&[f32::NAN], 2).is_infinite());
        assert!(off(&[1.0], 4).is_infinite());
    }
}
