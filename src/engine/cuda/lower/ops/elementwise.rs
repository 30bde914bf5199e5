//! Operators on each element by itself: arithmetic, comparisons, choices, conversions.

use super::{
    Lowered, Missing,
    call::Call,
    emit::{Emitter, Work, buffer_of},
    fuse::{Expression, class_of},
    value::Value,
};
use crate::{
    engine::cuda::launch::pointwise::{Arg, Bits, Class, Op},
    graph::tensor::Element,
};

/// The class for these values, where there is one that holds their elements.
pub(super) fn class(values: &[&Value]) -> Result<Class, Missing> {
    if values.iter().any(|value| value.element == Element::Uint64) {
        return Err(Missing::new("arithmetic on uint64"));
    }
    Ok(class_of(values.iter().map(|value| &value.element)))
}

/// A class for truth values: that of whatever makes one of them, so that they can be one program.
fn logic_class(emitter: &Emitter, values: &[&Value]) -> Class {
    let made = values.iter().find_map(|value| {
        let maker = emitter.makers.get(&buffer_of(value)?)?;
        match &emitter.drafts.get(*maker)?.as_ref()?.work {
            Work::Program(program, _) => Some(program.class),
            _ => None,
        }
    });
    made.unwrap_or(Class::F32)
}

/// One operator on one value, with constants.
pub(in super::super) fn unary(
    emitter: &mut Emitter,
    call: &Call<'_>,
    op: Op,
    constants: [f32; 2],
) -> Lowered {
    let x = call.input(0)?;
    let mut program = Expression::new(class(&[x])?);
    let arg = program.input(x);
    let result = program.with(op, &[arg], constants.map(f64::from));
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

/// One operator on two values.
pub(in super::super) fn binary(emitter: &mut Emitter, call: &Call<'_>, op: Op) -> Lowered {
    let (x, y) = (call.input(0)?, call.input(1)?);
    let mut program = Expression::new(class(&[x, y])?);
    let args = [program.input(x), program.input(y)];
    let result = program.op(op, &args);
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

/// A comparison: the result is a truth value.
pub(in super::super) fn compare(emitter: &mut Emitter, call: &Call<'_>, op: Op) -> Lowered {
    let (x, y) = (call.input(0)?, call.input(1)?);
    let mut program = Expression::new(class(&[x, y])?);
    let args = [program.input(x), program.input(y)];
    let result = program.op(op, &args);
    Ok(vec![emitter.express_one(program, result, Element::Bool)?])
}

/// An operator on truth values.
pub(in super::super) fn logic(emitter: &mut Emitter, call: &Call<'_>, op: Op) -> Lowered {
    let values: Vec<&Value> = (0..call.inputs.len())
        .map(|at| call.input(at))
        .collect::<Result<_, _>>()?;
    let mut program = Expression::new(logic_class(emitter, &values));
    let args: Vec<Arg> = values.iter().map(|value| program.input(value)).collect();
    let result = program.op(op, &args);
    Ok(vec![emitter.express_one(program, result, Element::Bool)?])
}

/// An operator between any number of values, from left to right.
pub(in super::super) fn variadic(
    emitter: &mut Emitter,
    call: &Call<'_>,
    op: Op,
    mean: bool,
) -> Lowered {
    let first = call.input(0)?;
    let mut so_far = first.clone();
    for at in 1..call.inputs.len() {
        let next = call.input(at)?;
        let mut program = Expression::new(class(&[first, next])?);
        let args = [program.input(&so_far), program.input(next)];
        let result = program.op(op, &args);
        so_far = emitter.express_one(program, result, first.element)?;
        if at + 1 < call.inputs.len() || mean {
            emitter.used_once(&so_far);
        }
    }
    if mean {
        let mut program = Expression::new(class(&[first])?);
        let args = [
            program.input(&so_far),
            program.constant(call.inputs.len() as f64),
        ];
        let result = program.op(Op::Div, &args);
        so_far = emitter.express_one(program, result, first.element)?;
    }
    Ok(vec![so_far])
}

/// Pow: the result is of the base's type.
pub(in super::super) fn pow(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (x, y) = (call.input(0)?, call.input(1)?);
    let of_both = class(&[x, y])?;
    let class = if class(&[x])? == Class::I64 && of_both != Class::I64 {
        Class::F64
    } else {
        of_both
    };
    let mut program = Expression::new(class);
    let arg = program.input(x);
    let exponent = y.floats().filter(|held| held.len() == 1);
    let result = match exponent.as_deref() {
        // What models mean by these is quicker and no less exact so.
        Some([2.0]) => program.op(Op::Mul, &[arg, arg]),
        Some([0.5]) => program.op(Op::Sqrt, &[arg]),
        _ => {
            let exponent = program.input(y);
            program.op(Op::Pow, &[arg, exponent])
        }
    };
    let made = emitter.express(program, &y.dims, &[(result, x.element)])?;
    Ok(made)
}

/// Mod, with the sign of the divisor or (fmod) of the dividend.
pub(in super::super) fn modulo(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let fmod = call.flag("fmod", false);
    binary(emitter, call, if fmod { Op::Fmod } else { Op::Mod })
}

/// Where.
pub(in super::super) fn choose(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (condition, x, y) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let class = match (x.element, class(&[x, y])?) {
        (Element::Bool, _) => logic_class(emitter, &[condition, x, y]),
        (_, class) => class,
    };
    let mut program = Expression::new(class);
    let args = [condition, x, y].map(|value| program.input(value));
    let result = program.op(Op::Where, &args);
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

/// Clip, between bounds that are attributes, known, or computed.
pub(in super::super) fn clip(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let mut program = Expression::new(class(&[x])?);
    let mut result = program.input(x);
    if call.opset < 11 {
        let bounds = [call.float("min", f32::MIN), call.float("max", f32::MAX)];
        result = program.with(Op::Clip, &[result], bounds.map(f64::from));
        return Ok(vec![emitter.express_one(program, result, x.element)?]);
    }
    let (low, high) = (call.optional(1)?, call.optional(2)?);
    let known = |bound: Option<&Value>, free: f64| match bound {
        None => Some(free),
        Some(value) => value.floats().and_then(|held| held.first().copied()),
    };
    let free = [f64::NEG_INFINITY, f64::INFINITY];
    if let (Some(low), Some(high)) = (known(low, free[0]), known(high, free[1]))
        && program.class() != Class::I64
    {
        result = program.with(Op::Clip, &[result], [low, high]);
        return Ok(vec![emitter.express_one(program, result, x.element)?]);
    }
    let mut constants = [Bits::from(i64::MIN), Bits::from(i64::MAX)];
    for ((bound, op), constant) in [(low, Op::Max), (high, Op::Min)]
        .into_iter()
        .zip(&mut constants)
    {
        let Some(bound) = bound else { continue };
        match bound.ints().as_deref() {
            Some([held]) if program.class() == Class::I64 => *constant = Bits::from(*held),
            _ => {
                let bound = program.input(bound);
                result = program.op(op, &[result, bound]);
            }
        }
    }
    if program.class() == Class::I64 {
        result = program.bits(Op::Clip, &[result], constants);
    }
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

/// Cast, and whatever else changes the type alone.
pub(in super::super) fn cast(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let of_texts = call.int("to", 0) == i64::from(Element::Text.number());
    if let Some(labels) = call.given(0).filter(|x| of_texts && x.labels.is_some()) {
        return Ok(vec![labels.clone()]);
    }
    let x = call.input(0)?;
    let number = i32::try_from(call.int("to", 0)).unwrap_or(0);
    let to = Element::of_number(number)
        .filter(|to| crate::engine::cuda::launch::type_number(*to).is_some())
        .ok_or_else(|| Missing::new(format!("Cast to {}", name(number))))?;
    if to == x.element {
        return Ok(vec![x.clone()]);
    }
    Ok(vec![converted(emitter, x, to)?])
}

fn name(number: i32) -> &'static str {
    Element::of_number(number).map_or("an unknown type", Element::name)
}

/// The value as another type.
pub(in super::super) fn converted(
    emitter: &mut Emitter,
    x: &Value,
    to: Element,
) -> Result<Value, Missing> {
    if x.element == to {
        return Ok(x.clone());
    }
    if x.element == Element::Uint64 || to == Element::Uint64 {
        return Err(Missing::new("Cast from or to uint64"));
    }
    // Integers go through doubles only where a double is at one end: 64 bits do not fit into one.
    let class = class_of([&x.element, &to]);
    let mut program = Expression::new(class);
    let mut result = program.input(x);
    if to == Element::Bool {
        let zero = program.constant(0.0);
        result = program.op(Op::Ne, &[result, zero]);
    }
    let made = emitter.express(program, &x.dims, &[(result, to)])?;
    made.into_iter()
        .next()
        .ok_or_else(|| Missing::new("result"))
}

/// `IsNaN`: integers never are.
pub(in super::super) fn is_nan(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let mut program = Expression::new(class(&[x])?);
    let arg = program.input(x);
    let result = program.op(Op::IsNan, &[arg]);
    Ok(vec![emitter.express_one(program, result, Element::Bool)?])
}

/// `IsInf`, of one sign or both.
pub(in super::super) fn is_inf(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let mut program = Expression::new(class(&[x])?);
    let arg = program.input(x);
    let negative = u8::from(call.flag("detect_negative", true));
    let positive = u8::from(call.flag("detect_positive", true));
    let which = f64::from(negative + 2 * positive);
    let result = program.with(Op::IsInf, &[arg], [which, 0.0]);
    Ok(vec![emitter.express_one(program, result, Element::Bool)?])
}

/// `PRelu`: a slope for each element of the negative side.
pub(in super::super) fn prelu(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (x, slope) = (call.input(0)?, call.input(1)?);
    let mut program = Expression::new(class(&[x, slope])?);
    let (arg, slope) = (program.input(x), program.input(slope));
    let zero = program.constant(0.0);
    let negative = program.op(Op::Lt, &[arg, zero]);
    let sloped = program.op(Op::Mul, &[arg, slope]);
    let result = program.op(Op::Where, &[negative, sloped, arg]);
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

/// `Shrink`: towards zero by `bias` beyond `lambd`, zero within.
pub(in super::super) fn shrink(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let (bias, edge) = (call.float("bias", 0.0), call.float("lambd", 0.5));
    let mut program = Expression::new(class(&[x])?);
    let arg = program.input(x);
    let [bias, edge, below, zero] =
        [bias.into(), edge.into(), -f64::from(edge), 0.0].map(|value| program.constant(value));
    let under = program.op(Op::Lt, &[arg, below]);
    let over = program.op(Op::Gt, &[arg, edge]);
    let (more, less) = (
        program.op(Op::Add, &[arg, bias]),
        program.op(Op::Sub, &[arg, bias]),
    );
    let upper = program.op(Op::Where, &[over, less, zero]);
    let result = program.op(Op::Where, &[under, more, upper]);
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

/// Gelu, exact or by tanh.
pub(in super::super) fn gelu(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let tanh = call.text("approximate", "none") == "tanh";
    biased(emitter, call, if tanh { Op::GeluTanh } else { Op::Gelu })
}

/// An activation of the first input and, where there is a second, the sum of both.
pub(in super::super) fn biased(emitter: &mut Emitter, call: &Call<'_>, op: Op) -> Lowered {
    let x = call.input(0)?;
    let bias = call.optional(1)?;
    let mut program = Expression::new(class(&[x])?);
    let mut arg = program.input(x);
    if let Some(bias) = bias {
        let bias = program.input(bias);
        arg = program.op(Op::Add, &[arg, bias]);
    }
    let result = program.op(op, &[arg]);
    Ok(vec![emitter.express_one(program, result, x.element)?])
}
