//! Products of matrices.

use super::{
    Lowered, Missing, Products,
    call::{Call, signed},
    elementwise::converted,
    emit::{Emitter, Work},
    fuse::spread,
    value::{Home, Value, broadcast},
};
use crate::{
    engine::cuda::launch::{
        Spot,
        gemm::{Activation, Gemm, Matrix},
        pointwise::joined,
    },
    graph::tensor::Element,
};

/// One side of a product: strides of rows and columns, and of each batch dimension.
#[derive(Debug, Clone)]
struct Side {
    at: Spot,
    row: i64,
    col: i64,
    batch: Vec<i64>,
}

/// `alpha * A B`, where the last two dimensions are the matrices' and those before are broadcast.
pub(super) struct Product {
    pub(super) alpha: f32,
    /// Whether the last two dimensions of A and of B change places.
    pub(super) transposed: [bool; 2],
}

/// `MatMul`.
pub(in super::super) fn matmul(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let product = Product {
        alpha: 1.0,
        transposed: [false, false],
    };
    let made = product.of(emitter, call.input(0)?, call.input(1)?)?;
    Ok(vec![made])
}

/// `FusedMatMul` and its older name `TransposeMatMul`.
pub(in super::super) fn fused(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let product = Product {
        alpha: call.float("alpha", 1.0),
        transposed: [call.flag("transA", false), call.flag("transB", false)],
    };
    let a = batch_transposed(emitter, call.input(0)?, call.flag("transBatchA", false))?;
    let b = batch_transposed(emitter, call.input(1)?, call.flag("transBatchB", false))?;
    Ok(vec![product.of(emitter, &a, &b)?])
}

/// `transBatch`: the first dimension becomes the last but one.
fn batch_transposed(
    emitter: &mut Emitter,
    value: &Value,
    transposed: bool,
) -> Result<Value, Missing> {
    if !transposed {
        return Ok(value.clone());
    }
    let last = value
        .rank()
        .checked_sub(1)
        .ok_or_else(|| Missing::new("product of single numbers"))?;
    let order: Vec<usize> = (1..last).chain([0, last]).collect();
    super::views::permuted(emitter, value, &order)
}

/// A matrix as two dimensions, with the one that a vector lacks.
fn padded(value: &Value, vector: [usize; 2]) -> Value {
    let [rows, columns] = vector;
    match value.rank() {
        1 => value
            .reshaped(&[rows, columns])
            .unwrap_or_else(|| value.clone()),
        _ => value.clone(),
    }
}

impl Product {
    #[expect(
        clippy::many_single_char_names,
        reason = "products have had these names for ever"
    )]
    pub(super) fn of(&self, emitter: &mut Emitter, a: &Value, b: &Value) -> Result<Value, Missing> {
        if a.rank() == 0 || b.rank() == 0 {
            return Err(Missing::new("product of single numbers"));
        }
        if let Some(half) = (emitter.half())
            .filter(|_| [a.element, b.element] == [Element::Float32, Element::Float32])
        {
            let sides = [emitter.as_half(a, half)?, emitter.as_half(b, half)?];
            let made = self.of(emitter, &sides[0], &sides[1])?;
            emitter.used_once(&made);
            return converted(emitter, &made, Element::Float32);
        }
        let (row, column) = (a.rank() == 1, b.rank() == 1);
        let (a, b) = (padded(a, [1, a.dim(0)]), padded(b, [b.dim(0), 1]));
        let [m, k] = ends(&a, self.transposed[0]);
        let [other, n] = ends(&b, self.transposed[1]);
        if k != other {
            return Err(Missing::new(format!(
                "product of {k} columns and {other} rows"
            )));
        }
        let outer = |value: &Value| value.dims.len() - 2;
        let batch = broadcast([
            a.dims.get(..outer(&a)).unwrap_or_default(),
            b.dims.get(..outer(&b)).unwrap_or_default(),
        ])?;
        let element = a.element;
        if !can_multiply(emitter, element) || b.element != element {
            return Err(Missing::new(format!(
                "product of {} and {}",
                element.name(),
                b.element.name()
            )));
        }
        let mut dims = batch.clone();
        dims.extend([m, n]);
        let made = emitter.make(element, &dims);
        if made.len() > 0 {
            let sides = self.sides(emitter, &a, &b, &batch)?;
            self.emit(emitter, sides, &batch, [m, n, k], &made)?;
        }
        let keep = |at: usize| !(row && at == batch.len() || column && at == batch.len() + 1);
        let kept: Vec<usize> = (dims.iter().enumerate())
            .filter(|(at, _)| keep(*at))
            .map(|(_, dim)| *dim)
            .collect();
        Ok(made.reshaped(&kept).unwrap_or(made))
    }

    fn sides(
        &self,
        emitter: &mut Emitter,
        a: &Value,
        b: &Value,
        batch: &[usize],
    ) -> Result<[Side; 2], Missing> {
        let [first, second] = self.transposed;
        let sides = [
            side(emitter, a, first, batch)?,
            side(emitter, b, second, batch)?,
        ];
        let [one, other] = &sides;
        if joined(batch, &[&one.batch, &other.batch]).0.len() <= 2 {
            return Ok(sides);
        }
        // The kernels step through two dimensions of batches; copies of their own for every batch need one.
        let (a, b) = (whole(emitter, a, batch)?, whole(emitter, b, batch)?);
        Ok([
            side(emitter, &a, first, batch)?,
            side(emitter, &b, second, batch)?,
        ])
    }

    /// Emits it, with batch dimensions joined, and with the batches as rows where B is the same for all.
    #[expect(
        clippy::many_single_char_names,
        reason = "products have had these names for ever"
    )]
    fn emit(
        &self,
        emitter: &mut Emitter,
        [mut a, mut b]: [Side; 2],
        batch: &[usize],
        [mut m, n, k]: [usize; 3],
        made: &Value,
    ) -> Result<(), Missing> {
        let mut batch = batch.to_vec();
        if let Some((rows, row)) = as_rows(&batch, m, &a, &b) {
            (m, a.row) = (rows, row);
            batch.clear();
            a.batch.clear();
            b.batch.clear();
        }
        let (size, strides) = joined(&batch, &[&a.batch, &b.batch]);
        let [a_batch, b_batch] = strides.as_slice() else {
            return Err(Missing::new("batches of it"));
        };
        let pair = |sizes: &[i64]| match *sizes {
            [] => Ok([0, 0]),
            [inner] => Ok([inner, 0]),
            [outer, inner] => Ok([inner, outer]),
            _ => Err(Missing::new(
                "product of matrices with more than two dimensions of batches",
            )),
        };
        let batches = match *size.as_slice() {
            [] => [1, 1],
            [inner] => [inner, 1],
            [outer, inner] => [inner, outer],
            _ => {
                return Err(Missing::new(
                    "product of matrices with more than two dimensions of batches",
                ));
            }
        };
        let each = signed(m * n);
        let (to, _) = emitter.view(made)?;
        let gemm = Gemm {
            element: made.element,
            m,
            n,
            k,
            batches,
            a: Matrix {
                at: a.at,
                row: a.row,
                col: a.col,
                batch: pair(a_batch)?,
            },
            b: Matrix {
                at: b.at,
                row: b.row,
                col: b.col,
                batch: pair(b_batch)?,
            },
            c: None,
            d: Matrix {
                at: to,
                row: signed(n),
                col: 1,
                batch: [each, each.saturating_mul(signed(batches[0]))],
            },
            alpha: self.alpha,
            beta: 0.0,
            activation: Activation::None,
        };
        if Gemm::kernel(gemm.element).is_some() {
            gemm.launch()?;
        }
        emitter.push_work(Work::Gemm(gemm), Some(made));
        Ok(())
    }
}

