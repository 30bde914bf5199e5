//! What `ai.onnx.ml` does to columns before a model sees them, and to labels behind it.

use bytes::Bytes;

use super::{
    Lowered, Missing,
    call::{Call, axis, signed},
    elementwise::{class, converted},
    emit::Emitter,
    fuse::Expression,
    gather, joins, norm,
    softmax::around,
    value::{Home, Value},
    views,
};
use crate::{
    engine::cuda::launch::{
        gather::{Spots, one_hot},
        pointwise::Op,
        trees::Map,
        type_number,
    },
    graph::tensor::{Element, Values},
};

fn wide(values: &[f32]) -> Vec<f64> {
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

/// `OneHotEncoder` of numbers, which are whole: a place for each category, all zeros for what is none.
pub(in super::super) fn one_hot_encoder(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let Some(categories) = call.ints("cats_int64s").filter(|held| !held.is_empty()) else {
        return Err(Missing::new("one-hot encoding of strings"));
    };
    if !call.flag("zeros", true) {
        return Err(Missing::new(
            "one-hot encoding that fails where there is no such category",
        ));
    }
    let x = converted(emitter, call.input(0)?, Element::Int64)?;
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

/// From keys to values, both numbers.
struct Table {
    /// Ascending; `i64` or `f32`.
    keys: Bytes,
    float: bool,
    entries: usize,
    values: Bytes,
    element: Element,
    fallback: u64,
}

impl Table {
    fn ints(keys: &[i64], values: &[i64], fallback: i64) -> Result<Self, Missing> {
        let values = values
            .iter()
            .map(|value| value.to_le_bytes().to_vec())
            .collect();
        let fallback = fallback.cast_unsigned();
        Self::of_ints(keys, values, Element::Int64, fallback)
    }

    /// Values as bytes, beside their keys. Of equal keys the last counts.
    fn of_ints(
        keys: &[i64],
        values: Vec<Vec<u8>>,
        element: Element,
        fallback: u64,
    ) -> Result<Self, Missing> {
        let mut pairs: Vec<(i64, Vec<u8>)> = keys.iter().copied().zip(values).collect();
        pairs.reverse();
        pairs.sort_by_key(|(key, _)| *key);
        pairs.dedup_by_key(|(key, _)| *key);
        Self::checked(keys.len(), pairs.len())?;
        Ok(Self {
            keys: pairs
                .iter()
                .flat_map(|(key, _)| key.to_le_bytes())
                .collect(),
            float: false,
            entries: pairs.len(),
            values: pairs.into_iter().flat_map(|(_, value)| value).collect(),
            element,
            fallback,
        })
    }

    fn of_floats(
        keys: &[f32],
        values: Vec<Vec<u8>>,
        element: Element,
        fallback: u64,
    ) -> Result<Self, Missing> {
        // NaN comes last, and minus zero is zero.
        let mut pairs: Vec<(f32, Vec<u8>)> = (keys.iter())
            .map(|key| if key.is_nan() { f32::NAN } else { *key + 0.0 })
            .zip(values)
            .collect();
        pairs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        pairs.dedup_by(|(one, _), (other, _)| one.total_cmp(other).is_eq());
        Self::checked(keys.len(), pairs.len())?;
        Ok(Self {
            keys: pairs
                .iter()
                .flat_map(|(key, _)| key.to_le_bytes())
                .collect(),
            float: true,
            entries: pairs.len(),
            values: pairs.into_iter().flat_map(|(_, value)| value).collect(),
            element,
            fallback,
        })
    }

    fn checked(keys: usize, distinct: usize) -> Result<(), Missing> {
        (keys == distinct)
            .then_some(())
            .ok_or_else(|| Missing::new("tables in which a key comes twice"))
    }
}

fn mapped(emitter: &mut Emitter, x: &Value, table: &Table) -> Result<Value, Missing> {
    let made = emitter.make(table.element, &x.dims);
    let map = Map {
        from: emitter.dense_spot(x)?,
        to: emitter.view(&made)?.0,
        keys: emitter.upload(&table.keys),
        values: emitter.upload(&table.values),
        count: x.len(),
        entries: table.entries,
        from_type: type_number(x.element).ok_or_else(|| Missing::new("type"))?,
        to_type: type_number(table.element).ok_or_else(|| Missing::new("type"))?,
        fallback: table.fallback,
        float: table.float,
    };
    emitter.push(map.launch(), x.len())?;
    Ok(made)
}

/// `LabelEncoder` from whole numbers to strings: a place in the strings, behind which is the default.
fn text_labels(emitter: &mut Emitter, call: &Call<'_>, keys: &[i64], values: &[Bytes]) -> Lowered {
    let x = call.input(0)?;
    if x.element != Element::Int64 || keys.len() != values.len() {
        return Err(Missing::new(format!("labels from {}", x.element.name())));
    }
    let places: Vec<i64> = (0..signed(keys.len())).collect();
    let table = Table::ints(keys, &places, signed(keys.len()))?;
    let places = mapped(emitter, x, &table)?;
    let mut texts = values.to_vec();
    texts.push(call.text("default_string", "_Unused").into());
    Ok(vec![places.labelled(&texts)])
}

/// `LabelEncoder` from numbers to numbers, or from whole numbers to strings.
pub(in super::super) fn label_encoder(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let strings = || Missing::new("labels that are strings");
    if let (Some(keys), Some(values)) = (call.ints("keys_int64s"), call.attribute("values_strings"))
    {
        return text_labels(emitter, call, keys, &values.strings);
    }
    if call.attribute("keys_strings").is_some() || call.attribute("values_strings").is_some() {
        return Err(strings());
    }
    let tensor = |name: &str| call.tensor(name);
    let floats = |name: &str| {
        (call.floats(name).filter(|held| !held.is_empty()))
            .map(|held| Value::of_floats(&wide(held), vec![held.len()], Element::Float32))
    };
    let ints = |name: &str| {
        (call.ints(name).filter(|held| !held.is_empty()))
            .map(|held| Value::of_ints(held, vec![held.len()]))
    };
    let keys = match tensor("keys_tensor")? {
        Some(keys) => Some(keys),
        None => floats("keys_floats").or_else(|| ints("keys_int64s")),
    };
    let values = match tensor("values_tensor")? {
        Some(values) => Some(values),
        None => floats("values_floats").or_else(|| ints("values_int64s")),
    };
    let (Some(keys), Some(values)) = (keys, values) else {
        return Err(Missing::new("labels of this kind"));
    };
    let default = match tensor("default_tensor")? {
        Some(default) => default,
        None if values.element == Element::Float32 => {
            let default = call.float("default_float", -0.0);
            Value::of_floats(&[default.into()], Vec::new(), Element::Float32)
        }
        None => Value::of_ints(&[call.int("default_int64", -1)], Vec::new()),
    };
    let fallback = super::shape::pattern(&default)
        .filter(|_| default.element == values.element)
        .ok_or_else(|| Missing::new("default of another type"))?;
    let Home::Known(bytes) = &values.home else {
        return Err(strings());
    };
    let each: Vec<Vec<u8>> = bytes
        .chunks(values.width().max(1))
        .map(<[u8]>::to_vec)
        .collect();
    let table = match keys.values() {
        Some(Values::Int(held)) if x.element == keys.element => {
            Table::of_ints(&held, each, values.element, fallback)?
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "they were single precision"
        )]
        Some(Values::Float(held)) if x.element == Element::Float32 && keys.element == x.element => {
            // Before the fourth set of operators a NaN was equal to none, not even as a key.
            let (held, each): (Vec<f32>, Vec<Vec<u8>>) = (held.into_iter().zip(each))
                .filter(|(key, _)| call.opset >= 4 || !key.is_nan())
                .map(|(key, value)| (key as f32, value))
                .unzip();
            Table::of_floats(&held, each, values.element, fallback)?
        }
        _ => return Err(Missing::new(format!("labels from {}", x.element.name()))),
    };
    Ok(vec![mapped(emitter, x, &table)?])
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
