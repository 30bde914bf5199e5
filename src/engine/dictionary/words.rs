//! A list of short keys. A text is compared as words of eight bytes, as many as the longest key has: no loop over letters, and no
//! branch that depends on how long a text is, which processors would guess wrong for every other row.

use std::{collections::HashSet, ops::Range};

use crate::block::Strings;

/// Words of the longest key at most.
const MOST: usize = 4;
/// Odd, with bits all over: a product spreads what is alike (Knuth, The Art of Computer Programming, 6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// Multipliers that are tried until no two keys want the same slot.
const TRIES: usize = 64;
/// A slot without a key.
const FREE: u32 = u32::MAX;

/// For each length, the bits of the words that are of the text.
static MASKS: [[u64; MOST]; 8 * MOST + 1] = {
    let mut masks = [[0; MOST]; 8 * MOST + 1];
    let mut len = 0;
    while len < masks.len() {
        let mut word = 0;
        while word < MOST {
            let bytes = len.saturating_sub(8 * word);
            masks[len][word] = if bytes >= 8 {
                u64::MAX
            } else {
                (1 << (8 * bytes)) - 1
            };
            word += 1;
        }
        len += 1;
    }
    masks
};

/// Keys of up to `N` words.
#[derive(Debug)]
pub(super) struct Words<const N: usize> {
    keys: Vec<Key<N>>,
    /// The place of a key, by what a hash says; a power of two, a quarter of them taken at most.
    slots: Vec<u32>,
    multiplier: u64,
    /// Bits of a hash that are not its slot's place.
    shift: u32,
}

/// A text's bytes, zeros behind them, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key<const N: usize> {
    words: [u64; N],
    len: u64,
}

impl<const N: usize> Key<N> {
    /// Of the first `len` bytes of `rest`, where `rest` has `N` words and `len` is no more.
    #[inline]
    fn of(rest: &[u8], len: usize) -> Option<Self> {
        let chunks = rest.as_chunks().0.first_chunk::<N>()?;
        let masks = MASKS.get(len).filter(|_| len <= 8 * N)?;
        let mut words = [0; N];
        for (word, (chunk, mask)) in words.iter_mut().zip(chunks.iter().zip(masks)) {
            *word = u64::from_le_bytes(*chunk) & mask;
        }
        Some(Self {
            words,
            len: len as u64,
        })
    }

    #[inline]
    fn slot(&self, multiplier: u64, shift: u32) -> usize {
        let words = self.words.iter();
        let mixed = words.fold(self.len, |mixed, word| mixed.rotate_left(29) ^ word);
        #[expect(clippy::cast_possible_truncation, reason = "the highest bits only")]
        let slot = (mixed.wrapping_mul(multiplier) >> shift) as usize;
        slot
    }

    /// One comparison for all of it.
    #[inline]
    fn is(&self, other: &Self) -> bool {
        let words = self.words.iter().zip(&other.words);
        words.fold(self.len ^ other.len, |differ, (one, two)| {
            differ | (one ^ two)
        }) == 0
    }
}

impl<const N: usize> Words<N> {
    /// Of texts that are no longer than `N` words.
    pub(super) fn of_texts(keys: &[String]) -> Self {
        let padded = |key: &String| {
            let mut bytes = key.as_bytes().to_vec();
            bytes.resize(8 * N, 0);
            Key::of(&bytes, key.len())
        };
        Self::of(keys.iter().filter_map(padded).collect())
    }

    /// Of whole numbers.
    pub(super) fn of_numbers(keys: &[i64]) -> Self {
        Self::of(keys.iter().copied().map(number).collect())
    }

    fn of(keys: Vec<Key<N>>) -> Self {
        let bits = (keys.len() * 4).next_power_of_two().trailing_zeros().max(1);
        let shift = u64::BITS - bits;
        let multipliers = std::iter::successors(Some(SPREAD), |one| Some(one.wrapping_mul(SPREAD)));
        // Where each key has a slot of its own, the first look finds it. Of many keys some always meet.
        let meetings = |multiplier: u64| {
            let slots: HashSet<usize> =
                keys.iter().map(|key| key.slot(multiplier, shift)).collect();
            keys.len() - slots.len()
        };
        let tries = if keys.len() > 256 { 1 } else { TRIES };
        let mut best = (usize::MAX, SPREAD);
        for multiplier in multipliers.take(tries) {
            let found = meetings(multiplier);
            if found < best.0 {
                best = (found, multiplier);
            }
            if found == 0 {
                break;
            }
        }
        let mut made = Self {
            slots: vec![FREE; 1 << bits],
            multiplier: best.1,
            shift,
            keys,
        };
        for (key, place) in made.keys.iter().zip(0..) {
            let mask = made.slots.len() - 1;
            let mut at = key.slot(made.multiplier, shift);
            while made.slots.get(at & mask).is_some_and(|slot| *slot != FREE) {
                at += 1;
            }
            if let Some(slot) = made.slots.get_mut(at & mask) {
                *slot = place;
            }
        }
        made
    }

    #[inline]
    fn find(&self, asked: &Key<N>) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = asked.slot(self.multiplier, self.shift);
        loop {
            let place = self.slots.get(at & mask).copied().unwrap_or(FREE) as usize;
            match self.keys.get(place) {
                Some(key) if key.is(asked) => return place,
                Some(_) => at += 1,
                None => return self.keys.len(),
            }
        }
    }

    /// Gives `each` the place of each of these elements.
    #[inline]
    pub(super) fn texts(
        &self,
        texts: &Strings,
        elements: Range<usize>,
        mut each: impl FnMut(usize),
    ) {
        texts.each_with_rest::<{ 8 * MOST }>(elements, |rest, len| {
            each(Key::of(rest, len).map_or(self.keys.len(), |key| self.find(&key)));
        });
    }

    pub(super) fn text(&self, text: &[u8]) -> usize {
        let mut padded = [0; 8 * MOST];
        for (to, from) in padded.iter_mut().zip(text) {
            *to = *from;
        }
        let key = Key::of(&padded, text.len());
        key.map_or(self.keys.len(), |key| self.find(&key))
    }

    #[inline]
    pub(super) fn whole(&self, asked: i64) -> usize {
        self.find(&number(asked))
    }
}

#[inline]
fn number<const N: usize>(number: i64) -> Key<N> {
    let mut words = [0; N];
    if let Some(first) = words.first_mut() {
        *first = number.cast_unsigned();
    }
    Key { words, len: 8 }
}
