//! `conv_f32`, `conv_transpose_f32`, `pool_f32`, `resample_f32`.

use super::{Params, Spot, THREADS, TooLarge, blocks, gemm::Activation};
use crate::engine::cuda::plan::Launch;

/// Output pixels and filters that one block of `conv_f32` makes.
const TILE: u64 = 64;
/// With fewer filters in a group than this a thread for each output is quicker.
const DIRECT: u64 = 8;

/// A pair for height and width.
pub(crate) type Pair = [usize; 2];

/// A window that slides over an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) kernel: Pair,
    pub(crate) stride: Pair,
    pub(crate) dilation: Pair,
    /// Rows above and columns to the left that are not there; negative ones are cut off.
    pub(crate) before: [i64; 2],
}

/// A convolution of an NCHW image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Conv {
    pub(crate) x: Spot,
    pub(crate) w: Spot,
    pub(crate) bias: Option<Spot>,
    /// Added before the activation; of the output's shape.
    pub(crate) add: Option<Spot>,
    pub(crate) y: Spot,
    pub(crate) n: usize,
    pub(crate) channels: usize,
    pub(crate) image: Pair,
    pub(crate) filters: usize,
    pub(crate) out: Pair,
    pub(crate) window: Window,
    pub(crate) groups: usize,
    pub(crate) activation: Activation,
    pub(crate) transposed: bool,
}

impl Conv {
    pub(crate) fn launch(&self) -> Result<Launch<Spot>, TooLarge> {
        let mut params = Params::default();
        params
            .at(self.x)
            .at(self.w)
            .address(self.bias)
            .address(self.add)
            .at(self.y);
        let Window {
            kernel,
            stride,
            dilation,
            before,
        } = self.window;
        for size in [
            self.n,
            self.channels,
            self.image[0],
            self.image[1],
            self.filters,
            self.out[0],
            self.out[1],
            kernel[0],
            kernel[1],
            stride[0],
            stride[1],
        ] {
            params.small(size);
        }
        let [slope, low, high] = self.activation.constants();
        params
            .small(before[0])
            .small(before[1])
            .small(dilation[0])
            .small(dilation[1])
            .small(self.groups)
            .int(self.activation.number())
            .int(0)
            .float(slope)
            .float(low)
            .float(high)
            .float(0.0);
        let pixels = self.n * self.out[0] * self.out[1];
        if self.transposed {
            let grid = [blocks(pixels * self.filters), 1, 1];
            return params.launch("conv_transpose_f32", grid, THREADS, 0);
        }
        let filters = (self.filters / self.groups.max(1)) as u64;
        if filters < DIRECT {
            let grid = [blocks(pixels * self.filters), 1, 1];
            return params.launch("conv_direct_f32", grid, THREADS, 0);
        }
        let grid = [
            (pixels as u64).div_ceil(TILE),
            filters.div_ceil(TILE),
            self.groups as u64,
        ];
        params.launch("conv_f32", grid, THREADS, 0)
    }
}

/// Pooling of NCHW images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) x: Spot,
    pub(crate) y: Spot,
    /// Where the largest was; of maxima only.
    pub(crate) indices: Option<Spot>,
    pub(crate) planes: usize,
    pub(crate) image: Pair,
    pub(crate) out: Pair,
    pub(crate) window: Window,
    pub(crate) after: [i64; 2],
    pub(crate) average: bool,
    pub(crate) count_pad: bool,
}

impl Pool {
    pub(crate) fn launch(&self) -> Result<Launch<Spot>, TooLarge> {
        let mut params = Params::default();
        params.at(self.x).at(self.y).address(self.indices);
        let Window {
            kernel,
            stride,
            dilation,
            before,
        } = self.window;
        params.small(self.planes);
        for [height, width] in [self.image, self.out, kernel, stride] {
            params.small(height).small(width);
        }
        params
            .small(before[0])
            .small(before[1])
            .small(dilation[0])
            .small(dilation[1])
            .int(self.average.into())
            .int(self.count_pad.into())
            .small(self.after[0])
            .small(self.after[1])
            .int(0);
        let count = self.planes * self.out[0] * self.out[1];
        params.over("pool_f32", count)
    }
}

/// Weighted sums along one axis: `to[o, j, n] = Σ weight[j, t] * from[o, index[j, t], n]`.
pub(crate) fn resample(
    [from, to, index, weight]: [Spot; 4],
    [outer, from_axis, to_axis, inner]: [usize; 4],
    taps: usize,
) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(from)
        .at(to)
        .at(index)
        .at(weight)
        .count(outer)
        .count(from_axis)
        .count(to_axis)
        .count(inner)
        .small(taps)
        .int(0)
        .over("resample_f32", outer * to_axis * inner)
}
