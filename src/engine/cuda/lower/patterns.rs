//! What is recognised in programs: exact Gelu written out, and what products and convolutions can do themselves.

use super::{
    emit::{Emitter, Work},
    value::{Value, dense_strides},
};
use crate::{
    engine::cuda::launch::{
        conv::Conv,
        gemm::{Activation, Gemm, Matrix},
        pointwise::{Arg, Class, Instruction, Op, Operand, Program},
    },
    graph::tensor::Element,
};

/// Replaces what is longer than it need be: exact Gelu written out with erf becomes one instruction.
pub(super) fn simplify(program: &mut Program) {
    if program.class == Class::I64 {
        return;
    }
    for at in (0..program.instructions.len()).rev() {
        if let Some(x) = gelu(program, Arg::Made(at)) {
            if let Some(step) = program.instructions.get_mut(at) {
                *step = Instruction {
                    op: Op::Gelu,
                    args: vec![x],
                    constants: step.constants,
                };
            }
            without_unused(program);
            return;
        }
    }
}

fn step(program: &Program, arg: Arg) -> Option<&Instruction> {
    match arg {
        Arg::Made(at) => program.instructions.get(at),
        Arg::In(_) => None,
    }
}

fn constant(program: &Program, arg: Arg) -> Option<f64> {
    step(program, arg)
        .filter(|step| step.op == Op::Constant)
        .map(|step| f64::from_bits(step.constants[0].0))
}

/// The factors of a product, with the constant ones as one number.
fn factors(program: &Program, arg: Arg, found: &mut Vec<Arg>) -> f64 {
    if let Some(value) = constant(program, arg) {
        return value;
    }
    match step(program, arg).map(|step| (step.op, step.args.as_slice())) {
        Some((Op::Mul, [one, other])) => {
            factors(program, *one, found) * factors(program, *other, found)
        }
        Some((Op::Div, [one, by])) if constant(program, *by).is_some() => {
            factors(program, *one, found) / constant(program, *by).unwrap_or(1.0)
        }
        _ => {
            found.push(arg);
            1.0
        }
    }
}

/// `x`, where `arg` is `x * 0.5 * (1 + erf(x / √2))`.
fn gelu(program: &Program, arg: Arg) -> Option<Arg> {
    let near = |value: f64, wanted: f64| (value - wanted).abs() < 1e-6;
    let mut found = Vec::new();
    let scale = factors(program, arg, &mut found);
    let &[one, other] = found.as_slice() else {
        return None;
    };
    let of = |x: Arg, sum: Arg| {
        let sum = step(program, sum).filter(|step| step.op == Op::Add)?;
        let &[left, right] = sum.args.as_slice() else {
            return None;
        };
        let (value, erf) = match (constant(program, left), constant(program, right)) {
            (Some(value), None) => (value, right),
            (None, Some(value)) => (value, left),
            _ => return None,
        };
        let erf = step(program, erf).filter(|step| step.op == Op::Erf)?;
        let mut inner = Vec::new();
        let shrunk = factors(program, *erf.args.first()?, &mut inner);
        let fits = near(value, 1.0) && near(scale, 0.5) && near(shrunk, 0.5f64.sqrt());
        (fits && inner == [x]).then_some(x)
    };
    of(one, other).or_else(|| of(other, one))
}

/// Drops instructions whose results nothing needs.
fn without_unused(program: &mut Program) {
    let mut needed = vec![false; program.instructions.len()];
    let mut stack: Vec<Arg> = program.outputs.iter().map(|(from, _)| *from).collect();
    while let Some(arg) = stack.pop() {
        if let (Arg::Made(at), Some(step)) = (arg, step(program, arg)) {
            if let Some(needed) = needed.get_mut(at) {
                *needed = true;
            }
            stack.extend(&step.args);
        }
    }
    let mut places = Vec::with_capacity(needed.len());
    let mut kept = 0;
    for needed in &needed {
        places.push(kept);
        kept += usize::from(*needed);
    }
    let moved = |arg: Arg| match arg {
        Arg::Made(at) => Arg::Made(places.get(at).copied().unwrap_or(at)),
        Arg::In(at) => Arg::In(at),
    };
    let steps = std::mem::take(&mut program.instructions);
    program.instructions = (steps.into_iter().zip(needed))
        .filter(|(_, needed)| *needed)
        .map(|(step, _)| Instruction {
            args: step.args.iter().copied().map(moved).collect(),
            ..step
        })
        .collect();
    for (from, _) in &mut program.outputs {
        *from = moved(*from);
    }
}

