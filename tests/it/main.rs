//! Everything that tests the program from outside its rooms, in one binary.

mod architecture;
mod cli;
mod cli_demo;
mod cli_traffic;
mod config;
mod config_errors;
mod engine;
mod engine_bad;
mod engine_onnx;
mod engine_speed;
mod fakes;
mod file_lines;
mod nats_core;
mod pipeline;
mod support;
