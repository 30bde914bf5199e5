//! Products with something added and an activation behind them.

use super::{
    Lowered, Missing,
    call::Call,
    elementwise::converted,
    emit::Emitter,
    fuse::{Expression, class_of},
    matmul::Product,
    value::Value,
};
use crate::{engine::cuda::launch::pointwise::Op, graph::tensor::Element};

/// `Gemm` and `FusedGemm`: `alpha * op(A) op(B) + beta * C`, and an activation.
pub(in super::super) fn gemm(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let product = Product {
        alpha: call.float("alpha", 1.0),
        transposed: [call.flag("transA", false), call.flag("transB", false)],
    };
    let mut made = product.of(emitter, a, b)?;
    if let Some(c) = call.optional(2)?.filter(|c| c.len() > 0) {
        emitter.used_once(&made);
        let beta = f64::from(call.float("beta", 1.0));
        let mut c = converted(emitter, c, a.element)?;
        #[expect(clippy::float_cmp, reason = "one is what exporters write")]
        if beta != 1.0 {
            let mut program = Expression::new(class_of([&c.element]));
            let args = [program.input(&c), program.constant(beta)];
            let result = program.op(Op::Mul, &args);
            c = emitter
                .express(program, &c.dims, &[(result, c.element)])?
                .remove(0);
        }
        let mut program = Expression::new(class_of([&made.element]));
        let args = [program.operand(&made), program.operand(&c)];
        let result = program.op(Op::Add, &args);
        made = emitter.express_one(program, result, a.element)?;
    }
    if let Some(op) = activation(call)? {
        emitter.used_once(&made);
        made = activated(emitter, &made, op)?;
    }
    Ok(vec![made])
}

/// An activation by the name that ONNX Runtime's optimiser gives it.
pub(super) fn activation(call: &Call<'_>) -> Result<Option<(Op, [f64; 2])>, Missing> {
    let params = call.floats("activation_params").unwrap_or_default();
    let param = |at: usize, name: &str, default: f32| {
        f64::from(match params.get(at) {
            Some(value) => *value,
            None => call.float(name, default),
        })
    };
    let (alpha, beta, gamma) = ("activation_alpha", "activation_beta", "activation_gamma");
    Ok(Some(match call.text("activation", "").as_str() {
        "" => return Ok(None),
        "Relu" => (Op::Relu, [0.0; 2]),
        "Tanh" => (Op::Tanh, [0.0; 2]),
        "Sigmoid" => (Op::Sigmoid, [0.0; 2]),
        "Softplus" => (Op::Softplus, [0.0; 2]),
        "Softsign" => (Op::Softsign, [0.0; 2]),
        "HardSwish" => (Op::HardSwish, [0.0; 2]),
        "LeakyRelu" => (Op::LeakyRelu, [param(0, alpha, 0.01), 0.0]),
        "Elu" => (Op::Elu, [param(0, alpha, 1.0), 0.0]),
        "Selu" => (
            Op::Selu,
            [param(0, alpha, 1.673_263_2), param(1, gamma, 1.050_701)],
        ),
        "ThresholdedRelu" => (Op::ThresholdedRelu, [param(0, alpha, 1.0), 0.0]),
        "HardSigmoid" => (Op::HardSigmoid, [param(0, alpha, 0.2), param(1, beta, 0.5)]),
        "Clip" => (
            Op::Clip,
            [param(0, alpha, f32::MIN), param(1, beta, f32::MAX)],
        ),
        other => return Err(Missing::new(format!("activation {other}"))),
    }))
}

/// The value through an activation.
pub(super) fn activated(
    emitter: &mut Emitter,
    value: &Value,
    (op, constants): (Op, [f64; 2]),
) -> Result<Value, Missing> {
    let mut program = Expression::new(class_of([&value.element]));
    let arg = program.input(value);
    let result = program.with(op, &[arg], constants);
    emitter.express_one(program, result, value.element)
}

/// `x W + b` on rows, from known coefficients `[outputs, inputs]`: what linear models are.
pub(super) fn linear(
    emitter: &mut Emitter,
    x: &Value,
    coefficients: &[f32],
    intercepts: &[f32],
    outputs: usize,
) -> Result<Value, Missing> {
    let wide = |values: &[f32]| {
        values
            .iter()
            .map(|value| f64::from(*value))
            .collect::<Vec<_>>()
    };
    let x = converted(emitter, x, Element::Float32)?;
    let columns = x.dim(1);
    if coefficients.len() != outputs * columns {
        return Err(Missing::new(format!(
            "way to use {} coefficients for {columns} columns and {outputs} outputs",
            coefficients.len()
        )));
    }
    let w = Value::of_floats(
        &wide(coefficients),
        vec![outputs, columns],
        Element::Float32,
    );
    let product = Product {
        alpha: 1.0,
        transposed: [false, true],
    };
    let made = product.of(emitter, &x, &w)?;
    if intercepts.is_empty() {
        return Ok(made);
    }
    if intercepts.len() != outputs {
        return Err(Missing::new("way to use these intercepts"));
    }
    emitter.used_once(&made);
    let b = Value::of_floats(&wide(intercepts), vec![outputs], Element::Float32);
    let mut program = Expression::new(class_of([&made.element]));
    let args = [program.operand(&made), program.operand(&b)];
    let result = program.op(Op::Add, &args);
    emitter.express_one(program, result, Element::Float32)
}
