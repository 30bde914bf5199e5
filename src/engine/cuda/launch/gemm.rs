//! `gemm_f32`, `gemm_f64`, `gemm_f16`.

use super::{Params, Spot, THREADS, TooLarge};
use crate::{engine::cuda::plan::Launch, graph::tensor::Element};

/// Rows and columns of the result that one block of `gemm_*` makes.
const TILE: u64 = 64;

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
    /// The kernel for these elements, where there is one.
    pub(crate) fn kernel(element: Element) -> Option<&'static str> {
        match element {
            Element::Float32 => Some("gemm_f32"),
            Element::Float64 => Some("gemm_f64"),
            Element::Float16 => Some("gemm_f16"),
            _ => None,
        }
    }

    /// A block for each tile of the result.
    pub(crate) fn launch(&self) -> Result<Launch<Spot>, TooLarge> {
        let kernel = Self::kernel(self.element).ok_or(TooLarge)?;
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
        let grid = [
            (self.m as u64).div_ceil(TILE),
            (self.n as u64).div_ceil(TILE),
            // The kernels walk through what is beyond.
            ((inner * outer) as u64).min(65_535),
        ];
        let threads = if self.element == Element::Float16 {
            128
        } else {
            THREADS
        };
        params.launch(kernel, grid, threads, 0)
    }
}
