//! Names, types, shapes and units: a tree becomes a list of typed nodes.

mod call;
mod functions;
mod literals;
mod measure;
mod operators;
mod products;
mod sums;

use std::ops::Range;

use super::{
    ast::{Kind, Tree},
    error::{FormulaError, listed, nearest},
    print::column_name,
    typed::{Measure, Op, Ty, Typed},
};
use crate::{
    contract::Dtype,
    units::{Density, Unit},
};

pub(super) use functions::FUNCTIONS;

/// What a formula can read.
pub trait Columns {
    /// The column of this name.
    fn find(&self, name: &str) -> Option<ColumnType>;

    /// All names, in the order in which an error lists them.
    fn names(&self) -> Vec<String>;
}

/// What is known about a column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnType {
    /// The type of its elements.
    pub dtype: Dtype,
    /// Shape of one row; empty for a single value.
    pub shape: Vec<usize>,
    /// What each element stands for, where that is known.
    pub labels: Option<Vec<String>>,
    /// The unit of its values, where one is given.
    pub unit: Option<Unit>,
    /// Mass per volume of what it counts: `unit(x, 'kg/har')` makes a mass of a volume by it.
    pub density: Option<ColumnDensity>,
}

/// The density of what a column counts.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnDensity {
    /// The same in every row.
    Fixed(Density),
    /// Told by a column of text.
    By {
        /// That column.
        column: String,
        /// The density for each of its values.
        of: Vec<(String, Density)>,
    },
}

impl ColumnType {
    /// A column without labels and without a unit.
    pub fn new(dtype: Dtype, shape: Vec<usize>) -> Self {
        Self {
            dtype,
            shape,
            labels: None,
            unit: None,
            density: None,
        }
    }
}

/// A column that a formula reads.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Used {
    pub(super) name: String,
    pub(super) column: ColumnType,
    /// Where it stands first.
    pub(super) span: Range<usize>,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    pub(super) nodes: Vec<Typed>,
    pub(super) root: usize,
    pub(super) used: Vec<Used>,
}

/// Checks `tree` against `columns`.
pub(super) fn check(tree: &Tree, columns: &dyn Columns) -> Result<Outcome, FormulaError> {
    let mut checker = Checker {
        columns,
        nodes: Vec::new(),
        used: Vec::new(),
    };
    let mut done: Vec<Operand> = Vec::with_capacity(tree.nodes.len());
    for node in &tree.nodes {
        let id = checker.node(&node.kind, &node.span, &done)?;
        done.push(Operand {
            id,
            span: node.span.clone(),
        });
    }
    let whole = tree.span(tree.nodes.len().saturating_sub(1));
    let Some(root) = done.pop() else {
        return Err(FormulaError::new(whole, "the formula is empty"));
    };
    if checker.used.is_empty() {
        return Err(FormulaError::new(
            whole,
            "the formula reads no column, so it has the same value for every row",
        )
        .help(format!("the columns are {}", checker.names())));
    }
    if checker.ty(&root) == Ty::Text {
        return Err(FormulaError::new(
            whole,
            "the result is text, and a formula gives a number or a truth value",
        )
        .help("text can be compared: `crop == 'maize'`"));
    }
    let settled = checker.ty(&root).settled();
    let root = checker.coerce(&root, settled)?;
    Ok(Outcome {
        nodes: checker.nodes,
        root: root.id,
        used: checker.used,
    })
}

/// A typed node and the text that it stands for.
#[derive(Debug, Clone)]
struct Operand {
    id: usize,
    span: Range<usize>,
}

struct Checker<'a> {
    columns: &'a dyn Columns,
    nodes: Vec<Typed>,
    used: Vec<Used>,
}

