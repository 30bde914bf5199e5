//! Messages from a file or from standard input: one JSON line, one message.

use std::path::PathBuf;

/// Where the lines are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    /// The file; `None` is standard input.
    pub path: Option<PathBuf>,
}
