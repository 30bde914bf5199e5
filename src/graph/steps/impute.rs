//! `impute`: a value in the place of what is missing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, column_dims, only};
use crate::{
    contract::{Dtype, Scalar},
    graph::{
        Attr, GraphBuilder, Value,
        params::{Cell, OneOrMany},
    },
};

/// Puts a value in the place of each missing one: of NaN (a null, where the field is `nullable`), or of `missing`.
/// scikit-learn's `SimpleImputer` has the values as `statistics_`. Types stay as they are.
/// Example: `{ value: [40, 0.5] }` makes [NaN, 2] into [40, 2]; `{ value: none, missing: "" }` makes "" into "none".
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Impute {
    /// What stands in: one for all columns, or one for each.
    pub value: OneOrMany<Cell>,
    /// What counts as missing: a number, or a text; NaN where left out. With a number, NaN stays.
    pub missing: Option<Cell>,
    /// `true` puts more columns behind: for each column one with 1 where its value was missing and 0 elsewhere
    /// (scikit-learn's `MissingIndicator(features="all")`). Only for numbers.
    #[serde(default)]
    pub indicator: bool,
}

impl TensorStep for Impute {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = only(inputs)?;
        match value.dtype {
            dtype @ (Dtype::Bool | Dtype::Bytes) => Err(Fault::input(format!(
                "takes numbers or text, and is fed with {dtype}"
            ))),
            Dtype::String => self.texts(graph, value),
            _ => self.numbers(graph, value),
        }
    }
}

impl Impute {
    fn numbers(&self, graph: &mut GraphBuilder, value: &Value) -> Result<Vec<Output>, Fault> {
        let whole = !matches!(value.dtype, Dtype::F32 | Dtype::F64);
        let missing = match &self.missing {
            Some(cell) => Some(number("missing", cell, value.dtype)?),
            None if whole => {
                return Err(Fault::key(
                    "missing",
                    format!("is left out, and {} has no NaN", value.dtype),
                )
                .help("write the number that stands for a missing one: `missing: -999`"));
            }
            None => None,
        };
        let given = (self.value.0.iter())
            .map(|cell| number("value", cell, value.dtype))
            .collect::<Result<Vec<_>, _>>()?;
        let columns = per_column(&given, value)?;
        let found = |graph: &mut GraphBuilder| match missing {
            None => graph.node("IsNaN", &[&value.name], Vec::new()),
            Some(missing) => {
                let missing = graph.number(value.dtype, missing);
                graph.node("Equal", &[&value.name, &missing], Vec::new())
            }
        };
        // The `Imputer` operator does both in one node; it knows columns only in the second dimension.
        let plain = columns.len() == 1 || value.shape.len() == 1;
        let filled = if value.dtype == Dtype::F32 && plain {
            #[expect(clippy::cast_possible_truncation, reason = "the column is of f32")]
            let floats = |numbers: &[f64]| numbers.iter().map(|number| *number as f32).collect();
            let sign = floats(&[missing.unwrap_or(f64::NAN)]);
            let attributes = vec![
                ("imputed_value_floats", Attr::Floats(floats(&columns))),
                ("replaced_value_float", Attr::Float(first(&sign))),
            ];
            graph.ml_node("Imputer", &[&value.name], attributes)
        } else {
            let fills = if columns.len() == 1 {
                graph.number(value.dtype, columns.iter().sum())
            } else {
                graph.numbers(value.dtype, &column_dims(value), &columns)
            };
            let found = found(graph);
            graph.node("Where", &[&found, &fills, &value.name], Vec::new())
        };
        let filled = Value {
            name: filled,
            ..value.clone()
        };
        if !self.indicator {
            return Ok(Output::only(filled));
        }
        let found = Value {
            labels: None,
            ..Value::new(found(graph), Dtype::Bool, value.shape.clone())
        };
        let found = graph.cast(&found, value.dtype);
        let both = graph.concat(&[filled, found]);
        both.map(Output::only)
            .ok_or_else(|| Fault::input("nothing is fed: this is a bug"))
    }

    fn texts(&self, graph: &mut GraphBuilder, value: &Value) -> Result<Vec<Output>, Fault> {
        if self.indicator {
            return Err(Fault::key(
                "indicator",
                "is only for numbers, and the input is text",
            ));
        }
        let Some(missing) = &self.missing else {
            return Err(Fault::key("missing", "is left out, and text has no NaN")
                .help("write the text that stands for a missing one: `missing: \"\"`"));
        };
        let missing = text("missing", missing)?;
        let given = (self.value.0.iter())
            .map(|cell| text("value", cell))
            .collect::<Result<Vec<_>, _>>()?;
        let columns = per_column(&given, value)?;
        let dims = if columns.len() == 1 {
            Vec::new()
        } else {
            column_dims(value)
        };
        let fills = graph.texts(&dims, &columns);
        // `Equal` takes texts from operator set 19 on; a lookup does so everywhere.
        let attributes = vec![
            ("keys_strings", Attr::Texts(vec![missing])),
            ("values_int64s", Attr::Ints(vec![1])),
            ("default_int64", Attr::Int(0)),
        ];
        let name = graph.ml_node("LabelEncoder", &[&value.name], attributes);
        let found = Value::new(name, Dtype::I64, value.shape.clone());
        let found = graph.cast(&found, Dtype::Bool);
        let name = graph.node("Where", &[&found.name, &fills, &value.name], Vec::new());
        Ok(Output::only(Value {
            name,
            ..value.clone()
        }))
    }
}

fn first(numbers: &[f32]) -> f32 {
    numbers.first().copied().unwrap_or(f32::NAN)
}

/// One for all columns, or one for each.
fn per_column<T: Clone>(given: &[T], value: &Value) -> Result<Vec<T>, Fault> {
    let columns = value.shape.last().copied().unwrap_or(1);
    if given.len() == 1 || given.len() == columns {
        return Ok(given.to_vec());
    }
    let what = format!(
        "has {} elements, and the input has {columns} columns",
        given.len()
    );
    Err(Fault::key("value", what).help("write one for all columns, or one for each"))
}

fn text(key: &'static str, cell: &Cell) -> Result<String, Fault> {
    match &cell.0 {
        Scalar::String(text) => Ok(text.clone()),
        other => Err(
            Fault::key(key, format!("has {other}, and the input is text")).help("put it in quotes"),
        ),
    }
}

/// A number that the type of the columns can hold.
fn number(key: &'static str, cell: &Cell, dtype: Dtype) -> Result<f64, Fault> {
    let wrong = |what: &str| Fault::key(key, format!("has {}, {what}", cell.0));
    let number = match &cell.0 {
        Scalar::Integer(number) => *number as f64,
        Scalar::Float(number) => *number,
        _ => return Err(wrong("and the input is numbers").help("write a number")),
    };
    if number.is_nan() {
        return Err(wrong("which is what a missing number is").help("write a number"));
    }
    if super::holds(dtype, number) {
        Ok(number)
    } else {
        Err(wrong(&format!("which is no {dtype}, as the input is")))
    }
}
