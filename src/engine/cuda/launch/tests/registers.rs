//! The registers of programs.

use proptest::prelude::*;

use super::program;
use crate::engine::cuda::launch::pointwise::{Arg, Bits, Class, Instruction, Op, Program};

/// Programs whose instructions read any inputs and results before them.
fn programs() -> impl Strategy<Value = Program> {
    let steps = proptest::collection::vec((0usize..40, 0usize..40), 1..24);
    (
        1usize..9,
        steps,
        proptest::collection::vec(0usize..40, 1..4),
    )
        .prop_map(|(inputs, steps, results)| {
            let arg = |pick: usize, made: usize| match pick % (inputs + made) {
                at if at < inputs => Arg::In(at),
                at => Arg::Made(at - inputs),
            };
            let operand = program().inputs[0].clone();
            let instructions: Vec<Instruction> = (steps.iter().enumerate())
                .map(|(at, (one, other))| Instruction {
                    op: Op::Add,
                    args: vec![arg(*one, at), arg(*other, at)],
                    constants: [Bits(0); 2],
                })
                .collect();
            let outputs = results
                .iter()
                .map(|pick| (arg(*pick, steps.len()), operand.clone()));
            Program {
                class: Class::F32,
                dims: vec![2, 3],
                inputs: vec![operand.clone(); inputs],
                outputs: outputs.collect(),
                instructions,
            }
        })
}

proptest! {
    /// Every instruction finds in its registers what it asks for, and so do the outputs.
    #[test]
    fn registers_hold_what_is_read(program in programs()) {
        let Ok(launch) = program.launch() else { return Ok(()) };
        let mut registers: Vec<Option<Arg>> = (0..16)
            .map(|at| (at < program.inputs.len()).then_some(Arg::In(at)))
            .collect();
        let code = &launch.params[56 + 40 * 12..];
        for (at, step) in program.instructions.iter().enumerate() {
            let [_, to, reads @ ..] = &code[24 * at..24 * at + 5] else { unreachable!() };
            for (arg, register) in step.args.iter().zip(reads) {
                prop_assert_eq!(registers[usize::from(*register)], Some(*arg));
            }
            registers[usize::from(*to)] = Some(Arg::Made(at));
        }
        for (at, (from, _)) in program.outputs.iter().enumerate() {
            let register = launch.params[48 + at];
            prop_assert_eq!(registers[usize::from(register)], Some(*from));
        }
    }
}
