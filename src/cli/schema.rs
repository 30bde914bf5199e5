//! `forebay schema`: prints the JSON Schema of pipeline files.

use super::{Failure, SchemaArgs, output};
use crate::config;

/// Prints the schema.
///
/// # Errors
/// Standard output is closed.
pub fn schema(_args: SchemaArgs) -> Result<(), Failure> {
    output::print(&config::schema())
}
