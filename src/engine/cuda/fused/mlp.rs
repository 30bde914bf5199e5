//! A run of small dense layers as one kernel, in single precision: `kernels/fused/mlp.cuh` says how.

use std::fmt::Write as _;

use super::{Code, NAME};
use crate::{
    engine::cuda::{
        launch::{
            Base, Params, Spot, TooLarge,
            gemm::{Gemm, Matrix},
        },
        plan::Launch,
    },
    graph::tensor::Element,
};

/// The most columns of a layer.
const WIDEST: usize = 128;
/// Bytes of shared memory that a block of every GPU from compute capability 8.0 on may have (8.6 and 8.9 have 99 KiB).
const SHARED: usize = 96 << 10;
/// Rows that a block does at once: the most for which all weights fit beside them.
const ROWS: [usize; 3] = [32, 16, 8];
/// Blocks that walk over the rows: more than any GPU runs at a time would only read the weights more often.
const MOST_BLOCKS: u64 = 512;

/// Layers, each of which reads what the one before it writes.
#[derive(Debug, Clone)]
pub(in crate::engine::cuda) struct Mlp {
    layers: Vec<Gemm>,
    rows: usize,
    shared: usize,
}

/// Whether a product can be a layer: of single precision, small, with weights and a bias that are known.
fn is_layer(gemm: &Gemm) -> bool {
    let constant = |matrix: &Matrix| matches!(matrix.at.base, Base::Constant(_));
    let fits = |size: usize| (1..=WIDEST).contains(&size);
    gemm.element == Element::Float32
        && gemm.batches == [1, 1]
        && gemm.m > 0
        && fits(gemm.n)
        && fits(gemm.k)
        && (gemm.a.col == 1 || gemm.k == 1)
        && constant(&gemm.b)
        && gemm.c.as_ref().is_none_or(|c| constant(c) && c.row == 0)
}

/// Whether the second reads what the first writes, as it writes it.
fn follows(first: &Gemm, second: &Gemm) -> bool {
    second.a.at == first.d.at
        && (second.m, second.k) == (first.m, first.n)
        && (second.a.row == first.d.row || second.m == 1)
}

impl Mlp {
    /// The most of these products, from the first on, that one kernel can do; none where that is less than two. Between
    /// them nothing else may be done with what they write: `alone` says so of a buffer.
    pub(in crate::engine::cuda) fn of<'g>(
        mut products: impl Iterator<Item = &'g Gemm>,
        alone: impl Fn(usize) -> bool,
    ) -> Option<Self> {
        let first = products.next().filter(|gemm| is_layer(gemm))?;
        let mut layers = vec![first.clone()];
        let mut best = None;
        for next in products {
            let before = layers.last()?;
            let Base::Buffer(between) = before.d.at.base else {
                break;
            };
            if !is_layer(next) || !follows(before, next) || !alone(between) {
                break;
            }
            layers.push(next.clone());
            let fits = ROWS.iter().map(|rows| (*rows, shared(&layers, *rows)));
            let Some((rows, shared)) = fits.into_iter().find(|(_, shared)| *shared <= SHARED)
            else {
                break;
            };
            best = Some(Self {
                layers: layers.clone(),
                rows,
                shared,
            });
        }
        best
    }

    /// How many products it does.
    pub(in crate::engine::cuda) fn len(&self) -> usize {
        self.layers.len()
    }

    /// The launch.
    ///
    /// # Errors
    /// More rows than a grid takes.
    pub(in crate::engine::cuda) fn launch(&self) -> Result<Launch<Spot>, TooLarge> {
        let (first, last) = (
            self.layers.first().ok_or(TooLarge)?,
            self.layers.last().ok_or(TooLarge)?,
        );
        let mut params = Params::default();
        params.at(first.a.at).at(last.d.at).count(first.m);
        for layer in &self.layers {
            let [slope, ..] = layer.activation.constants();
            params
                .at(layer.b.at)
                .address(layer.c.map(|c| c.at))
                .float(layer.alpha)
                .float(layer.beta)
                .float(slope)
                .int(0);
        }
        let code = Code::new("mlp", &self.text(first, last));
        let blocks = (first.m as u64).div_ceil(self.rows as u64).min(MOST_BLOCKS);
        let shared = u32::try_from(self.shared).map_err(|_| TooLarge)?;
        let launch = params.launch("fused_mlp", [blocks, 1, 1], 256, shared)?;
        Ok(Launch {
            code: Some(code.into()),
            ..launch
        })
    }

    fn text(&self, first: &Gemm, last: &Gemm) -> String {
        let (rows, count) = (self.rows, self.layers.len());
        let (mut types, mut places, mut stages, mut runs) =
            (String::new(), String::new(), String::new(), String::new());
        let mut from = "memory".to_owned();
        for (at, layer) in self.layers.iter().enumerate() {
            let Gemm { k, n, b, .. } = layer;
            let (activation, bias) = (layer.activation.number(), layer.c.is_some());
            let bias_stride = layer.c.map_or(0, |c| c.col);
            let (row, column) = (b.row, b.col);
            let (input, output) = if at % 2 == 0 {
                ("even", "odd")
            } else {
                ("odd", "even")
            };
            let keep = if at + 1 == count {
                format!(
                    "if (first + row < args.rows) args.y[(first + row) * {}LL + column] = value;",
                    last.d.row
                )
            } else {
                format!("{output}[column * MLP_STEP<{rows}> + row] = value;")
            };
            // Writing to a string cannot fail.
            let _written = writeln!(types, "    using L{at} = Dense<{k}, {n}, {activation}, {bias}>;")
                .and_then(|()| writeln!(places, "    float *const w{at} = {from};"))
                .and_then(|()| writeln!(stages, "    L{at}::stage(w{at}, args.layer[{at}], {row}, {column}, {bias_stride});"))
                .and_then(|()| {
                    writeln!(
                        runs,
                        "        L{at}::run<{rows}>({input}, w{at}, args.layer[{at}], [&](int row, int column, float value) {{ {keep} }});\n        \
                         __syncthreads();"
                    )
                });
            from = format!("w{at} + L{at}::FLOATS");
        }
        let (width, x_row, k) = (widest(&self.layers), first.a.row, first.k);
        format!(
            "extern \"C\" __global__ void __launch_bounds__(256) {NAME}(const __grid_constant__ MlpArgs<{count}> args) {{\n    \
             SHARED_DYN(float, memory);\n{types}{places}    \
             float *const even = {from};\n    \
             float *const odd = even + {width} * MLP_STEP<{rows}>;\n{stages}    \
             for (int64_t first = int64_t(blockIdx.x) * {rows}; first < args.rows; first += int64_t(gridDim.x) * {rows}) {{\n        \
             load_rows<{k}, {rows}>(even, args.x, {x_row}, first, args.rows);\n        \
             __syncthreads();\n{runs}    }}\n}}\nFUSED_KERNEL({NAME}, MlpArgs<{count}>)\n"
        )
    }
}

/// Columns of the widest activations that stay in shared memory.
fn widest(layers: &[Gemm]) -> usize {
    layers.iter().map(|layer| layer.k).max().unwrap_or(0)
}

/// Bytes of shared memory for these layers and so many rows: weights, biases, and activations twice.
fn shared(layers: &[Gemm], rows: usize) -> usize {
    let weights = layers
        .iter()
        .map(|layer| (layer.k + 1) * layer.n.next_multiple_of(4));
    let floats = weights.sum::<usize>() + 2 * widest(layers) * (rows + 4);
    floats * size_of::<f32>()
}
