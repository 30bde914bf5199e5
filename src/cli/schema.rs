//! `forebay schema`: prints the JSON Schema of pipeline files.

use super::{Failure, SchemaArgs, output};
use crate::{config, engine::cuda::operators};

/// Prints the schema, the reference made from it, or that of operators.
///
/// # Errors
/// Standard output is closed.
pub fn schema(args: SchemaArgs) -> Result<(), Failure> {
    if args.operators {
        output::print(&operators::reference())
    } else if args.markdown {
        output::print(&config::reference())
    } else {
        output::print(&config::schema())
    }
}
