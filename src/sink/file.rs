//! Results to a file or to standard output, one line each.

use std::path::PathBuf;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTarget {
    /// The file, appended to; `None` is standard output.
    pub path: Option<PathBuf>,
}
