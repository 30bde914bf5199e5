//! A list with long texts among its keys.

/// The place of each key of a list.
#[derive(Debug)]
pub(super) struct Long {
    /// As many as a power of two, half of them free at least.
    slots: Vec<Slot>,
    /// Bits of a hash that are not its slot's place.
    shift: u32,
    /// The whole texts of the keys, by their places.
    whole: Vec<Box<[u8]>>,
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

impl Long {
    /// Of these keys, each of which is there once.
    pub(super) fn new(keys: &[String]) -> Self {
        let bits = (keys.len() * 2).next_power_of_two().trailing_zeros().max(1);
        let free = Slot {
            word: Word::default(),
            place: None,
        };
        let mut made = Self {
            slots: vec![free; 1 << bits],
            shift: u64::BITS - bits,
            whole: keys.iter().map(|key| key.as_bytes().into()).collect(),
            keys: keys.len(),
        };
        for (key, place) in keys.iter().zip(0..) {
            made.add(Word::of(key.as_bytes()), place);
        }
        made
    }

    /// The place of a text; the number of keys for what is none of them.
    #[inline]
    pub(super) fn find(&self, text: &[u8]) -> usize {
        let word = Word::of(text);
        self.place(word, |place| {
            word.len <= SHORT || self.whole.get(place).is_some_and(|key| **key == *text)
        })
    }

    #[inline]
    fn place(&self, word: Word, same: impl Fn(usize) -> bool) -> usize {
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
