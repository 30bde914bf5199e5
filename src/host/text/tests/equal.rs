//! The same ids as Python's `tokenizers`.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Texts {
    #[serde(rename = "texts")]
    plain: Vec<String>,
    long: Vec<(String, usize)>,
    max_length: usize,
}

impl Texts {
    fn read() -> Self {
        serde_json::from_slice(&std::fs::read(data("texts.json")).expect("readable")).expect("JSON")
    }

    fn all(&self) -> Vec<String> {
        let long = self.long.iter().map(|(text, times)| text.repeat(*times));
        self.plain.iter().cloned().chain(long).collect()
    }
}

/// What Python says: the long lists are hashes of ids.
#[derive(Deserialize)]
struct Expected {
    pad_token: String,
    pad_id: i64,
    vocab_size: usize,
    highest_id: u32,
    whole: Vec<(usize, String)>,
    prefixed: Vec<String>,
    right: Vec<String>,
    left: Vec<String>,
    no_special: Vec<String>,
    padded_right: Vec<[Vec<i64>; 3]>,
    padded_left: Vec<[Vec<i64>; 3]>,
}

impl Expected {
    fn read(name: &str) -> Self {
        let file = data(&format!("{name}.expected.json"));
        serde_json::from_slice(&std::fs::read(file).expect("readable")).expect("JSON")
    }
}

/// FNV-1a, 64 bits, over the ids as little-endian 32-bit numbers.
fn fingerprint(ids: &[i64]) -> String {
    let bytes = ids
        .iter()
        .flat_map(|id| u32::try_from(*id).expect("an id").to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Compares all texts and names the first that differ.
fn same(name: &str, what: &str, texts: &[String], expected: &[String], mut step: TextStep) {
    assert_eq!(texts.len(), expected.len());
    assert!(texts.len() >= 200, "{}", texts.len());
    let differ: Vec<_> = texts
        .iter()
        .zip(expected)
        .filter(|(text, hash)| fingerprint(&ids(&mut step, text)) != **hash)
        .map(|(text, _)| text.chars().take(40).collect::<String>())
        .collect();
    let count = differ.len();
    assert!(
        differ.is_empty(),
        "{name}, {what}: {count} differ: {differ:?}"
    );
}

#[test]
fn whole_texts_have_the_tokens_of_python() {
    let made = Texts::read();
    let texts = made.all();
    for name in KINDS {
        let expected = Expected::read(name);
        let hashes: Vec<_> = expected
            .whole
            .iter()
            .map(|(_, hash)| hash.clone())
            .collect();
        let long = |options: &mut TextOptions| {
            options.truncation = Some(Truncation::Reject);
            options.max_length = Some(100_000);
            options.padding_side = Some(Side::Right);
        };
        same(name, "whole", &texts, &hashes, step(name, long));
        let prefixed = step(name, |options| {
            long(options);
            options.prefix = "query: ".to_owned();
        });
        let hashes = &expected.prefixed[..made.plain.len()];
        same(name, "prefixed", &made.plain, hashes, prefixed);
    }
}

#[test]
fn cut_texts_have_the_tokens_of_python() {
    let made = Texts::read();
    let texts = made.all();
    for name in KINDS {
        let expected = Expected::read(name);
        let cut = |truncation, special| {
            step(name, |options| {
                options.truncation = Some(truncation);
                options.max_length = Some(made.max_length);
                options.padding_side = Some(Side::Right);
                options.add_special_tokens = special;
            })
        };
        same(
            name,
            "right",
            &texts,
            &expected.right,
            cut(Truncation::Right, true),
        );
        same(
            name,
            "left",
            &texts,
            &expected.left,
            cut(Truncation::Left, true),
        );
        same(
            name,
            "bare",
            &texts,
            &expected.no_special,
            cut(Truncation::Right, false),
        );
    }
}

#[test]
fn rows_are_filled_up_as_in_python() {
    let made = Texts::read();
    for name in KINDS {
        let expected = Expected::read(name);
        for (side, rows) in [
            (Side::Right, &expected.padded_right),
            (Side::Left, &expected.padded_left),
        ] {
            let mut step = step(name, |options| {
                options.truncation = Some(Truncation::Right);
                options.max_length = Some(made.max_length);
                options.padding_side = Some(side);
                options.pad_token = Some(expected.pad_token.clone());
            });
            assert_eq!(step.padding_side(), side);
            let mut out = Tokens::default();
            for text in made.plain.iter().take(rows.len()) {
                step.run(text, &mut out).expect("a text that has tokens");
            }
            let joined = |part: usize| {
                rows.iter()
                    .flat_map(|row| row[part].clone())
                    .collect::<Vec<_>>()
            };
            assert_eq!(out.input_ids, joined(0), "{name}");
            assert_eq!(out.attention_mask, joined(1), "{name}");
            assert_eq!(out.token_type_ids, joined(2), "{name}");
        }
    }
}

#[test]
fn rejected_are_exactly_the_texts_with_too_many_tokens() {
    let made = Texts::read();
    let texts = made.all();
    for name in KINDS {
        let mut step = step(name, |options| {
            options.truncation = Some(Truncation::Reject);
            options.max_length = Some(made.max_length);
        });
        let mut out = Tokens::default();
        for (text, (tokens, _)) in texts.iter().zip(Expected::read(name).whole) {
            let rows = out.clone();
            match step.run(text, &mut out) {
                Ok(()) => assert_eq!(out.lengths.last(), Some(&tokens)),
                Err(fault) => {
                    let limit = made.max_length;
                    assert_eq!(fault, TextFault::Tokens { tokens, limit });
                    assert_eq!(out, rows, "nothing is appended for a text that is rejected");
                }
            }
        }
        assert!(
            (50..texts.len()).contains(&out.lengths.len()),
            "{name}: {}",
            out.lengths.len()
        );
    }
}

#[test]
fn the_file_fills_in_what_the_options_leave_out() {
    let minilm = step("minilm", |_| ());
    assert_eq!(
        (minilm.max_length(), minilm.padding_side()),
        (128, Side::Right)
    );
    assert_eq!(
        (minilm.kind(), minilm.vocab_size(), minilm.highest_id()),
        ("WordPiece", 30_522, 30_521)
    );
    // This file says: cut and fill up on the left, 32 tokens.
    let mut split = step("split_bpe", |_| ());
    assert_eq!((split.max_length(), split.padding_side()), (32, Side::Left));
    let mut out = Tokens::default();
    let text = format!("{} end", "x ".repeat(500));
    split.run(&text, &mut out).expect("a text that has tokens");
    let end = ids(
        &mut step("split_bpe", |o| o.padding_side = Some(Side::Right)),
        " end",
    );
    assert_eq!(
        out.input_ids[32 - end.len() + 1..],
        end[1..],
        "the end is what is left"
    );
    // These say nothing.
    assert_eq!(step("wordpiece", |_| ()).max_length(), 512);
    assert_eq!(step("unigram", |_| ()).padding_side(), Side::Right);
    for name in KINDS {
        let (step, expected) = (step(name, |_| ()), Expected::read(name));
        assert_eq!(step.pad_id, expected.pad_id, "{name}");
        assert_eq!(step.vocab_size(), expected.vocab_size, "{name}");
        assert_eq!(step.highest_id(), expected.highest_id, "{name}");
    }
}
