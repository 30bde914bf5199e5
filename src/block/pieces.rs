//! Values of varying length, end to end in one allocation.

/// The same for text and for bytes, which differ in what holds them only.
macro_rules! pieces {
    ($(#[$doc:meta])* $name:ident, $held:ty, $piece:ty, $push:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $name {
            all: $held,
            /// Where each value ends in `all`.
            ends: Vec<usize>,
        }

        impl $name {
            /// Appends one value.
            pub fn push(&mut self, value: &$piece) {
                self.all.$push(value);
                self.ends.push(self.all.len());
            }

            /// Number of values.
            pub fn len(&self) -> usize {
                self.ends.len()
            }

            /// Whether there is no value.
            pub fn is_empty(&self) -> bool {
                self.ends.is_empty()
            }

            /// The value at `index`, if there are so many.
            pub fn get(&self, index: usize) -> Option<&$piece> {
                let end = *self.ends.get(index)?;
                self.all.get(self.start(index)..end)
            }

            /// All values in order.
            pub fn iter(&self) -> impl ExactSizeIterator<Item = &$piece> {
                (0..self.len()).map(|index| self.get(index).unwrap_or_default())
            }

            /// Gives `each` these values: bytes that begin with the value and go on with whatever lies behind it, `N` at
            /// least, and the value's length.
            pub fn each_with_rest<const N: usize>(
                &self,
                elements: std::ops::Range<usize>,
                mut each: impl FnMut(&[u8], usize),
            ) {
                let all: &[u8] = self.all.as_ref();
                // The last bytes once more, with zeros behind them.
                let near = all.len().saturating_sub(N);
                let mut last = [[0; N]; 2];
                let tail = all.get(near..).unwrap_or_default();
                let to = last.as_flattened_mut();
                to.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
                let last = last.as_flattened();
                let mut start = self.start(elements.start);
                for end in self.ends.get(elements).unwrap_or_default() {
                    let rest = match start.checked_sub(near) {
                        Some(at) => last.get(at..),
                        None => all.get(start..),
                    };
                    each(rest.unwrap_or_default(), end - start);
                    start = *end;
                }
            }

            fn start(&self, index: usize) -> usize {
                match index.checked_sub(1) {
                    Some(before) => self.ends.get(before).copied().unwrap_or(self.all.len()),
                    None => 0,
                }
            }

            pub(super) fn truncate(&mut self, len: usize) {
                self.all.truncate(self.start(len));
                self.ends.truncate(len);
            }

            pub(super) fn append(&mut self, other: &Self) {
                let offset = self.all.len();
                self.all.$push(&other.all);
                self.ends.extend(other.ends.iter().map(|end| end + offset));
            }

            /// Bytes that are held, used or not.
            pub(super) fn allocated(&self) -> usize {
                self.all.capacity() + self.ends.capacity() * size_of::<usize>()
            }

            pub(super) fn extend_from(&mut self, other: &Self, elements: std::ops::Range<usize>) {
                let (first, last) = (other.start(elements.start), other.start(elements.end));
                let offset = self.all.len();
                self.all.$push(&other.all[first..last]);
                let ends = other.ends[elements].iter();
                self.ends.extend(ends.map(|end| end - first + offset));
            }
        }
    };
}

pieces!(
    /// Text values in one allocation.
    Strings, String, str, push_str
);
pieces!(
    /// Byte values in one allocation.
    Blobs, Vec<u8>, [u8], extend_from_slice
);

impl Blobs {
    /// Makes the last value empty, once nobody needs it any more.
    pub fn clear_last(&mut self) {
        if let Some(last) = self.len().checked_sub(1) {
            self.all.truncate(self.start(last));
            if let Some(end) = self.ends.last_mut() {
                *end = self.all.len();
            }
        }
    }
}
