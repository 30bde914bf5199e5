//! The pipeline file: what may be written (`raw`), what it means (`plan`), and what is wrong with it
//! (`report`).

pub mod plan;