impl Checker<'_> {
    fn push(&mut self, node: Typed) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn get(&self, operand: &Operand) -> &Typed {
        &self.nodes[operand.id]
    }

    fn ty(&self, operand: &Operand) -> Ty {
        self.get(operand).ty
    }

    fn measure(&self, operand: &Operand) -> &Measure {
        &self.get(operand).measure
    }

    /// A node that is the same for every row.
    fn constant(&mut self, op: Op, ty: Ty) -> usize {
        self.push(Typed {
            op,
            inputs: Vec::new(),
            ty,
            shape: Vec::new(),
            measure: Measure::Plain,
        })
    }

    fn node(
        &mut self,
        kind: &Kind,
        span: &Range<usize>,
        done: &[Operand],
    ) -> Result<usize, FormulaError> {
        let operand = |id: &usize| done[*id].clone();
        match kind {
            Kind::Integer(value) => Ok(self.constant(Op::Integer(*value), Ty::LiteralInt)),
            Kind::Float(value) => Ok(self.constant(Op::Float(*value), Ty::LiteralFloat)),
            Kind::Text(text) => Ok(self.constant(Op::Text(text.clone()), Ty::Text)),
            Kind::Name { name, quoted } => self.name(name, *quoted, span),
            Kind::Element { name, element, .. } => self.element(name, element, span),
            Kind::Negate(of) => self.negate(&operand(of), span),
            Kind::Not(of) => self.not(&operand(of)),
            Kind::Arithmetic { op, left, right } => {
                self.arithmetic(*op, &operand(left), &operand(right), span)
            }
            Kind::Logic { op, left, right } => self.logic(*op, &operand(left), &operand(right)),
            Kind::Compare { operands, ops } => {
                let operands: Vec<_> = operands.iter().map(operand).collect();
                self.compare(&operands, ops, span)
            }
            Kind::Call {
                function,
                arguments,
            } => {
                let arguments: Vec<_> = arguments.iter().map(operand).collect();
                self.call(function, &arguments, span)
            }
        }
    }

    /// A column, or a constant where no column has the name.
    fn name(
        &mut self,
        name: &str,
        quoted: bool,
        span: &Range<usize>,
    ) -> Result<usize, FormulaError> {
        let constant = match name {
            _ if quoted => None,
            "pi" => Some((Op::Float(std::f64::consts::PI), Ty::LiteralFloat)),
            "e" => Some((Op::Float(std::f64::consts::E), Ty::LiteralFloat)),
            "true" => Some((Op::Bool(true), Ty::Bool)),
            "false" => Some((Op::Bool(false), Ty::Bool)),
            _ => None,
        };
        if let (None, Some((op, ty))) = (self.columns.find(name), constant) {
            return Ok(self.constant(op, ty));
        }
        let column = self.column(name, span)?;
        let used = &self.used[column];
        let node = Typed {
            op: Op::Column(column),
            inputs: Vec::new(),
            ty: Ty::of(used.column.dtype),
            shape: used.column.shape.clone(),
            measure: measure_of(used),
        };
        Ok(self.push(node))
    }

    fn element(
        &mut self,
        name: &str,
        element: &str,
        span: &Range<usize>,
    ) -> Result<usize, FormulaError> {
        let column = self.column(name, span)?;
        let used = &self.used[column];
        let index = element_index(&used.column, name, element, span)?;
        let node = Typed {
            op: Op::Element { column, index },
            inputs: Vec::new(),
            ty: Ty::of(used.column.dtype),
            shape: Vec::new(),
            measure: measure_of(used),
        };
        Ok(self.push(node))
    }

    /// The place of a column in the list of those that are used.
    fn column(&mut self, name: &str, span: &Range<usize>) -> Result<usize, FormulaError> {
        if let Some(known) = self.used.iter().position(|used| used.name == name) {
            return Ok(known);
        }
        let Some(column) = self.columns.find(name) else {
            return Err(self.unknown(name, span));
        };
        if column.dtype == Dtype::Bytes {
            return Err(FormulaError::new(
                span.clone(),
                format!(
                    "`{name}` is bytes, and a formula works with numbers, truth values and text"
                ),
            )
            .help("a step before this one makes something of the bytes"));
        }
        self.used.push(Used {
            name: name.to_owned(),
            column,
            span: span.clone(),
        });
        Ok(self.used.len() - 1)
    }

    fn unknown(&self, name: &str, span: &Range<usize>) -> FormulaError {
        let names = self.columns.names();
        let error = FormulaError::new(span.clone(), format!("there is no column `{name}`"));
        let known = names.iter().map(String::as_str);
        if matches!(name.to_lowercase().as_str(), "nan" | "null" | "none") {
            return error.help("a missing number is NaN: `is_nan(x)` asks for it");
        }
        match nearest(name, known.chain(["true", "false"])) {
            Some("true") => error.help("did you mean the constant `true`?"),
            Some("false") => error.help("did you mean the constant `false`?"),
            Some(near) => error.help(format!("did you mean {}?", shown(near))),
            None if FUNCTIONS.iter().any(|known| known.name == name) => {
                error.help(format!("the function is written `{name}(...)`"))
            }
            None if names.is_empty() => error.help("there are no columns"),
            None => error.help(format!(
                "the columns are {}; text stands in quotes: '{name}'",
                self.names()
            )),
        }
    }

    fn names(&self) -> String {
        let names = self.columns.names();
        listed(names.iter().map(String::as_str))
    }
}

/// A name as it is written in a formula, between backticks.
fn shown(name: &str) -> String {
    let written = column_name(name);
    if written.starts_with('`') {
        written
    } else {
        format!("`{written}`")
    }
}

fn measure_of(used: &Used) -> Measure {
    match &used.column.unit {
        _ if !Ty::of(used.column.dtype).is_number() => Measure::Plain,
        Some(unit) => Measure::of(unit.clone()),
        None => Measure::Bare(used.name.clone()),
    }
}

/// Which element of a row is meant: a label where there are labels, else a number.
fn element_index(
    column: &ColumnType,
    name: &str,
    element: &str,
    span: &Range<usize>,
) -> Result<usize, FormulaError> {
    let error = |what: String| FormulaError::new(span.clone(), what);
    if let Some(labels) = &column.labels {
        let known = || labels.iter().map(String::as_str);
        return labels
            .iter()
            .position(|label| label == element)
            .ok_or_else(|| {
                let help = match nearest(element, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("its labels are {}", listed(known())),
                };
                error(format!("`{name}` has no label `{element}`")).help(help)
            });
    }
    let width: usize = column.shape.iter().product();
    let numbered = || match width {
        0 => "it has no elements".to_owned(),
        1 => format!("it has one element for each row: write `{name}`"),
        _ => format!("its elements are `{name}[0]` to `{name}[{}]`", width - 1),
    };
    match element.parse::<usize>() {
        Ok(index) if index < width => Ok(index),
        Ok(_) => Err(error(format!("`{name}` has no element {element}")).help(numbered())),
        // More digits than a number of elements can have.
        Err(_) if element.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(error(format!("`{name}` has no element {element}")).help(numbered()))
        }
        Err(_) => Err(error(format!(
            "`{name}` has no labels, so `{element}` cannot name an element"
        ))
        .help(numbered())),
    }
}
