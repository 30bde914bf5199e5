//! MessagePack read in place: one marker at a time, and whole values to be skipped.

use std::fmt;

use crate::message::{Reject, Stage};

/// Containers within containers, the outermost included; as in JSON.
const DEPTH_MAX: u8 = 127;

/// Where and why the bytes are not MessagePack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    at: usize,
    what: &'static str,
}

/// The result of reading a piece.
pub(super) type Read<T> = Result<T, Syntax>;

impl Syntax {
    #[cold]
    pub(super) fn reject(self) -> Reject {
        let Self { at, what } = self;
        let reason = format!("not MessagePack: {what} at byte {at}");
        Reject::new(Stage::Decode, "syntax", reason)
    }
}

/// A scalar, or the head of a container whose elements follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Item<'a> {
    Nil,
    Bool(bool),
    Integer(i64),
    /// A whole number beyond [`i64::MAX`].
    Large(u64),
    F32(f32),
    F64(f64),
    Text(&'a str),
    Binary(&'a [u8]),
    Array(usize),
    /// A map of this many pairs.
    Map(usize),
    Extension,
}

impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Large(value) => value.fmt(f),
            Self::F32(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::Binary(bytes) => write!(f, "binary data of {} bytes", bytes.len()),
            Self::Array(count) => write!(f, "an array of {count}"),
            Self::Map(count) => write!(f, "a map of {count}"),
            Self::Extension => f.write_str("an extension value"),
        }
    }
}

/// A place in the bytes.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) pos: usize,
    depth: u8,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            pos: 0,
            depth: 0,
        }
    }

    #[cold]
    fn fail<T>(&self, what: &'static str) -> Read<T> {
        Err(Syntax { at: self.pos, what })
    }

    pub(super) fn mark(&self) -> (usize, u8) {
        (self.pos, self.depth)
    }

    /// Goes back to where [`Reader::mark`] was called.
    pub(super) fn rewind(&mut self, (pos, depth): (usize, u8)) {
        self.pos = pos;
        self.depth = depth;
    }

    pub(super) fn enter(&mut self) -> Read<()> {
        if self.depth >= DEPTH_MAX {
            return self.fail("more than 127 levels of nesting");
        }
        self.depth += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Read<()> {
        if self.pos < self.bytes.len() {
            return self.fail("expected the end");
        }
        Ok(())
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        match self.bytes.get(self.pos..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => {
                self.pos += N;
                Ok(*bytes)
            }
            None => self.cut_short(),
        }
    }

    #[cold]
    fn cut_short<T>(&self) -> Read<T> {
        Err(Syntax {
            at: self.bytes.len(),
            what: "a value is cut short",
        })
    }

    /// A length of one, two or four bytes.
    fn length(&mut self, size: u8) -> Read<usize> {
        Ok(match size {
            1 => usize::from(u8::from_be_bytes(self.array()?)),
            2 => usize::from(u16::from_be_bytes(self.array()?)),
            // A length that this machine cannot address is longer than any message.
            _ => usize::try_from(u32::from_be_bytes(self.array()?)).unwrap_or(usize::MAX),
        })
    }

    fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let end = self.pos.saturating_add(len);
        let Some(bytes) = self.bytes.get(self.pos..end) else {
            return self.cut_short();
        };
        self.pos = end;
        Ok(bytes)
    }

    fn text(&mut self, len: usize) -> Read<Item<'a>> {
        let start = self.pos;
        match std::str::from_utf8(self.take(len)?) {
            Ok(text) => Ok(Item::Text(text)),
            Err(error) => Err(Syntax {
                at: start + error.valid_up_to(),
                what: "text that is not UTF-8",
            }),
        }
    }

    fn extension(&mut self, len: usize) -> Read<Item<'a>> {
        // One byte for the extension's type, then its data.
        self.take(len.saturating_add(1))?;
        Ok(Item::Extension)
    }

    /// The float that begins here, if one does, and how many bytes it takes.
    #[inline]
    pub(super) fn float(&self) -> Option<(f64, usize)> {
        let (marker, rest) = self.bytes.get(self.pos..)?.split_first()?;
        match marker {
            0xca => Some((f64::from(f32::from_be_bytes(*rest.first_chunk()?)), 5)),
            0xcb => Some((f64::from_be_bytes(*rest.first_chunk()?), 9)),
            _ => None,
        }
    }

    /// Reads a scalar whole, or the head of a container.
    #[inline]
    pub(super) fn item(&mut self) -> Read<Item<'a>> {
        let [marker] = self.array()?;
        Ok(match marker {
            0x00..=0x7f => Item::Integer(i64::from(marker)),
            0x80..=0x8f => Item::Map(usize::from(marker & 0x0f)),
            0x90..=0x9f => Item::Array(usize::from(marker & 0x0f)),
            0xa0..=0xbf => return self.text(usize::from(marker & 0x1f)),
            0xca => Item::F32(f32::from_be_bytes(self.array()?)),
            0xcb => Item::F64(f64::from_be_bytes(self.array()?)),
            0xe0..=0xff => Item::Integer(i64::from(i8::from_be_bytes([marker]))),
            _ => return self.rarer(marker),
        })
    }

    #[inline(never)]
    fn rarer(&mut self, marker: u8) -> Read<Item<'a>> {
        Ok(match marker {
            0xc0 => Item::Nil,
            0xc2 => Item::Bool(false),
            0xc3 => Item::Bool(true),
            0xc4..=0xc6 => {
                let len = self.length(1 << (marker - 0xc4))?;
                Item::Binary(self.take(len)?)
            }
            0xc7..=0xc9 => {
                let len = self.length(1 << (marker - 0xc7))?;
                return self.extension(len);
            }
            0xcc => Item::Integer(i64::from(u8::from_be_bytes(self.array()?))),
            0xcd => Item::Integer(i64::from(u16::from_be_bytes(self.array()?))),
            0xce => Item::Integer(i64::from(u32::from_be_bytes(self.array()?))),
            0xcf => {
                let value = u64::from_be_bytes(self.array()?);
                i64::try_from(value).map_or(Item::Large(value), Item::Integer)
            }
            0xd0 => Item::Integer(i64::from(i8::from_be_bytes(self.array()?))),
            0xd1 => Item::Integer(i64::from(i16::from_be_bytes(self.array()?))),
            0xd2 => Item::Integer(i64::from(i32::from_be_bytes(self.array()?))),
            0xd3 => Item::Integer(i64::from_be_bytes(self.array()?)),
            0xd4..=0xd8 => return self.extension(1 << (marker - 0xd4)),
            0xd9..=0xdb => {
                let len = self.length(1 << (marker - 0xd9))?;
                return self.text(len);
            }
            0xdc | 0xdd => Item::Array(self.length(2 << (marker - 0xdc))?),
            0xde | 0xdf => Item::Map(self.length(2 << (marker - 0xde))?),
            _ => {
                self.pos -= 1;
                return self.fail("a byte that begins no value");
            }
        })
    }

    /// Skips a whole value.
    pub(super) fn skip(&mut self) -> Read<()> {
        let item = self.item()?;
        self.skip_rest(item)
    }

    /// Skips what follows a head.
    pub(super) fn skip_rest(&mut self, item: Item<'_>) -> Read<()> {
        let values = match item {
            Item::Array(count) => count,
            Item::Map(pairs) => pairs.saturating_mul(2),
            _ => return Ok(()),
        };
        self.enter()?;
        for _ in 0..values {
            self.skip()?;
        }
        self.leave();
        Ok(())
    }
}
