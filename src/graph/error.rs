//! What can be wrong with a graph.

/// What is wrong with a graph, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}{}", if .help.is_some() { "; " } else { "" }, .help.as_deref().unwrap_or_default())]
pub struct GraphError {
    /// What is wrong, and where.
    pub what: String,
    /// What to do.
    pub help: Option<String>,
}

impl GraphError {
    /// An error without advice.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: None,
        }
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// About this file.
    #[must_use]
    pub(super) fn about(mut self, path: &std::path::Path) -> Self {
        self.what = format!("model {}: {}", path.display(), self.what);
        self
    }
}
