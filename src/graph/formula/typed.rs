//! A checked formula: every node has a type, a shape and a measure.

use super::ast::{Arithmetic, Comparison, Logic};
use crate::{contract::Dtype, units::Unit};

/// The type of a node while a formula is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ty {
    Bool,
    Text,
    /// Made of literals alone, all of them whole: takes the type of what it meets.
    LiteralInt,
    /// Made of literals alone: takes the float type of what it meets.
    LiteralFloat,
    /// i64; the other whole types are read as it.
    Int,
    F32,
    F64,
}

impl Ty {
    /// How a column of this type is read.
    pub(super) fn of(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::F64 => Self::F64,
            Dtype::I32 | Dtype::I64 | Dtype::U8 => Self::Int,
            Dtype::Bool => Self::Bool,
            // The check lets no bytes in.
            Dtype::String | Dtype::Bytes => Self::Text,
        }
    }

    pub(super) fn dtype(self) -> Dtype {
        match self {
            Self::Bool => Dtype::Bool,
            Self::Text => Dtype::String,
            Self::LiteralInt | Self::Int => Dtype::I64,
            Self::LiteralFloat | Self::F32 => Dtype::F32,
            Self::F64 => Dtype::F64,
        }
    }

    pub(super) fn is_number(self) -> bool {
        !matches!(self, Self::Bool | Self::Text)
    }

    pub(super) fn is_literal(self) -> bool {
        matches!(self, Self::LiteralInt | Self::LiteralFloat)
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::LiteralFloat | Self::F32 | Self::F64)
    }

    /// The type that two numbers have in common.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::F64, _) | (_, Self::F64) => Self::F64,
            (Self::LiteralInt, other) | (other, Self::LiteralInt) => other,
            // A whole number beside a float, a literal one too, becomes the smaller float.
            _ => Self::F32,
        }
    }

    /// The type that two numbers are compared in. Nobody sees it, so a whole number and a float
    /// meet in the type that has room for both.
    pub(super) fn join_to_compare(self, other: Self) -> Self {
        match (self, other) {
            (Self::Int, other) | (other, Self::Int) if other.is_float() => Self::F64,
            (Self::LiteralFloat, other) | (other, Self::LiteralFloat) if other.is_literal() => {
                Self::F64
            }
            _ => self.join(other),
        }
    }

    /// The type of a float function of it.
    pub(super) fn to_float(self) -> Self {
        match self {
            Self::Int => Self::F32,
            Self::LiteralInt => Self::LiteralFloat,
            other => other,
        }
    }

    /// The type of a result.
    pub(super) fn settled(self) -> Self {
        match self {
            Self::LiteralInt => Self::Int,
            Self::LiteralFloat => Self::F32,
            other => other,
        }
    }
}

/// What a number measures, as far as anyone has said.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Measure {
    /// Made of literals alone: takes the unit of what it meets.
    Plain,
    /// Made of a column without a unit: this one.
    Bare(String),
    /// In this unit; a `difference` of two values whose unit has an offset is marked.
    Of { unit: Box<Unit>, difference: bool },
}

impl Measure {
    pub(super) fn of(unit: Unit) -> Self {
        Self::Of {
            unit: Box::new(unit),
            difference: false,
        }
    }

    /// Whether it is a difference of two places on a scale.
    pub(super) fn is_difference(&self) -> bool {
        matches!(
            self,
            Self::Of {
                difference: true,
                ..
            }
        )
    }

    /// Whether it is a place on a scale, and not an amount.
    pub(super) fn is_place(&self) -> bool {
        matches!(self, Self::Of { unit, difference: false } if !unit.is_linear())
    }
}

/// A function of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Function {
    If,
    Min,
    Max,
    Clip,
    Coalesce,
    IsNan,
    Abs,
    Sign,
    Floor,
    Ceil,
    Round,
    Sqrt,
    Exp,
    Expm1,
    Log,
    Log2,
    Log10,
    Log1p,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Pow,
    F32,
    F64,
    Number,
    Unit,
}

/// What a node does with its inputs. Inputs of a number operation have the node's type, but for
/// the condition of an `if`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Op {
    /// A column, by its place in the list of those that are used.
    Column(usize),
    /// One element of a column, counted over the whole row.
    Element {
        column: usize,
        index: usize,
    },
    /// The factor of a row's text in this column.
    LookUp {
        column: usize,
        factors: Vec<(String, f64)>,
    },
    Integer(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    /// The input in the node's type.
    Cast,
    /// `factor * x + offset`: another unit.
    Scale {
        factor: f64,
        offset: f64,
    },
    Negate,
    Not,
    Arithmetic(Arithmetic),
    Logic(Logic),
    /// Both inputs have one type.
    Compare(Comparison),
    Function(Function),
}

/// A node of a checked formula.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Typed {
    pub(super) op: Op,
    /// Nodes before this one.
    pub(super) inputs: Vec<usize>,
    pub(super) ty: Ty,
    /// Shape of one row; of a constant, none.
    pub(super) shape: Vec<usize>,
    pub(super) measure: Measure,
}
