//! Elementwise chains: programs are joined with the programs that make their inputs, and go behind products and
//! convolutions where the kernels can do that.

use super::{
    Missing,
    emit::{Draft, Emitter, Work},
    patterns,
    value::{Value, broadcast, dense_strides},
};
use crate::{
    engine::cuda::launch::{
        Base, Spot,
        pointwise::{Arg, Bits, Class, Instruction, Op, Operand, Program},
    },
    graph::tensor::{Element, Values},
};

/// A program being written.
#[derive(Debug)]
pub(super) struct Expression {
    class: Class,
    inputs: Vec<(Value, usize)>,
    instructions: Vec<Instruction>,
}

/// The class that a program over these types needs.
pub(super) fn class_of<'e>(elements: impl IntoIterator<Item = &'e Element>) -> Class {
    let mut class = Class::I64;
    for element in elements {
        match element {
            Element::Float64 => return Class::F64,
            Element::Float32 | Element::Float16 | Element::Bfloat16 => class = Class::F32,
            _ => {}
        }
    }
    class
}

impl Expression {
    pub(super) fn new(class: Class) -> Self {
        Self {
            class,
            inputs: Vec::new(),
            instructions: Vec::new(),
        }
    }

    pub(super) fn class(&self) -> Class {
        self.class
    }

    /// One use of a value by the node; a known single number becomes a constant.
    pub(super) fn input(&mut self, value: &Value) -> Arg {
        if value.len() == 1 {
            match (value.values(), self.class) {
                (Some(Values::Float(held)), Class::F32 | Class::F64) if held.len() == 1 => {
                    return self.constant(held.first().copied().unwrap_or(0.0));
                }
                (Some(_), Class::I64) => {
                    if let Some(held) = value.ints().and_then(|held| held.first().copied()) {
                        return self.integer(held);
                    }
                }
                (Some(_), _) => {
                    // As far as a double can count.
                    let held = value.ints().and_then(|held| held.first().copied());
                    if let Some(held) = held.filter(|held| held.unsigned_abs() < 1 << 53) {
                        return self.constant(held as f64);
                    }
                }
                _ => {}
            }
        }
        self.operand(value)
    }

    /// As [`Expression::input`], in memory even where it is a known single number.
    pub(super) fn operand(&mut self, value: &Value) -> Arg {
        if let Some(at) = (self.inputs.iter()).position(|(held, _)| held.is_same(value)) {
            if let Some((_, reads)) = self.inputs.get_mut(at) {
                *reads += 1;
            }
            return Arg::In(at);
        }
        self.inputs.push((value.clone(), 1));
        Arg::In(self.inputs.len() - 1)
    }

    pub(super) fn op(&mut self, op: Op, args: &[Arg]) -> Arg {
        self.with(op, args, [0.0, 0.0])
    }

    /// An operator with constants of its own.
    pub(super) fn with(&mut self, op: Op, args: &[Arg], constants: [f64; 2]) -> Arg {
        self.bits(op, args, constants.map(Bits::from))
    }

    pub(super) fn bits(&mut self, op: Op, args: &[Arg], constants: [Bits; 2]) -> Arg {
        self.instructions.push(Instruction {
            op,
            args: args.to_vec(),
            constants,
        });
        Arg::Made(self.instructions.len() - 1)
    }

    pub(super) fn constant(&mut self, value: f64) -> Arg {
        if self.class == Class::I64 {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "integers' programs count in integers"
            )]
            return self.integer(value as i64);
        }
        self.with(Op::Constant, &[], [value, 0.0])
    }

    pub(super) fn integer(&mut self, value: i64) -> Arg {
        if self.class == Class::I64 {
            return self.bits(Op::Constant, &[], [Bits::from(value), Bits(0)]);
        }
        self.constant(value as f64)
    }
}

/// Strides of a value over `dims`, which it is broadcast to.
pub(super) fn spread(dims: &[usize], own: &[usize], strides: &[i64]) -> Vec<i64> {
    let missing = dims.len().saturating_sub(own.len());
    let own = (own.iter().zip(strides)).map(|(dim, stride)| if *dim == 1 { 0 } else { *stride });
    std::iter::repeat_n(0, missing).chain(own).collect()
}

