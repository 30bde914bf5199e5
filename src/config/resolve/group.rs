//! What runs as one graph: at most one model, and the steps around it.

use super::{known::Column, models::Opened};
use crate::{
    config::node::Span,
    contract::{Dtype, Scalar},
    engine::{Accuracy, ColumnRef, Device, Dim, InputSpec, ModelSource, OutputRef},
    graph::{GraphBuilder, Value},
};

/// A graph in the making.
pub(super) struct Group {
    /// Where the first step of it is written.
    pub(super) span: Span,
    pub(super) graph: GraphBuilder,
    pub(super) model: Option<GroupModel>,
    /// How many steps are in it beside the model.
    pub(super) steps: usize,
    /// The rows that it runs on.
    pub(super) rows: Rows,
    /// What feeds the graph, one for each of its inputs.
    pub(super) imports: Vec<Import>,
    /// Everything that has a name, so that it can be wanted; an [`OutputRef`] counts these.
    pub(super) values: Vec<Named>,
}

/// Some of the rows: those for which all conditions are true.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rows {
    /// None of them: all rows.
    pub(super) conditions: Vec<OutputRef>,
    /// What stands in the others.
    pub(super) otherwise: Option<Scalar>,
}

/// An input of the graph.
pub(super) struct Import {
    pub(super) spec: InputSpec,
    pub(super) value: Value,
}

/// The model of a group.
pub(super) struct GroupModel {
    pub(super) name: String,
    pub(super) device: Device,
    pub(super) accuracy: Accuracy,
    pub(super) source: ModelSource,
    /// What feeds each of its inputs, by their names.
    pub(super) feeds: Vec<(String, Feed)>,
}

/// What feeds one input of the model.
pub(super) enum Feed {
    /// Columns from outside the graph, as a tensor of this type.
    Outside(InputSpec, Dtype),
    /// A value of the graph.
    Inside(Value),
}

/// A value that can be wanted.
pub(super) struct Named {
    pub(super) name: String,
    /// By which it is found among those of other steps.
    pub(super) qualified: String,
    pub(super) value: Value,
}

impl Group {
    /// A group whose first step is written at `span`, in this graph.
    pub(super) fn new(span: Span, rows: Rows, graph: GraphBuilder) -> Self {
        Self {
            span,
            graph,
            model: None,
            steps: 0,
            rows,
            imports: Vec::new(),
            values: Vec::new(),
        }
    }

    /// What the group is called: by its model, or else by the last thing that it makes.
    pub(super) fn name(&self) -> String {
        let last = self.values.last();
        let model = self.model.as_ref().map(|model| model.name.clone());
        model
            .or_else(|| last.map(|last| last.name.clone()))
            .unwrap_or_default()
    }

