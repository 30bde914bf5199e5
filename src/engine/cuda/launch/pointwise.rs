//! `pointwise_*`: a chain of elementwise operators as a small program.

use super::{MAX_RANK, Params, Spot, TooLarge, type_number};
use crate::{engine::cuda::plan::Launch, graph::tensor::Element};

/// What the kernels have room for.
pub(crate) const MAX_INPUTS: usize = 8;
const MAX_OUTPUTS: usize = 4;
pub(crate) const MAX_INSTRUCTIONS: usize = 24;
const REGISTERS: usize = 16;

/// The type that registers hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    F32,
    F64,
    I64,
}

macro_rules! ops {
    ($($name:ident = $number:literal,)+) => {
        /// What an instruction does, as `Op` numbers it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Op {
            $($name = $number,)+
        }
    };
}

ops! {
    Add = 0, Sub = 1, Mul = 2, Div = 3, Pow = 4, Mod = 5, Fmod = 6, Min = 7, Max = 8,
    Eq = 9, Lt = 10, Le = 11, Gt = 12, Ge = 13, Ne = 14, And = 15, Or = 16, Xor = 17, Not = 18, Where = 19,
    Neg = 20, Abs = 21, Sign = 22, Ceil = 23, Floor = 24, Round = 25,
    Sqrt = 27, Reciprocal = 28, Exp = 29, Log = 30, Sin = 31, Cos = 32, Tan = 33,
    Asin = 34, Acos = 35, Atan = 36, Sinh = 37, Cosh = 38, Tanh = 39, Asinh = 40, Acosh = 41, Atanh = 42, Erf = 43,
    Relu = 44, LeakyRelu = 45, Elu = 46, Selu = 47, Celu = 48, Sigmoid = 49, HardSigmoid = 50, HardSwish = 51,
    Softplus = 52, Softsign = 53, ThresholdedRelu = 54, Mish = 55, Swish = 56, Gelu = 57, GeluTanh = 58,
    Clip = 59, IsNan = 60, IsInf = 61, Constant = 62,
    BitAnd = 64, BitOr = 65, BitXor = 66, BitNot = 67, ShiftLeft = 68, ShiftRight = 69, Probit = 70,
}

/// Where an instruction reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arg {
    /// An input.
    In(usize),
    /// The result of an instruction before.
    Made(usize),
}

/// A constant of an instruction: its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bits(pub(crate) u64);

impl From<f64> for Bits {
    fn from(value: f64) -> Self {
        Self(value.to_bits())
    }
}

impl From<i64> for Bits {
    fn from(value: i64) -> Self {
        Self(value.cast_unsigned())
    }
}

/// One operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) op: Op,
    /// Up to three.
    pub(crate) args: Vec<Arg>,
    pub(crate) constants: [Bits; 2],
}

/// A value that a program reads or writes; strides (in elements) over the program's dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operand {
    pub(crate) at: Spot,
    pub(crate) element: Element,
    pub(crate) stride: Vec<i64>,
}

/// A program over every element of `dims`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) class: Class,
    pub(crate) dims: Vec<usize>,
    pub(crate) inputs: Vec<Operand>,
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) outputs: Vec<(Arg, Operand)>,
}

impl Program {
    /// One operator on every number where it lies.
    pub(crate) fn in_place(
        (op, constants): (Op, [f64; 2]),
        dims: Vec<usize>,
        operand: Operand,
    ) -> Self {
        Self {
            class: Class::F32,
            dims,
            inputs: vec![operand.clone()],
            instructions: vec![Instruction {
                op,
                args: vec![Arg::In(0)],
                constants: constants.map(Bits::from),
            }],
            outputs: vec![(Arg::Made(0), operand)],
        }
    }
}

/// Dimensions joined where every operand steps through them as through one.
pub(crate) fn joined(dims: &[usize], strides: &[&[i64]]) -> (Vec<usize>, Vec<Vec<i64>>) {
    let mut size: Vec<usize> = Vec::new();
    let mut joined: Vec<Vec<i64>> = vec![Vec::new(); strides.len()];
    for (at, dim) in dims.iter().enumerate() {
        if *dim == 1 {
            continue;
        }
        let here = || {
            strides
                .iter()
                .map(|stride| stride.get(at).copied().unwrap_or(0))
        };
        let step = i64::try_from(*dim).unwrap_or(i64::MAX);
        let one = (joined.iter().zip(here()))
            .all(|(before, here)| before.last().copied() == here.checked_mul(step));
        if let (true, Some(last)) = (one, size.last_mut()) {
            *last *= dim;
            for (before, here) in joined.iter_mut().zip(here()) {
                if let Some(last) = before.last_mut() {
                    *last = here;
                }
            }
        } else {
            size.push(*dim);
            for (before, here) in joined.iter_mut().zip(here()) {
                before.push(here);
            }
        }
    }
    (size, joined)
}

