//! A text as a place among a fixed number of places, for fields with more values than can be listed.
//!
//! The hash is MurmurHash3 for 32 bits with seed 0 over the text's UTF-8 (Austin Appleby's `MurmurHash3_x86_32`, in the public
//! domain), read as a signed number; the place is what is left of its absolute value after division by the number of
//! places. That is scikit-learn's `FeatureHasher`, whose vectors these are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Places, at most: rows are vectors of so many numbers.
const PLACES_MAX: usize = 1 << 16;

/// What a text becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A vector with one number that is not 0.
    Vector,
    /// The number of the place.
    Place,
}

/// Hashes a text to one of a fixed number of places. scikit-learn's `FeatureHasher(n_features=PLACES, input_type="string")`
/// gives the same vectors for `[[text]]`, and for `{name: text}` where `prefix` is the name and `=`. Different texts may meet in
/// a place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HashOptions {
    /// How many places, 1 to 65536.
    #[schemars(range(min = 1, max = 65536))]
    pub places: usize,
    /// Is put before the text, so that the same text in two fields has two places: `"city="`.
    #[serde(default)]
    pub prefix: String,
    /// `vector` is as many `f32` as there are places, 0 but for one; `place` is that one's number as `i64`, from 0, for
    /// a model with embeddings. `vector` where left out.
    pub form: Option<Form>,
    /// For `vector`: the number is -1 where the hash is negative, so that texts that meet in a place cancel out on average;
    /// `false` makes it 1 always (`alternate_sign`). `true` where left out.
    pub signed: Option<bool>,
}

/// Why a hash step cannot be made. The operator must mend it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OptionFault {
    /// None, or too many.
    #[error("places is {0}; it must be from 1 to {PLACES_MAX}")]
    Places(usize),
    /// A sign without a vector.
    #[error("signed is only for `form: vector`; leave it out beside `form: place`")]
    Signed,
}

/// Hashes texts.
#[derive(Debug, Clone)]
pub struct HashStep {
    options: HashOptions,
    /// The prefix, with the text behind it while it is hashed.
    text: Vec<u8>,
}

impl HashStep {
    /// A step that does what the options say.
    ///
    /// # Errors
    /// The options contradict each other.
    pub fn new(options: HashOptions) -> Result<Self, OptionFault> {
        if !(1..=PLACES_MAX).contains(&options.places) {
            return Err(OptionFault::Places(options.places));
        }
        if options.signed.is_some() && options.form == Some(Form::Place) {
            return Err(OptionFault::Signed);
        }
        Ok(Self {
            options,
            text: Vec::new(),
        })
    }

    /// How many places there are.
    pub fn places(&self) -> usize {
        self.options.places
    }

    /// What a text becomes.
    pub fn form(&self) -> Form {
        self.options.form.unwrap_or(Form::Vector)
    }

    /// The place of a text, and the number that stands there: 1 or -1.
    pub fn run(&mut self, text: &str) -> (usize, f32) {
        self.text.clear();
        self.text.extend_from_slice(self.options.prefix.as_bytes());
        self.text.extend_from_slice(text.as_bytes());
        let hash = murmur3(&self.text).cast_signed();
        let places = self.options.places;
        let place = match hash.checked_abs() {
            Some(hash) => hash.unsigned_abs() as usize % places,
            // The one number without an absolute value, by scikit-learn's way around it.
            None => (i32::MAX.unsigned_abs() as usize - (places - 1)) % places,
        };
        let negative = hash < 0 && self.options.signed.unwrap_or(true);
        (place, if negative { -1.0 } else { 1.0 })
    }
}

/// MurmurHash3 for 32 bits with seed 0.
fn murmur3(bytes: &[u8]) -> u32 {
    let mix = |word: u32| {
        word.wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593)
    };
    let (words, rest) = bytes.as_chunks();
    let mut hash = words.iter().fold(0u32, |hash, word| {
        let hash = (hash ^ mix(u32::from_le_bytes(*word))).rotate_left(13);
        hash.wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    let rest = (rest.iter().rev()).fold(0, |word, byte| word << 8 | u32::from(*byte));
    hash ^= mix(rest);
    // The algorithm counts modulo 2^32.
    #[expect(clippy::cast_possible_truncation, reason = "as the algorithm has it")]
    let len = bytes.len() as u32;
    hash ^= len;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests;
