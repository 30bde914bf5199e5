//! Typed nodes become ONNX nodes.
//!
//! Every operator and type used here has a kernel in ONNX Runtime's CPU provider at operator set 13
//! and later; where there is none (`Tan` of f64, `Where` of truth values) other nodes take its
//! place. What is made of literals alone has no dimensions and is broadcast.

mod arithmetic;
mod functions;
mod inverse;
mod text;

use super::{
    ast::Logic,
    check::Outcome,
    error::FormulaError,
    typed::{Op, Ty, Typed},
};
use crate::{
    contract::Dtype,
    graph::build::{Attr, GraphBuilder, Value, element_type, ints_tensor},
};

/// A value of the graph with so many dimensions: none for a constant.
#[derive(Debug, Clone)]
struct Emitted {
    name: String,
    rank: usize,
}

/// Adds the nodes of a checked formula and gives its result.
pub(super) fn emit(
    outcome: &Outcome,
    graph: &mut GraphBuilder,
    column: &dyn Fn(&str) -> Value,
) -> Result<Value, FormulaError> {
    let mut emitter = Emitter {
        outcome,
        graph,
        done: vec![None; outcome.nodes.len()],
    };
    for (id, wanted) in reachable(outcome).into_iter().enumerate() {
        if wanted {
            let node = &outcome.nodes[id];
            let name = emitter.node(node, column)?;
            let rank = emitter.rank(node);
            emitter.done[id] = Some(Emitted { name, rank });
        }
    }
    let root = &outcome.nodes[outcome.root];
    Ok(Value::new(
        emitter.name(outcome.root),
        root.ty.dtype(),
        root.shape.clone(),
    ))
}

/// Which nodes the root is made of.
fn reachable(outcome: &Outcome) -> Vec<bool> {
    let mut wanted = vec![false; outcome.nodes.len()];
    wanted[outcome.root] = true;
    for id in (0..=outcome.root).rev() {
        if wanted[id] {
            for &input in &outcome.nodes[id].inputs {
                wanted[input] = true;
            }
        }
    }
    wanted
}

struct Emitter<'a> {
    outcome: &'a Outcome,
    graph: &'a mut GraphBuilder,
    done: Vec<Option<Emitted>>,
}

impl Emitter<'_> {
    fn op(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.graph.node(operator, inputs, Vec::new())
    }

    /// A number that is the same for all rows.
    fn number(&mut self, ty: Ty, value: f64) -> String {
        self.graph.number(ty.dtype(), value)
    }

    fn whole(&mut self, value: i64) -> String {
        self.graph.constant(ints_tensor(&[], &[value]))
    }

    fn cast(&mut self, from: &str, to: Dtype) -> String {
        let to = Attr::Int(i64::from(element_type(to)));
        self.graph.node("Cast", &[from], vec![("to", to)])
    }

    fn name(&self, id: usize) -> String {
        self.done[id]
            .as_ref()
            .map(|emitted| emitted.name.clone())
            .unwrap_or_default()
    }

    /// Dimensions of a node's result.
    fn rank(&self, node: &Typed) -> usize {
        let input = |id: &usize| self.done[*id].as_ref().map_or(0, |emitted| emitted.rank);
        let reads = matches!(
            node.op,
            Op::Column(_) | Op::Element { .. } | Op::LookUp { .. }
        );
        let constant = !reads && node.inputs.iter().all(|id| input(id) == 0);
        if constant { 0 } else { 1 + node.shape.len() }
    }

    /// The inputs of a node, with as many dimensions as its result: a single value for each row
    /// takes part in each element of the row.
    fn inputs(&mut self, node: &Typed) -> Vec<String> {
        let rank = self.rank(node);
        let mut names = Vec::with_capacity(node.inputs.len());
        for &id in &node.inputs {
            let Some(input) = self.done[id].clone() else {
                continue;
            };
            names.push(if input.rank == 0 || input.rank >= rank {
                input.name
            } else {
                let missing: Vec<i64> = (input.rank..rank)
                    .filter_map(|axis| i64::try_from(axis).ok())
                    .collect();
                let axes = self.graph.ints(&missing);
                self.op("Unsqueeze", &[&input.name, &axes])
            });
        }
        names
    }

    fn node(
        &mut self,
        node: &Typed,
        column: &dyn Fn(&str) -> Value,
    ) -> Result<String, FormulaError> {
        let inputs = self.inputs(node);
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let first = inputs.first().copied().unwrap_or_default();
        Ok(match &node.op {
            Op::Column(place) => self.column(*place, None, column)?,
            Op::Element {
                column: place,
                index,
            } => self.column(*place, Some(*index), column)?,
            Op::LookUp {
                column: place,
                factors,
            } => {
                let text = self.column(*place, None, column)?;
                let text = Value::new(text, Dtype::String, Vec::new());
                let factor = self.graph.look_up(&text, factors, node.ty.dtype());
                factor.name
            }
            Op::Integer(value) => self.whole(*value),
            Op::Float(value) => self.number(node.ty, *value),
            Op::Bool(value) => self.number(Ty::Bool, f64::from(u8::from(*value))),
            Op::Text(text) => self.text(text),
            Op::Cast => self.cast(first, node.ty.dtype()),
            Op::Scale { factor, offset } => self.scale(first, node.ty, *factor, *offset),
            Op::Negate => self.op("Neg", &inputs),
            Op::Not => self.op("Not", &inputs),
            Op::Logic(Logic::And) => self.op("And", &inputs),
            Op::Logic(Logic::Or) => self.op("Or", &inputs),
            Op::Arithmetic(op) => self.arithmetic(*op, node, &inputs),
            Op::Compare(op) => self.compare(*op, node, &inputs)?,
            Op::Function(function) => self.function(*function, node, &inputs),
        })
    }

    /// A column or one element of it; whole numbers as i64.
    fn column(
        &mut self,
        place: usize,
        index: Option<usize>,
        column: &dyn Fn(&str) -> Value,
    ) -> Result<String, FormulaError> {
        let used = &self.outcome.used[place];
        let value = column(&used.name);
        let checked = (used.column.dtype, &used.column.shape);
        if (value.dtype, &value.shape) != checked {
            return Err(FormulaError::new(
                used.span.clone(),
                format!(
                    "`{}` was checked as {} {:?}, and is {} {:?}: this is a bug",
                    used.name, checked.0, checked.1, value.dtype, value.shape
                ),
            ));
        }
        let mut name = value.name.clone();
        if let Some(index) = index
            && !value.shape.is_empty()
        {
            if value.shape.len() > 1 {
                // 0 keeps the rows, however many there are.
                let flat = [0, i64::try_from(value.width()).unwrap_or(i64::MAX)];
                let flat = self.graph.ints(&flat);
                name = self.op("Reshape", &[&name, &flat]);
            }
            let index = self.whole(i64::try_from(index).unwrap_or(i64::MAX));
            name = self
                .graph
                .node("Gather", &[&name, &index], vec![("axis", Attr::Int(1))]);
        }
        if matches!(value.dtype, Dtype::I32 | Dtype::U8) {
            name = self.cast(&name, Dtype::I64);
        }
        Ok(name)
    }

    #[expect(clippy::float_cmp, reason = "only the exact values change nothing")]
    fn scale(&mut self, of: &str, ty: Ty, factor: f64, offset: f64) -> String {
        let mut name = of.to_owned();
        if factor != 1.0 {
            let factor = self.number(ty, factor);
            name = self.op("Mul", &[&name, &factor]);
        }
        if offset != 0.0 {
            let offset = self.number(ty, offset);
            name = self.op("Add", &[&name, &offset]);
        }
        name
    }
}
