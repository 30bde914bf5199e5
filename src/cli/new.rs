//! `forebay new`. Stand-in.

use super::{Failure, Globals, NewArgs};

/// Not in this build yet.
///
/// # Errors
/// Always.
pub fn new(_args: NewArgs, _globals: &Globals) -> Result<(), Failure> {
    Err(Failure::failed("`forebay new` is not in this build yet"))
}
