//! Rows walk through trees: sixteen rows through one tree at a time, or, of the rows that are left over, each through
//! sixteen trees.
//!
//! Every row meets the trees in their order, so sums are those of a plain loop.

use super::forest::{
    Chunk, Comparison, EQUAL, Forest, GREATER, LANES, LESS, NODES, Node, Tree, UNORDERED,
};

/// What a node can point to: every `u16` and its lane is inside.
pub(super) const COLUMNS: usize = NODES + LANES;
/// Groups of rows that go through a block of trees before the next block.
const GROUPS: usize = 16;

type Nodes = [Node; NODES];
type Columns = [f32; COLUMNS];

/// What is done with the leaves that rows came to: their weights, or their numbers.
pub(super) trait Sink {
    /// Of one tree, for as many rows as there are lanes, from `first` on.
    fn rows(&mut self, first: usize, leaves: &[f32; LANES]);

    /// Of several trees in their order, for one row.
    fn row(&mut self, row: usize, leaves: &[f32]);
}

/// Whether a row goes on to a branch's `next`.
trait Test: Copy {
    fn holds(self, value: f32, threshold: f32, at: u16) -> bool;
}

macro_rules! plain {
    ($($name:ident $compare:tt;)+) => {$(
        #[derive(Clone, Copy)]
        struct $name;

        impl Test for $name {
            #[inline(always)]
            fn holds(self, value: f32, threshold: f32, _: u16) -> bool {
                value $compare threshold
            }
        }
    )+};
}

plain! {
    AtMost <=;
    Less <;
    AtLeast >=;
    Greater >;
}

/// Any comparison, and numbers that are missing: by the outcomes that each node has for it.
#[derive(Clone, Copy)]
struct Any<'a>(&'a [u8; NODES]);

impl Test for Any<'_> {
    #[expect(clippy::inline_always, reason = "it is a part of a loop")]
    #[expect(clippy::float_cmp, reason = "that is what trees may ask")]
    #[inline(always)]
    fn holds(self, value: f32, threshold: f32, at: u16) -> bool {
        let ordered = u8::from(value < threshold) * LESS
            + u8::from(value == threshold) * EQUAL
            + u8::from(value > threshold) * GREATER;
        let outcome = ordered | (u8::from(ordered == 0) * UNORDERED);
        self.0[usize::from(at)] & outcome != 0
    }
}

/// One step of all lanes; what changed about their places is not 0 where any moved. Lanes are rows, or (`ROWS` is false)
/// trees of the row in `lane`.
#[expect(clippy::inline_always, reason = "it is the body of a loop")]
#[inline(always)]
fn step<T: Test, const ROWS: bool>(
    nodes: &Nodes,
    columns: &Columns,
    at: &mut [u16; LANES],
    lane: usize,
    test: T,
) -> u16 {
    let mut moved = 0;
    for (own, at) in at.iter_mut().enumerate() {
        let node = nodes[usize::from(*at)];
        let lane = if ROWS { own } else { lane % LANES };
        let value = columns[usize::from(node.column) + lane];
        let holds = test.holds(value, node.threshold, *at);
        let next = node.next.wrapping_add(u16::from(!holds));
        moved |= next ^ *at;
        *at = next;
    }
    moved
}

/// Takes all lanes to their leaves, the nearest of which is `shallow` steps away and the farthest `deep`.
#[expect(clippy::inline_always, reason = "it is the body of a loop")]
#[inline(always)]
fn walk<T: Test, const ROWS: bool>(
    nodes: &Nodes,
    columns: &Columns,
    mut at: [u16; LANES],
    (shallow, deep): (u16, u16),
    (lane, test): (usize, T),
) -> [f32; LANES] {
    for _ in 0..shallow {
        step::<T, ROWS>(nodes, columns, &mut at, lane, test);
    }
    // A step of a row that is at its leaf leads nowhere: one too many is cheaper than to look each time.
    for _ in 0..(deep - shallow).div_ceil(2) {
        step::<T, ROWS>(nodes, columns, &mut at, lane, test);
        if step::<T, ROWS>(nodes, columns, &mut at, lane, test) == 0 {
            break;
        }
    }
    at.map(|at| nodes[usize::from(at)].threshold)
}

/// Rows in columns, and where they begin.
struct Filled<'a> {
    columns: &'a [f32],
    /// Between the columns of two groups.
    stride: usize,
    rows: usize,
}

