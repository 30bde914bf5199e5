//! Strict JSON (RFC 8259) read in place: white space, strings, literals, and values to be skipped.

use std::fmt;

use crate::message::{Reject, Stage};

/// Containers within containers, the outermost included. The same as serde_json's.
const DEPTH_MAX: u8 = 127;

/// Where and why the text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// The result of reading a piece of JSON.
pub(super) type Scan<T> = Result<T, Syntax>;

impl Syntax {
    /// The reject that names the place in `text`.
    #[cold]
    pub(super) fn reject(self, text: &str) -> Reject {
        let before = text.get(..self.at.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let Self { at, what } = self;
        Reject::new(
            Stage::Decode,
            "syntax",
            format!("not JSON: {what} at byte {at} (line {line}, column {column})"),
        )
    }
}

/// A place in a JSON text.
pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) pos: usize,
    depth: u8,
}

impl fmt::Debug for Scanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner")
            .field("pos", &self.pos)
            .finish_non_exhaustive()
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            pos: 0,
            depth: 0,
        }
    }

    #[cold]
    pub(super) fn fail<T>(&self, what: &'static str) -> Scan<T> {
        Err(Syntax { at: self.pos, what })
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    /// Skips white space.
    #[inline]
    pub(super) fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.pos += 1;
        }
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Scan<()> {
        if self.peek() != Some(byte) {
            return self.fail(what);
        }
        self.pos += 1;
        Ok(())
    }

    /// The text from `from` up to here.
    pub(super) fn since(&self, from: usize) -> &'a str {
        self.text.get(from..self.pos).unwrap_or_default()
    }

    /// A container opens here.
    pub(super) fn enter(&mut self) -> Scan<()> {
        if self.depth >= DEPTH_MAX {
            return self.fail("more than 127 levels of nesting");
        }
        self.depth += 1;
        Ok(())
    }

    /// A container has closed.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Goes back to the start of a value at depth `depth`, as [`Scanner::mark`] gave it.
    pub(super) fn rewind(&mut self, (pos, depth): (usize, u8)) {
        self.pos = pos;
        self.depth = depth;
    }

    pub(super) fn mark(&self) -> (usize, u8) {
        (self.pos, self.depth)
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Scan<()> {
        self.blank();
        if self.pos < self.bytes.len() {
            return self.fail("expected the end");
        }
        Ok(())
    }

    /// Between the elements of an array, or before its end. True when it has ended.
    #[inline]
    pub(super) fn array_ends(&mut self, first: bool) -> Scan<bool> {
        self.blank();
        match self.peek() {
            Some(b']') => {
                self.pos += 1;
                Ok(true)
            }
            Some(b',') if !first => {
                self.pos += 1;
                self.blank();
                Ok(false)
            }
            _ if first => Ok(false),
            _ => self.fail("expected `,` or `]`"),
        }
    }

    /// Skips any value, checking its grammar.
    pub(super) fn skip(&mut self) -> Scan<()> {
        self.blank();
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| ()),
            Some(b'{') => self.skip_object(),
            Some(b'[') => {
                self.enter()?;
                self.pos += 1;
                let mut first = true;
                while !self.array_ends(first)? {
                    first = false;
                    self.skip()?;
                }
                self.leave();
                Ok(())
            }
            _ => self.literal().map(|_| ()),
        }
    }

    fn skip_object(&mut self) -> Scan<()> {
        self.enter()?;
        self.pos += 1;
        self.blank();
        let mut first = true;
        loop {
            match self.peek() {
                Some(b'}') => break,
                Some(b',') if !first => {
                    self.pos += 1;
                    self.blank();
                }
                _ if first => {}
                _ => return self.fail("expected `,` or `}`"),
            }
            first = false;
            self.at_key()?;
            self.skip_string()?;
            self.blank();
            self.expect(b':', "expected `:`")?;
            self.skip()?;
            self.blank();
        }
        self.pos += 1;
        self.leave();
        Ok(())
    }

    /// A key must begin here.
    pub(super) fn at_key(&self) -> Scan<()> {
        match self.peek() {
            Some(b'"') => Ok(()),
            _ => self.fail("expected a key in double quotes"),
        }
    }

    /// `true`, `false` or `null` (`None`).
    pub(super) fn literal(&mut self) -> Scan<Option<bool>> {
        let rest = &self.bytes[self.pos..];
        for (word, value) in [
            (&b"true"[..], Some(true)),
            (b"false", Some(false)),
            (b"null", None),
        ] {
            if rest.starts_with(word) {
                self.pos += word.len();
                return Ok(value);
            }
        }
        if rest.is_empty() {
            return self.fail("expected a value, found the end");
        }
        if rest.starts_with(b"NaN") || rest.starts_with(b"Infinity") {
            return self.fail("JSON has no NaN or Infinity (send null)");
        }
        self.fail("expected a value")
    }

    fn skip_string(&mut self) -> Scan<()> {
        self.string_pieces(|_| {})
    }

    /// A string's text: a piece of the message, or unescaped into `scratch`.
    #[inline]
    pub(super) fn string<'s>(&mut self, scratch: &'s mut String) -> Scan<&'s str>
    where
        'a: 's,
    {
        let start = self.pos + 1;
        let end = plain_until(self.bytes, start);
        if self.bytes.get(end) == Some(&b'"') {
            self.pos = end;
            let text = self.since(start);
            self.pos = end + 1;
            return Ok(text);
        }
        scratch.clear();
        self.string_pieces(|piece| scratch.push_str(piece))?;
        Ok(scratch)
    }

    fn string_pieces(&mut self, mut take: impl FnMut(&str)) -> Scan<()> {
        self.pos += 1;
        loop {
            let from = self.pos;
            self.pos = plain_until(self.bytes, from);
            if self.pos > from {
                take(self.since(from));
            }
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    let unescaped = self.escape()?;
                    take(unescaped.encode_utf8(&mut [0; 4]));
                }
                Some(_) => return self.fail("a control character inside a string"),
                None => return self.fail("a string without its closing quote"),
            }
        }
    }

    fn escape(&mut self) -> Scan<char> {
        let unescaped = match self.bytes.get(self.pos + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return self.fail("an unknown escape"),
        };
        self.pos += 2;
        Ok(unescaped)
    }

    fn unicode_escape(&mut self) -> Scan<char> {
        let Some(first) = self.hex(self.pos + 2) else {
            return self.fail("`\\u` without four hex digits");
        };
        if let Some(plain) = char::from_u32(first) {
            self.pos += 6;
            return Ok(plain);
        }
        // What `char` refuses is half of a pair; only a first half followed by a second is text.
        let follows = self.bytes.get(self.pos + 6..self.pos + 8) == Some(b"\\u");
        let second = if follows {
            self.hex(self.pos + 8)
        } else {
            None
        };
        match second {
            Some(second) if first < 0xDC00 && (0xDC00..0xE000).contains(&second) => {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                let Some(joined) = char::from_u32(code) else {
                    return self.fail("half of a surrogate pair");
                };
                self.pos += 12;
                Ok(joined)
            }
            _ => self.fail("half of a surrogate pair"),
        }
    }

    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 4)?;
        digits.iter().try_fold(0, |code, digit| {
            Some(code << 4 | char::from(*digit).to_digit(16)?)
        })
    }
}

/// The first place from `at` on with a quote, a backslash or a control character.
#[inline]
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    // Eight bytes at a time: the lowest marked byte is exact, those above it may be false.
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let below = |limit: u64, word: u64| word.wrapping_sub(ONES * limit) & !word & TOPS;
        let quote = below(1, word ^ (ONES * u64::from(b'"')));
        let backslash = below(1, word ^ (ONES * u64::from(b'\\')));
        let marks = quote | backslash | below(0x20, word);
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    at + rest.iter().position(special).unwrap_or(rest.len())
}
