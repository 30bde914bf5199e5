//! Tests against the real parts: one binary, a module for each room.

mod engine;
mod engine_bad;
mod engine_library;
mod engine_made;
mod engine_new;
mod engine_onnx;
mod engine_speed;
