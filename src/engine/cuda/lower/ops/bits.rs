//! Operators on the bits of integers.

use super::{Lowered, Missing, call::Call, elementwise::class, emit::Emitter, fuse::Expression};
use crate::engine::cuda::launch::pointwise::{Bits, Class, Op};

/// `BitwiseAnd`, `BitwiseOr`, `BitwiseXor`, `BitwiseNot`.
pub(in super::super) fn bitwise(emitter: &mut Emitter, call: &Call<'_>, op: Op) -> Lowered {
    let x = call.input(0)?;
    let mut program = Expression::new(whole(class(&[x])?)?);
    let mut args = vec![program.input(x)];
    if let Some(y) = call.optional(1)? {
        args.push(program.input(y));
    }
    let result = program.op(op, &args);
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

/// `BitShift` of unsigned integers.
pub(in super::super) fn shift(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (x, by) = (call.input(0)?, call.input(1)?);
    let mut program = Expression::new(whole(class(&[x, by])?)?);
    let args = [program.input(x), program.input(by)];
    let result = if call.text("direction", "") == "LEFT" {
        program.op(Op::ShiftLeft, &args)
    } else {
        let width = i64::try_from(x.element.bits()).unwrap_or(0);
        program.bits(Op::ShiftRight, &args, [Bits::from(width), Bits(0)])
    };
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

fn whole(class: Class) -> Result<Class, Missing> {
    (class == Class::I64)
        .then_some(class)
        .ok_or_else(|| Missing::new("operators on the bits of floating-point numbers"))
}
