//! What is held for each key, bounded in number and age. Pure: no clock.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::block::Column;

/// No neighbour in the list of keys.
const NONE: usize = usize::MAX;

/// The values of many keys, each value of all keys in one column. The keys are in a list, in the
/// order in which they were seen last.
#[derive(Debug)]
pub(super) struct Store {
    places: HashMap<Box<[u8]>, usize>,
    /// Where each key stands in the list; also those that are free.
    links: Vec<Link>,
    free: Vec<usize>,
    oldest: usize,
    newest: usize,
    /// One for each value, with the row of a key at its place.
    values: Vec<Column>,
    /// Elements of each value in a row.
    widths: Vec<usize>,
    max_keys: usize,
    /// How many keys were dropped because there were too many.
    pub(super) dropped_full: u64,
    /// How many keys were dropped because they were not seen for long.
    pub(super) dropped_age: u64,
}

#[derive(Debug)]
struct Link {
    key: Box<[u8]>,
    seen: Instant,
    older: usize,
    newer: usize,
}

impl Store {
    /// A store of values like `blank`, which has one row of each, for at most so many keys.
    pub(super) fn new(blank: &[Column], max_keys: usize) -> Self {
        Self {
            places: HashMap::new(),
            links: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            values: (blank.iter())
                .map(|column| Column::new(column.dtype()))
                .collect(),
            widths: blank.iter().map(Column::len).collect(),
            max_keys: max_keys.max(1),
            dropped_full: 0,
            dropped_age: 0,
        }
    }

    /// How many keys are held.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Forgets all keys.
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.links.clear();
        self.free.clear();
        self.oldest = NONE;
        self.newest = NONE;
        for column in &mut self.values {
            column.truncate(0);
        }
    }

    /// Drops the keys that were not seen for longer than `max_age`.
    pub(super) fn expire(&mut self, now: Instant, max_age: Duration) {
        while let Some(link) = self.links.get(self.oldest)
            && now.saturating_duration_since(link.seen) > max_age
        {
            self.drop_oldest();
            self.dropped_age += 1;
        }
    }

    /// Appends what is held for `key` to one column for each value. Says whether there was any.
    pub(super) fn read(&self, key: &[u8], into: &mut [Column]) -> bool {
        let Some(place) = self.places.get(key) else {
            return false;
        };
        for ((into, held), width) in into.iter_mut().zip(&self.values).zip(&self.widths) {
            into.extend_from(held, place * width..(place + 1) * width);
        }
        true
    }

    /// Holds the values in `row` of these columns for `key`, which was seen just now. Where there
    /// are too many keys, the one that was not seen for longest is dropped.
    pub(super) fn write(&mut self, key: &[u8], now: Instant, from: &[Column], row: usize) {
        let place = match self.places.get(key) {
            Some(place) => *place,
            None => self.make_room(key, now),
        };
        for ((held, from), width) in self.values.iter_mut().zip(from).zip(&self.widths) {
            held.overwrite(place * width, from, row * width..(row + 1) * width);
        }
        self.unlink(place);
        self.link_newest(place, now);
    }

    /// A place for a new key, at the end of the list.
    fn make_room(&mut self, key: &[u8], now: Instant) -> usize {
        if self.places.len() >= self.max_keys {
            self.drop_oldest();
            self.dropped_full += 1;
        }
        let link = Link {
            key: key.into(),
            seen: now,
            older: NONE,
            newer: NONE,
        };
        let place = if let Some(place) = self.free.pop() {
            self.links[place] = link;
            place
        } else {
            for (column, width) in self.values.iter_mut().zip(&self.widths) {
                column.push_scalar(None, *width);
            }
            self.links.push(link);
            self.links.len() - 1
        };
        self.places.insert(key.into(), place);
        self.link_newest(place, now);
        place
    }

    fn drop_oldest(&mut self) {
        let place = self.oldest;
        if let Some(link) = self.links.get_mut(place) {
            let key = std::mem::take(&mut link.key);
            self.places.remove(&key);
            self.unlink(place);
            self.free.push(place);
        }
    }

    fn unlink(&mut self, place: usize) {
        let Some(Link { older, newer, .. }) = self.links.get(place) else {
            return;
        };
        let (older, newer) = (*older, *newer);
        match self.links.get_mut(older) {
            Some(link) => link.newer = newer,
            None => self.oldest = newer,
        }
        match self.links.get_mut(newer) {
            Some(link) => link.older = older,
            None => self.newest = older,
        }
    }

    fn link_newest(&mut self, place: usize, now: Instant) {
        let before = self.newest;
        if let Some(link) = self.links.get_mut(before) {
            link.newer = place;
        } else {
            self.oldest = place;
        }
        if let Some(link) = self.links.get_mut(place) {
            link.older = before;
            link.newer = NONE;
            link.seen = now;
        }
        self.newest = place;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn store(max_keys: usize) -> Store {
        Store::new(&[Column::I64(vec![0]), Column::F32(vec![0.0; 2])], max_keys)
    }

    fn held(store: &Store, key: u8) -> Option<(i64, [f32; 2])> {
        let mut into = [Column::I64(vec![]), Column::F32(vec![])];
        if !store.read(&[key], &mut into) {
            return None;
        }
        match into {
            [Column::I64(whole), Column::F32(pair)] => Some((whole[0], [pair[0], pair[1]])),
            _ => panic!("the same types"),
        }
    }

    proptest! {
        /// The same as a list in which the key that is written goes to the end, and from whose start
        /// keys are dropped: when there are too many, and when they are too old.
        #[test]
        fn like_a_list(
            max_keys in 1usize..6,
            writes in prop::collection::vec((0u8..9, any::<i32>(), 0u64..4), 0..60),
        ) {
            let (start, max_age) = (Instant::now(), Duration::from_secs(7));
            let mut now = start;
            let mut store = store(max_keys);
            let mut list: Vec<(u8, i32, Instant)> = Vec::new();
            let (mut full, mut aged) = (0, 0);
            for (key, value, later) in writes {
                now += Duration::from_secs(later);
                store.expire(now, max_age);
                let before = list.len();
                list.retain(|(_, _, seen)| now - *seen <= max_age);
                aged += (before - list.len()) as u64;
                #[expect(clippy::cast_precision_loss, reason = "the same on both sides")]
                let pair = [value as f32, -(value as f32)];
                let row = [Column::I64(vec![7, i64::from(value)]), Column::F32(vec![0.0, 0.0, pair[0], pair[1]])];
                store.write(&[key], now, &row, 1);
                list.retain(|(known, ..)| *known != key);
                list.push((key, value, now));
                if list.len() > max_keys {
                    list.remove(0);
                    full += 1;
                }
                prop_assert_eq!(store.len(), list.len());
                for key in 0..9 {
                    let expected = list.iter().find(|(known, ..)| *known == key);
                    #[expect(clippy::cast_precision_loss, reason = "the same on both sides")]
                    let expected = expected.map(|(_, value, _)| (i64::from(*value), [*value as f32, -(*value as f32)]));
                    prop_assert_eq!(held(&store, key), expected);
                }
            }
            prop_assert_eq!((store.dropped_full, store.dropped_age), (full, aged));
            prop_assert!(store.links.len() <= max_keys, "memory is bounded by the keys");
            store.clear();
            prop_assert_eq!(store.len(), 0);
        }
    }
}
