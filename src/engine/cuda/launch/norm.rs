//! `layer_norm`, `lp_normalize`.

use super::{Params, Spot, THREADS, TooLarge};
use crate::engine::cuda::plan::Launch;

/// Blocks of eight warps, each of which takes a row.
fn rows(count: usize) -> [u64; 3] {
    [(count as u64).div_ceil(8).clamp(1, 1 << 20), 1, 1]
}

/// What `layer_norm` reads and writes; see `kernels/args.cuh`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerNorm {
    pub(crate) from: Spot,
    pub(crate) skip: Option<Spot>,
    pub(crate) bias: Option<Spot>,
    pub(crate) gamma: Option<Spot>,
    pub(crate) beta: Option<Spot>,
    pub(crate) to: Spot,
    pub(crate) sum: Option<Spot>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) skip_rows: usize,
    pub(crate) epsilon: f64,
    /// As `kernels/args.cuh` numbers it.
    pub(crate) element: i32,
    pub(crate) simplified: bool,
}

impl LayerNorm {
    /// A warp for each row.
    pub(crate) fn launch(&self) -> Result<Launch<Spot>, TooLarge> {
        Params::default()
            .at(self.from)
            .address(self.skip)
            .address(self.bias)
            .address(self.gamma)
            .address(self.beta)
            .at(self.to)
            .address(self.sum)
            .count(self.rows)
            .count(self.columns)
            .count(self.skip_rows)
            .double(self.epsilon)
            .int(self.element)
            .int(self.simplified.into())
            .launch("layer_norm", rows(self.rows), THREADS, 0)
    }
}

/// `x / norm` along the axis of `[outer, axis, inner]`; `kind` 0 = largest, 1 = L1, 2 = L2. `zero`: a norm of 0 gives 0.
pub(crate) fn lp(
    from: Spot,
    to: Spot,
    [outer, axis, inner]: [usize; 3],
    element: i32,
    kind: i32,
    zero: bool,
) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(from)
        .at(to)
        .count(outer)
        .count(axis)
        .count(inner)
        .int(element)
        .int(kind)
        .int(zero.into())
        .int(0)
        .launch("lp_normalize", rows(outer * inner), THREADS, 0)
}
