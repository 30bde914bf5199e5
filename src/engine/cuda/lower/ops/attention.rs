//! Attention, as ONNX Runtime's optimiser and newer exporters write it.

use super::{
    Lowered, Missing,
    call::{Call, size},
    elementwise::{class, converted},
    emit::Emitter,
    fuse::Expression,
    matmul, softmax,
    value::Value,
    views::{cut, permuted, reshaped},
};
use crate::{engine::cuda::launch::pointwise::Op, graph::tensor::Element};

/// Queries, keys and values: `[batch, heads, tokens, numbers of a head]`.
struct Heads {
    queries: Value,
    keys: Value,
    values: Value,
    scale: f32,
    /// Added to the scores `[batch, heads, queries, keys]`, which it is broadcast to.
    mask: Option<Value>,
}

impl Heads {
    /// `softmax(scale * Q K^T + mask) V`, as `[batch, tokens, heads * numbers]`.
    fn attend(&self, emitter: &mut Emitter) -> Result<Value, Missing> {
        let mut scores = matmul::scaled(emitter, &self.queries, &self.keys, self.scale)?;
        if let Some(mask) = &self.mask {
            emitter.used_once(&scores);
            let mut program = Expression::new(class(&[&scores])?);
            let args = [program.operand(&scores), program.operand(mask)];
            let result = program.op(Op::Add, &args);
            scores = emitter.express_one(program, result, self.queries.element)?;
        }
        let shape = softmax::around(&scores.dims, 3);
        let parts = softmax::over(emitter, &scores, shape, false)?;
        let made = matmul::plain(emitter, &parts, &self.values, false)?;
        emitter.used_once(&made);
        let turned = permuted(emitter, &made, &[0, 2, 1, 3])?;
        let dense = emitter.dense(&turned)?;
        let &[batch, tokens, heads, each] = dense.dims.as_slice() else {
            return Err(Missing::new("attention of this shape"));
        };
        reshaped(emitter, &dense, &[batch, tokens, heads * each])
    }
}

/// `[batch, tokens, heads * numbers]` as heads.
fn heads(emitter: &mut Emitter, value: &Value, heads: usize) -> Result<Value, Missing> {
    let &[batch, tokens, width] = value.dims.as_slice() else {
        return Err(Missing::new("attention on other than three dimensions"));
    };
    if heads == 0 || width % heads != 0 {
        return Err(Missing::new("attention with this number of heads"));
    }
    let split = reshaped(emitter, value, &[batch, tokens, heads, width / heads])?;
    permuted(emitter, &split, &[0, 2, 1, 3])
}

/// The usual scale where none is given: one by the square root of the numbers of a head.
fn scale(call: &Call<'_>, each: usize) -> f32 {
    match call.float("scale", 0.0) {
        0.0 => 1.0 / (each as f32).sqrt(),
        given => given,
    }
}

/// A mask of ones and zeros, `[batch, keys]` or `[batch, queries, keys]`, as what is added to scores.
fn mask(
    emitter: &mut Emitter,
    call: &Call<'_>,
    mask: &Value,
    element: Element,
) -> Result<Value, Missing> {
    let dims = match *mask.dims.as_slice() {
        [batch, keys] => [batch, 1, 1, keys],
        [batch, queries, keys] => [batch, 1, queries, keys],
        _ => return Err(Missing::new("attention masks that are lengths")),
    };
    let ones = converted(emitter, mask, element)?;
    let ones = reshaped(emitter, &ones, &dims)?;
    let mut program = Expression::new(class(&[&ones])?);
    let arg = program.input(&ones);
    let one = program.constant(1.0);
    let missing = program.op(Op::Sub, &[one, arg]);
    let filter = program.constant(call.float("mask_filter_value", -10_000.0).into());
    let result = program.op(Op::Mul, &[missing, filter]);
    emitter.express_one(program, result, element)
}

/// `com.microsoft.Attention`: one product makes queries, keys and values.
pub(in super::super) fn packed(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let rest = (4..call.inputs.len()).any(|at| call.given(at).is_some());
    if rest || call.wants(1) || call.flag("unidirectional", false) || call.flag("do_rotary", false)
    {
        return Err(Missing::new(
            "attention with a past, a bias of its own, rotation, or in one direction",
        ));
    }
    if call
        .ints("qkv_hidden_sizes")
        .is_some_and(|sizes| sizes.iter().any(|size| Some(size) != sizes.first()))
    {
        return Err(Missing::new("attention with heads of different sizes"));
    }
    let &[batch, tokens, width] = x.dims.as_slice() else {
        return Err(Missing::new("attention on other than three dimensions"));
    };
    let hidden = w.dim(1) / 3;
    let rows = reshaped(emitter, x, &[batch * tokens, width])?;
    let mut made = matmul::plain(emitter, &rows, w, false)?;
    if let Some(bias) = call.optional(2)? {
        emitter.used_once(&made);
        let mut program = Expression::new(class(&[&made])?);
        let args = [program.operand(&made), program.operand(bias)];
        let result = program.op(Op::Add, &args);
        made = emitter.express_one(program, result, x.element)?;
    }
    let count = size(call.int("num_heads", 0))?;
    let part = |emitter: &mut Emitter, at: usize| {
        let own = cut(emitter, &made, 1, at * hidden, hidden)?;
        let split = reshaped(emitter, &own, &[batch, tokens, hidden])?;
        heads(emitter, &split, count)
    };
    let [queries, keys, values] = [part(emitter, 0)?, part(emitter, 1)?, part(emitter, 2)?];
    let mask = match call.optional(3)? {
        Some(given) => Some(mask(emitter, call, given, x.element)?),
        None => None,
    };
    let scale = scale(call, hidden / count.max(1));
    let all = Heads {
        queries,
        keys,
        values,
        scale,
        mask,
    };
    Ok(vec![all.attend(emitter)?])
}

