//! Small texts cut from one growing buffer: subjects and reply subjects cost no allocation each.

use std::fmt::{self, Write};

use async_nats::Subject;
use bytes::{Bytes, BytesMut};

/// Cuts small `Bytes` from a shared chunk. A chunk lives as long as any text cut from it, so it is
/// small.
#[derive(Debug, Default)]
pub(crate) struct Scratch(BytesMut);

const CHUNK: usize = 4096;

impl Scratch {
    fn room(&mut self, wanted: usize) {
        if self.0.capacity() - self.0.len() < wanted {
            self.0 = BytesMut::with_capacity(CHUNK.max(wanted));
        }
    }

    /// A copy of `text` that does not keep what `text` was read from alive.
    pub(crate) fn copy(&mut self, text: &str) -> Bytes {
        self.room(text.len());
        self.0.extend_from_slice(text.as_bytes());
        self.0.split().freeze()
    }

    /// A subject made of `text`.
    pub(crate) fn subject(&mut self, text: &str) -> Subject {
        subject(self.copy(text))
    }

    /// A subject made of what `text` formats to.
    pub(crate) fn format(&mut self, text: fmt::Arguments<'_>) -> Subject {
        self.room(128);
        // Writing to a buffer that grows cannot fail.
        if self.0.write_fmt(text).is_err() {
            unreachable!("a growing buffer takes everything: this is a bug");
        }
        subject(self.0.split().freeze())
    }
}

fn subject(bytes: Bytes) -> Subject {
    Subject::try_from(bytes).expect("made from text: this is a bug")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_apart() {
        let mut scratch = Scratch::default();
        let long = "x".repeat(3 * CHUNK);
        let texts = ["a.b", "", long.as_str(), "c"].map(|text| scratch.copy(text));
        assert_eq!(texts, ["a.b", "", long.as_str(), "c"]);
        assert_eq!(
            scratch.format(format_args!("in.{:x}", 255)).as_str(),
            "in.ff"
        );
        assert_eq!(scratch.subject("d").as_str(), "d");
    }
}
