//! Equal to Python's `tokenizers` on hundreds of texts (`tests/data/text/make.py`), and every fault
//! as a sentence.

mod equal;
mod faults;
mod hostile;

use std::path::PathBuf;

use super::*;

pub(super) const KINDS: [&str; 5] = ["wordpiece", "minilm", "byte_bpe", "split_bpe", "unigram"];

pub(super) fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/text")
        .join(name)
}

/// A step with the tokenizer of this name, its options changed.
pub(super) fn step(name: &str, change: impl FnOnce(&mut TextOptions)) -> TextStep {
    let path = data(&format!("{name}.json"));
    let mut options = TextOptions::new(&path);
    change(&mut options);
    TextStep::load(&path, &options).expect("a tokenizer of the test data")
}

/// The ids of one text without its padding, which is on the right.
pub(super) fn ids(step: &mut TextStep, text: &str) -> Vec<i64> {
    let mut out = Tokens::default();
    step.run(text, &mut out).expect("a text that has tokens");
    assert_eq!(out.input_ids.len(), step.max_length());
    assert_eq!(out.lengths.len(), 1);
    let mut ids = out.input_ids;
    ids.truncate(out.lengths[0]);
    ids
}
