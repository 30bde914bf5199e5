//! What a value at the front is made of, and what operations make of it.

use std::collections::HashMap;

use crate::contract::Dtype;

/// A tensor that columns become: `[rows, shape...]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// `f32` or `i64`.
    pub dtype: Dtype,
    /// Shape of one row.
    pub shape: Vec<usize>,
    /// Left to right; together they have the elements of a row.
    pub parts: Vec<Part>,
}

/// Elements that stand side by side in a row, out of one input of the whole graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The place of the input.
    pub input: usize,
    /// How many elements of a row they are.
    pub width: usize,
    /// What becomes of the input's row.
    pub what: What,
}

/// What becomes of an input's row.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Its elements as numbers, after these operations.
    Numbers(Vec<Op>),
    /// For each of its elements, a row of a table.
    Lookup {
        /// Where an element has its place; all others have the one behind.
        keys: Keys,
        /// One row more than there are keys.
        table: Table,
    },
}

/// An operation on each element `x` and a number `c`.
#[derive(Debug, Clone, PartialEq)]
pub struct Op {
    /// Which.
    pub operator: Operator,
    /// One number for all elements of the part, or one for each.
    pub numbers: Vec<f32>,
}

/// What is done, in `f32`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operator {
    /// `x + c`
    Add,
    /// `x - c`
    Sub,
    /// `c - x`
    SubFrom,
    /// `x * c`
    Mul,
    /// `x / c`
    Div,
    /// The greater; NaN stays. Of two zeros either may be left, as in the runtime.
    Max,
    /// The lesser; NaN stays. Of two zeros either may be left, as in the runtime.
    Min,
    /// `c` in the place of this number, or of NaN where it is NaN.
    Fill(f32),
    /// 1 for NaN, and 0 for others; there is no `c`.
    IsNan,
}

impl Operator {
    /// The result for one element.
    #[inline]
    pub fn of(self, x: f32, c: f32) -> f32 {
        match self {
            Self::Add => x + c,
            Self::Sub => x - c,
            Self::SubFrom => c - x,
            Self::Mul => x * c,
            Self::Div => x / c,
            // `f32::max` would drop NaN.
            Self::Max => {
                if x < c {
                    c
                } else {
                    x
                }
            }
            Self::Min => {
                if x > c {
                    c
                } else {
                    x
                }
            }
            Self::Fill(missing) if missing.is_nan() => {
                if x.is_nan() {
                    c
                } else {
                    x
                }
            }
            #[expect(clippy::float_cmp, reason = "the operator compares so")]
            Self::Fill(missing) => {
                if x == missing {
                    c
                } else {
                    x
                }
            }
            Self::IsNan => f32::from(u8::from(x.is_nan())),
        }
    }
}

/// What is looked up.
#[derive(Debug, Clone, PartialEq)]
pub enum Keys {
    /// Texts.
    Texts(Vec<String>),
    /// Whole numbers.
    Whole(Vec<i64>),
}

impl Keys {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Texts(keys) => keys.len(),
            Self::Whole(keys) => keys.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Rows of equal width, one after another.
#[derive(Debug, Clone, PartialEq)]
pub enum Table {
    /// Floats.
    F32(Vec<f32>),
    /// Whole numbers.
    I64(Vec<i64>),
}

impl Part {
    /// Elements that each element of the input becomes.
    pub fn spread(&self) -> usize {
        match &self.what {
            What::Numbers(_) => 1,
            What::Lookup { keys, table } => table.len() / (keys.len() + 1),
        }
    }

    /// Whether it is an input as it comes.
    pub(super) fn is_raw(&self) -> bool {
        matches!(&self.what, What::Numbers(ops) if ops.is_empty())
    }

    /// After an operation with one number, or with one for each element; `None` where its rows cannot hold that.
    pub(super) fn with(mut self, operator: Operator, numbers: &[f32]) -> Option<Self> {
        let shared = self.width != self.spread();
        match &mut self.what {
            What::Numbers(ops) => ops.push(Op {
                operator,
                numbers: numbers.to_vec(),
            }),
            What::Lookup {
                table: Table::F32(rows),
                ..
            } => {
                // Several elements that share the table must share the numbers too.
                if shared && numbers.len() > 1 {
                    return None;
                }
                for (x, c) in rows.iter_mut().zip(numbers.iter().cycle()) {
                    *x = operator.of(*x, *c);
                }
            }
            What::Lookup { .. } => return None,
        }
        Some(self)
    }

    /// Whole numbers as `f32`.
    pub(super) fn into_floats(mut self) -> Self {
        if let What::Lookup { table, .. } = &mut self.what
            && let Table::I64(rows) = table
        {
            #[expect(clippy::cast_precision_loss, reason = "as the operator does")]
            let floats = rows.iter().map(|number| *number as f32).collect();
            *table = Table::F32(floats);
        }
        self
    }

    /// Each element looked up: the row of its key, or the last. `None` where that cannot be told beforehand.
    pub(super) fn looked_up(mut self, keys: &Keys, rows: &Table) -> Option<Self> {
        let spread = rows.len() / (keys.len() + 1);
        if spread == 0 || !rows.len().is_multiple_of(keys.len() + 1) {
            return None;
        }
        self.what = match (self.what, keys) {
            (What::Numbers(ops), keys) if ops.is_empty() => What::Lookup {
                keys: keys.clone(),
                table: rows.clone(),
            },
            (
                What::Lookup {
                    keys: own,
                    table: Table::I64(codes),
                },
                Keys::Whole(known),
            ) if codes.len() == own.len() + 1 => {
                let place: HashMap<&i64, usize> = known.iter().zip(0..).collect();
                let other = known.len();
                let places = (codes.iter()).map(|code| place.get(code).copied().unwrap_or(other));
                What::Lookup {
                    keys: own,
                    table: rows.picked(places, spread)?,
                }
            }
            _ => return None,
        };
        self.width *= spread;
        Some(self)
    }
}

impl Table {
    /// Elements of all rows.
    fn len(&self) -> usize {
        match self {
            Self::F32(rows) => rows.len(),
            Self::I64(rows) => rows.len(),
        }
    }

    /// The rows at these places.
    fn picked(&self, places: impl Iterator<Item = usize>, width: usize) -> Option<Self> {
        fn rows<T: Copy>(
            all: &[T],
            places: impl Iterator<Item = usize>,
            width: usize,
        ) -> Option<Vec<T>> {
            let mut picked = Vec::new();
            for place in places {
                picked.extend_from_slice(all.get(place * width..(place + 1) * width)?);
            }
            Some(picked)
        }
        Some(match self {
            Self::F32(all) => Self::F32(rows(all, places, width)?),
            Self::I64(all) => Self::I64(rows(all, places, width)?),
        })
    }
}