impl Program {
    /// Whether the kernels have room for it.
    pub(crate) fn fits(&self) -> bool {
        self.inputs.len() <= MAX_INPUTS
            && self.instructions.len() <= MAX_INSTRUCTIONS
            && self.outputs.len() <= MAX_OUTPUTS
            && self.registers().is_some()
            && self.shape().0.len() <= MAX_RANK
    }

    fn shape(&self) -> (Vec<usize>, Vec<Vec<i64>>) {
        let outputs = self.outputs.iter().map(|(_, operand)| operand);
        let strides: Vec<&[i64]> = (self.inputs.iter().chain(outputs))
            .map(|operand| operand.stride.as_slice())
            .collect();
        joined(&self.dims, &strides)
    }

    /// The register of each instruction's result: the first that nothing needs any more. `None` where there are
    /// too few.
    fn registers(&self) -> Option<Vec<usize>> {
        let end = self.instructions.len();
        let last = |arg: Arg| {
            let read = (self.instructions.iter()).rposition(|step| step.args.contains(&arg));
            let given = self.outputs.iter().any(|(from, _)| *from == arg);
            if given { Some(end) } else { read }
        };
        let mut free_from = [Some(0); REGISTERS];
        if self.inputs.len() > REGISTERS {
            return None;
        }
        for (at, free) in free_from.iter_mut().enumerate().take(self.inputs.len()) {
            *free = last(Arg::In(at));
        }
        let mut registers = Vec::with_capacity(end);
        for at in 0..end {
            let place = (free_from.iter()).position(|free| free.is_none_or(|free| free <= at))?;
            // What nobody reads is overwritten by whatever comes next.
            *free_from.get_mut(place)? = last(Arg::Made(at)).or(Some(at));
            registers.push(place);
        }
        Some(registers)
    }

    /// The launch.
    pub(crate) fn launch(&self) -> Result<Launch<Spot>, TooLarge> {
        let kernel = match self.class {
            Class::F32 => "pointwise_f32",
            Class::F64 => "pointwise_f64",
            Class::I64 => "pointwise_i64",
        };
        let registers = self.registers().ok_or(TooLarge)?;
        let register = |arg: &Arg| match arg {
            Arg::In(at) => *at,
            Arg::Made(at) => registers.get(*at).copied().unwrap_or(0),
        };
        let byte = |value: usize| u8::try_from(value).map_err(|_| TooLarge);
        let (size, strides) = self.shape();
        if !self.fits() {
            return Err(TooLarge);
        }
        let count = self.dims.iter().product::<usize>();
        let mut params = Params::default();
        params
            .count(count)
            .small(size.len())
            .small(self.inputs.len())
            .small(self.outputs.len())
            .small(self.instructions.len())
            .smalls(&size, 1);
        for at in 0..MAX_OUTPUTS {
            let from = self.outputs.get(at).map_or(0, |(from, _)| register(from));
            params.raw(&[byte(from)?]);
        }
        params.int(0);
        let (inputs, outputs) = strides
            .split_at_checked(self.inputs.len())
            .ok_or(TooLarge)?;
        let outputs_at = self.outputs.iter().map(|(_, operand)| operand);
        operands(&mut params, self.inputs.iter().zip(inputs), MAX_INPUTS)?;
        operands(&mut params, outputs_at.zip(outputs), MAX_OUTPUTS)?;
        for at in 0..MAX_INSTRUCTIONS {
            let Some(step) = self.instructions.get(at) else {
                params.raw(&[0; 24]);
                continue;
            };
            let arg = |place: usize| byte(step.args.get(place).map_or(0, register));
            let to = byte(registers.get(at).copied().unwrap_or(0))?;
            params.raw(&[step.op as u8, to, arg(0)?, arg(1)?, arg(2)?, 0, 0, 0]);
            for Bits(bits) in step.constants {
                params.raw(&bits.to_le_bytes());
            }
        }
        params.over(kernel, count)
    }
}

/// As many operands as the struct has, the last ones empty.
fn operands<'o>(
    params: &mut Params,
    given: impl Iterator<Item = (&'o Operand, &'o Vec<i64>)>,
    places: usize,
) -> Result<(), TooLarge> {
    let mut left = places;
    for (operand, stride) in given {
        let element = type_number(operand.element).ok_or(TooLarge)?;
        params.at(operand.at).int(element).smalls(stride, 0).int(0);
        left = left.checked_sub(1).ok_or(TooLarge)?;
    }
    for _ in 0..left {
        params.raw(&[0; 40]);
    }
    Ok(())
}