    /// Whether one of its values is called so.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.iter().any(|value| value.name == name)
    }

    /// Gives a value a name by which it can be wanted; says its number.
    pub(super) fn add(&mut self, name: &str, qualified: String, value: Value) -> usize {
        self.values.push(Named {
            name: name.to_owned(),
            qualified,
            value,
        });
        self.values.len() - 1
    }

    /// The columns as one value of the graph, side by side: single values and vectors become one
    /// vector, other shapes are joined along their last dimension.
    ///
    /// # Errors
    /// The shapes do not fit beside each other.
    pub(super) fn bring(
        &mut self,
        columns: &[Column],
        dtype: Dtype,
        name: &str,
        group: usize,
    ) -> Result<Value, String> {
        let lines = columns.iter().all(|column| column.shape.len() <= 1);
        let leading = |column: &Column| column.shape.split_last().map(|(_, rest)| rest.to_vec());
        let first = columns.first().and_then(leading);
        if columns.len() > 1
            && !lines
            && let Some(odd) = columns.iter().find(|column| leading(column) != first)
        {
            let first = columns.first().map(|first| (&first.name, &first.shape));
            let (name, shape) = first.unwrap_or((&odd.name, &odd.shape));
            return Err(format!(
                "`{name}` has rows of shape {shape:?}, and `{}` of {:?}",
                odd.name, odd.shape
            ));
        }
        let mut parts = Vec::new();
        let mut outside: Vec<&Column> = Vec::new();
        for column in columns {
            if !lines || column.group() == Some(group) {
                self.import_side_by_side(&mut outside, columns.len(), dtype, name, &mut parts);
            }
            match self.inner(column, group) {
                Some(value) => parts.push(self.graph.cast(&value, dtype)),
                None => outside.push(column),
            }
        }
        self.import_side_by_side(&mut outside, columns.len(), dtype, name, &mut parts);
        self.graph
            .concat(&parts)
            .ok_or_else(|| "there is none: this is a bug".to_owned())
    }

    /// The columns as one value of the graph, side by side as a vector, whatever their shapes.
    pub(super) fn bring_flat(
        &mut self,
        columns: &[Column],
        dtype: Dtype,
        group: usize,
    ) -> Option<Value> {
        let parts: Vec<Value> = (columns.iter())
            .map(|column| {
                let value = match self.inner(column, group) {
                    Some(value) => self.graph.cast(&value, dtype),
                    None => self.import(&column.name, &[column.place], dtype, &column.shape),
                };
                if columns.len() > 1 {
                    self.graph.flatten(&value)
                } else {
                    value
                }
            })
            .collect();
        self.graph.concat(&parts)
    }

    /// A text field from outside.
    pub(super) fn import_text(&mut self, name: &str, field: ColumnRef) -> Value {
        self.import(name, &[field], Dtype::String, &[])
    }

    /// The value of a column that is made in this group.
    fn inner(&self, column: &Column, group: usize) -> Option<Value> {
        match column.place {
            ColumnRef::Output(at) if at.step == group => {
                self.values.get(at.output).map(|named| named.value.clone())
            }
            _ => None,
        }
    }

    /// Brings in columns that stand side by side outside already, as one input.
    fn import_side_by_side(
        &mut self,
        outside: &mut Vec<&Column>,
        all: usize,
        dtype: Dtype,
        name: &str,
        parts: &mut Vec<Value>,
    ) {
        let places: Vec<ColumnRef> = outside.iter().map(|column| column.place).collect();
        match outside.as_slice() {
            [] => return,
            [one] => parts.push(self.import(&one.name, &places, dtype, &one.shape)),
            many => {
                let width = many
                    .iter()
                    .map(|column| column.shape.iter().product::<usize>())
                    .sum();
                let name = if many.len() == all {
                    format!("{name}_input")
                } else {
                    format!("{name}_input_{}", parts.len() + 1)
                };
                parts.push(self.import(&name, &places, dtype, &[width]));
            }
        }
        outside.clear();
    }

    /// Columns from outside as an input of the graph; the same columns come in once.
    pub(super) fn import(
        &mut self,
        name: &str,
        columns: &[ColumnRef],
        dtype: Dtype,
        shape: &[usize],
    ) -> Value {
        let known = self.imports.iter().find(|import| {
            import.spec.columns == columns
                && import.value.dtype == dtype
                && import.value.shape == shape
        });
        if let Some(known) = known {
            return known.value.clone();
        }
        let value = self.graph.input(name, dtype, shape);
        self.imports.push(Import {
            spec: InputSpec {
                columns: columns.to_vec(),
                shape: shape.to_vec(),
            },
            value: value.clone(),
        });
        value
    }

    /// What it takes from other groups.
    pub(super) fn takes(&self) -> impl Iterator<Item = OutputRef> + '_ {
        let imports = self.imports.iter().map(|import| &import.spec);
        let feeds = self.model.iter().flat_map(|model| &model.feeds);
        let outside = feeds.filter_map(|(_, feed)| match feed {
            Feed::Outside(spec, _) => Some(spec),
            Feed::Inside(_) => None,
        });
        let columns = imports.chain(outside).flat_map(|spec| &spec.columns);
        let outputs = columns.filter_map(|column| match column {
            ColumnRef::Output(output) => Some(*output),
            ColumnRef::Field(_) | ColumnRef::State(_) => None,
        });
        outputs.chain(self.rows.conditions.iter().copied())
    }
}

/// The type that all columns can take side by side.
///
/// # Errors
/// Text beside numbers.
pub(super) fn common_dtype(columns: &[Column]) -> Result<Dtype, String> {
    let of = |dtype| columns.iter().find(|column| column.dtype == dtype);
    let text = of(Dtype::String);
    if let (Some(text), Some(number)) = (
        text,
        columns.iter().find(|column| column.dtype != Dtype::String),
    ) {
        return Err(format!(
            "`{}` is text, and `{}` is {}",
            text.name, number.name, number.dtype
        ));
    }
    // From the widest down: what stands behind fits into what stands before.
    let widest = [
        Dtype::String,
        Dtype::F64,
        Dtype::F32,
        Dtype::I64,
        Dtype::I32,
        Dtype::U8,
    ];
    Ok(widest
        .into_iter()
        .find(|dtype| of(*dtype).is_some())
        .unwrap_or(Dtype::Bool))
}

/// The rows that a model takes at once, where its inputs declare a number.
pub(super) fn fixed_rows(model: &Opened) -> Option<usize> {
    model
        .inputs
        .iter()
        .find_map(|input| match input.dims.first() {
            Some(Dim::Fixed(rows)) => Some(*rows),
            _ => None,
        })
}