impl Emitter {
    /// Emits a program over what its inputs broadcast to (and `at_least`), and gives its results.
    pub(super) fn express(
        &mut self,
        expression: Expression,
        at_least: &[usize],
        results: &[(Arg, Element)],
    ) -> Result<Vec<Value>, Missing> {
        let shapes = expression
            .inputs
            .iter()
            .map(|(value, _)| value.dims.as_slice());
        let dims = broadcast(shapes.chain([at_least]))?;
        let made: Vec<(Arg, Value)> = (results.iter())
            .map(|(from, element)| (*from, self.make(*element, &dims)))
            .collect();
        self.express_into(expression, &dims, &made)?;
        Ok(made.into_iter().map(|(_, value)| value).collect())
    }

    /// Emits a program over `dims`, whose results go into these values.
    pub(super) fn express_into(
        &mut self,
        expression: Expression,
        dims: &[usize],
        results: &[(Arg, Value)],
    ) -> Result<(), Missing> {
        let mut operands = Vec::new();
        let mut reads = Vec::new();
        for (value, uses) in &expression.inputs {
            let (at, strides) = self.view(value)?;
            operands.push(Operand {
                at,
                element: value.element,
                stride: spread(dims, &value.dims, &strides),
            });
            reads.push(*uses);
        }
        let mut outputs = Vec::new();
        for (from, value) in results {
            let (at, stride) = self.view(value)?;
            let element = value.element;
            outputs.push((
                *from,
                Operand {
                    at,
                    element,
                    stride,
                },
            ));
        }
        let program = Program {
            class: expression.class,
            dims: dims.to_vec(),
            inputs: operands,
            instructions: expression.instructions,
            outputs,
        };
        let made: Vec<Value> = results.iter().map(|(_, value)| value.clone()).collect();
        self.program(program, reads, &made)
    }

    /// Emits a program for one result.
    pub(super) fn express_one(
        &mut self,
        expression: Expression,
        result: Arg,
        element: Element,
    ) -> Result<Value, Missing> {
        let mut made = self.express(expression, &[], &[(result, element)])?;
        made.pop().ok_or_else(|| Missing::new("result"))
    }

    /// Emits a program, joined with what makes its inputs as far as that can be.
    pub(super) fn program(
        &mut self,
        mut program: Program,
        mut reads: Vec<usize>,
        made: &[Value],
    ) -> Result<(), Missing> {
        if program.dims.iter().product::<usize>() == 0 {
            return Ok(());
        }
        let mut at = 0;
        while at < program.inputs.len() {
            match self.joined(&program, &reads, at) {
                Some((maker, joined, joined_reads)) => {
                    self.drop_draft(maker);
                    (program, reads) = (joined, joined_reads);
                    at = 0;
                }
                None => at += 1,
            }
        }
        patterns::simplify(&mut program);
        let [one] = made else {
            return self.program_alone(program, reads, None);
        };
        if let Some((maker, work)) = self.behind(&program, &reads, one) {
            self.drop_draft(maker);
            self.push_work(work, Some(one));
            return Ok(());
        }
        self.program_alone(program, reads, Some(one))
    }

    fn program_alone(
        &mut self,
        program: Program,
        reads: Vec<usize>,
        made: Option<&Value>,
    ) -> Result<(), Missing> {
        // Whether the kernel can do it is said here, with the node's name.
        program.launch()?;
        self.push_work(Work::Program(program, reads), made);
        Ok(())
    }

    pub(super) fn drop_draft(&mut self, at: usize) {
        if let Some(draft) = self.drafts.get_mut(at) {
            *draft = None;
        }
    }

    /// The step that makes an input, where nothing but the program (which reads it `reads` times) needs it.
    pub(super) fn maker(&self, at: Spot, reads: usize) -> Option<(usize, &Draft)> {
        let Base::Buffer(buffer) = at.base else {
            return None;
        };
        if at.offset != 0 || self.reads.get(&buffer) != Some(&reads) {
            return None;
        }
        let maker = *self.makers.get(&buffer)?;
        self.drafts.get(maker)?.as_ref().map(|draft| (maker, draft))
    }

