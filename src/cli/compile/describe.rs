//! What a compiled graph takes and gives, in the words of the pipeline file.

use serde::Serialize;

use crate::{
    config::Plan,
    contract::{Dtype, Field, Scalar},
    encode::OutputField,
    engine::{ColumnRef, InputSpec, OutputInfo, OutputRef, When, state::StateValue},
};

/// The most columns that a line for people names.
const NAMED: usize = 8;

/// An input of the graph: a tensor of `[rows, ...shape]`. The values of the columns in one row lie in
/// it one after another, as if they were flat.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Input {
    /// In the graph.
    pub(super) name: String,
    pub(super) dtype: &'static str,
    /// Of one row.
    pub(super) shape: Vec<usize>,
    pub(super) columns: Vec<Column>,
}

/// What stands in an input, or in a part of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Column {
    /// A field of the message; or what a step on the host made of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<String>,
    /// The field that a step on the host makes it of, outside of the graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) made_of: Option<String>,
    /// An output of another graph, as the pipeline file calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<String>,
    /// What is held of the row before with the same key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<String>,
    /// What a held value is before the first row of a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) initial: Option<serde_json::Value>,
    /// Before it becomes the type of the input.
    pub(super) dtype: &'static str,
    /// Of one row.
    pub(super) shape: Vec<usize>,
    pub(super) unit: Option<String>,
    /// A missing or null value is NaN.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) nullable: bool,
    /// What a missing or null value is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<serde_json::Value>,
}

/// An output of the graph: a tensor of `[rows, ...shape]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Output {
    /// In the graph.
    pub(super) name: String,
    /// In the pipeline file.
    #[serde(rename = "output")]
    pub(super) called: String,
    pub(super) dtype: &'static str,
    /// Of one row.
    pub(super) shape: Vec<usize>,
    /// Names of the elements.
    pub(super) labels: Option<Vec<String>>,
    pub(super) unit: Option<String>,
    /// The keys of a result that it becomes.
    pub(super) published: Vec<Published>,
    /// The state values that it is for the next row with the same key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) held: Vec<String>,
}

/// The rows that a graph runs on, where these are not all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Only {
    /// Outputs of other graphs, as the pipeline file calls them: it runs where all of them are true.
    pub(super) all: Vec<String>,
    /// What the outputs are in the other rows; without it, they are not there.
    pub(super) otherwise: Option<serde_json::Value>,
}

/// A key of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Published {
    pub(super) key: String,
    /// The one element of each row that it has; all where there is none.
    pub(super) element: Option<usize>,
}

impl Only {
    pub(super) fn of(plan: &Plan, when: &When) -> Self {
        let names = when.conditions.iter().filter_map(|at| made(plan, *at));
        Self {
            all: names.map(|(name, ..)| name.to_owned()).collect(),
            otherwise: when.otherwise.as_ref().map(json),
        }
    }

    /// One line for people.
    pub(super) fn words(&self) -> String {
        let rows = format!("the rows where {}", self.all.join(" and "));
        match &self.otherwise {
            None => rows,
            Some(value) => format!("{rows}; the others get {value}"),
        }
    }
}

impl Input {
    pub(super) fn of(plan: &Plan, spec: &InputSpec, name: &str, dtype: Dtype) -> Self {
        let columns = spec.columns.iter().map(|column| Column::of(plan, *column));
        Self {
            name: name.to_owned(),
            dtype: dtype.name(),
            shape: spec.shape.clone(),
            columns: columns.collect(),
        }
    }

    /// One line for people.
    pub(super) fn words(&self, rows: &str) -> String {
        let names: Vec<String> = self.columns.iter().map(Column::words).collect();
        let names = match names.as_slice() {
            [name] => name.clone(),
            all if all.len() > NAMED => format!(
                "{} columns side by side: {}, …",
                all.len(),
                all[..NAMED].join(", ")
            ),
            all => format!("{} columns side by side: {}", all.len(), all.join(", ")),
        };
        format!(
            "{} {} {}: {names}",
            self.name,
            self.dtype,
            sizes(rows, &self.shape)
        )
    }
}

impl Column {
    fn of(plan: &Plan, column: ColumnRef) -> Self {
        match column {
            ColumnRef::Field(place) => match plan.fields.get(place) {
                Some(field) => Self::of_field(plan, place, field),
                None => unknown(),
            },
            ColumnRef::Output(at) => match made(plan, at) {
                Some((name, info, unit)) => Self {
                    output: Some(name.to_owned()),
                    unit: unit.map(str::to_owned),
                    dtype: info.dtype.name(),
                    shape: info.shape.clone(),
                    ..unknown()
                },
                None => unknown(),
            },
            ColumnRef::State(place) => match values(plan).nth(place) {
                Some(value) => Self {
                    state: Some(value.name.clone()),
                    initial: Some(json(&value.initial)),
                    dtype: value.dtype.name(),
                    shape: value.shape.clone(),
                    ..unknown()
                },
                None => unknown(),
            },
        }
    }

