//! `conv_f32`, on tensor cores `conv_f16`, `conv_bf16`, `conv_tf32`; `conv_transpose_f32`, `pool_f32`, `resample_f32`.

use super::{
    Params, Spot, THREADS, TooLarge, blocks,
    gemm::{Activation, ENOUGH, Kernel},
};
use crate::engine::cuda::{plan::Launch, product::Math};

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
    /// Every place that it reads or writes.
    pub(crate) fn spots(&self) -> impl Iterator<Item = Spot> {
        let Self {
            x, w, bias, add, y, ..
        } = *self;
        [Some(x), Some(w), bias, add, Some(y)].into_iter().flatten()
    }

    /// Whether tensor cores can do it: there are kernels for one group, and for pictures that 32 bits can count.
    pub(crate) fn fits_tensor_cores(&self) -> bool {
        let picture = [self.channels, self.image[0], self.image[1]];
        let picture = (picture.iter()).try_fold(1_i32, |size, more| {
            size.checked_mul(i32::try_from(*more).ok()?)
        });
        let many = self.filters as u64 >= DIRECT;
        many && self.groups == 1 && !self.transposed && picture.is_some()
    }

    /// The kernel that is likely to be the fastest of those that multiply by tiles.
    fn kernel(&self, math: Math) -> Kernel {
        let [small, large] = match math {
            Math::Single => return Kernel::plain("conv_f32"),
            _ if !self.fits_tensor_cores() => return Kernel::plain("conv_f32"),
            Math::Tf32 => ["conv_tf32", "conv_tf32_large"],
            Math::Half => ["conv_f16", "conv_f16_large"],
            Math::Bfloat => ["conv_bf16", "conv_bf16_large"],
        };
        let (small, large) = (Kernel::small(small), Kernel::large(large));
        let wide = self.filters as u64 > small.tile;
        let tiles: u64 = self.grid(large.tile).iter().product();
        if wide && tiles >= ENOUGH {
            large
        } else {
            small
        }
    }

    /// A block for each tile of the result.
    fn grid(&self, tile: u64) -> [u64; 3] {
        let filters = (self.filters / self.groups.max(1)) as u64;
        let pixels = (self.n * self.out[0] * self.out[1]) as u64;
        [
            pixels.div_ceil(tile),
            filters.div_ceil(tile),
            self.groups as u64,
        ]
    }

    /// Multiplied as `math` where it [fits tensor cores](Self::fits_tensor_cores), else in single precision. `w` has elements
    /// of that type.
    pub(crate) fn launch(&self, math: Math) -> Result<Launch<Spot>, TooLarge> {
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
        let kernel = self.kernel(math);
        let grid = self.grid(kernel.tile);
        params.launch(kernel.name, grid, kernel.threads, kernel.shared)
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