    /// The program with the one that makes its input `at` in it.
    fn joined(
        &self,
        program: &Program,
        reads: &[usize],
        at: usize,
    ) -> Option<(usize, Program, Vec<usize>)> {
        let input = program.inputs.get(at)?;
        let (maker, draft) = self.maker(input.at, *reads.get(at)?)?;
        let Work::Program(before, before_reads) = &draft.work else {
            return None;
        };
        let [(result, output)] = before.outputs.as_slice() else {
            return None;
        };
        let keeps = before.class == program.class
            && input.element == output.element
            && passes(program.class, output.element)
            && input.stride == spread(&program.dims, &program.dims, &dense_strides(&program.dims));
        let before = over(before, &program.dims).filter(|_| keeps)?;
        let (joined, joined_reads) = inline(program, reads, at, &before, before_reads, *result);
        joined.fits().then_some((maker, joined, joined_reads))
    }
}

/// Whether a register holds what would come back from memory as this type.
fn passes(class: Class, element: Element) -> bool {
    match class {
        Class::F32 => matches!(
            element,
            Element::Float32 | Element::Float16 | Element::Bfloat16 | Element::Bool
        ),
        Class::F64 => matches!(element, Element::Float64 | Element::Bool),
        Class::I64 => matches!(element, Element::Int64 | Element::Bool),
    }
}

/// The same program over other dimensions with as many elements in the same order.
fn over(program: &Program, dims: &[usize]) -> Option<Program> {
    if program.dims == dims {
        return Some(program.clone());
    }
    if program.dims.iter().product::<usize>() != dims.iter().product::<usize>() {
        return None;
    }
    let own = dense_strides(&program.dims);
    let own = spread(&program.dims, &program.dims, &own);
    let restride = |stride: &[i64]| {
        if stride.iter().all(|step| *step == 0) {
            return Some(vec![0; dims.len()]);
        }
        (stride == own).then(|| spread(dims, dims, &dense_strides(dims)))
    };
    let mut moved = program.clone();
    for operand in &mut moved.inputs {
        operand.stride = restride(&operand.stride)?;
    }
    moved.dims = dims.to_vec();
    Some(moved)
}

/// `program` with `before` in place of its input `at`; `result` is what `before` gives.
fn inline(
    program: &Program,
    reads: &[usize],
    at: usize,
    before: &Program,
    before_reads: &[usize],
    result: Arg,
) -> (Program, Vec<usize>) {
    let mut inputs = before.inputs.clone();
    let mut joined_reads = before_reads.to_vec();
    let skipped = before.instructions.len();
    // Where each input of the later program is now.
    let mut places = Vec::with_capacity(program.inputs.len());
    for (place, (input, uses)) in program.inputs.iter().zip(reads).enumerate() {
        if place == at {
            places.push(result);
        } else if let Some(same) = inputs.iter().position(|held| held == input) {
            if let Some(held) = joined_reads.get_mut(same) {
                *held += uses;
            }
            places.push(Arg::In(same));
        } else {
            inputs.push(input.clone());
            joined_reads.push(*uses);
            places.push(Arg::In(inputs.len() - 1));
        }
    }
    let moved = |arg: &Arg| match arg {
        Arg::In(place) => places.get(*place).copied().unwrap_or(*arg),
        Arg::Made(place) => Arg::Made(place + skipped),
    };
    let later = program.instructions.iter().map(|step| Instruction {
        args: step.args.iter().map(moved).collect(),
        ..step.clone()
    });
    let joined = Program {
        class: program.class,
        dims: program.dims.clone(),
        inputs,
        instructions: before.instructions.iter().cloned().chain(later).collect(),
        outputs: (program.outputs.iter())
            .map(|(from, operand)| (moved(from), operand.clone()))
            .collect(),
    };
    (joined, joined_reads)
}
