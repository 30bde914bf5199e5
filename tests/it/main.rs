//! Tests against the real parts: one binary, a module for each room.

mod engine;
