//! What can be wrong with a tokenizer or with a text.

use std::path::PathBuf;

/// Why a text step cannot be made; found before the first message is taken. The operator must mend
/// it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("tokenizer {}: {why}", path.display())]
pub struct LoadFault {
    /// The file that the options name.
    pub path: PathBuf,
    /// What is wrong, and what to do.
    pub why: String,
}

/// Why a text has no tokens. The sender must mend it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TextFault {
    /// More bytes than `max_bytes`.
    #[error("the text has {bytes} bytes, more than the {limit} allowed; send a shorter one")]
    Bytes {
        /// Bytes of the text.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// More tokens than `max_length`, and the options say to reject those.
    #[error("the text has {tokens} tokens, more than the {limit} allowed; send a shorter one")]
    Tokens {
        /// Tokens of the text, special ones included.
        tokens: usize,
        /// Tokens allowed.
        limit: usize,
    },
    /// The tokenizer itself refuses the text.
    #[error("the tokenizer cannot split the text: {0}")]
    Tokenizer(String),
}

impl TextFault {
    /// The fixed word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bytes { .. } | Self::Tokens { .. } => "length",
            Self::Tokenizer(_) => "value",
        }
    }
}
