//! `forebay check`. Stand-in.

use super::{CheckArgs, Failure, Globals};

/// Not in this build yet.
///
/// # Errors
/// Always.
pub fn check(_args: CheckArgs, _globals: &Globals) -> Result<(), Failure> {
    Err(Failure::failed("`forebay check` is not in this build yet"))
}
