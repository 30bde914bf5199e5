//! `select`: some columns out of many.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, only};
use crate::{
    contract::Scalar,
    graph::{
        Attr, GraphBuilder, Value,
        build::signed,
        params::{Cell, OneOrMany},
    },
};

/// Takes some columns (elements of the last dimension) of a vector, of any type; labels follow them. Columns count from 0,
/// and from the end where negative, as in Python; where the input has labels (the names of a classifier's classes), columns
/// may be written by label. Example: of [0.1, 0.7, 0.2], `{ column: 1 }` gives the single number 0.7,
/// `{ columns: [2, 0] }` gives [0.2, 0.1], and `{ from: 1 }` gives [0.7, 0.2].
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// One column, which becomes a single value: numpy's `x[:, 1]`.
    pub column: Option<Cell>,
    /// Columns, in this order.
    pub columns: Option<OneOrMany<Cell>>,
    /// The first column of a range; 0 where left out.
    pub from: Option<i64>,
    /// The column behind the last of a range, as in Python's slices; all that follow where left out.
    pub to: Option<i64>,
}

impl TensorStep for Select {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = only(inputs)?;
        let Some(size) = value.shape.last().copied() else {
            return Err(Fault::input(
                "takes a vector for each row, and is fed with single values",
            ));
        };
        let range = self.from.is_some() || self.to.is_some();
        match (&self.column, &self.columns, range) {
            (Some(column), None, false) => {
                let place = place("column", column, value)?;
                Ok(Output::only(one(graph, value, place)))
            }
            (None, Some(OneOrMany(columns)), false) => {
                let places = (columns.iter())
                    .map(|column| place("columns", column, value))
                    .collect::<Result<Vec<_>, _>>()?;
                many(graph, value, &places)
            }
            (None, None, true) => self.range(graph, value, size),
            (None, None, false) => Err(Fault::key("columns", "is left out")
                .help("write `columns`, `column`, or `from` and `to`")),
            _ => Err(Fault::key("columns", "says it in more ways than one")
                .help("write one of `columns`, `column`, and `from` with `to`")),
        }
    }
}

impl Select {
    fn range(
        &self,
        graph: &mut GraphBuilder,
        value: &Value,
        size: usize,
    ) -> Result<Vec<Output>, Fault> {
        let bound = |key, bound: Option<i64>, default| {
            let Some(bound) = bound else {
                return Ok(default);
            };
            let place = if bound < 0 {
                bound + signed(size)
            } else {
                bound
            };
            usize::try_from(place)
                .ok()
                .filter(|place| *place <= size)
                .ok_or_else(|| out_of(key, bound, size))
        };
        let (from, to) = (bound("from", self.from, 0)?, bound("to", self.to, size)?);
        if from >= to {
            return Err(Fault::key("to", "leaves no column between `from` and it"));
        }
        let ends = [from, to].map(|end| graph.ints(&[signed(end)]));
        let axes = graph.ints(&[signed(value.shape.len())]);
        let name = graph.node(
            "Slice",
            &[&value.name, &ends[0], &ends[1], &axes],
            Vec::new(),
        );
        let places: Vec<usize> = (from..to).collect();
        Ok(Output::only(chosen(value, name, &places)))
    }
}

/// The place of a column.
fn place(key: &'static str, column: &Cell, value: &Value) -> Result<usize, Fault> {
    let size = value.shape.last().copied().unwrap_or_default();
    match (&column.0, &value.labels) {
        (Scalar::Integer(number), _) => {
            let from_end = if *number < 0 { signed(size) } else { 0 };
            usize::try_from(number.saturating_add(from_end))
                .ok()
                .filter(|place| *place < size)
                .ok_or_else(|| out_of(key, *number, size))
        }
        (Scalar::String(label), Some(labels)) => (labels.iter())
            .position(|known| known == label)
            .ok_or_else(|| {
                Fault::key(
                    key,
                    format!("has `{label}`, which is no label of the input"),
                )
                .help(format!("the labels are {}", labels.join(", ")))
            }),
        (Scalar::String(label), None) => Err(Fault::key(
            key,
            format!("has `{label}`, and the input has no labels"),
        )
        .help("write the number of the column, from 0")),
        (other, _) => Err(
            Fault::key(key, format!("has {other}, which names no column"))
                .help("write the number of the column, from 0"),
        ),
    }
}

fn out_of(key: &'static str, number: i64, size: usize) -> Fault {
    Fault::key(
        key,
        format!("has {number}, and the input has {size} columns"),
    )
    .help("columns count from 0")
}

fn one(graph: &mut GraphBuilder, value: &Value, place: usize) -> Value {
    let index = graph.constant(crate::graph::build::ints_tensor(&[], &[signed(place)]));
    let axis = ("axis", Attr::Int(signed(value.shape.len())));
    let name = graph.node("Gather", &[&value.name, &index], vec![axis]);
    let mut shape = value.shape.clone();
    shape.pop();
    Value::new(name, value.dtype, shape)
}

fn many(graph: &mut GraphBuilder, value: &Value, places: &[usize]) -> Result<Vec<Output>, Fault> {
    if places.is_empty() {
        return Err(Fault::key("columns", "is empty").help("write one column at least"));
    }
    let index: Vec<i64> = places.iter().map(|place| signed(*place)).collect();
    let index = graph.ints(&index);
    let axis = ("axis", Attr::Int(signed(value.shape.len())));
    let name = graph.node("Gather", &[&value.name, &index], vec![axis]);
    Ok(Output::only(chosen(value, name, places)))
}

/// The columns at these places under another name.
fn chosen(value: &Value, name: String, places: &[usize]) -> Value {
    let mut shape = value.shape.clone();
    if let Some(last) = shape.last_mut() {
        *last = places.len();
    }
    let labels = value.labels.as_ref().and_then(|labels| {
        let kept = places.iter().map(|place| labels.get(*place).cloned());
        kept.collect()
    });
    Value {
        name,
        dtype: value.dtype,
        shape,
        labels,
    }
}
