//! Normalisation over rows, channels and axes.

use super::{
    Lowered, Missing,
    call::{Call, axis},
    elementwise::class,
    emit::Emitter,
    fuse::Expression,
    softmax::{FLOATS, around, one_of},
    value::{Value, broadcast},
};
use crate::{
    engine::cuda::launch::{Spot, norm, pointwise::Op},
    graph::tensor::Element,
};

/// What a layer normalisation is made of.
struct Parts<'v> {
    x: &'v Value,
    skip: Option<&'v Value>,
    bias: Option<&'v Value>,
    gamma: Option<&'v Value>,
    beta: Option<&'v Value>,
    columns: usize,
    epsilon: f32,
    simplified: bool,
    /// Whether the sum of x, skip and bias is asked for.
    sum: bool,
}

/// A part whose elements come once for each column.
fn per_column(
    emitter: &mut Emitter,
    value: Option<&Value>,
    of: &Parts<'_>,
) -> Result<Option<Spot>, Missing> {
    let Some(value) = value else { return Ok(None) };
    if value.len() != of.columns || value.element != of.x.element {
        return Err(Missing::new(format!(
            "layer normalisation of {} columns of {} with {} scales of {}",
            of.columns,
            of.x.element.name(),
            value.len(),
            value.element.name()
        )));
    }
    emitter.dense_spot(value).map(Some)
}

fn layers(emitter: &mut Emitter, of: &Parts<'_>) -> Result<[Value; 2], Missing> {
    let element = one_of(of.x, FLOATS)?;
    let ones = Value::of_floats(&vec![1.0; of.columns], vec![of.columns], of.x.element);
    let gamma = per_column(emitter, Some(of.gamma.unwrap_or(&ones)), of)?;
    let beta = per_column(emitter, of.beta, of)?;
    let bias = per_column(emitter, of.bias, of)?;
    let rows = of.x.len() / of.columns.max(1);
    let (mut skip, mut skip_rows) = (None, 1);
    if let Some(value) = of.skip {
        skip_rows = value.len() / of.columns.max(1);
        if value.element != of.x.element || skip_rows == 0 || !rows.is_multiple_of(skip_rows) {
            return Err(Missing::new("layer normalisation with this skip"));
        }
        skip = Some(emitter.dense_spot(value)?);
    }
    let from = emitter.dense_spot(of.x)?;
    let made = emitter.make(of.x.element, &of.x.dims);
    let sum = emitter.make(of.x.element, &of.x.dims);
    let (to, _) = emitter.view(&made)?;
    let (sum_at, _) = emitter.view(&sum)?;
    let launch = norm::LayerNorm {
        from,
        skip,
        bias,
        gamma,
        beta,
        to,
        sum: of.sum.then_some(sum_at),
        rows,
        columns: of.columns,
        skip_rows,
        epsilon: of.epsilon.into(),
        element,
        simplified: of.simplified,
    };
    emitter.push(launch.launch(), of.x.len())?;
    Ok([made, sum])
}

/// `LayerNormalization`, and without a mean `SimplifiedLayerNormalization` and `RMSNormalization`.
pub(in super::super) fn layer(emitter: &mut Emitter, call: &Call<'_>, simplified: bool) -> Lowered {
    if call.wants(1) || call.wants(2) {
        return Err(Missing::new("mean and deviation as outputs"));
    }
    let x = call.input(0)?;
    let at = axis(call.int("axis", -1), x.rank())?;
    let [_, own, rest] = around(&x.dims, at);
    let [made, _] = layers(
        emitter,
        &Parts {
            x,
            skip: None,
            bias: None,
            gamma: call.optional(1)?,
            beta: call.optional(2)?,
            columns: own * rest,
            epsilon: call.float("epsilon", 1e-5),
            simplified,
            sum: false,
        },
    )?;
    Ok(vec![made])
}

/// `SkipLayerNormalization` and `SkipSimplifiedLayerNormalization`.
pub(in super::super) fn skip_layer(
    emitter: &mut Emitter,
    call: &Call<'_>,
    simplified: bool,
) -> Lowered {
    if call.wants(1) || call.wants(2) {
        return Err(Missing::new("mean and deviation as outputs"));
    }
    let x = call.input(0)?;
    let (beta, bias) = if simplified {
        (None, 3)
    } else {
        (call.optional(3)?, 4)
    };
    let [made, sum] = layers(
        emitter,
        &Parts {
            x,
            skip: Some(call.input(1)?),
            bias: call.optional(bias)?,
            gamma: call.optional(2)?,
            beta,
            columns: x.dim(x.rank().saturating_sub(1)),
            epsilon: call.float("epsilon", if simplified { 1e-6 } else { 1e-12 }),
            simplified,
            sum: call.wants(3),
        },
    )?;
    let unused = Value::of_floats(&[], vec![0], Element::Float32);
    Ok(vec![made, unused.clone(), unused, sum])
}

