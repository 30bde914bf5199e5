//! Numbered places for what is in flight.

/// A table whose keys are never given twice: a key carries how often its place was used, so a late
/// word about an earlier tenant finds nothing.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    uses: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps `value` and gives its key.
    pub(crate) fn insert(&mut self, value: T) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                uses: 0,
                value: None,
            });
            u32::try_from(self.places.len() - 1)
                .expect("credit bounds what is in flight: this is a bug")
        });
        let place = &mut self.places[index as usize];
        place.uses = place.uses.wrapping_add(1);
        place.value = Some(value);
        u64::from(place.uses) << 32 | u64::from(index)
    }

    fn place(&mut self, key: u64) -> Option<&mut Place<T>> {
        let index = usize::try_from(key & u64::from(u32::MAX)).ok()?;
        self.places
            .get_mut(index)
            .filter(|place| u64::from(place.uses) == key >> 32)
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        self.place(key)?.value.as_mut()
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<T> {
        let value = self.place(key)?.value.take()?;
        let index = u32::try_from(key & u64::from(u32::MAX));
        self.free.extend(index.ok());
        Some(value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places
            .iter_mut()
            .filter_map(|place| place.value.as_mut())
    }

    /// The keys of all values that `keep` says yes to.
    pub(crate) fn keys(&self, keep: impl Fn(&T) -> bool) -> Vec<u64> {
        self.places
            .iter()
            .zip(0u64..)
            .filter(|(place, _)| place.value.as_ref().is_some_and(&keep))
            .map(|(place, index)| u64::from(place.uses) << 32 | index)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_an_earlier_tenant_finds_nothing() {
        let mut slab = Slab::new();
        let first = slab.insert("a");
        assert_eq!(slab.remove(first), Some("a"));
        let second = slab.insert("b");
        assert_ne!(first, second);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut "b"));
        assert_eq!(slab.len(), 1);
        assert_eq!(slab.keys(|_| true), [second]);
        assert_eq!(slab.remove(second), Some("b"));
        assert!(slab.is_empty());
    }
}
