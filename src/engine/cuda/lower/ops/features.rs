//! What `ai.onnx.ml` does to columns before a model sees them.

use super::{
    Lowered, Missing,
    call::{Call, axis, signed},
    elementwise::{class, converted},
    emit::Emitter,
    fuse::Expression,
    gather, joins,
    labels::{Table, mapped},
    norm,
    softmax::around,
    value::Value,
    views,
};
use crate::{
    engine::cuda::launch::{
        gather::{Spots, one_hot},
        pointwise::Op,
        type_number,
    },
    graph::tensor::Element,
};

pub(super) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// One number for each column, or one for all.
fn per_column(values: &[f32], columns: usize, element: Element) -> Result<Value, Missing> {
    match values.len() {
        1 => Ok(Value::of_floats(&wide(values), Vec::new(), element)),
        count if count == columns => Ok(Value::of_floats(&wide(values), vec![columns], element)),
        count => Err(Missing::new(format!(
            "{count} numbers for {columns} columns"
        ))),
    }
}

/// `Scaler`: `(x - offset) * scale`, in single precision.
pub(in super::super) fn scaler(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let columns = x.dims.last().copied().unwrap_or(1);
    let part = |name: &str| {
        let values = call.floats(name).unwrap_or_default();
        per_column(values, columns, Element::Float32)
    };
    let (offset, scale) = (part("offset")?, part("scale")?);
    let mut program = Expression::new(class(&[&offset])?);
    let args = [program.input(x), program.input(&offset)];
    let centred = program.op(Op::Sub, &args);
    let scale = program.input(&scale);
    let result = program.op(Op::Mul, &[centred, scale]);
    Ok(vec![emitter.express_one(
        program,
        result,
        Element::Float32,
    )?])
}

