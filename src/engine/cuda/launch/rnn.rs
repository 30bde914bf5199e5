//! `lstm_cell_f32`, `gru_cell_f32`: one time step, after the products.

use super::{Params, Spot, TooLarge};
use crate::engine::cuda::plan::Launch;

/// What both cells have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) x_gates: Spot,
    pub(crate) h_gates: Spot,
    /// How many steps each row has.
    pub(crate) lengths: Option<Spot>,
    /// Rewritten in place.
    pub(crate) h: Spot,
    pub(crate) y: Option<Spot>,
    pub(crate) batch: usize,
    pub(crate) hidden: usize,
    pub(crate) time: usize,
    /// Elements between rows of `x_gates` and of `y`.
    pub(crate) x_row: usize,
    pub(crate) y_row: usize,
}

/// A step of an LSTM; `c` is rewritten in place.
pub(crate) fn lstm(cell: Cell, peephole: Option<Spot>, c: Spot) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(cell.x_gates)
        .at(cell.h_gates)
        .address(peephole)
        .address(cell.lengths)
        .at(cell.h)
        .at(c)
        .address(cell.y)
        .small(cell.batch)
        .small(cell.hidden)
        .small(cell.time)
        .int(0)
        .count(cell.x_row)
        .count(cell.y_row)
        .over("lstm_cell_f32", cell.batch * cell.hidden)
}

/// A part of a step of a GRU; see `kernels/args.cuh` for `kind`.
pub(crate) fn gru(
    cell: Cell,
    [rb, rh]: [Option<Spot>; 2],
    linear_before_reset: bool,
    kind: i32,
) -> Result<Launch<Spot>, TooLarge> {
    Params::default()
        .at(cell.x_gates)
        .at(cell.h_gates)
        .address(rb)
        .address(cell.lengths)
        .at(cell.h)
        .address(rh)
        .address(cell.y)
        .small(cell.batch)
        .small(cell.hidden)
        .small(cell.time)
        .int(linear_before_reset.into())
        .int(kind)
        .int(0)
        .count(cell.x_row)
        .count(cell.y_row)
        .over("gru_cell_f32", cell.batch * cell.hidden)
}
