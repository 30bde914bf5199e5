//! `gather`, `gather_elements`, `gather_nd`, `one_hot`.

use super::{FAULT, Params, Spot, TooLarge};
use crate::engine::cuda::plan::Launch;

/// What the kernels of this family read and write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spots {
    pub(crate) from: Spot,
    pub(crate) index: Spot,
    pub(crate) to: Spot,
    /// Of an element that is moved.
    pub(crate) bytes: usize,
    /// Type of the indices, as `kernels/args.cuh` numbers them.
    pub(crate) index_type: i32,
}

/// `to[o, i, n] = from[o, index[i], n]`; `shape` is outer, axis, indices, inner.
pub(crate) fn gather(
    spots: Spots,
    [outer, axis, indices, inner]: [usize; 4],
) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(spots.from)
        .at(spots.index)
        .at(spots.to)
        .at(FAULT)
        .count(outer)
        .count(axis)
        .count(indices)
        .count(inner)
        .small(spots.bytes)
        .int(spots.index_type)
        .over("gather", outer * indices * inner)
}

/// `to[o, j, n] = from[o, index[o, j, n], n]`; `shape` is outer, axis of `from`, axis of `to`, inner.
pub(crate) fn elements(
    spots: Spots,
    [outer, from_axis, to_axis, inner]: [usize; 4],
) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(spots.from)
        .at(spots.index)
        .at(spots.to)
        .at(FAULT)
        .count(outer)
        .count(from_axis)
        .count(to_axis)
        .count(inner)
        .small(spots.bytes)
        .int(spots.index_type)
        .over("gather_elements", outer * to_axis * inner)
}

/// Slices of `slice` elements, each chosen by a tuple of indices into dimensions of `size` and `stride`.
pub(crate) fn nd(
    spots: Spots,
    [batches, tuples, slice, from_batch]: [usize; 4],
    size: &[usize],
    stride: &[i64],
) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(spots.from)
        .at(spots.index)
        .at(spots.to)
        .at(FAULT)
        .count(batches)
        .count(tuples)
        .count(slice)
        .count(from_batch)
        .small(size.len())
        .small(spots.bytes)
        .int(spots.index_type)
        .int(0)
        .longs(size)
        .longs(stride)
        .over("gather_nd", batches * tuples * slice)
}

/// `to[o, d, n] = index[o, n] == d ? on : off`; `spots.from` has `off` and `on`.
pub(crate) fn one_hot(
    spots: Spots,
    [outer, depth, inner]: [usize; 3],
) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(spots.index)
        .at(spots.from)
        .at(spots.to)
        .count(outer)
        .count(depth)
        .count(inner)
        .int(spots.index_type)
        .small(spots.bytes)
        .over("one_hot", outer * depth * inner)
}
