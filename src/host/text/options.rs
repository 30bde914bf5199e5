//! What a pipeline file says about a text step.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes of a text where `max_bytes` is left out.
pub(super) const MAX_BYTES: usize = 128 << 10;
/// Tokens of a row where neither the options nor the file says.
pub(super) const MAX_LENGTH: usize = 512;

/// Turns text into the token ids that a model was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextOptions {
    /// The `tokenizer.json` of Hugging Face's tokenizers that the model was trained with, relative
    /// to this file.
    pub tokenizer: PathBuf,
    /// Tokens in each row, special ones included; what the `tokenizer.json` says under
    /// `truncation` where left out, 512 where it says nothing.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub max_length: Option<usize>,
    /// What becomes of a text with more tokens than `max_length`; where left out, it is cut at the
    /// side that the `tokenizer.json` names, on the right where it names none.
    pub truncation: Option<Truncation>,
    /// How far a row is filled up behind its text.
    #[serde(default)]
    pub padding: Padding,
    /// The side that is filled up; where left out, the one that the `tokenizer.json` names, the
    /// right where it names none.
    pub padding_side: Option<Side>,
    /// The token that fills a row up; what the `tokenizer.json` says under `padding` where left
    /// out, else `[PAD]` or `<pad>`, whichever of them it has.
    pub pad_token: Option<String>,
    /// Put the special tokens (`[CLS]`, `[SEP]`, `<s>`, …) around the text that the
    /// `tokenizer.json` asks for.
    #[serde(default = "yes")]
    pub add_special_tokens: bool,
    /// Stands before every text: `"query: "` for models that were trained so.
    #[serde(default)]
    pub prefix: String,
    /// A longer text (in bytes of UTF-8, without the prefix) is rejected before any work is done
    /// on it.
    #[serde(default = "max_bytes")]
    #[schemars(range(min = 1))]
    pub max_bytes: usize,
}

impl TextOptions {
    /// Everything but the file left out.
    pub fn new(tokenizer: impl Into<PathBuf>) -> Self {
        Self {
            tokenizer: tokenizer.into(),
            max_length: None,
            truncation: None,
            padding: Padding::default(),
            padding_side: None,
            pad_token: None,
            add_special_tokens: yes(),
            prefix: String::new(),
            max_bytes: max_bytes(),
        }
    }
}

/// What becomes of a text with too many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Truncation {
    /// Its end is cut off.
    Right,
    /// Its beginning is cut off.
    Left,
    /// It is rejected.
    Reject,
}

/// How far rows are filled up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// To `max_length`. A model that gives the same for shorter rows (its attention mask leaves padding out, and no output has a
    /// row for each token) is fed only as much of a batch as its longest text needs, rounded up to 8, 12, 16, 24, 32, 48, ...
    #[default]
    MaxLength,
}

/// A side of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Before the text.
    Left,
    /// After the text.
    Right,
}

fn yes() -> bool {
    true
}

fn max_bytes() -> usize {
    MAX_BYTES
}