impl Filled<'_> {
    fn group(&self, group: usize) -> Option<&Columns> {
        let from = group * self.stride;
        self.columns.get(from..from + COLUMNS)?.try_into().ok()
    }
}

fn pass<'a, T: Test, S: Sink>(
    chunks: &'a [Chunk],
    filled: &Filled<'_>,
    test_of: impl Fn(&'a Chunk) -> T,
    sink: &mut S,
) -> Option<()> {
    let full = filled.rows / LANES;
    for chunk in chunks {
        let (nodes, test) = (&*chunk.nodes, test_of(chunk));
        for block in &chunk.blocks {
            let trees = chunk.trees.get(block.clone())?;
            for group in 0..full {
                let columns = filled.group(group)?;
                for tree in trees {
                    let steps = (tree.shallow, tree.deep);
                    let at = [tree.root; LANES];
                    let leaves = walk::<T, true>(nodes, columns, at, steps, (0, test));
                    sink.rows(group * LANES, &leaves);
                }
            }
        }
        for row in full * LANES..filled.rows {
            let columns = filled.group(full)?;
            for trees in chunk.trees.chunks(LANES) {
                let (at, steps) = roots(trees);
                let leaves = walk::<T, false>(nodes, columns, at, steps, (row % LANES, test));
                sink.row(row, leaves.get(..trees.len())?);
            }
        }
    }
    Some(())
}

/// The roots of up to as many trees as there are lanes, and the steps to their nearest and farthest leaf. Lanes without a
/// tree rest at the leaf of no tree.
fn roots(trees: &[Tree]) -> ([u16; LANES], (u16, u16)) {
    let mut at = [0; LANES];
    let (mut shallow, mut deep) = (u16::MAX, 0);
    for (at, tree) in at.iter_mut().zip(trees) {
        *at = tree.root;
        shallow = shallow.min(tree.shallow);
        deep = deep.max(tree.deep);
    }
    (at, (shallow.min(deep), deep))
}

/// Memory for the columns of some rows.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<f32>,
    stride: usize,
}

impl Table {
    /// The most rows at once.
    pub(super) const ROWS: usize = GROUPS * LANES;

    /// For a forest. What is never filled stays untouched memory.
    pub(super) fn new(forest: &Forest) -> Self {
        let stride = (forest.features.len() + 1) * LANES;
        let mut columns = vec![0.0; GROUPS * stride + COLUMNS];
        if forest.resting != 0.0 {
            for group in columns.chunks_mut(stride).take(GROUPS) {
                group
                    .iter_mut()
                    .take(LANES)
                    .for_each(|it| *it = forest.resting);
            }
        }
        Self { columns, stride }
    }

    /// Walks up to [`Self::ROWS`] rows, `width` numbers of `x` each, through all trees. `None` where there are more, or
    /// their numbers are not there.
    pub(super) fn walk<S: Sink>(
        &mut self,
        forest: &Forest,
        (x, width): (&[f32], usize),
        rows: usize,
        sink: &mut S,
    ) -> Option<()> {
        let missing = self.fill(forest, (x, width), rows)?;
        let filled = Filled {
            columns: &self.columns,
            stride: self.stride,
            rows,
        };
        let chunks = forest.chunks.as_slice();
        match forest.comparison {
            Some(comparison) if !(missing && forest.missing) => match comparison {
                Comparison::AtMost => pass(chunks, &filled, |_| AtMost, sink),
                Comparison::Less => pass(chunks, &filled, |_| Less, sink),
                Comparison::AtLeast => pass(chunks, &filled, |_| AtLeast, sink),
                Comparison::Greater => pass(chunks, &filled, |_| Greater, sink),
            },
            _ => pass(chunks, &filled, |chunk| Any(&chunk.tests), sink),
        }
    }

    /// Puts rows into columns; whether a number that is compared is missing.
    fn fill(&mut self, forest: &Forest, (x, width): (&[f32], usize), rows: usize) -> Option<bool> {
        let mut missing = false;
        for row in 0..rows {
            let from = row / LANES * self.stride + row % LANES;
            let columns = self.columns.get_mut(from..)?;
            let numbers = x.get(row * width..(row + 1) * width)?;
            for (at, feature) in forest.features.iter().enumerate() {
                let value = *numbers.get(*feature)?;
                missing |= value.is_nan();
                *columns.get_mut((at + 1) * LANES)? = value;
            }
        }
        (rows <= Self::ROWS).then_some(missing)
    }
}
