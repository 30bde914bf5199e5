//! `forebay run`. Stand-in.

use super::{Failure, Globals, RunArgs};

/// Not in this build yet.
///
/// # Errors
/// Always.
pub fn run(_args: RunArgs, _globals: &Globals) -> Result<(), Failure> {
    Err(Failure::failed("`forebay run` is not in this build yet"))
}
