//! Results that are kept: the same payload gets the same result again.
//!
//! The models are those of this process, which never changes them; so a payload is all that a result
//! depends on, with the headers that say how to read it. Payloads are compared whole.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use crate::message::{Headers, Message};

/// A result that was kept: what is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its bytes.
    pub payload: Bytes,
    /// Its headers.
    pub headers: Headers,
}

/// Results by payload, the last asked for first.
#[derive(Debug)]
pub struct Cache {
    hasher: RandomState,
    max_bytes: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Places of entries by the hashes of their payloads. Of two with one hash, the later stays.
    places: HashMap<u64, usize>,
    entries: Vec<Entry>,
    /// Places that nothing is in.
    free: Vec<usize>,
    ends: Option<Ends>,
    bytes: usize,
}

/// Places of the last and the longest not asked for.
#[derive(Debug, Clone, Copy)]
struct Ends {
    newest: usize,
    oldest: usize,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    /// The payload, and behind it the headers that say how to read it.
    key: Bytes,
    payload: usize,
    kept: Arc<Kept>,
    bytes: usize,
    newer: Option<usize>,
    older: Option<usize>,
}

/// What an entry costs besides its bytes, about.
const ENTRY_BYTES: usize = 200;

impl Cache {
    /// For so many bytes of payloads and results, what it costs to keep them included.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            max_bytes,
            inner: Mutex::default(),
        }
    }

    /// The result of this message, where one is kept.
    pub fn get(&self, message: &Message) -> Option<Arc<Kept>> {
        let hash = self.hash(message);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let place = *inner.places.get(&hash)?;
        let entry = inner.entries.get(place)?;
        if !entry.is_of(message) {
            return None;
        }
        let kept = Arc::clone(&entry.kept);
        inner.take_out(place);
        inner.put_first(place);
        Some(kept)
    }

    /// Keeps a result, and forgets what was not asked for longest to make room. What is larger than all
    /// the room is not kept.
    pub fn put(&self, message: &Message, payload: &[u8], headers: &Headers) {
        let of_headers = |headers: &Headers| -> usize {
            headers
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum()
        };
        let key = key(message);
        let bytes = key.len() + payload.len() + of_headers(headers) + ENTRY_BYTES;
        if bytes > self.max_bytes {
            return;
        }
        let entry = Entry {
            hash: self.hash(message),
            // Copies: what they are cut from may be much larger.
            kept: Arc::new(Kept {
                payload: Bytes::copy_from_slice(payload),
                headers: headers.clone(),
            }),
            key,
            payload: message.payload.len(),
            bytes,
            newer: None,
            older: None,
        };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = inner.places.get(&entry.hash).copied() {
            inner.forget(place);
        }
        while inner.bytes + bytes > self.max_bytes
            && let Some(Ends { oldest, .. }) = inner.ends
        {
            inner.forget(oldest);
        }
        inner.add(entry);
    }

    /// Bytes that are in use.
    pub fn bytes(&self) -> usize {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
    }

    fn hash(&self, message: &Message) -> u64 {
        self.hasher.hash_one(&message.payload[..])
    }
}

/// The payload, and behind it the headers that say how to read it.
fn key(message: &Message) -> Bytes {
    let mut key = message.payload.to_vec();
    for (name, value) in reading(message) {
        key.extend_from_slice(name.as_bytes());
        key.push(0);
        key.extend_from_slice(value.as_bytes());
        key.push(0);
    }
    key.into()
}

impl Entry {
    fn is_of(&self, message: &Message) -> bool {
        if self.payload != message.payload.len() {
            return false;
        }
        let Some(mut rest) = self.key.strip_prefix(&message.payload[..]) else {
            return false;
        };
        for (name, value) in reading(message) {
            let after = rest
                .strip_prefix(name.as_bytes())
                .and_then(|rest| rest.strip_prefix(&[0]))
                .and_then(|rest| rest.strip_prefix(value.as_bytes()))
                .and_then(|rest| rest.strip_prefix(&[0]));
            let Some(after) = after else {
                return false;
            };
            rest = after;
        }
        rest.is_empty()
    }
}

