//! `gemm_f32`, `gemm_f64`, and on tensor cores `gemm_f16`, `gemm_bf16`, `gemm_tf32`.

use super::{Params, Spot, THREADS, TooLarge, pointwise::Op};
use crate::{
    engine::cuda::{plan::Launch, product::Math},
    graph::tensor::Element,
};

/// A kernel for products, with what a block of it makes and takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel {
    pub(super) name: &'static str,
    /// Rows and columns of the result.
    pub(super) tile: u64,
    pub(super) threads: u32,
    /// Dynamic shared memory, in bytes.
    pub(super) shared: u32,
}

impl Kernel {
    /// 64 x 64 results, on the cores for all work.
    pub(super) const fn plain(name: &'static str) -> Self {
        Self {
            name,
            tile: 64,
            threads: THREADS,
            shared: 0,
        }
    }

    /// 64 x 64 results, on tensor cores.
    pub(super) const fn small(name: &'static str) -> Self {
        Self {
            name,
            tile: 64,
            threads: 128,
            shared: 24 << 10,
        }
    }

    /// 128 x 128 results, on tensor cores.
    pub(super) const fn large(name: &'static str) -> Self {
        Self {
            name,
            tile: 128,
            threads: 256,
            shared: 48 << 10,
        }
    }
}

/// Large tiles read each number half as often, and there are a quarter as many: with fewer of them than a large GPU has
/// multiprocessors (108 on an A100, 132 on an H100), some of those have nothing to do.
pub(super) const ENOUGH: u64 = 108;

/// What is done to each number before it is stored, as `Activation` numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Activation {
    #[default]
    None,
    Relu,
    /// By erf.
    Gelu,
    GeluTanh,
    Sigmoid,
    Tanh,
    /// With the slope of the negative side.
    LeakyRelu(f32),
    /// With alpha and beta; of convolutions only.
    HardSigmoid(f32, f32),
    /// To this range; of convolutions only.
    Clip(f32, f32),
}

impl Activation {
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Relu => 1,
            Self::Gelu => 2,
            Self::GeluTanh => 3,
            Self::Sigmoid => 4,
            Self::Tanh => 5,
            Self::LeakyRelu(_) => 6,
            Self::HardSigmoid(..) => 7,
            Self::Clip(..) => 8,
        }
    }

    /// The same as an operator of a program; none where nothing is done.
    pub(crate) fn op(self) -> Option<(Op, [f64; 2])> {
        let one = |value: f32| [f64::from(value), 0.0];
        let two = |first: f32, second: f32| [f64::from(first), f64::from(second)];
        Some(match self {
            Self::None => return None,
            Self::Relu => (Op::Relu, [0.0; 2]),
            Self::Gelu => (Op::Gelu, [0.0; 2]),
            Self::GeluTanh => (Op::GeluTanh, [0.0; 2]),
            Self::Sigmoid => (Op::Sigmoid, [0.0; 2]),
            Self::Tanh => (Op::Tanh, [0.0; 2]),
            Self::LeakyRelu(slope) => (Op::LeakyRelu, one(slope)),
            Self::HardSigmoid(alpha, beta) => (Op::HardSigmoid, two(alpha, beta)),
            Self::Clip(low, high) => (Op::Clip, two(low, high)),
        })
    }

    /// `slope`, `low`, `high` of the kernels.
    pub(crate) fn constants(self) -> [f32; 3] {
        match self {
            Self::LeakyRelu(slope) => [slope, 0.0, 0.0],
            Self::HardSigmoid(alpha, beta) => [alpha, beta, 0.0],
            Self::Clip(low, high) => [0.0, low, high],
            _ => [0.0; 3],
        }
    }
}

/// A matrix for each batch, by strides in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Matrix {
    pub(crate) at: Spot,
    pub(crate) row: i64,
    pub(crate) col: i64,
    pub(crate) batch: [i64; 2],
}

/// `D = activation(alpha * A B + beta * C)`, once for each batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gemm {
    pub(crate) element: Element,
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    /// Inner and outer number of batches.
    pub(crate) batches: [usize; 2],
    pub(crate) a: Matrix,
    pub(crate) b: Matrix,
    pub(crate) c: Option<Matrix>,
    /// Columns lie side by side.
    pub(crate) d: Matrix,
    pub(crate) alpha: f32,
    pub(crate) beta: f32,
    pub(crate) activation: Activation,
}

impl Gemm {
    /// Whether there is a kernel for these elements.
    pub(crate) fn has_kernel(element: Element) -> bool {
        matches!(
            element,
            Element::Float32 | Element::Float64 | Element::Float16 | Element::Bfloat16
        )
    }

    /// What it is multiplied as, where single precision is multiplied as `asked`.
    pub(crate) fn math(&self, asked: Math) -> Math {
        match self.element {
            Element::Float16 => Math::Half,
            Element::Bfloat16 => Math::Bfloat,
            element if element == asked.element() => asked,
            _ => Math::Single,
        }
    }

    /// The kernel that is likely to be the fastest.
    fn kernel(&self, math: Math) -> Option<Kernel> {
        let [small, large] = match (self.element, math) {
            (Element::Float32, Math::Tf32) => ["gemm_tf32", "gemm_tf32_large"],
            (Element::Float32, _) => return Some(Kernel::plain("gemm_f32")),
            (Element::Float64, _) => return Some(Kernel::plain("gemm_f64")),
            (Element::Float16, _) => ["gemm_f16", "gemm_f16_large"],
            (Element::Bfloat16, _) => ["gemm_bf16", "gemm_bf16_large"],
            _ => return None,
        };
        let (small, large) = (Kernel::small(small), Kernel::large(large));
        let wide = (self.m.min(self.n) as u64) > small.tile;
        let tiles: u64 = self.grid(large.tile).iter().product();
        Some(if wide && tiles >= ENOUGH {
            large
        } else {
            small
        })
    }

    /// A block for each tile of the result; the kernels walk through batches beyond.
    fn grid(&self, tile: u64) -> [u64; 3] {
        let [inner, outer] = self.batches;
        [
            (self.m as u64).div_ceil(tile),
            (self.n as u64).div_ceil(tile),
            ((inner * outer) as u64).min(65_535),
        ]
    }

    /// By a kernel; single precision is multiplied as `math`, where that leaves it single precision in memory.
    pub(crate) fn launch(&self, math: Math) -> Result<Launch<Spot>, TooLarge> {
        let kernel = self.kernel(math).ok_or(TooLarge)?;
        let [inner, outer] = self.batches;
        let mut params = Params::default();
        params
            .at(self.a.at)
            .at(self.b.at)
            .address(self.c.map(|c| c.at))
            .at(self.d.at);
        for size in [self.m, self.n, self.k, inner, outer] {
            params.small(size);
        }
        params.int(self.activation.number());
        let none = Matrix {
            at: self.d.at,
            row: 0,
            col: 0,
            batch: [0, 0],
        };
        let c = self.c.unwrap_or(none);
        for matrix in [self.a, self.b, c] {
            params.long(matrix.row).long(matrix.col);
        }
        params.long(self.d.row);
        for matrix in [self.a, self.b, c, self.d] {
            params.long(matrix.batch[0]).long(matrix.batch[1]);
        }
        let [slope, ..] = self.activation.constants();
        params
            .float(self.alpha)
            .float(self.beta)
            .float(slope)
            .int(0);
        let grid = self.grid(kernel.tile);
        params.launch(kernel.name, grid, kernel.threads, kernel.shared)
    }
}