/// What a program does to a product: `activation(scale * x + added)`.
#[derive(Debug, Default)]
struct Epilogue {
    scale: Option<f64>,
    /// The input that is added.
    added: Option<usize>,
    activation: Activation,
}

/// Reads a program as an epilogue of its input `at`; `None` where it does anything else.
fn epilogue(program: &Program, at: usize) -> Option<Epilogue> {
    let mut made = Epilogue::default();
    let mut now = Arg::In(at);
    for (place, step) in program.instructions.iter().enumerate() {
        if step.op == Op::Constant {
            continue;
        }
        if made.activation != Activation::None {
            return None;
        }
        let other = match step.args.as_slice() {
            [one] if *one == now => None,
            [one, other] if *one == now => Some(*other),
            [other, one] if *one == now && matches!(step.op, Op::Add | Op::Mul) => Some(*other),
            _ => return None,
        };
        match (step.op, other) {
            (Op::Mul | Op::Div, Some(other)) if made.added.is_none() => {
                let factor = constant(program, other)?;
                let factor = if step.op == Op::Div {
                    1.0 / factor
                } else {
                    factor
                };
                made.scale = Some(made.scale.unwrap_or(1.0) * factor);
            }
            (Op::Add, Some(Arg::In(other))) if made.added.is_none() && other != at => {
                made.added = Some(other);
            }
            (_, None) => made.activation = activation(step)?,
            _ => return None,
        }
        now = Arg::Made(place);
    }
    let ends = program.outputs.iter().all(|(from, _)| *from == now);
    let reads = program.inputs.len() == 1 + usize::from(made.added.is_some());
    (ends && reads && now != Arg::In(at)).then_some(made)
}

fn activation(step: &Instruction) -> Option<Activation> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "these come from single precision"
    )]
    let [one, other] = step.constants.map(|bits| f64::from_bits(bits.0) as f32);
    Some(match step.op {
        Op::Relu => Activation::Relu,
        Op::Gelu => Activation::Gelu,
        Op::GeluTanh => Activation::GeluTanh,
        Op::Sigmoid => Activation::Sigmoid,
        Op::Tanh => Activation::Tanh,
        Op::LeakyRelu => Activation::LeakyRelu(one),
        Op::HardSigmoid => Activation::HardSigmoid(one, other),
        Op::Clip => Activation::Clip(one, other),
        _ => return None,
    })
}

/// The stride of the dimensions from `from` to `to` as if they were one; `None` where they cannot be.
fn as_one(dims: &[usize], strides: &[i64], from: usize, to: usize) -> Option<i64> {
    let (dims, strides) = (dims.get(from..to)?, strides.get(from..to)?);
    let (size, joined) = crate::engine::cuda::launch::pointwise::joined(dims, &[strides]);
    match (size.len(), joined.first()?.as_slice()) {
        (0, _) => Some(0),
        (1, [stride]) => Some(*stride),
        _ => None,
    }
}

/// The matrix that an operand over `dims` is for a product with `m` rows, `n` columns and these batches.
fn matrix_over(dims: &[usize], operand: &Operand, gemm: &Gemm) -> Option<Matrix> {
    // The places where dimensions of the result begin: outer batches, inner batches, rows, columns.
    let mut cuts = vec![dims.len()];
    let mut at = dims.len();
    for wanted in [gemm.n, gemm.m, gemm.batches[0], gemm.batches[1]] {
        let mut left = wanted;
        while left > 1 {
            at = at.checked_sub(1)?;
            let dim = *dims.get(at)?;
            if dim == 0 || left % dim != 0 {
                return None;
            }
            left /= dim;
        }
        cuts.push(at);
    }
    if dims.iter().take(at).any(|dim| *dim != 1) {
        return None;
    }
    let &[end, n, m, inner, outer] = cuts.as_slice() else {
        return None;
    };
    let stride = |from, to| as_one(dims, &operand.stride, from, to);
    Some(Matrix {
        at: operand.at,
        row: stride(m, n)?,
        col: stride(n, end)?,
        batch: [stride(inner, m)?, stride(outer, inner)?],
    })
}