/// `Imputer`: a number of its own for each column where the value is missing.
pub(in super::super) fn imputer(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let columns = x.dims.last().copied().unwrap_or(1);
    let mut program = Expression::new(class(&[x])?);
    let arg = program.input(x);
    let (missing, with) = if x.element == Element::Int64 {
        let held = call.ints("imputed_value_int64s").unwrap_or_default();
        let with = match held.len() {
            1 => Value::of_ints(held, Vec::new()),
            count if count == columns => Value::of_ints(held, vec![columns]),
            _ => return Err(Missing::new("values for each column")),
        };
        let replaced = program.integer(call.int("replaced_value_int64", 0));
        (program.op(Op::Eq, &[arg, replaced]), with)
    } else if x.element == Element::Float32 {
        let held = call.floats("imputed_value_floats").unwrap_or_default();
        let replaced = call.float("replaced_value_float", 0.0);
        let missing = if replaced.is_nan() {
            program.op(Op::IsNan, &[arg])
        } else {
            let replaced = program.constant(replaced.into());
            program.op(Op::Eq, &[arg, replaced])
        };
        (missing, per_column(held, columns, x.element)?)
    } else {
        return Err(Missing::new(format!("Imputer on {}", x.element.name())));
    };
    let with = program.input(&with);
    let result = program.op(Op::Where, &[missing, with, arg]);
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

/// `Normalizer`: rows divided by their norm, in single precision.
pub(in super::super) fn normalizer(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let kind = match call.text("norm", "MAX").as_str() {
        "MAX" => 0,
        "L1" => 1,
        "L2" => 2,
        other => return Err(Missing::new(format!("norm {other}"))),
    };
    let x = converted(emitter, call.input(0)?, Element::Float32)?;
    let last = x
        .rank()
        .checked_sub(1)
        .ok_or_else(|| Missing::new("norm of a single number"))?;
    let shape = around(&x.dims, last);
    Ok(vec![norm::normalised(emitter, &x, shape, kind, false)?])
}

/// `Binarizer`: 1 above the threshold, else 0.
pub(in super::super) fn binarizer(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let mut program = Expression::new(class(&[x])?);
    let args = [
        program.input(x),
        program.constant(call.float("threshold", 0.0).into()),
    ];
    let result = program.op(Op::Gt, &args);
    Ok(vec![emitter.express_one(program, result, x.element)?])
}

/// `FeatureVectorizer`: columns side by side, in single precision.
pub(in super::super) fn vectorizer(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let widths = call.ints("inputdimensions").unwrap_or_default();
    let mut parts = Vec::with_capacity(call.inputs.len());
    for at in 0..call.inputs.len() {
        let x = converted(emitter, call.input(at)?, Element::Float32)?;
        if x.rank() != 2
            || widths
                .get(at)
                .is_some_and(|width| *width != signed(x.dim(1)))
        {
            return Err(Missing::new("columns of other widths than it says"));
        }
        parts.push(x);
    }
    Ok(vec![joins::side_by_side(emitter, &parts, 1)?])
}

/// `OneHotEncoder` of texts or of numbers, which are whole: a place for each category, all zeros for what is none.
pub(in super::super) fn one_hot_encoder(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (x, texts) = column(emitter, call)?;
    let strings = call.attribute("cats_strings").filter(|_| texts);
    let categories = match (strings, call.ints("cats_int64s")) {
        (Some(held), _) => emitter.codes_of(&held.strings)?,
        (None, Some(held)) if !texts => held.to_vec(),
        _ => Vec::new(),
    };
    let categories = categories.as_slice();
    if categories.is_empty() {
        return Err(Missing::new("categories of another type than the input"));
    }
    if !call.flag("zeros", true) {
        return Err(Missing::new(
            "one-hot encoding that fails where there is no such category",
        ));
    }
    let x = converted(emitter, &x, Element::Int64)?;
    // The place of each category; beyond the last where there is none.
    let places: Vec<i64> = (0..signed(categories.len())).collect();
    let none = signed(categories.len());
    let found = mapped(emitter, &x, &Table::ints(categories, &places, none)?)?;
    let mut dims = x.dims.clone();
    dims.push(categories.len());
    let made = emitter.make(Element::Float32, &dims);
    let off_on = Value::of_floats(&[0.0, 1.0], vec![2], Element::Float32);
    let spots = Spots {
        from: emitter.dense_spot(&off_on)?,
        index: emitter.dense_spot(&found)?,
        to: emitter.view(&made)?.0,
        bytes: 4,
        index_type: type_number(Element::Int64).unwrap_or(0),
    };
    emitter.push(one_hot(spots, [x.len(), categories.len(), 1]), made.len())?;
    Ok(vec![made])
}

/// What is looked up: numbers, or texts by their numbers; says whether it is texts.
pub(super) fn column(emitter: &mut Emitter, call: &Call<'_>) -> Result<(Value, bool), Missing> {
    match call.given(0).filter(|value| value.is_text()) {
        Some(texts) => Ok((emitter.codes(texts)?, true)),
        None => Ok((call.input(0)?.clone(), false)),
    }
}

/// `ArrayFeatureExtractor`; labels may be chosen too.
pub(in super::super) fn extractor(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    gather::columns(emitter, call)
}

/// `Hardmax`: 1 at the first of the largest along an axis, else 0.
pub(in super::super) fn hardmax(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let at = axis(call.int("axis", -1), x.rank())?;
    if call.opset < 13 || x.element != Element::Float32 {
        return Err(Missing::new("Hardmax of this operator set and type"));
    }
    let places = super::reduce::arg_over(emitter, x, at, [false, false])?;
    let made = emitter.make(x.element, &x.dims);
    let off_on = Value::of_floats(&[0.0, 1.0], vec![2], Element::Float32);
    let spots = Spots {
        from: emitter.dense_spot(&off_on)?,
        index: emitter.dense_spot(&places)?,
        to: emitter.view(&made)?.0,
        bytes: 4,
        index_type: type_number(Element::Int64).unwrap_or(0),
    };
    emitter.push(one_hot(spots, around(&x.dims, at)), made.len())?;
    views::reshaped(emitter, &made, &x.dims).map(|made| vec![made])
}
