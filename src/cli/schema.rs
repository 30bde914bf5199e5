//! `forebay schema`: prints the JSON Schema of pipeline files.

use super::{Failure, SchemaArgs, output};
use crate::config;

/// Prints the schema, or the reference made from it.
///
/// # Errors
/// Standard output is closed.
pub fn schema(args: SchemaArgs) -> Result<(), Failure> {
    if args.markdown {
        output::print(&config::reference())
    } else {
        output::print(&config::schema())
    }
}
