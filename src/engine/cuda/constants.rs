//! The constants of a model's plans. There are many plans and all have the same weights: equal ones are one, and what was read,
//! hashed or converted for one plan is not again for the next.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use crate::graph::tensor::{Element, shortened};

/// What stands for the bytes of a constant.
pub(super) type Digest = [u8; SHA256_OUTPUT_LEN];

/// Bytes that are uploaded once. Equal ones are there only once.
#[derive(Clone)]
pub struct Constant {
    /// The elements, little-endian.
    pub bytes: Bytes,
    /// Of the bytes, once anybody asked; copies have it in common.
    digest: Arc<OnceLock<Digest>>,
}

impl Constant {
    /// With these bytes.
    pub fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            digest: Arc::default(),
        }
    }

    /// Equal bytes have equal ones, and no others.
    pub(super) fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let mut made = Digest::default();
            made.copy_from_slice(digest(&SHA256, &self.bytes).as_ref());
            made
        })
    }
}

impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constant")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        Address::of(&self.bytes) == Address::of(&other.bytes) || self.bytes == other.bytes
    }
}

impl Eq for Constant {}

/// Where bytes lie. No others do as long as somebody holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Address {
    address: usize,
    length: usize,
}

impl Address {
    pub(super) fn of(bytes: &Bytes) -> Self {
        Self {
            address: bytes.as_ptr().addr(),
            length: bytes.len(),
        }
    }
}

/// What is known of the constants of one model.
#[derive(Debug, Default)]
pub struct Constants {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Every one that was taken up.
    by_digest: HashMap<Digest, Constant>,
    by_address: HashMap<Address, Constant>,
    /// The model's own weights, which every plan is made of.
    weights: HashMap<Address, Bytes>,
    /// In sixteen bits, by where they lie in single precision.
    halves: HashMap<(Address, Element), Bytes>,
}

impl Constants {
    /// For a model with these weights, which stay where they are.
    pub fn of_weights<'b>(weights: impl Iterator<Item = &'b Bytes>) -> Self {
        let known = Known {
            weights: weights.map(|it| (Address::of(it), it.clone())).collect(),
            ..Known::default()
        };
        Self {
            known: Mutex::new(known),
        }
    }

    /// The one constant with these bytes. They are read where they lie somewhere else than before.
    pub(super) fn constant(&self, bytes: &Bytes) -> Constant {
        if let Some(constant) = self.known().by_address.get(&Address::of(bytes)) {
            return constant.clone();
        }
        let made = Constant::new(bytes.clone());
        // Others need not wait for this.
        let digest = made.digest();
        let mut known = self.known();
        let constant = known.by_digest.entry(digest).or_insert(made).clone();
        // Where it is another's bytes, these may be gone soon.
        let address = Address::of(&constant.bytes);
        known.by_address.insert(address, constant.clone());
        if known.weights.contains_key(&Address::of(bytes)) {
            known
                .by_address
                .insert(Address::of(bytes), constant.clone());
        }
        constant
    }

    /// Numbers of single precision in sixteen bits.
    pub(super) fn shortened(&self, singles: &Bytes, to: Element) -> Bytes {
        let address = Address::of(singles);
        if let Some(made) = self.known().halves.get(&(address, to)) {
            return made.clone();
        }
        let made = shortened(singles, to);
        let mut known = self.known();
        // What else there is may be gone soon.
        if known.weights.contains_key(&address) || known.by_address.contains_key(&address) {
            known.halves.insert((address, to), made.clone());
        }
        made
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic between two whole steps leaves the maps sound.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn singles(values: &[f32]) -> Bytes {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    #[test]
    fn equal_constants_are_one_wherever_they_lie() {
        let constants = Constants::default();
        let one = constants.constant(&singles(&[1.0, 2.0]));
        let same = constants.constant(&singles(&[1.0, 2.0]));
        assert_eq!(Address::of(&one.bytes), Address::of(&same.bytes));
        assert!(Arc::ptr_eq(&one.digest, &same.digest));
        let other = constants.constant(&singles(&[1.0, 3.0]));
        assert_ne!(one.digest(), other.digest());
        assert_ne!(one, other);
        assert_eq!(one, Constant::new(singles(&[1.0, 2.0])));
        let part = constants.constant(&one.bytes.slice(..4));
        assert_eq!(part.bytes, singles(&[1.0]));
    }

    /// Memory that was given back is given out again, and then holds something else.
    #[test]
    fn bytes_that_are_gone_are_not_taken_for_others_in_their_place() {
        let constants = Constants::default();
        for value in 0_u8..100 {
            let made = singles(&[f32::from(value), 1.0]);
            assert_eq!(
                constants.shortened(&made, Element::Float16),
                shortened(&made, Element::Float16)
            );
            assert_eq!(constants.constant(&made).bytes, made);
            let equal = singles(&[f32::from(value), 1.0]);
            assert_eq!(constants.constant(&equal).bytes, equal);
        }
    }

    #[test]
    fn weights_are_converted_once_for_each_type() {
        let weights = singles(&[1.0, 0.1]);
        let constants = Constants::of_weights([&weights].into_iter());
        for to in [Element::Float16, Element::Bfloat16] {
            let first = constants.shortened(&weights, to);
            assert_eq!(first, shortened(&weights, to));
            let again = constants.shortened(&weights, to);
            assert_eq!(Address::of(&first), Address::of(&again));
        }
    }
}
