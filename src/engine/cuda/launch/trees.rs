//! `trees_f32`, `trees_f64`, `class_scores`, `map_i64`, `map_f32`.

use super::{Params, Spot, THREADS, TooLarge};
use crate::engine::cuda::plan::Launch;

/// Shared memory that a block takes for rows and for sums at most, so that several blocks fit on a multiprocessor.
const ROWS_MOST: usize = 16 << 10;
const SUMS_MOST: usize = 16 << 10;
/// `TREES_ROWS_STAGED` and `TREES_SUMS_STAGED`.
const ROWS_STAGED: i32 = 1;
const SUMS_STAGED: i32 = 2;

/// An ensemble of trees on rows of numbers; see `kernels/args.cuh`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trees {
    pub(crate) x: Spot,
    pub(crate) y: Spot,
    pub(crate) nodes: Spot,
    pub(crate) leaves: Spot,
    pub(crate) roots: Spot,
    pub(crate) base: Option<Spot>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) targets: usize,
    pub(crate) count: usize,
    /// 0 sum, 1 average, 2 smallest, 3 largest.
    pub(crate) aggregate: i32,
    pub(crate) double: bool,
}

impl Trees {
    pub(crate) fn launch(&self) -> Result<Launch<Spot>, TooLarge> {
        let kernel = if self.double {
            "trees_f64"
        } else {
            "trees_f32"
        };
        let width = if self.double { 8 } else { 4 };
        let threads = THREADS as usize;
        let sums = threads * self.targets * width;
        // Few rows in a block leave more threads for the trees of each.
        let mut rows = if sums <= SUMS_MOST { 32 } else { threads };
        let staged = |rows: usize| rows * (self.columns | 1) * width;
        while sums <= SUMS_MOST && rows < 128 && self.count < 4 * threads / rows {
            rows *= 2;
        }
        let (mut shared, mut staging) = (0, 0);
        if sums <= SUMS_MOST {
            (shared, staging) = (sums, SUMS_STAGED);
        }
        if staged(rows) <= ROWS_MOST {
            (shared, staging) = (shared + staged(rows), staging | ROWS_STAGED);
        }
        let blocks = (self.rows as u64).div_ceil(rows as u64).max(1);
        let shared = u32::try_from(shared).map_err(|_| TooLarge)?;
        Params::default()
            .at(self.x)
            .at(self.y)
            .at(self.nodes)
            .at(self.leaves)
            .at(self.roots)
            .address(self.base)
            .count(self.rows)
            .small(self.columns)
            .small(self.targets)
            .small(self.count)
            .int(self.aggregate)
            .small(rows)
            .int(staging)
            .launch(kernel, [blocks.min(1 << 20), 1, 1], THREADS, shared)
    }
}

/// What is made of scores: `transform` as `kernels/args.cuh` numbers it, on `[rows, classes]`.
pub(crate) fn class_scores(
    from: Spot,
    to: Spot,
    [rows, classes]: [usize; 2],
    transform: i32,
    element: i32,
) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(from)
        .at(to)
        .count(rows)
        .small(classes)
        .int(transform)
        .int(0)
        .int(element)
        .over("class_scores", rows)
}

/// A table from keys to values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Map {
    pub(crate) from: Spot,
    pub(crate) to: Spot,
    /// Ascending, of the kernel's type.
    pub(crate) keys: Spot,
    pub(crate) values: Spot,
    pub(crate) count: usize,
    pub(crate) entries: usize,
    pub(crate) from_type: i32,
    pub(crate) to_type: i32,
    /// Bits of the value where there is no such key.
    pub(crate) fallback: u64,
    /// Whether the keys are `f32`; they are `i64` otherwise.
    pub(crate) float: bool,
}

impl Map {
    pub(crate) fn launch(&self) -> Result<Launch<Spot>, TooLarge> {
        let kernel = if self.float { "map_f32" } else { "map_i64" };
        Params::default()
            .at(self.from)
            .at(self.to)
            .at(self.keys)
            .at(self.values)
            .count(self.count)
            .small(self.entries)
            .int(self.from_type)
            .int(self.to_type)
            .int(0)
            .raw(&self.fallback.to_le_bytes())
            .over(kernel, self.count)
    }
}
