//! `move`, `fill`, `pad`, `convert`.

use super::{Params, Spot, TooLarge};
use crate::engine::cuda::plan::Launch;

/// A strided copy of elements of `bytes` bytes; strides are in elements.
pub(crate) fn copy(
    from: Spot,
    to: Spot,
    bytes: usize,
    size: &[usize],
    from_stride: &[i64],
    to_stride: &[i64],
) -> Result<Launch<Spot>, TooLarge> {
    let count = size.iter().product::<usize>();
    Params::default()
        .at(from)
        .at(to)
        .count(count)
        .small(size.len())
        .small(bytes)
        .smalls(size, 1)
        .longs(from_stride)
        .longs(to_stride)
        .over("move", count)
}

/// The same `bytes` bytes `count` times.
pub(crate) fn fill(
    to: Spot,
    count: usize,
    pattern: u64,
    bytes: usize,
) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(to)
        .count(count)
        .raw(&pattern.to_le_bytes())
        .small(bytes)
        .int(0)
        .over("fill", count)
}

/// Pad with what is there: mode 1 = edge, 2 = reflect, 3 = wrap.
pub(crate) fn pad(
    from: Spot,
    to: Spot,
    bytes: usize,
    mode: i32,
    [from_size, to_size]: [&[usize]; 2],
    before: &[i64],
) -> Result<Launch<Spot>, TooLarge> {
    let count = to_size.iter().product::<usize>();
    Params::default()
        .at(from)
        .at(to)
        .count(count)
        .small(to_size.len())
        .small(bytes)
        .int(mode)
        .int(0)
        .smalls(from_size, 1)
        .smalls(to_size, 1)
        .smalls(before, 0)
        .over("pad", count)
}
