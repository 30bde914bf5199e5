//! Formulas over columns: `yield_t * price - cost`, `score > 0.5 and crop == 'maize'`.
//!
//! A formula is [parsed](Formula::parse), [checked](Formula::check) against the columns that are
//! there, and then [emitted](Checked::emit) as ONNX nodes. The language is described in
//! `docs/formulas.md`.
//!
//! [`Formula`] knows nothing but the text, so the same formula may be checked against different
//! columns. Everything that can be wrong is found by the check, with the part of the text that it
//! is about; emitting can only fail where the graph is older than what the formula needs.

mod ast;
mod check;
mod emit;
mod error;
mod lexer;
mod parser;
mod print;
#[cfg(test)]
mod tests;
mod typed;

use std::fmt;

use self::{
    ast::{Kind, Tree},
    check::Outcome,
};
use super::build::{GraphBuilder, Value};
use crate::{contract::Dtype, units::Unit};

pub use self::{
    check::{ColumnDensity, ColumnType, Columns},
    error::FormulaError,
    parser::{MAX_DEPTH, MAX_LENGTH},
};

/// A formula that was read. Displays with the fewest parentheses; two are equal where they differ
/// in nothing but spaces, parentheses and other spellings of the same operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    tree: Tree,
}

impl Formula {
    /// Reads a formula of up to [`MAX_LENGTH`] bytes, nested up to [`MAX_DEPTH`] deep.
    ///
    /// # Errors
    /// It is no formula, by its form alone.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        parser::parse(text).map(|tree| Self { tree })
    }

    /// The names that stand in it, each once, in the order in which they stand first: columns, and
    /// constants such as `pi` where [`Formula::check`] finds no column of that name.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for node in &self.tree.nodes {
            if let Kind::Name { name, .. } | Kind::Element { name, .. } = &node.kind
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        names
    }

    /// The functions of the language: their names, and how they are written.
    pub fn functions() -> impl Iterator<Item = (&'static str, &'static str)> {
        check::FUNCTIONS
            .iter()
            .map(|known| (known.name, known.usage))
    }

    /// Whether a name that stands in a formula without backticks may be a constant.
    pub fn is_constant(name: &str) -> bool {
        matches!(name, "pi" | "e" | "true" | "false")
    }

    /// Resolves the names, and works out types, shapes and units.
    ///
    /// # Errors
    /// A name that nothing has, or operands that do not go together.
    pub fn check(&self, columns: &dyn Columns) -> Result<Checked, FormulaError> {
        check::check(&self.tree, columns).map(|outcome| Checked { outcome })
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree.fmt(f)
    }
}

/// A formula whose columns, types and units are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    outcome: Outcome,
}

impl Checked {
    /// The columns that it reads, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.outcome.used.iter().map(|used| used.name.as_str())
    }

    /// The type of its result: never a whole type but i64, and never text.
    pub fn dtype(&self) -> Dtype {
        self.outcome.nodes[self.outcome.root].ty.dtype()
    }

    /// The shape of its result for one row.
    pub fn shape(&self) -> &[usize] {
        &self.outcome.nodes[self.outcome.root].shape
    }

    /// The unit of its result, where units were given.
    pub fn unit(&self) -> Option<&Unit> {
        match &self.outcome.nodes[self.outcome.root].measure {
            typed::Measure::Of { unit, .. } => Some(unit),
            _ => None,
        }
    }

    /// Adds the nodes to `graph`, and gives the result: `[rows, shape...]`. `column` gives the
    /// value in the graph of each name of [`Checked::names`]; its type and shape are those that
    /// were checked.
    ///
    /// # Errors
    /// The graph's operator set is older than what the formula needs, or a value is not what was
    /// checked.
    pub fn emit(
        &self,
        graph: &mut GraphBuilder,
        column: &dyn Fn(&str) -> Value,
    ) -> Result<Value, FormulaError> {
        emit::emit(&self.outcome, graph, column)
    }
}