/// Whether there is a kernel for these elements, or the library for those that only it multiplies.
fn can_multiply(emitter: &Emitter, element: Element) -> bool {
    let Products { math, library, .. } = emitter.products;
    Gemm::kernel(element).is_some() || library && element == math.element()
}

/// The value with matrices of its own for every batch.
fn whole(emitter: &mut Emitter, value: &Value, batch: &[usize]) -> Result<Value, Missing> {
    let mut dims = batch.to_vec();
    dims.extend(value.dims.get(value.rank() - 2..).unwrap_or_default());
    let mut spread_out = emitter.located(value)?;
    if let Home::At(_, strides) = &mut spread_out.home {
        *strides = spread(&dims, &value.dims, strides);
    }
    spread_out.dims = dims;
    emitter.dense(&spread_out)
}

/// The batches of A as further rows of one product, where B is the same for all: how many rows, and their stride.
fn as_rows(batch: &[usize], rows: usize, a: &Side, b: &Side) -> Option<(usize, i64)> {
    if b.batch.iter().any(|stride| *stride != 0) {
        return None;
    }
    let dims: Vec<usize> = batch.iter().copied().chain([rows]).collect();
    let strides: Vec<i64> = a.batch.iter().copied().chain([a.row]).collect();
    let (size, strides) = joined(&dims, &[&strides]);
    match (size.as_slice(), strides.first()?.as_slice()) {
        ([], _) => Some((rows, a.row)),
        ([rows], [row]) => Some((*rows, *row)),
        _ => None,
    }
}

/// Rows and columns of the last two dimensions.
fn ends(value: &Value, transposed: bool) -> [usize; 2] {
    let rank = value.rank();
    let [rows, columns] = [value.dim(rank - 2), value.dim(rank - 1)];
    if transposed {
        [columns, rows]
    } else {
        [rows, columns]
    }
}

fn side(
    emitter: &mut Emitter,
    value: &Value,
    transposed: bool,
    batch: &[usize],
) -> Result<Side, Missing> {
    let (at, strides) = emitter.view(value)?;
    let outer = value.rank() - 2;
    let (own, last) = (
        strides.get(..outer).unwrap_or_default(),
        strides.get(outer..).unwrap_or_default(),
    );
    let &[row, col] = last else {
        return Err(Missing::new("product of these"));
    };
    let (row, col) = if transposed { (col, row) } else { (row, col) };
    Ok(Side {
        at,
        row,
        col,
        batch: spread(batch, value.dims.get(..outer).unwrap_or_default(), own),
    })
}

/// `op(x) op(w)` of two matrices, with nothing behind it; for recurrent networks.
pub(super) fn plain(
    emitter: &mut Emitter,
    a: &Value,
    b: &Value,
    b_transposed: bool,
) -> Result<Value, Missing> {
    let product = Product {
        alpha: 1.0,
        transposed: [false, b_transposed],
    };
    product.of(emitter, a, b)
}

/// `scale * A B^T`, for the scores of attention.
pub(super) fn scaled(
    emitter: &mut Emitter,
    a: &Value,
    b: &Value,
    scale: f32,
) -> Result<Value, Missing> {
    let product = Product {
        alpha: scale,
        transposed: [false, true],
    };
    product.of(emitter, a, b)
}
