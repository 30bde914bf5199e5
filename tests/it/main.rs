//! Everything that tests the program from outside its rooms, in one binary.

mod architecture;
mod cli;
mod cli_traffic;
mod fakes;
mod pipeline;
