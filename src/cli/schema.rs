//! `forebay schema`: the JSON Schema of pipeline files.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use crate::config;

/// Writes the schema to standard output.
pub fn schema() -> ExitCode {
    match io::stdout().write_all(config::schema().as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