/// `com.microsoft.MultiHeadAttention` on separate queries, keys and values.
pub(in super::super) fn multi_head(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let rest = (6..call.inputs.len()).any(|at| call.given(at).is_some());
    if rest
        || call.given(1).is_none()
        || call.given(2).is_none()
        || call.wants(1)
        || call.flag("unidirectional", false)
    {
        return Err(Missing::new(
            "attention with a past, packed inputs, or in one direction",
        ));
    }
    let count = size(call.int("num_heads", 0))?;
    let bias = call.optional(3)?;
    let mut before = 0;
    let mut parts = Vec::with_capacity(3);
    for at in 0..3 {
        let mut x = call.input(at)?.clone();
        if let Some(bias) = bias {
            let own = cut(emitter, bias, 0, before, x.dim(2))?;
            before += x.dim(2);
            let mut program = Expression::new(class(&[&x])?);
            let args = [program.input(&x), program.input(&own)];
            let result = program.op(Op::Add, &args);
            x = emitter.express_one(program, result, x.element)?;
        }
        parts.push(heads(emitter, &x, count)?);
    }
    let Ok([queries, keys, values]) = <[Value; 3]>::try_from(parts) else {
        return Err(Missing::new("attention of these"));
    };
    let element = queries.element;
    let mut added = match call.optional(4)? {
        Some(given) => Some(mask(emitter, call, given, element)?),
        None => None,
    };
    if let Some(own) = call.optional(5)? {
        added = match added {
            None => Some(own.clone()),
            Some(mask) => {
                let mut program = Expression::new(class(&[own])?);
                let args = [program.input(own), program.input(&mask)];
                let result = program.op(Op::Add, &args);
                Some(emitter.express_one(program, result, element)?)
            }
        };
    }
    let scale = scale(call, queries.dim(3));
    let all = Heads {
        queries,
        keys,
        values,
        scale,
        mask: added,
    };
    Ok(vec![all.attend(emitter)?])
}

/// `Attention` of the standard, without a past, in both directions, with as many heads for keys as for queries.
pub(in super::super) fn standard(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let plain = call.float("softcap", 0.0) == 0.0
        && !call.flag("is_causal", false)
        && !(4..call.inputs.len()).any(|at| call.given(at).is_some())
        && !(1..4).any(|at| call.wants(at));
    if !plain {
        return Err(Missing::new(
            "attention with a past, a cap, further outputs, or in one direction",
        ));
    }
    let counts = [
        call.int("q_num_heads", 0),
        call.int("kv_num_heads", 0),
        call.int("kv_num_heads", 0),
    ];
    let mut parts = Vec::with_capacity(3);
    for (at, count) in counts.into_iter().enumerate() {
        let x = call.input(at)?;
        parts.push(match x.rank() {
            4 => x.clone(),
            _ => heads(emitter, x, size(count)?)?,
        });
    }
    let Ok([queries, keys, values]) = <[Value; 3]>::try_from(parts) else {
        return Err(Missing::new("attention of these"));
    };
    if queries.dim(1) != keys.dim(1) {
        return Err(Missing::new(
            "attention with fewer heads for keys than for queries",
        ));
    }
    let element = queries.element;
    let mask = match call.optional(3)? {
        Some(given) if given.element == element => Some(given.clone()),
        // A row that sees nothing gives zeros there, and not what a mask of numbers would.
        Some(given) if given.element == Element::Bool => {
            return Err(Missing::new("attention masks of truth values"));
        }
        Some(_) => return Err(Missing::new("attention masks of this type")),
        None => None,
    };
    let scale = match call.attribute("scale").and_then(|held| held.f) {
        Some(given) => given,
        None => scale(call, queries.dim(3)),
    };
    let flat = call.input(0)?.rank() == 3;
    let heads = queries.dim(1);
    let all = Heads {
        queries,
        keys,
        values,
        scale,
        mask,
    };
    let made = all.attend(emitter)?;
    if flat {
        return Ok(vec![made]);
    }
    let &[batch, tokens, width] = made.dims.as_slice() else {
        return Err(Missing::new("attention of this shape"));
    };
    let split = reshaped(
        emitter,
        &made,
        &[batch, tokens, heads, width / heads.max(1)],
    )?;
    Ok(vec![permuted(emitter, &split, &[0, 2, 1, 3])?])
}
