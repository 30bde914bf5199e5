//! The order of keys, learned from message to message.
//!
//! Senders write the same keys in the same order with the same spacing. So for each key the
//! decoder remembers which one came next and the exact bytes in between (`, "age": `). Where the
//! next message has the same bytes, one comparison replaces reading a comma, a string, a colon
//! and looking the key up. A key that is left out costs one look-up, and the rest is met again.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
};

use crate::contract::{Dtype, Field};

/// Before the first key of a row.
pub(super) const START: Place = 0;
/// After a key that there was no room to learn.
pub(super) const STRANGER: Place = 1;
/// Extra keys that are learned. A sender who makes up new keys all the time gains nothing and
/// costs no more than this.
const LEARNED_KEYS_MAX: usize = 512;
/// Longer keys are not learned.
const LEARNED_BYTES_MAX: usize = 128;

/// A key that was met, or the start of a row.
pub(super) type Place = usize;

/// Where a key's value goes: into a field's series, a passed key's series, both or neither.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Target {
    pub(super) field: Option<usize>,
    pub(super) passed: Option<usize>,
    /// The field, where its values are single floats that go nowhere else.
    pub(super) float: Option<usize>,
}

/// The way to the value of a field of single floats.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToFloat {
    /// Its key.
    pub(super) place: Place,
    /// Its field.
    pub(super) slot: usize,
    /// Bytes up to the value.
    pub(super) bytes: usize,
}

/// What followed a place the last time.
#[derive(Debug)]
struct Edge {
    next: Place,
    /// As in the target of `next`.
    float: Option<usize>,
    /// The first bytes of `between`, and which of them count: they are compared at once, without a call. While nothing
    /// is known no text is like this.
    head: u128,
    mask: u128,
    /// The bytes from the end of the value before (in JSON's first key, from the row's `{`) to
    /// the next value. Always a whole number of tokens, in JSON `{` or `,`, a string and `:`, so
    /// reading them again could only say the same. Empty when nothing is known.
    between: Vec<u8>,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            next: START,
            float: None,
            head: 1,
            mask: 0,
            between: Vec::new(),
        }
    }
}

impl Edge {
    const HEAD: usize = size_of::<u128>();

    #[inline]
    fn begins(&self, rest: &[u8]) -> bool {
        let Some(head) = rest.first_chunk::<{ Self::HEAD }>() else {
            return !self.between.is_empty() && rest.starts_with(&self.between);
        };
        u128::from_le_bytes(*head) & self.mask == self.head
            && (self.between.len() <= Self::HEAD
                || rest[Self::HEAD..].starts_with(&self.between[Self::HEAD..]))
    }

    fn set(&mut self, next: Place, between: &[u8]) {
        self.next = next;
        self.between.clear();
        self.between.extend_from_slice(between);
        let count = between.len().min(Self::HEAD);
        let mut head = [0; Self::HEAD];
        head[..count].copy_from_slice(&between[..count]);
        self.head = u128::from_le_bytes(head);
        // A comma at least is between two values.
        self.mask = match count {
            Self::HEAD => u128::MAX,
            _ => (1 << (8 * count)) - 1,
        };
    }
}

/// All keys known, and the order in which they came.
#[derive(Debug)]
pub(super) struct KeyOrder {
    places: HashMap<Box<str>, Place, Seed>,
    targets: Vec<Target>,
    edges: Vec<Edge>,
    extra: usize,
}

/// Hashes names with a multiplication for each eight bytes. Names are short, and at most [`LEARNED_KEYS_MAX`] of them are
/// a sender's choice, so what a sender who knew the seed could slow down has a bound.
#[derive(Debug, Clone, Copy)]
struct Seed(u64);

impl BuildHasher for Seed {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Seed {
    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    #[inline]
    fn fold(&mut self, word: u64) {
        // Odd, and its bits look random: the golden ratio.
        let product = u128::from(self.0 ^ word) * 0x9E37_79B9_7F4A_7C15;
        let [low, high] = [product as u64, (product >> 64) as u64];
        self.0 = (low ^ high).wrapping_add(word);
    }
}

impl Hasher for Seed {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        let mut last = rest.len() as u64;
        for byte in rest {
            last = last << 8 | u64::from(*byte);
        }
        self.fold(last);
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.0 ^= u64::from(byte);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

impl KeyOrder {
    pub(super) fn new(fields: &[Field], passed: &[String]) -> Self {
        let mut order = Self {
            places: HashMap::with_hasher(Seed(RandomState::new().hash_one(START))),
            targets: Vec::new(),
            edges: Vec::new(),
            extra: 0,
        };
        order.add(Target::default());
        order.add(Target::default());
        for (slot, field) in fields
            .iter()
            .enumerate()
            .filter(|(_, field)| !field.derived)
        {
            let place = order.known(&field.name);
            order.targets[place].field = Some(slot);
        }
        for (index, name) in passed.iter().enumerate() {
            let place = order.known(name);
            order.targets[place].passed = Some(fields.len() + index);
        }
        for target in &mut order.targets {
            let is_float = |slot: &usize| {
                let floats = matches!(fields[*slot].dtype, Dtype::F32 | Dtype::F64);
                floats && fields[*slot].shape.is_empty()
            };
            target.float = target
                .field
                .filter(is_float)
                .filter(|_| target.passed.is_none());
        }
        order
    }

    fn add(&mut self, target: Target) -> Place {
        self.targets.push(target);
        self.edges.push(Edge::default());
        self.targets.len() - 1
    }

    fn known(&mut self, name: &str) -> Place {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.add(Target::default());
        self.places.insert(name.into(), place);
        place
    }

    /// The place of any key.
    pub(super) fn place(&mut self, name: &str) -> Place {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        if self.extra == LEARNED_KEYS_MAX || name.len() > LEARNED_BYTES_MAX {
            return STRANGER;
        }
        self.extra += 1;
        self.known(name)
    }

    /// Whether the value of this key goes nowhere.
    pub(super) fn is_stranger(&self, name: &str) -> bool {
        let place = self.places.get(name).copied().unwrap_or(STRANGER);
        let target = self.target(place);
        target.field.is_none() && target.passed.is_none()
    }

    #[inline]
    pub(super) fn target(&self, place: Place) -> Target {
        self.targets[place]
    }

    /// If what came after `place` the last time comes again: which key it is, and how many bytes
    /// lead to its value.
    #[inline]
    pub(super) fn expected(&self, place: Place, rest: &[u8]) -> Option<(Place, usize)> {
        let edge = &self.edges[place];
        edge.begins(rest).then_some((edge.next, edge.between.len()))
    }

    /// As [`KeyOrder::expected`], where that key's values are single floats.
    #[inline]
    pub(super) fn to_float(&self, place: Place, rest: &[u8]) -> Option<ToFloat> {
        let edge = &self.edges[place];
        let slot = edge.float?;
        edge.begins(rest).then_some(ToFloat {
            place: edge.next,
            slot,
            bytes: edge.between.len(),
        })
    }

    /// Remembers that after `place` came `next`, with these bytes in between.
    pub(super) fn learn(&mut self, place: Place, next: Place, between: &[u8]) {
        if place == STRANGER || next == STRANGER || between.len() > LEARNED_BYTES_MAX {
            return;
        }
        let edge = &mut self.edges[place];
        edge.set(next, between);
        edge.float = self.targets[next].float;
    }
}
