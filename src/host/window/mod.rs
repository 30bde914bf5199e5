//! The first and the last bytes of a value as numbers, for models that read raw bytes.
//!
//! With `head: 1024, tail: 1024, block: 4096, strip: true, pad: 256, min_bytes: 8` it is the
//! feature extraction of magika 1.0 (<https://github.com/google/magika>).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Numbers in a row, at most: 64 MiB.
const WIDTH_MAX: usize = 16 << 20;

/// Turns bytes into a fixed number of integers: each byte's value, from 0 to 255, or `pad`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowOptions {
    /// Bytes from the beginning; fewer are followed by padding.
    #[serde(default)]
    pub head: usize,
    /// Bytes from the end, which stand behind those of the beginning; before fewer there is
    /// padding.
    #[serde(default)]
    pub tail: usize,
    /// Looks at so many bytes from the beginning and from the end only, which bounds what `strip`
    /// takes away; at all bytes where left out.
    #[schemars(range(min = 1))]
    pub block: Option<usize>,
    /// Leaves out white space (space, tab, line feed, vertical tab, form feed, carriage return)
    /// before the first byte of `head` and after the last byte of `tail`.
    #[serde(default)]
    pub strip: bool,
    /// Stands where there are no bytes. Values over 255 cannot be taken for a byte.
    pub pad: i32,
    /// Rejects a value that fills fewer numbers of `head` (of `tail`, where there is no head) than
    /// this.
    #[serde(default)]
    pub min_bytes: usize,
}

/// Why a window step cannot be made. The operator must mend it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OptionFault {
    /// No numbers at all.
    #[error("head and tail are both 0, so a row would be empty; set one of them")]
    Empty,
    /// More numbers than a row can have.
    #[error("head and tail are {0} and {1} bytes, more than the {WIDTH_MAX} that a row can have")]
    Wide(usize, usize),
    /// A block that can never fill the window.
    #[error("block is {block}, less than the {side} bytes of {name}; it must be at least as many")]
    Block {
        /// Bytes looked at.
        block: usize,
        /// `head` or `tail`.
        name: &'static str,
        /// Its bytes.
        side: usize,
    },
    /// Every value would be rejected.
    #[error(
        "min_bytes is {min_bytes}, more than the {side} bytes of {name}, so every value would be rejected"
    )]
    Minimum {
        /// Bytes asked for.
        min_bytes: usize,
        /// `head` or `tail`.
        name: &'static str,
        /// Its bytes.
        side: usize,
    },
}

/// Why a value gives no row. The sender must mend it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WindowFault {
    /// Fewer bytes than `min_bytes`.
    #[error("the value has {found} bytes{without}, fewer than the {wanted} that are needed")]
    Short {
        /// Bytes in the window.
        found: usize,
        /// Bytes needed.
        wanted: usize,
        /// Says that white space does not count, where it does not.
        without: &'static str,
    },
}

impl WindowFault {
    /// The fixed word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Short { .. } => "length",
        }
    }
}

/// Turns bytes into a window of them. It has no memory of its own, so threads may share it.
#[derive(Debug, Clone)]
pub struct WindowStep {
    options: WindowOptions,
    block: usize,
}

impl WindowStep {
    /// A step that does what the options say.
    pub fn new(options: WindowOptions) -> Result<Self, OptionFault> {
        let (head, tail) = (options.head, options.tail);
        let sides = [("head", head), ("tail", tail)];
        let Some((name, side)) = sides.into_iter().find(|(_, side)| *side > 0) else {
            return Err(OptionFault::Empty);
        };
        if head.checked_add(tail).is_none_or(|width| width > WIDTH_MAX) {
            return Err(OptionFault::Wide(head, tail));
        }
        let block = options.block.unwrap_or(usize::MAX);
        if let Some((name, side)) = sides.into_iter().find(|(_, side)| *side > block.max(1)) {
            return Err(OptionFault::Block { block, name, side });
        }
        if block == 0 {
            return Err(OptionFault::Block { block, name, side });
        }
        let min_bytes = options.min_bytes;
        if min_bytes > side {
            return Err(OptionFault::Minimum {
                min_bytes,
                name,
                side,
            });
        }
        Ok(Self { options, block })
    }

    /// Numbers in a row: `head` and `tail` together.
    pub fn width(&self) -> usize {
        self.options.head + self.options.tail
    }

    /// Appends the window of `bytes` to `out`: `head` numbers, then `tail` numbers; on a fault
    /// nothing is appended.
    pub fn run(&self, bytes: &[u8], out: &mut Vec<i32>) -> Result<(), WindowFault> {
        let WindowOptions {
            head,
            tail,
            strip,
            pad,
            min_bytes,
            ..
        } = self.options;
        let block = self.block.min(bytes.len());
        let mut first = bytes.get(..block).unwrap_or(bytes);
        let mut last = bytes.get(bytes.len() - block..).unwrap_or(bytes);
        if strip {
            first = after_space(first);
            last = before_space(last);
        }
        let first = first.get(..head).unwrap_or(first);
        let last = last
            .len()
            .checked_sub(tail)
            .and_then(|from| last.get(from..))
            .unwrap_or(last);
        let found = if head > 0 { first.len() } else { last.len() };
        if found < min_bytes {
            return Err(WindowFault::Short {
                found,
                wanted: min_bytes,
                without: if strip { ", white space left out" } else { "" },
            });
        }
        out.reserve(head + tail);
        out.extend(first.iter().map(|byte| i32::from(*byte)));
        out.extend(std::iter::repeat_n(
            pad,
            head - first.len() + tail - last.len(),
        ));
        out.extend(last.iter().map(|byte| i32::from(*byte)));
        Ok(())
    }
}

/// What Python's `bytes.strip` takes for white space: Rust's ASCII white space and vertical tabs.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn after_space(bytes: &[u8]) -> &[u8] {
    let from = bytes.iter().position(|byte| !is_space(*byte));
    bytes.get(from.unwrap_or(bytes.len())..).unwrap_or_default()
}

fn before_space(bytes: &[u8]) -> &[u8] {
    let last = bytes.iter().rposition(|byte| !is_space(*byte));
    bytes.get(..last.map_or(0, |at| at + 1)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