/// Headers by which a payload is read: those of ours, for raw tensors.
fn reading(message: &Message) -> impl Iterator<Item = (&str, &str)> {
    const OURS: &str = "forebay-";
    let headers = message.headers.iter().flat_map(|headers| headers.iter());
    headers
        .filter(|(name, _)| {
            let start = name.as_bytes().get(..OURS.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(OURS.as_bytes()))
        })
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

impl Inner {
    fn add(&mut self, entry: Entry) {
        self.bytes += entry.bytes;
        let hash = entry.hash;
        let free = self.free.pop();
        let place = free.unwrap_or(self.entries.len());
        match self.entries.get_mut(place) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
        self.places.insert(hash, place);
        self.put_first(place);
    }

    fn forget(&mut self, place: usize) {
        self.take_out(place);
        let Some(entry) = self.entries.get_mut(place) else {
            return;
        };
        entry.key = Bytes::new();
        entry.kept = Arc::new(Kept {
            payload: Bytes::new(),
            headers: Vec::new(),
        });
        self.bytes -= entry.bytes;
        self.places.remove(&entry.hash);
        self.free.push(place);
    }

    /// Takes an entry out of the line.
    fn take_out(&mut self, place: usize) {
        let Some(entry) = self.entries.get_mut(place) else {
            return;
        };
        let (newer, older) = (entry.newer.take(), entry.older.take());
        if let Some(entry) = newer.and_then(|place| self.entries.get_mut(place)) {
            entry.older = older;
        }
        if let Some(entry) = older.and_then(|place| self.entries.get_mut(place)) {
            entry.newer = newer;
        }
        self.ends = self.ends.and_then(|ends| {
            Some(Ends {
                newest: if ends.newest == place {
                    older?
                } else {
                    ends.newest
                },
                oldest: if ends.oldest == place {
                    newer?
                } else {
                    ends.oldest
                },
            })
        });
    }

    fn put_first(&mut self, place: usize) {
        let before = self.ends.map(|ends| ends.newest);
        if let Some(entry) = self.entries.get_mut(place) {
            (entry.newer, entry.older) = (None, before);
        }
        if let Some(entry) = before.and_then(|place| self.entries.get_mut(place)) {
            entry.newer = Some(place);
        }
        let oldest = self.ends.map_or(place, |ends| ends.oldest);
        self.ends = Some(Ends {
            newest: place,
            oldest,
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(payload: &[u8], headers: &[(&str, &str)]) -> Message {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Message {
            headers: Some(Arc::new(headers.collect())),
            ..Message::of(Bytes::copy_from_slice(payload))
        }
    }

    proptest! {
        /// Against a list that is searched: the same results are kept, the same are forgotten, and the memory
        /// never passes the limit.
        #[test]
        fn it_keeps_what_was_asked_for_last(
            asked in prop::collection::vec((0u8..30, 0usize..300), 1..300),
            room in 300usize..4000,
        ) {
            let cache = Cache::new(room);
            let mut list: Vec<(u8, usize, usize)> = Vec::new();
            for (key, size) in asked {
                let message = message(&[key], &[]);
                let kept = cache.get(&message);
                let place = list.iter().position(|(other, ..)| *other == key);
                prop_assert_eq!(kept.as_ref().map(|kept| kept.payload.len()), place.map(|at| list[at].1));
                if let Some(at) = place {
                    prop_assert!(kept.is_some_and(|kept| kept.payload.iter().all(|byte| *byte == key)));
                    let entry = list.remove(at);
                    list.push(entry);
                    continue;
                }
                cache.put(&message, &vec![key; size], &Vec::new());
                let bytes = 1 + size + ENTRY_BYTES;
                if bytes <= room {
                    while list.iter().map(|(.., bytes)| bytes).sum::<usize>() + bytes > room {
                        list.remove(0);
                    }
                    list.push((key, size, bytes));
                }
                let used: usize = list.iter().map(|(.., bytes)| bytes).sum();
                prop_assert_eq!(cache.bytes(), used);
                prop_assert!(used <= room);
            }
        }
    }

    #[test]
    fn headers_that_say_how_to_read_it_count() {
        let cache = Cache::new(10_000);
        let of = |shape| message(b"1234", &[("Forebay-Shape", shape), ("Trace", "x")]);
        let headers = vec![("Forebay-Dtype".to_owned(), "f32".to_owned())];
        cache.put(&of("1,4"), b"one row", &headers);
        assert_eq!(cache.get(&of("4,1")), None);
        assert_eq!(cache.get(&message(b"1234", &[])), None);
        assert_eq!(cache.get(&message(b"12341", &[])), None);
        let again = message(b"1234", &[("trace", "y"), ("Forebay-Shape", "1,4")]);
        let kept = cache.get(&again).expect("kept");
        assert_eq!(
            (&kept.payload[..], &kept.headers),
            (&b"one row"[..], &headers)
        );
    }

    #[test]
    fn a_payload_with_the_hash_of_another_is_another() {
        let cache = Cache::new(10_000);
        cache.put(&message(b"a", &[]), b"A", &Vec::new());
        // As if both had one hash.
        let hash = cache.hash(&message(b"b", &[]));
        cache.inner.lock().expect("sound").places.insert(hash, 0);
        assert_eq!(cache.get(&message(b"b", &[])), None);
    }
}
