//! Products of `gemm_*` as cuBLASLt does them, where it can.

use super::{
    Spot,
    gemm::{Activation, Gemm, Matrix},
    pointwise::{Operand, Program},
};
use crate::engine::cuda::product::{Layout, Math, Operands, Product, Shape, Tail};

/// What the library does, and what is left to do with the result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ByLibrary {
    pub(crate) product: Product<Spot>,
    /// On every number of the result, where it lies.
    pub(crate) rest: Option<Program>,
}

/// A matrix of `rows` by `columns` that lies by rows, as one by columns: the same memory, transposed. `None` where
/// neither its rows nor its columns lie side by side.
fn turned(matrix: &Matrix, rows: usize, columns: usize, batch: i64) -> Option<Layout> {
    // A single row or column may have any stride.
    let single = |count: usize| count == 1;
    let least = |count: usize| i64::try_from(count.max(1)).ok();
    let by_rows = matrix.col == 1 || single(columns);
    let leading = if single(rows) {
        least(columns)?
    } else {
        matrix.row
    };
    if by_rows && leading >= least(columns)? {
        return Some(Layout {
            transposed: false,
            leading,
            stride: batch,
        });
    }
    let by_columns = matrix.row == 1 || single(rows);
    let leading = if single(columns) {
        least(rows)?
    } else {
        matrix.col
    };
    (by_columns && leading >= least(rows)?).then_some(Layout {
        transposed: true,
        leading,
        stride: batch,
    })
}

impl Gemm {
    /// How many batches there are, as one dimension, with the stride of each matrix over it (A, B, C, D). `None` where two
    /// dimensions cannot be one.
    fn one_batch(&self) -> Option<(usize, [i64; 4])> {
        let [inner, outer] = self.batches;
        let none = [0, 0];
        let strides = [
            self.a.batch,
            self.b.batch,
            self.c.map_or(none, |c| c.batch),
            self.d.batch,
        ];
        let count = i64::try_from(inner).ok()?;
        let both = inner > 1 && outer > 1;
        if both
            && strides
                .iter()
                .any(|[inner, outer]| inner.checked_mul(count) != Some(*outer))
        {
            return None;
        }
        let stride = |[inner_stride, outer_stride]: [i64; 2]| match (inner > 1, outer > 1) {
            (true, _) => inner_stride,
            (false, true) => outer_stride,
            (false, false) => 0,
        };
        Some((inner * outer, strides.map(stride)))
    }

    /// The product by cuBLASLt, in this precision; `None` where it cannot be asked for that.
    pub(crate) fn by_library(&self, math: Math) -> Option<ByLibrary> {
        if math.element() != self.element || [self.m, self.n, self.k].contains(&0) {
            return None;
        }
        let (batches, [a_batch, b_batch, c_batch, d_batch]) = self.one_batch()?;
        let a = turned(&self.a, self.m, self.k, a_batch)?;
        let b = turned(&self.b, self.k, self.n, b_batch)?;
        let d = turned(&self.d, self.m, self.n, d_batch).filter(|d| !d.transposed)?;
        let (mut c, mut bias) = (None, None);
        if let Some(added) = self.c {
            // One number for each column of what is by rows: a bias. The library adds it as it is.
            #[expect(clippy::float_cmp, reason = "exactly one is what it adds")]
            let as_bias = added.row == 0 && added.col == 1 && c_batch == 0 && self.beta == 1.0;
            if as_bias {
                bias = Some(added.at);
            } else {
                let layout = turned(&added, self.m, self.n, c_batch);
                c = Some((added.at, layout.filter(|layout| !layout.transposed)?));
            }
        }
        let (tail, rest) = match self.activation {
            Activation::None => (Tail::None, None),
            Activation::Relu => (Tail::Relu, None),
            Activation::GeluTanh => (Tail::GeluTanh, None),
            other => (Tail::None, Some(self.rest(other)?)),
        };
        let plain = Self {
            activation: match tail {
                Tail::None => Activation::None,
                Tail::Relu | Tail::GeluTanh => self.activation,
            },
            ..self.clone()
        };
        let product = Product {
            shape: Shape {
                math,
                rows: self.n,
                columns: self.m,
                inner: self.k,
                batches,
                // By columns the sides change places.
                a: b,
                b: a,
                c: c.map(|(_, layout)| layout),
                d,
                bias: bias.is_some(),
                tail,
            },
            alpha: self.alpha,
            beta: if c.is_some() { self.beta } else { 0.0 },
            operands: Operands {
                a: self.b.at,
                b: self.a.at,
                c: c.map(|(at, _)| at),
                d: self.d.at,
                bias,
            },
            instead: plain.launch(math).ok(),
            node: String::new(),
        };
        Some(ByLibrary { product, rest })
    }

    /// An activation that the library has not, on the result where it lies.
    fn rest(&self, activation: Activation) -> Option<Program> {
        let op = activation.op()?;
        let [inner, outer] = self.batches;
        let operand = Operand {
            at: self.d.at,
            element: self.element,
            stride: vec![self.d.batch[1], self.d.batch[0], self.d.row, 1],
        };
        let dims = vec![outer, inner, self.m, self.n];
        Some(Program::in_place(op, dims, operand))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::cuda::launch::Base, graph::tensor::Element};

    fn matrix(buffer: usize, row: i64, col: i64, batch: [i64; 2]) -> Matrix {
        Matrix {
            at: Spot {
                base: Base::Buffer(buffer),
                offset: 0,
            },
            row,
            col,
            batch,
        }
    }

