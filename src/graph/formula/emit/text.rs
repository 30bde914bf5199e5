//! Comparing.

use bytes::Bytes;

use super::{Emitter, FormulaError, Op, Ty, Typed};
use crate::{
    contract::Dtype,
    graph::{
        build::{Attr, element_type},
        formula::ast::Comparison,
        proto::Tensor,
    },
};

/// The first operator set whose `Equal` takes text.
const TEXT_OPSET: i64 = 19;

impl Emitter<'_> {
    /// A fixed text, where the operator set can compare it.
    pub(super) fn text(&mut self, text: &str) -> String {
        if self.graph.opset() < TEXT_OPSET {
            // It becomes an attribute of what compares it.
            return String::new();
        }
        self.graph.constant(Tensor {
            data_type: element_type(Dtype::String),
            string_data: vec![Bytes::from(text.to_owned())],
            ..Tensor::default()
        })
    }

    pub(super) fn compare(
        &mut self,
        op: Comparison,
        node: &Typed,
        inputs: &[&str],
    ) -> Result<String, FormulaError> {
        let of_text = node
            .inputs
            .first()
            .is_some_and(|id| self.outcome.nodes[*id].ty == Ty::Text);
        Ok(match op {
            Comparison::Less => self.op("Less", inputs),
            Comparison::LessOrEqual => self.op("LessOrEqual", inputs),
            Comparison::Greater => self.op("Greater", inputs),
            Comparison::GreaterOrEqual => self.op("GreaterOrEqual", inputs),
            Comparison::Equal | Comparison::NotEqual => {
                let equal = if of_text {
                    self.equal_text(node, inputs)?
                } else {
                    self.op("Equal", inputs)
                };
                if op == Comparison::Equal {
                    equal
                } else {
                    self.op("Not", &[&equal])
                }
            }
        })
    }

    /// Before operator set 19 `Equal` takes no text, but `LabelEncoder` makes numbers of it: 1 of
    /// the text that is asked for, and 0 of every other.
    fn equal_text(&mut self, node: &Typed, inputs: &[&str]) -> Result<String, FormulaError> {
        if self.graph.opset() >= TEXT_OPSET {
            return Ok(self.op("Equal", inputs));
        }
        let fixed = |id: &usize| match &self.outcome.nodes[*id].op {
            Op::Text(text) => Some(text.clone()),
            _ => None,
        };
        let pairs = std::iter::zip(&node.inputs, inputs);
        let mut column = None;
        let mut text = None;
        for (id, input) in pairs {
            match fixed(id) {
                Some(fixed) => text = Some(fixed),
                None => column = column.or(Some((*id, *input))),
            }
        }
        match (column, text) {
            (Some((_, column)), Some(text)) => {
                let known = self.graph.ml_node(
                    "LabelEncoder",
                    &[column],
                    vec![
                        ("keys_strings", Attr::Texts(vec![text])),
                        ("values_int64s", Attr::Ints(vec![1])),
                        ("default_int64", Attr::Int(0)),
                    ],
                );
                Ok(self.cast(&known, Dtype::Bool))
            }
            _ => Err(self.no_text_columns(column.map(|(id, _)| id))),
        }
    }

    fn no_text_columns(&self, id: Option<usize>) -> FormulaError {
        let span = id
            .and_then(|id| match self.outcome.nodes[id].op {
                Op::Column(place) | Op::Element { column: place, .. } => {
                    self.outcome.used.get(place)
                }
                _ => None,
            })
            .map_or(0..0, |used| used.span.clone());
        FormulaError::new(
            span,
            format!(
                "two text columns are compared, which operator set {} cannot do",
                self.graph.opset()
            ),
        )
        .help(format!(
            "operator set {TEXT_OPSET} can; a column can be compared with fixed text at any"
        ))
    }
}
