//! Products of matrices as cuBLASLt is asked for them: what, and on which places. Nothing here calls it.
//!
//! The library counts by columns. What lies by rows is the same memory read as its transposed, so a product
//! `D = A B` by rows is asked for as `D' = B' A'`: [`Shape::a`] is the right side of the node, and its rows are the
//! columns of the result.

use std::fmt::{self, Write as _};

use super::plan::{Launch, Place};
use crate::graph::tensor::Element;

/// What numbers are multiplied as, from the most exact to the least. Sums are in single precision in each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Math {
    /// Single precision.
    Single,
    /// Single precision in memory; ten bits of each fraction are multiplied.
    Tf32,
    /// IEEE half precision.
    Half,
    /// The upper half of single precision.
    Bfloat,
}

impl Math {
    /// The type of the numbers in memory.
    pub fn element(self) -> Element {
        match self {
            Self::Single | Self::Tf32 => Element::Float32,
            Self::Half => Element::Float16,
            Self::Bfloat => Element::Bfloat16,
        }
    }

    /// As `precision` is written in a pipeline file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "fp32",
            Self::Tf32 => "tf32",
            Self::Half => "fp16",
            Self::Bfloat => "bf16",
        }
    }
}

/// What is done to each number before it is stored, as far as the library can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tail {
    /// Nothing.
    #[default]
    None,
    /// What is below zero becomes zero.
    Relu,
    /// By tanh; the library has none by erf.
    GeluTanh,
}

/// How a matrix lies in memory, by columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Whether rows and columns change places before it is used.
    pub transposed: bool,
    /// Elements from one column to the next.
    pub leading: i64,
    /// Elements from one batch to the next; 0 where all have the same.
    pub stride: i64,
}

/// What is asked for, but for the places and the scales: what an algorithm is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Of all four matrices.
    pub math: Math,
    /// Rows of the result, by columns.
    pub rows: usize,
    /// Columns of the result.
    pub columns: usize,
    /// What is summed over.
    pub inner: usize,
    /// How many products, side by side.
    pub batches: usize,
    /// The left side, by columns: `rows` by `inner`.
    pub a: Layout,
    /// The right side: `inner` by `columns`.
    pub b: Layout,
    /// What is added, times beta.
    pub c: Option<Layout>,
    /// The result.
    pub d: Layout,
    /// Whether a number is added to each row, the same for all columns and batches.
    pub bias: bool,
    /// What follows.
    pub tail: Tail,
}

/// Where the numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operands<P> {
    /// The left side, by columns.
    pub a: P,
    /// The right side.
    pub b: P,
    /// What is added, where anything is.
    pub c: Option<P>,
    /// The result.
    pub d: P,
    /// A number for each row, where there are any.
    pub bias: Option<P>,
}

impl<P> Operands<P> {
    /// All of them, by name.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &P)> {
        let all = [
            ("a", Some(&self.a)),
            ("b", Some(&self.b)),
            ("c", self.c.as_ref()),
            ("bias", self.bias.as_ref()),
            ("d", Some(&self.d)),
        ];
        all.into_iter()
            .filter_map(|(name, place)| Some((name, place?)))
    }

    /// The same, somewhere else.
    ///
    /// # Errors
    /// The first of `moved`.
    pub fn moved<Q, E>(&self, mut moved: impl FnMut(&P) -> Result<Q, E>) -> Result<Operands<Q>, E> {
        Ok(Operands {
            a: moved(&self.a)?,
            b: moved(&self.b)?,
            c: self.c.as_ref().map(&mut moved).transpose()?,
            bias: self.bias.as_ref().map(&mut moved).transpose()?,
            d: moved(&self.d)?,
        })
    }
}

/// `D = tail(alpha * A B + beta * C + bias)`, by the library.
#[derive(Debug, Clone, PartialEq)]
pub struct Product<P = Place> {
    /// What is asked for.
    pub shape: Shape,
    /// Times the product.
    pub alpha: f32,
    /// Times what is added.
    pub beta: f32,
    /// On which numbers.
    pub operands: Operands<P>,
    /// The kernel that does the same, for where the library has no algorithm; none where there is no such kernel.
    pub instead: Option<Launch<P>>,
    /// `name (Op)` of the node that it is for, for messages.
    pub node: String,
}

/// In the order that people write it: rows by rows.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = format!(
            "{} [{}x{}] = [{}x{}][{}x{}]",
            self.math.name(),
            self.columns,
            self.rows,
            self.columns,
            self.inner,
            self.inner,
            self.rows
        );
        if self.batches > 1 {
            write!(said, " x{}", self.batches)?;
        }
        if self.bias {
            said += " +bias";
        }
        if self.c.is_some() {
            said += " +c";
        }
        said += match self.tail {
            Tail::None => "",
            Tail::Relu => " relu",
            Tail::GeluTanh => " gelu-tanh",
        };
        f.write_str(&said)
    }
}

impl Shape {
    /// Everything that the choice of an algorithm depends on but the device, the library and how the addresses are aligned, as a
    /// line of text.
    pub fn key(&self) -> String {
        let layout = |layout: Layout| {
            let turned = if layout.transposed { "T" } else { "N" };
            format!("{turned}{}+{}", layout.leading, layout.stride)
        };
        let c = self.c.map_or_else(|| "-".to_owned(), layout);
        format!(
            "{self} a={} b={} c={c} d={}",
            layout(self.a),
            layout(self.b),
            layout(self.d)
        )
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cublaslt {}", self.shape)?;
        for (name, place) in self.operands.each() {
            write!(f, " {name}={place}")?;
        }
        write!(f, "  {}", self.node)
    }
}
