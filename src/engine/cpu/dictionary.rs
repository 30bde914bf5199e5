//! Finds texts and whole numbers in a list, for every row of a batch: what is asked is mostly short, and mostly there.

use crate::graph::front::Keys;

/// The place of each key of a list.
#[derive(Debug)]
pub(super) struct Dictionary {
    /// As many as a power of two, half of them free at least.
    slots: Vec<Slot>,
    /// Bits of a hash that are not its slot's place.
    shift: u32,
    /// The whole texts of keys that do not fit into a slot, by their places.
    long: Vec<Box<[u8]>>,
    keys: usize,
}

/// A key and its place, so that a short key is compared without looking elsewhere.
#[derive(Debug, Clone, Copy)]
struct Slot {
    word: Word,
    place: Option<u32>,
}

/// A text's length and up to sixteen of its bytes, which are all there is to texts of no more; for longer ones a hash and
/// the last eight bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Word {
    head: u64,
    tail: u64,
    len: usize,
}

/// Bytes of texts that a [`Word`] tells from all others.
const SHORT: usize = 16;
/// Odd, with bits all over: a product spreads what is alike (Knuth, The Art of Computer Programming, 6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dictionary {
    /// Of these keys, each of which is there once.
    pub(super) fn new(keys: &Keys) -> Self {
        let count = keys.len();
        let bits = (count * 2).next_power_of_two().trailing_zeros().max(1);
        let free = Slot {
            word: Word::default(),
            place: None,
        };
        let mut made = Self {
            slots: vec![free; 1 << bits],
            shift: u64::BITS - bits,
            long: Vec::new(),
            keys: count,
        };
        match keys {
            Keys::Texts(keys) => {
                if keys.iter().any(|key| key.len() > SHORT) {
                    made.long = keys.iter().map(|key| key.as_bytes().into()).collect();
                }
                for (key, place) in keys.iter().zip(0..) {
                    made.add(Word::of(key.as_bytes()), place);
                }
            }
            Keys::Whole(keys) => {
                for (key, place) in keys.iter().zip(0..) {
                    made.add(Word::whole(*key), place);
                }
            }
        }
        made
    }

    /// The place of a text; the number of keys for what is none of them.
    #[inline]
    pub(super) fn text(&self, text: &str) -> usize {
        let word = Word::of(text.as_bytes());
        self.find(word, |place| {
            word.len <= SHORT
                || self
                    .long
                    .get(place)
                    .is_some_and(|key| **key == *text.as_bytes())
        })
    }

    /// The place of a whole number; the number of keys for what is none of them.
    #[inline]
    pub(super) fn whole(&self, number: i64) -> usize {
        self.find(Word::whole(number), |_| true)
    }

    #[inline]
    fn find(&self, word: Word, same: impl Fn(usize) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = word.slot(self.shift);
        while let Some(Slot {
            word: known,
            place: Some(place),
        }) = self.slots.get(at & mask)
        {
            if *known == word && same(*place as usize) {
                return *place as usize;
            }
            at += 1;
        }
        self.keys
    }

    fn add(&mut self, word: Word, place: u32) {
        let mask = self.slots.len() - 1;
        let mut at = word.slot(self.shift);
        while self
            .slots
            .get(at & mask)
            .is_some_and(|slot| slot.place.is_some())
        {
            at += 1;
        }
        if let Some(slot) = self.slots.get_mut(at & mask) {
            *slot = Slot {
                word,
                place: Some(place),
            };
        }
    }
}

/// A hash of all bytes.
fn mixed(text: &[u8]) -> u64 {
    text.chunks(8).fold(0, |hash: u64, chunk| {
        let mut bytes = [0; 8];
        bytes
            .iter_mut()
            .zip(chunk)
            .for_each(|(to, from)| *to = *from);
        (hash.rotate_left(23) ^ u64::from_le_bytes(bytes)).wrapping_mul(SPREAD)
    })
}

/// The first and the last bytes; zeros where there are not so many.
#[inline]
fn ends<const N: usize>(text: &[u8]) -> [[u8; N]; 2] {
    let (first, last) = (text.first_chunk(), text.last_chunk());
    [first, last].map(|chunk| chunk.copied().unwrap_or([0; N]))
}

impl Word {
    #[inline]
    fn of(text: &[u8]) -> Self {
        let len = text.len();
        let (head, tail) = match len {
            // Overlapping, where there are less than sixteen.
            8.. => {
                let [head, tail] = ends(text).map(u64::from_le_bytes);
                (if len > SHORT { mixed(text) } else { head }, tail)
            }
            4.. => {
                let [head, tail] = ends(text).map(u32::from_le_bytes);
                (u64::from(head), u64::from(tail))
            }
            _ => {
                let byte = |at: usize| u64::from(text.get(at).copied().unwrap_or_default());
                (byte(0) | byte(1) << 8 | byte(2) << 16, 0)
            }
        };
        Self { head, tail, len }
    }

    #[inline]
    fn whole(number: i64) -> Self {
        Self {
            head: number.cast_unsigned(),
            ..Self::default()
        }
    }

    /// Where a search for it begins.
    #[inline]
    fn slot(self, shift: u32) -> usize {
        let mixed = (self.head ^ self.tail.rotate_left(29) ^ self.len as u64).wrapping_mul(SPREAD);
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(SPREAD);
        #[expect(clippy::cast_possible_truncation, reason = "the highest bits only")]
        let slot = (mixed >> shift) as usize;
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{collection::hash_set, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_a_map_finds(keys in hash_set("[ab\u{e4}]{0,20}", 1..60), asked in prop::collection::vec("[ab\u{e4}]{0,20}", 0..60)) {
            let keys: Vec<String> = keys.into_iter().collect();
            let map: HashMap<&String, usize> = keys.iter().zip(0..).collect();
            let dictionary = Dictionary::new(&Keys::Texts(keys.clone()));
            for text in asked.iter().chain(&keys) {
                let place = map.get(text).copied().unwrap_or(keys.len());
                prop_assert_eq!(dictionary.text(text), place);
            }
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

    /// The hash of a long text is not the text.
    #[test]
    fn long_texts_are_compared_whole() {
        let keys = [
            "https://example.org/a/page.html",
            "https://example.org/b/page.html",
        ];
        let dictionary = Dictionary::new(&Keys::Texts(keys.map(str::to_owned).to_vec()));
        assert_eq!(keys.map(|key| dictionary.text(key)), [0, 1]);
        assert_eq!(dictionary.text("https://example.org/c/page.html"), 2);
    }
}