/// `BatchNormalization` in inference: a scale and a shift for each channel.
pub(in super::super) fn batch(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    if call.flag("training_mode", false) || call.wants(1) {
        return Err(Missing::new("training"));
    }
    let x = call.input(0)?;
    let mut shape = vec![1; x.rank()];
    let channels = x.dim(1);
    if let Some(place) = shape.get_mut(1) {
        *place = channels;
    }
    let mut program = Expression::new(class(&[x])?);
    let arg = program.input(x);
    let mut parts = Vec::with_capacity(4);
    for at in 1..5 {
        let part = call.input(at)?;
        let part = (part.reshaped(&shape)).ok_or_else(|| Missing::new("scales of this shape"))?;
        parts.push(program.input(&part));
    }
    let &[scale, shift, mean, variance] = parts.as_slice() else {
        return Err(Missing::new("scales"));
    };
    let epsilon = program.constant(call.float("epsilon", 1e-5).into());
    let variance = program.op(Op::Add, &[variance, epsilon]);
    let deviation = program.op(Op::Sqrt, &[variance]);
    let factor = program.op(Op::Div, &[scale, deviation]);
    let centred = program.op(Op::Sub, &[arg, mean]);
    let scaled = program.op(Op::Mul, &[centred, factor]);
    let result = program.op(Op::Add, &[scaled, shift]);
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

/// `InstanceNormalization` and `GroupNormalization`: rows are planes or groups of them, then a scale for each channel.
pub(in super::super) fn groups(emitter: &mut Emitter, call: &Call<'_>, instance: bool) -> Lowered {
    let x = call.input(0)?;
    let (n, channels) = (x.dim(0), x.dim(1));
    let groups = if instance {
        channels
    } else {
        super::call::size(call.int("num_groups", 0))?
    };
    if groups == 0 || n == 0 || channels % groups != 0 {
        return Err(Missing::new("groups of this size"));
    }
    let columns = x.len() / (n * groups);
    let [made, _] = layers(
        emitter,
        &Parts {
            x,
            skip: None,
            bias: None,
            gamma: None,
            beta: None,
            columns,
            epsilon: call.float("epsilon", 1e-5),
            simplified: false,
            sum: false,
        },
    )?;
    let mut shape = vec![1; x.rank()];
    if let Some(place) = shape.get_mut(1) {
        *place = channels;
    }
    let mut program = Expression::new(class(&[x])?);
    let arg = program.input(&made);
    let mut parts = Vec::with_capacity(2);
    for at in 1..3 {
        let part = call.input(at)?.reshaped(&shape);
        parts.push(program.input(&part.ok_or_else(|| Missing::new("scales of this shape"))?));
    }
    let &[scale, shift] = parts.as_slice() else {
        return Err(Missing::new("scales"));
    };
    let scaled = program.op(Op::Mul, &[arg, scale]);
    let result = program.op(Op::Add, &[scaled, shift]);
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

/// `LpNormalization`.
pub(in super::super) fn lp(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let at = axis(call.int("axis", -1), x.rank())?;
    let kind = i32::try_from(call.int("p", 2)).unwrap_or(0);
    if !(1..=2).contains(&kind) {
        return Err(Missing::new(format!("norm of order {kind}")));
    }
    Ok(vec![normalised(
        emitter,
        x,
        around(&x.dims, at),
        kind,
        true,
    )?])
}

/// `x / norm` along the middle of three dimensions; `kind` as in `kernels/args.cuh`.
pub(super) fn normalised(
    emitter: &mut Emitter,
    x: &Value,
    shape: [usize; 3],
    kind: i32,
    zero: bool,
) -> Result<Value, Missing> {
    let types = [Element::Float32, Element::Float64, Element::Float16];
    let element = one_of(x, &types)?;
    let from = emitter.dense_spot(x)?;
    let made = emitter.make(x.element, &x.dims);
    let (to, _) = emitter.view(&made)?;
    emitter.push(norm::lp(from, to, shape, element, kind, zero), x.len())?;
    Ok(made)
}

/// `EmbedLayerNormalization`: the sum of up to three embeddings, normalised.
pub(in super::super) fn embed(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (ids, words, positions) = (call.input(0)?, call.input(2)?, call.input(3)?);
    if call.given(8).is_some() || call.wants(1) && call.given(7).is_some() {
        return Err(Missing::new("masks and positions as inputs"));
    }
    let length = ids.dim(1);
    let looked = super::gather::rows(emitter, words, ids)?;
    let first = super::views::cut(emitter, positions, 0, 0, length)?;
    let mut program = Expression::new(class(&[&looked])?);
    emitter.used_once(&looked);
    let args = [program.input(&looked), program.input(&first)];
    let mut sum = program.op(Op::Add, &args);
    if let (Some(segments), Some(table)) = (call.optional(1)?, call.optional(4)?) {
        let segment = super::gather::rows(emitter, table, segments)?;
        let arg = program.input(&segment);
        sum = program.op(Op::Add, &[sum, arg]);
    }
    let dims = broadcast([looked.dims.as_slice(), first.dims.as_slice()])?;
    let sum = emitter
        .express(program, &dims, &[(sum, looked.element)])?
        .remove(0);
    let [made, _] = layers(
        emitter,
        &Parts {
            x: &sum,
            skip: None,
            bias: None,
            gamma: call.optional(5)?,
            beta: call.optional(6)?,
            columns: sum.dim(2),
            epsilon: call.float("epsilon", 1e-12),
            simplified: false,
            sum: false,
        },
    )?;
    let unused = Value::of_floats(&[], vec![0], Element::Float32);
    Ok(vec![made, unused, sum])
}
