//! Everything that tests the program from outside its rooms, in one binary.

mod architecture;
mod cli;
mod fakes;
mod pipeline;
