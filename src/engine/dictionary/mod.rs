//! Finds texts and whole numbers in a list, for every row of a batch: what is asked is mostly short, and mostly there.
//!
//! - `words` has keys of up to 32 bytes, which is nearly all lists of categories; `long` has all others

mod long;
mod words;

use std::ops::Range;

use self::{long::Long, words::Words};
use crate::{block::Strings, graph::front::Keys};

/// The place of each key of a list.
#[derive(Debug)]
pub(super) struct Dictionary(Kind);

/// By the length of the longest key, in words of eight bytes.
#[derive(Debug)]
enum Kind {
    One(Words<1>),
    Two(Words<2>),
    Three(Words<3>),
    Four(Words<4>),
    Long(Long),
}

impl Dictionary {
    /// Of these keys, each of which is there once.
    pub(super) fn new(keys: &Keys) -> Self {
        Self(match keys {
            Keys::Whole(keys) => Kind::One(Words::of_numbers(keys)),
            Keys::Texts(keys) => match keys.iter().map(String::len).max().unwrap_or(0) {
                0..=8 => Kind::One(Words::of_texts(keys)),
                9..=16 => Kind::Two(Words::of_texts(keys)),
                17..=24 => Kind::Three(Words::of_texts(keys)),
                25..=32 => Kind::Four(Words::of_texts(keys)),
                _ => Kind::Long(Long::new(keys)),
            },
        })
    }

    /// Gives `each` the place of each of these elements; the number of keys for what is none of them.
    #[inline]
    pub(super) fn texts(&self, texts: &Strings, elements: Range<usize>, each: impl FnMut(usize)) {
        match &self.0 {
            Kind::One(words) => words.texts(texts, elements, each),
            Kind::Two(words) => words.texts(texts, elements, each),
            Kind::Three(words) => words.texts(texts, elements, each),
            Kind::Four(words) => words.texts(texts, elements, each),
            Kind::Long(long) => elements
                .map(|at| long.find(texts.get(at).unwrap_or_default().as_bytes()))
                .for_each(each),
        }
    }

    /// The place of a text; the number of keys for what is none of them.
    pub(super) fn text(&self, text: &str) -> usize {
        let text = text.as_bytes();
        match &self.0 {
            Kind::One(words) => words.text(text),
            Kind::Two(words) => words.text(text),
            Kind::Three(words) => words.text(text),
            Kind::Four(words) => words.text(text),
            Kind::Long(long) => long.find(text),
        }
    }

    /// The place of a whole number; the number of keys for what is none of them.
    #[inline]
    pub(super) fn whole(&self, number: i64) -> usize {
        match &self.0 {
            Kind::One(words) => words.whole(number),
            // Numbers are one word.
            _ => usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{collection::hash_set, prelude::*};

    use super::*;

    fn agrees_with_a_map(keys: Vec<String>, asked: &[String]) -> Result<(), TestCaseError> {
        let map: HashMap<&String, usize> = keys.iter().zip(0..).collect();
        let dictionary = Dictionary::new(&Keys::Texts(keys.clone()));
        let mut all = Strings::default();
        let mut expected = Vec::new();
        for text in asked.iter().chain(&keys).chain(asked) {
            let place = map.get(text).copied().unwrap_or(keys.len());
            prop_assert_eq!(dictionary.text(text), place);
            all.push(text);
            expected.push(place);
        }
        for start in [0, expected.len() / 2] {
            let mut found = Vec::new();
            dictionary.texts(&all, start..expected.len(), |place| found.push(place));
            prop_assert_eq!(&found[..], &expected[start..]);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn it_finds_what_a_map_finds(
            most in 0usize..40,
            keys in hash_set("[ab\u{e4}]{0,20}", 1..60),
            asked in prop::collection::vec("[ab\u{e4}]{0,20}", 0..60),
        ) {
            // Lists of every length of keys, which are looked up in different ways.
            let keys: Vec<String> = keys.into_iter().filter(|key| key.len() <= most).collect();
            agrees_with_a_map(keys, &asked)?;
        }

        #[test]
        fn letters_of_no_meaning_count(keys in hash_set("[\0a]{0,10}", 1..30), asked in prop::collection::vec("[\0a]{0,10}", 0..60)) {
            agrees_with_a_map(keys.into_iter().collect(), &asked)?;
        }

        #[test]
        fn numbers_too(keys in hash_set(any::<i64>(), 1..60), asked in prop::collection::vec(-3i64..3, 0..60)) {
            let keys: Vec<i64> = keys.into_iter().collect();
            let map: HashMap<i64, usize> = keys.iter().copied().zip(0..).collect();
            let dictionary = Dictionary::new(&Keys::Whole(keys.clone()));
            for number in asked.iter().chain(&keys) {
                let place = map.get(number).copied().unwrap_or(keys.len());
                prop_assert_eq!(dictionary.whole(*number), place);
            }
        }
    }

    #[test]
    fn many_keys_are_found() {
        for count in [1, 2, 3, 100, 5000] {
            let keys: Vec<String> = (0..count).map(|at| format!("category {at}")).collect();
            let asked = ["category".to_owned(), format!("category {count}")];
            agrees_with_a_map(keys, &asked).unwrap();
        }
    }

    /// The hash of a long text is not the text.
    #[test]
    fn long_texts_are_compared_whole() {
        let keys = [
            "https://example.org/articles/a/page.html",
            "https://example.org/articles/b/page.html",
        ];
        let dictionary = Dictionary::new(&Keys::Texts(keys.map(str::to_owned).to_vec()));
        assert_eq!(keys.map(|key| dictionary.text(key)), [0, 1]);
        assert_eq!(
            dictionary.text("https://example.org/articles/c/page.html"),
            2
        );
    }
}
