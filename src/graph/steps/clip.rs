//! `clip`: nothing below, nothing above.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, column_dims, holds, numbers, per_column};
use crate::{
    contract::Dtype,
    graph::{GraphBuilder, Value, params::OneOrMany},
};

/// Keeps each column between two bounds: `min(max(x, low), high)`, as numpy's `clip`. NaN stays NaN. Whole numbers
/// stay whole where the bounds are, and become `f32` otherwise. Example: `{ low: 0, high: 1 }` makes 1.5 into 1.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clip {
    /// The least value: one number for all columns, or one for each; no bound where left out.
    pub low: Option<OneOrMany<f64>>,
    /// The greatest value: one number for all columns, or one for each; no bound where left out.
    pub high: Option<OneOrMany<f64>>,
}

impl TensorStep for Clip {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = numbers(inputs)?;
        if self.low.is_none() && self.high.is_none() {
            return Err(Fault::key("low", "is left out, and `high` too")
                .help("write `low`, `high`, or both"));
        }
        let low = bounds("low", self.low.as_ref(), value)?;
        let high = bounds("high", self.high.as_ref(), value)?;
        check_order(low.as_deref(), high.as_deref())?;
        let mut given = low.iter().chain(&high).flatten();
        let whole = given.all(|bound| holds(Dtype::I64, *bound));
        let mut value = if whole {
            value.clone()
        } else {
            graph.float(value)
        };
        for (key, bounds) in [("low", &low), ("high", &high)] {
            let mut bounds = bounds.iter().flatten();
            if let Some(bound) = bounds.find(|bound| !holds(value.dtype, **bound)) {
                let what = format!("has {bound}, which no {} can be", value.dtype);
                return Err(Fault::key(key, what).help("leave the bound out"));
            }
        }
        let whole = !matches!(value.dtype, Dtype::F32 | Dtype::F64);
        let single = match (low.as_deref(), high.as_deref()) {
            (Some([_]), Some([_])) => true,
            // Without a bound the operator takes the greatest number for one, which infinity would become.
            (None | Some([_]), None | Some([_])) => whole,
            _ => false,
        };
        if single {
            return Ok(Output::only(one_node(
                graph,
                &value,
                low.as_deref(),
                high.as_deref(),
            )));
        }
        for (operator, bounds) in [("Max", low), ("Min", high)] {
            if let Some(bounds) = bounds {
                let dims = if bounds.len() == 1 {
                    Vec::new()
                } else {
                    column_dims(&value)
                };
                let bounds = graph.numbers(value.dtype, &dims, &bounds);
                value = graph.with_constant(operator, &value, &bounds);
            }
        }
        Ok(Output::only(value))
    }
}

fn bounds(
    key: &'static str,
    given: Option<&OneOrMany<f64>>,
    value: &Value,
) -> Result<Option<Vec<f64>>, Fault> {
    let Some(OneOrMany(given)) = given else {
        return Ok(None);
    };
    if given.iter().any(|bound| bound.is_nan()) {
        return Err(Fault::key(key, "has NaN, which bounds nothing"));
    }
    match given.as_slice() {
        [one] => Ok(Some(vec![*one])),
        given => per_column(key, given, value).map(Some),
    }
}

fn check_order(low: Option<&[f64]>, high: Option<&[f64]>) -> Result<(), Fault> {
    let (Some(low), Some(high)) = (low, high) else {
        return Ok(());
    };
    let columns = low.len().max(high.len());
    let at = |bounds: &[f64], column: usize| bounds.get(column).or(bounds.first()).copied();
    for column in 0..columns {
        if let (Some(low), Some(high)) = (at(low, column), at(high, column))
            && low > high
        {
            return Err(Fault::key(
                "low",
                format!("has {low}, which is above `high`, {high}"),
            ));
        }
    }
    Ok(())
}

fn one_node(
    graph: &mut GraphBuilder,
    value: &Value,
    low: Option<&[f64]>,
    high: Option<&[f64]>,
) -> Value {
    let mut bound = |bounds: Option<&[f64]>| match bounds.and_then(<[f64]>::first) {
        Some(bound) => graph.number(value.dtype, *bound),
        None => String::new(),
    };
    let (low, high) = (bound(low), bound(high));
    let mut inputs = vec![value.name.as_str(), &low, &high];
    if high.is_empty() {
        inputs.pop();
    }
    let name = graph.node("Clip", &inputs, Vec::new());
    Value {
        name,
        ..value.clone()
    }
}
