//! Text into token ids, by a Hugging Face `tokenizer.json` and the crate that reads those.
//!
//! A row is three vectors of `max_length` numbers: the ids, a mask of 1 for tokens and 0 for
//! padding, and the type of each token (0, but for what the file's template says). The engine
//! cuts a batch to its longest row where a model gives the same for that (`engine/cpu/trim.rs`).

mod fault;
mod guess;
mod load;
mod options;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokenizers::Tokenizer;

pub use fault::{LoadFault, TextFault};
pub use options::{Padding, Side, TextOptions, Truncation};

/// Token ids of rows, as three [rows, `max_length`] tensors of i64.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The ids, with the id of the padding token where there is no text.
    pub input_ids: Vec<i64>,
    /// 1 for a token, 0 for padding.
    pub attention_mask: Vec<i64>,
    /// The type of each token; 0 for padding.
    pub token_type_ids: Vec<i64>,
    /// For each row, how many tokens it has, special ones included and padding left out.
    pub lengths: Vec<usize>,
}

impl Tokens {
    /// Forgets all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.input_ids.clear();
        self.attention_mask.clear();
        self.token_type_ids.clear();
        self.lengths.clear();
    }
}

/// Turns texts into token ids. Each thread has a copy of its own, so nothing is shared and nothing
/// waits.
#[derive(Debug, Clone)]
pub struct TextStep {
    /// Cuts by itself where the options say so; never pads.
    tokenizer: Tokenizer,
    max_length: usize,
    padding_side: Side,
    pad_id: i64,
    add_special_tokens: bool,
    /// Text after the prefix is put here, so that its memory is used again; empty without one.
    scratch: String,
    prefix: String,
    max_bytes: usize,
    vocab_size: usize,
    highest_id: u32,
    kind: &'static str,
}

impl TextStep {
    /// Appends the tokens of `text` to `out`, as one row; on a fault nothing is appended.
    pub fn run(&mut self, text: &str, out: &mut Tokens) -> Result<(), TextFault> {
        if text.len() > self.max_bytes {
            return Err(TextFault::Bytes {
                bytes: text.len(),
                limit: self.max_bytes,
            });
        }
        let text = if self.prefix.is_empty() {
            text
        } else {
            self.scratch.clear();
            self.scratch.push_str(&self.prefix);
            self.scratch.push_str(text);
            &self.scratch
        };
        let (tokenizer, special) = (&self.tokenizer, self.add_special_tokens);
        // The crate takes some broken tokenizers for impossible; a row is not worth the process.
        let encoding = catch_unwind(AssertUnwindSafe(|| tokenizer.encode_fast(text, special)))
            .map_err(|_| {
                TextFault::Tokenizer("it met a state that it holds for impossible".to_owned())
            })?
            .map_err(|error| TextFault::Tokenizer(error.to_string()))?;
        let (ids, types) = (encoding.get_ids(), encoding.get_type_ids());
        if ids.len() > self.max_length {
            return Err(TextFault::Tokens {
                tokens: ids.len(),
                limit: self.max_length,
            });
        }
        let padding = self.max_length - ids.len();
        let (before, after) = match self.padding_side {
            Side::Left => (padding, 0),
            Side::Right => (0, padding),
        };
        let ids = ids.iter().map(|id| i64::from(*id));
        let ones = ids.len();
        fill(&mut out.input_ids, self.pad_id, before, ids, after);
        fill(
            &mut out.attention_mask,
            0,
            before,
            (0..ones).map(|_| 1),
            after,
        );
        let types = types.iter().map(|kind| i64::from(*kind));
        fill(&mut out.token_type_ids, 0, before, types, after);
        out.lengths.push(ones);
        Ok(())
    }

    /// Elements of one row in each of the three tensors.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The side of a row where the padding is: a batch is trimmed from there.
    pub fn padding_side(&self) -> Side {
        self.padding_side
    }

    /// The id that rows are filled up with.
    pub fn pad_id(&self) -> i64 {
        self.pad_id
    }

    /// How many tokens the tokenizer knows, special and added ones included.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The highest id that a row can have. A model with `highest_id` or fewer rows in its table of
    /// embeddings was not trained with this tokenizer.
    pub fn highest_id(&self) -> u32 {
        self.highest_id
    }

    /// How the tokenizer makes tokens, for a person: `WordPiece`, `BPE`, `Unigram` or `WordLevel`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

fn fill(
    into: &mut Vec<i64>,
    padding: i64,
    before: usize,
    values: impl Iterator<Item = i64>,
    after: usize,
) {
    into.extend(std::iter::repeat_n(padding, before));
    into.extend(values);
    into.extend(std::iter::repeat_n(padding, after));
}

#[cfg(test)]
mod tests;
