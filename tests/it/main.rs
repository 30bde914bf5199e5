//! Everything that tests the program from outside its rooms, in one binary.

mod architecture;
mod config;
mod config_errors;
mod config_files;
mod config_text;
mod engine;
mod fakes;
mod pipeline;