    fn of_field(plan: &Plan, place: usize, field: &Field) -> Self {
        let host = plan.hosts.iter().find(|host| host.outputs.contains(&place));
        let made_of = host.and_then(|host| plan.fields.get(host.input));
        Self {
            field: Some(field.name.clone()),
            made_of: made_of.map(|field| field.name.clone()),
            output: None,
            state: None,
            initial: None,
            dtype: field.dtype.name(),
            shape: field.shape.clone(),
            unit: field.unit.clone(),
            nullable: field.nullable,
            default: field.default.as_ref().map(json),
        }
    }

    fn words(&self) -> String {
        let name = self.field.as_ref().or(self.output.as_ref());
        let mut words = name.or(self.state.as_ref()).cloned().unwrap_or_default();
        if let Some(initial) = &self.initial {
            words += &format!(" (held for each key, {initial} at first)");
        }
        if let Some(unit) = &self.unit {
            words += &format!(" ({unit})");
        }
        if let Some(made_of) = &self.made_of {
            words += &format!(" (made of {made_of} on the host, not in the graph)");
        }
        words
    }
}

/// A column of nothing that is known.
fn unknown() -> Column {
    Column {
        field: None,
        made_of: None,
        output: None,
        state: None,
        initial: None,
        dtype: Dtype::F32.name(),
        shape: Vec::new(),
        unit: None,
        nullable: false,
        default: None,
    }
}

impl Output {
    pub(super) fn of(plan: &Plan, at: OutputRef) -> Option<Self> {
        let (name, info, unit) = made(plan, at)?;
        let fields = plan.encode.fields().iter().filter(|field| {
            let published = plan.engine.outputs.get(field.series);
            published == Some(&at)
        });
        let published = fields.map(|OutputField { key, element, .. }| Published {
            key: key.clone(),
            element: *element,
        });
        Some(Self {
            name: info.name.clone(),
            called: name.to_owned(),
            dtype: info.dtype.name(),
            shape: info.shape.clone(),
            labels: info.labels.clone(),
            unit: unit.map(str::to_owned),
            published: published.collect(),
            held: values(plan)
                .filter(|value| value.from == at)
                .map(|value| value.name.clone())
                .collect(),
        })
    }

    /// One line for people.
    pub(super) fn words(&self, rows: &str) -> String {
        let mut words = format!(
            "{} {} {}: {}",
            self.name,
            self.dtype,
            sizes(rows, &self.shape),
            self.called
        );
        if let Some(unit) = &self.unit {
            words += &format!(" ({unit})");
        }
        let keys: Vec<String> = (self.published.iter())
            .map(|published| match published.element {
                None => format!("`{}`", published.key),
                Some(element) => format!("`{}` (element {element})", published.key),
            })
            .collect();
        if !keys.is_empty() {
            words += &format!(", published as {}", keys.join(", "));
        }
        if !self.held.is_empty() {
            words += &format!(", held as {}", self.held.join(", "));
        }
        words
    }
}

/// What is held between rows.
fn values(plan: &Plan) -> impl Iterator<Item = &StateValue> {
    let state = plan.engine.state.iter();
    state.flat_map(|state| &state.values)
}

/// An output of a graph: how the file calls it, and its unit.
fn made(plan: &Plan, at: OutputRef) -> Option<(&str, &OutputInfo, Option<&str>)> {
    let step = plan.steps.get(at.step)?;
    let unit = step.units.get(at.output)?.as_deref();
    Some((
        step.outputs.get(at.output)?,
        step.made.get(at.output)?,
        unit,
    ))
}

fn sizes(rows: &str, shape: &[usize]) -> String {
    let sizes: Vec<String> = std::iter::once(rows.to_owned())
        .chain(shape.iter().map(ToString::to_string))
        .collect();
    format!("[{}]", sizes.join(", "))
}

fn json(scalar: &Scalar) -> serde_json::Value {
    match scalar {
        Scalar::Integer(value) => (*value).into(),
        Scalar::Float(value) => (*value).into(),
        Scalar::Bool(value) => (*value).into(),
        Scalar::String(value) => value.clone().into(),
    }
}