fn scaled(gemm: &mut Gemm, scale: Option<f64>) -> Option<()> {
    if let Some(scale) = scale {
        if gemm.c.is_some() {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the kernels take it in single precision"
        )]
        let scale = scale as f32;
        gemm.alpha *= scale;
    }
    Some(())
}

/// The product with the program behind it. `added` is what the program adds, in the product's type where that can be.
fn behind_gemm(
    gemm: &Gemm,
    program: &Program,
    epilogue: &Epilogue,
    added: Option<&Operand>,
    to: &Matrix,
) -> Option<Gemm> {
    let mut joined = gemm.clone();
    let double = gemm.element == Element::Float64;
    if gemm.activation != Activation::None
        || matches!(epilogue.activation, Activation::Clip(..) | Activation::HardSigmoid(..))
        // The scales are in single precision.
        || double && epilogue.scale.is_some()
    {
        return None;
    }
    scaled(&mut joined, epilogue.scale)?;
    if epilogue.added.is_some() {
        let operand = added.filter(|added| added.element == gemm.element)?;
        if joined.c.is_some() {
            return None;
        }
        joined.c = Some(matrix_over(&program.dims, operand, gemm)?);
        joined.beta = 1.0;
    }
    joined.activation = epilogue.activation;
    joined.d.at = to.at;
    Some(joined)
}

/// The convolution with the program behind it.
fn behind_conv(conv: &Conv, program: &Program, epilogue: &Epilogue, to: &Matrix) -> Option<Conv> {
    let mut joined = conv.clone();
    let idle = matches!(epilogue.activation, Activation::None);
    if conv.activation != Activation::None || epilogue.scale.is_some() || conv.transposed && !idle {
        return None;
    }
    if let Some(added) = epilogue.added {
        let operand = program.inputs.get(added)?;
        if operand.element != Element::Float32 {
            return None;
        }
        let dense =
            super::fuse::spread(&program.dims, &program.dims, &dense_strides(&program.dims));
        let image: usize = program.dims.iter().skip(2).product();
        let own = program.dims.first() == Some(&conv.n)
            && program.dims.get(1) == Some(&conv.filters)
            && image == conv.out[0] * conv.out[1];
        let channels = own
            && (operand.stride.iter().enumerate())
                .all(|(at, stride)| *stride == i64::from(at == 1));
        if channels && joined.bias.is_none() && joined.add.is_none() {
            joined.bias = Some(operand.at);
        } else if operand.stride == dense && joined.add.is_none() && !conv.transposed {
            joined.add = Some(operand.at);
        } else {
            return None;
        }
    }
    joined.activation = epilogue.activation;
    joined.y = to.at;
    Some(joined)
}

impl Emitter {
    /// The product or convolution that makes an input of the program, with the program behind it; and which step it
    /// was. `made` is what the program gives.
    pub(super) fn behind(
        &mut self,
        program: &Program,
        reads: &[usize],
        made: &Value,
    ) -> Option<(usize, Work)> {
        let dense =
            super::fuse::spread(&program.dims, &program.dims, &dense_strides(&program.dims));
        let super::value::Home::At(at, _) = made.home else {
            return None;
        };
        let to = Matrix {
            at,
            row: 0,
            col: 0,
            batch: [0, 0],
        };
        for (place, (input, reads)) in program.inputs.iter().zip(reads).enumerate() {
            let Some((maker, draft)) = self.maker(input.at, *reads) else {
                continue;
            };
            if input.stride != dense || input.element != made.element {
                continue;
            }
            let Some(epilogue) = epilogue(program, place) else {
                continue;
            };
            let size: usize = program.dims.iter().product();
            let work = match draft.work.clone() {
                Work::Gemm(gemm) if size == gemm.m * gemm.n * gemm.batches[0] * gemm.batches[1] => {
                    let added = epilogue.added.and_then(|added| program.inputs.get(added));
                    let added = added.and_then(|added| self.operand_as(added, gemm.element));
                    behind_gemm(&gemm, program, &epilogue, added.as_ref(), &to).map(Work::Gemm)
                }
                Work::Conv(conv) if size == conv.n * conv.filters * conv.out[0] * conv.out[1] => {
                    behind_conv(&conv, program, &epilogue, &to).map(Work::Conv)
                }
                _ => None,
            };
            if let Some(work) = work {
                return Some((maker, work));
            }
        }
        None
    }
}
