//! Operators, a file for each family.

pub(super) mod attention;
pub(super) mod bits;
pub(super) mod boxes;
pub(super) mod classifiers;
pub(super) mod conv;
pub(super) mod elementwise;
pub(super) mod features;
pub(super) mod gather;
pub(super) mod gemm;
pub(super) mod joins;
pub(super) mod labels;
pub(super) mod matmul;
pub(super) mod norm;
pub(super) mod pool;
pub(super) mod reduce;
pub(super) mod resize;
pub(super) mod rnn;
pub(super) mod shape;
pub(super) mod softmax;
pub(super) mod tree_tables;
pub(super) mod trees;
pub(super) mod views;

use super::{Lowered, Missing, call, emit, fuse, texts, value};
