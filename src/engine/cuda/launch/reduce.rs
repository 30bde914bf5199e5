//! `reduce_*`, `arg_reduce`, `top_k`, `cum_sum`, `softmax`: along one or several dimensions.

use super::{Params, Spot, THREADS, TooLarge};
use crate::engine::cuda::plan::Launch;

/// Sizes and strides (in elements) of some dimensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dims {
    pub(crate) size: Vec<usize>,
    pub(crate) stride: Vec<i64>,
}

impl Dims {
    fn count(&self) -> usize {
        self.size.iter().product()
    }
}

/// How [`reduce`] makes one number of many, as `ReduceKind` numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sum = 0,
    Mean = 1,
    Max = 2,
    Min = 3,
    Prod = 4,
    SumSquare = 5,
    L1 = 6,
    L2 = 7,
    LogSum = 8,
    LogSumExp = 9,
}

/// Rows of up to this many elements are worked on by a warp, longer ones by a block.
const SHORT: usize = 1024;
/// Warps of a block.
const WARPS: u64 = 8;
/// `top_k` sorts a whole row of up to this many elements in shared memory.
pub(crate) const TOP_K_MOST: usize = 4096;

/// Blocks for rows of `length` elements.
fn rows(count: usize, length: usize) -> [u64; 3] {
    let each = if length <= SHORT { WARPS } else { 1 };
    [(count as u64).div_ceil(each).clamp(1, 1 << 20), 1, 1]
}

/// Many numbers become one. `kernel` is the one of the compute type.
pub(crate) fn reduce(
    kernel: &'static str,
    from: Spot,
    to: Spot,
    element: i32,
    kind: Kind,
    kept: &Dims,
    reduced: &Dims,
) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(from)
        .at(to)
        .count(kept.count())
        .count(reduced.count())
        .int(element)
        .int(kind as i32)
        .small(kept.size.len())
        .small(reduced.size.len())
        .smalls(&kept.size, 1)
        .smalls(&reduced.size, 1)
        .longs(&kept.stride)
        .longs(&reduced.stride)
        .launch(kernel, rows(kept.count(), reduced.count()), THREADS, 0)
}

/// Index of the largest or smallest along the axis of `[outer, axis, inner]`.
pub(crate) fn arg(
    from: Spot,
    to: Spot,
    [outer, axis, inner]: [usize; 3],
    element: i32,
    [min, last]: [bool; 2],
) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(from)
        .at(to)
        .count(outer)
        .count(axis)
        .count(inner)
        .int(element)
        .int(min.into())
        .int(last.into())
        .int(0)
        .launch("arg_reduce", rows(outer * inner, 1), THREADS, 0)
}

/// The `k` largest or smallest, sorted, along the axis of `[outer, axis, inner]`.
pub(crate) fn top_k(
    from: Spot,
    [values, indices]: [Option<Spot>; 2],
    [outer, axis, inner]: [usize; 3],
    k: usize,
    element: i32,
    smallest: bool,
) -> Result<Launch<Spot>, TooLarge> {
    // A value and an index, 12 bytes, for each place of the network that sorts.
    let places = axis.max(1).next_power_of_two();
    let shared = u32::try_from(12 * places).map_err(|_| TooLarge)?;
    if axis > TOP_K_MOST {
        return Err(TooLarge);
    }
    Params::default()
        .at(from)
        .address(values)
        .address(indices)
        .count(outer)
        .count(axis)
        .count(inner)
        .small(k)
        .int(element)
        .int(smallest.into())
        .int(0)
        .launch("top_k", [(outer * inner) as u64, 1, 1], THREADS, shared)
}

/// Running sums along the axis of `[outer, axis, inner]`.
pub(crate) fn cum_sum(
    from: Spot,
    to: Spot,
    [outer, axis, inner]: [usize; 3],
    element: i32,
    [exclusive, reverse]: [bool; 2],
) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(from)
        .at(to)
        .count(outer)
        .count(axis)
        .count(inner)
        .int(element)
        .int(exclusive.into())
        .int(reverse.into())
        .int(0)
        .launch("cum_sum", rows(outer * inner, 1), THREADS, 0)
}

/// What `softmax` reads and writes; see `kernels/args.cuh`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Softmax {
    pub(crate) from: Spot,
    pub(crate) to: Spot,
    /// Outer, axis, inner.
    pub(crate) shape: [usize; 3],
    pub(crate) element: i32,
    /// Whether the logarithm is wanted.
    pub(crate) log: bool,
}

impl Softmax {
    /// Without a mask: products add masks to scores themselves.
    pub(crate) fn launch(&self) -> Result<Launch<Spot>, TooLarge> {
        let [outer, axis, inner] = self.shape;
        Params::default()
            .at(self.from)
            .address(None)
            .at(self.to)
            .count(outer)
            .count(axis)
            .count(inner)
            .long(1)
            .float(1.0)
            .int(self.element)
            .int(self.log.into())
            .int(0)
            .launch("softmax", rows(outer * inner, axis), THREADS, 0)
    }
}
