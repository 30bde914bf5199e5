//! Everything that tests the program from outside its rooms, in one binary.

mod architecture;
mod config;
mod config_errors;
mod engine;
mod fakes;
mod pipeline;
