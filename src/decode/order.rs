//! The order of keys, learned from message to message.
//!
//! Senders write the same keys in the same order with the same spacing. So for each key the
//! decoder remembers which one came next and the exact bytes in between (`, "age": `). Where the
//! next message has the same bytes, one comparison replaces reading a comma, a string, a colon
//! and looking the key up. A key that is left out costs one look-up, and the rest is met again.

use std::collections::HashMap;

use crate::contract::Field;

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
}

/// What followed a place the last time.
#[derive(Debug, Default)]
struct Edge {
    next: Place,
    /// The bytes from the end of the value before (in JSON's first key, from the row's `{`) to
    /// the next value. Always a whole number of tokens, in JSON `{` or `,`, a string and `:`, so
    /// reading them again could only say the same. Empty when nothing is known.
    between: Vec<u8>,
}

/// All keys known, and the order in which they came.
#[derive(Debug)]
pub(super) struct KeyOrder {
    places: HashMap<Box<str>, Place>,
    targets: Vec<Target>,
    edges: Vec<Edge>,
    extra: usize,
}

impl KeyOrder {
    pub(super) fn new(fields: &[Field], passed: &[String]) -> Self {
        let mut order = Self {
            places: HashMap::new(),
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

    #[inline]
    pub(super) fn target(&self, place: Place) -> Target {
        self.targets[place]
    }

    /// If what came after `place` the last time comes again: which key it is, and how many bytes
    /// lead to its value.
    #[inline]
    pub(super) fn expected(&self, place: Place, rest: &[u8]) -> Option<(Place, usize)> {
        let Edge { next, between } = &self.edges[place];
        (!between.is_empty() && rest.starts_with(between)).then_some((*next, between.len()))
    }

    /// Remembers that after `place` came `next`, with these bytes in between.
    pub(super) fn learn(&mut self, place: Place, next: Place, between: &[u8]) {
        if place == STRANGER || next == STRANGER || between.len() > LEARNED_BYTES_MAX {
            return;
        }
        let edge = &mut self.edges[place];
        edge.next = next;
        edge.between.clear();
        edge.between.extend_from_slice(between);
    }
}
