//! `forebay schema`. Stand-in.

use super::{Failure, SchemaArgs};

/// Not in this build yet.
///
/// # Errors
/// Always.
pub fn schema(_args: SchemaArgs) -> Result<(), Failure> {
    Err(Failure::failed("`forebay schema` is not in this build yet"))
}
