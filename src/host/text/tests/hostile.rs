//! No text and no file brings it down.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any text gives a full row or a fault; ids and masks are what they say.
    #[test]
    fn any_text_gives_a_full_row(text in "\\PC{0,60}|.{0,60}|[\\x00-\\x20\\u{2000}-\\u{2070}]{0,40}") {
        for name in ["wordpiece", "byte_bpe", "split_bpe", "unigram"] {
            let mut step = step(name, |options| options.max_length = Some(16));
            let mut out = Tokens::default();
            step.run(&text, &mut out).expect("every text has tokens");
            for part in [&out.input_ids, &out.attention_mask, &out.token_type_ids] {
                prop_assert_eq!(part.len(), 16);
            }
            prop_assert!(out.input_ids.iter().all(|id| (0..=i64::from(step.highest_id())).contains(id)));
            let tokens = out.attention_mask.iter().filter(|mask| **mask == 1).count();
            prop_assert_eq!(&out.lengths, &vec![tokens]);
        }
    }

    /// A copy gives the same ids as the step that it was made from.
    #[test]
    fn copies_are_equal(text in ".{0,60}") {
        let mut first = step("unigram", |_| ());
        let mut second = first.clone();
        prop_assert_eq!(ids(&mut first, &text), ids(&mut second, &text));
    }

    /// Any bytes are a fault, never a panic.
    #[test]
    fn any_bytes_are_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(loads(&bytes).is_err());
    }

    /// A file with something cut out or changed loads or is a fault; what loads, runs.
    #[test]
    fn a_damaged_file_is_no_panic(
        name in prop::sample::select(vec!["wordpiece", "byte_bpe", "split_bpe", "unigram"]),
        at in any::<prop::sample::Index>(),
        cut in 0usize..40,
        put in "[0-9a-z\"{}\\[\\],:]{0,3}",
    ) {
        let mut bytes = std::fs::read(data(&format!("{name}.json"))).expect("readable");
        let at = at.index(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, put.bytes());
        if let Ok(mut step) = loads(&bytes) {
            let mut out = Tokens::default();
            let made = step.run("The water waits, 水 👍🏽\n", &mut out);
            let length = if made.is_ok() { step.max_length() } else { 0 };
            prop_assert_eq!(out.input_ids.len(), length);
            prop_assert_eq!(out.token_type_ids.len(), length);
        }
    }
}

fn loads(bytes: &[u8]) -> Result<TextStep, LoadFault> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    TextStep::load(file.path(), &TextOptions::new(file.path()))
}

/// Long texts of the kinds that regular expressions and heaps find hard.
#[test]
fn long_texts_take_no_forever() {
    let bytes = 1 << 17;
    for piece in ["a", " ", "水", "\t \n"] {
        let text = piece.repeat(bytes / piece.len());
        for name in KINDS {
            let mut out = Tokens::default();
            let mut step = step(name, |_| ());
            let start = std::time::Instant::now();
            step.run(&text, &mut out).expect("every text has tokens");
            let took = start.elapsed();
            assert!(took.as_secs() < 20, "{name}, {piece:?}: {took:?}");
        }
    }
}