    /// `[3x4] = [3x5][5x4]`, everything by rows.
    fn plain() -> Gemm {
        Gemm {
            element: Element::Float32,
            m: 3,
            n: 4,
            k: 5,
            batches: [1, 1],
            a: matrix(0, 5, 1, [0, 0]),
            b: matrix(1, 4, 1, [0, 0]),
            c: None,
            d: matrix(2, 4, 1, [0, 0]),
            alpha: 1.0,
            beta: 0.0,
            activation: Activation::None,
        }
    }

    fn key(gemm: &Gemm, math: Math) -> String {
        let by_library = gemm.by_library(math);
        by_library.map_or_else(|| "no".to_owned(), |made| made.product.shape.key())
    }

    #[test]
    fn what_lies_by_rows_is_read_by_columns_as_its_transposed() {
        let gemm = plain();
        assert_eq!(
            key(&gemm, Math::Single),
            "fp32 [3x4] = [3x5][5x4] a=N4+0 b=N5+0 c=- d=N4+0"
        );
        let made = gemm.by_library(Math::Tf32).unwrap().product;
        assert_eq!((made.operands.a, made.operands.b), (gemm.b.at, gemm.a.at));
        // The weights as `[4, 5]`, the other side with rows further apart.
        let turned = Gemm {
            a: matrix(0, 8, 1, [0, 0]),
            b: matrix(1, 1, 5, [0, 0]),
            ..plain()
        };
        assert_eq!(
            key(&turned, Math::Tf32),
            "tf32 [3x4] = [3x5][5x4] a=T5+0 b=N8+0 c=- d=N4+0"
        );
    }

    #[test]
    fn a_single_row_or_column_may_have_any_stride() {
        let gemm = Gemm {
            m: 1,
            a: matrix(0, 0, 1, [0, 0]),
            d: matrix(2, 0, 1, [0, 0]),
            ..plain()
        };
        assert_eq!(
            key(&gemm, Math::Single),
            "fp32 [1x4] = [1x5][5x4] a=N4+0 b=N5+0 c=- d=N4+0"
        );
        let gemm = Gemm {
            n: 1,
            b: matrix(1, 7, 0, [0, 0]),
            d: matrix(2, 1, 1, [0, 0]),
            ..plain()
        };
        assert_eq!(
            key(&gemm, Math::Single),
            "fp32 [3x1] = [3x5][5x1] a=N7+0 b=N5+0 c=- d=N1+0"
        );
    }

    #[test]
    fn what_is_added_is_a_bias_or_a_matrix() {
        let bias = Gemm {
            c: Some(matrix(3, 0, 1, [0, 0])),
            beta: 1.0,
            activation: Activation::Relu,
            ..plain()
        };
        assert_eq!(
            key(&bias, Math::Single),
            "fp32 [3x4] = [3x5][5x4] +bias relu a=N4+0 b=N5+0 c=- d=N4+0"
        );
        let scaled = Gemm { beta: 0.5, ..bias };
        assert_eq!(key(&scaled, Math::Single), "no", "a bias has no scale");
        let matrix_added = Gemm {
            c: Some(matrix(3, 4, 1, [0, 0])),
            activation: Activation::None,
            ..scaled
        };
        assert_eq!(
            key(&matrix_added, Math::Single),
            "fp32 [3x4] = [3x5][5x4] +c a=N4+0 b=N5+0 c=N4+0 d=N4+0"
        );
        let column = Gemm {
            c: Some(matrix(3, 1, 0, [0, 0])),
            ..matrix_added
        };
        assert_eq!(key(&column, Math::Single), "no", "a number for each row");
    }

    #[test]
    fn two_dimensions_of_batches_must_be_one() {
        let batched = Gemm {
            batches: [2, 3],
            a: matrix(0, 5, 1, [15, 30]),
            b: matrix(1, 4, 1, [0, 0]),
            d: matrix(2, 4, 1, [12, 24]),
            ..plain()
        };
        assert_eq!(
            key(&batched, Math::Single),
            "fp32 [3x4] = [3x5][5x4] x6 a=N4+0 b=N5+15 c=- d=N4+12"
        );
        let heads = Gemm {
            a: matrix(0, 10, 1, [5, 30]),
            ..batched
        };
        assert_eq!(key(&heads, Math::Single), "no");
        let outer = Gemm {
            batches: [1, 3],
            ..heads
        };
        assert_eq!(
            key(&outer, Math::Single),
            "fp32 [3x4] = [3x5][5x4] x3 a=N4+0 b=N10+30 c=- d=N4+24"
        );
    }

    #[test]
    fn what_the_library_has_not_follows_as_a_launch_of_its_own() {
        let gemm = Gemm {
            activation: Activation::Gelu,
            ..plain()
        };
        let made = gemm.by_library(Math::Single).unwrap();
        assert_eq!(made.product.shape.tail, Tail::None);
        let instead = made.product.instead.clone().unwrap();
        assert_eq!(
            instead,
            plain().launch(Math::Single).unwrap(),
            "without the activation, which follows"
        );
        let rest = made.rest.unwrap().launch().unwrap();
        assert_eq!(rest.kernel, "pointwise_f32");
        // One in its own precision, and none that is of another type.
        assert_eq!(key(&plain(), Math::Half), "no");
        let half = Gemm {
            element: Element::Bfloat16,
            ..plain()
        };
        let made = half.by_library(Math::Bfloat).unwrap();
        assert_eq!(made.product.instead.unwrap().kernel, "gemm_bf16");
    }
}
