//! Steps that run on the host, before the graph: bytes become the numbers that a model takes.

pub mod image;
