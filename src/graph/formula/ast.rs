//! The tree of a formula.
//!
//! The nodes lie in one list, operands before what uses them. So a long sum, whose tree is as deep
//! as the sum is long, is checked, printed and dropped by loops that no stack limits.

use std::ops::Range;

/// Place of a node in [`Tree::nodes`].
pub(super) type Id = usize;

/// An operator between two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

impl Arithmetic {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "^",
        }
    }
}

/// An operator that compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Comparison {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }

    /// Whether it asks for the same, and not for an order.
    pub(super) fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// An operator between two truth values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Logic {
    And,
    Or,
}

impl Logic {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
        }
    }
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Never negative: a minus is a node of its own.
    Integer(i64),
    /// Finite and never negative.
    Float(f64),
    Text(String),
    /// A column, or a constant where no column has the name and it is not `quoted`.
    Name {
        name: String,
        quoted: bool,
    },
    Element {
        name: String,
        quoted: bool,
        element: String,
    },
    Negate(Id),
    Not(Id),
    Arithmetic {
        op: Arithmetic,
        left: Id,
        right: Id,
    },
    Logic {
        op: Logic,
        left: Id,
        right: Id,
    },
    /// `a < b <= c`: one more operand than operators, all of which must hold.
    Compare {
        operands: Vec<Id>,
        ops: Vec<Comparison>,
    },
    /// The name stands at the start of the span.
    Call {
        function: String,
        arguments: Vec<Id>,
    },
}

/// A node and the bytes it stands on, parentheses around it left out.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

/// A whole formula; the last node is its root.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

impl Tree {
    /// Adds a node whose operands are in the tree already.
    pub(super) fn push(&mut self, kind: Kind, span: Range<usize>) -> Id {
        self.nodes.push(Node { kind, span });
        self.nodes.len() - 1
    }

    pub(super) fn span(&self, id: Id) -> Range<usize> {
        self.nodes.get(id).map_or(0..0, |node| node.span.clone())
    }
}

/// The same formula, wherever its parts stand.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.nodes.len() == other.nodes.len()
            && std::iter::zip(&self.nodes, &other.nodes).all(|(a, b)| a.kind == b.kind)
    }
}
