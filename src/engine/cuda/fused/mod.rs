//! Kernels for one model: written as CUDA C++, and compiled by NVRTC where that is there.
//!
//! - `chain` writes what a chain of elementwise programs does as one kernel, without the program
//! - `mlp` writes a run of small dense layers as one kernel
//! - [`Compiler`] compiles what is written, and keeps it (`cache`)
//!
//! What is written holds no sizes that depend on the number of rows, as far as that can be: so the plans of a model for
//! different numbers of rows share most of it.

mod cache;
pub(super) mod chain;
mod compiler;
pub(super) mod mlp;

use std::fmt::Write as _;

pub use compiler::{Codes, Compiler, FuseError, cubin};
use ring::digest::{Digest, SHA256, digest};

/// Stands for the kernel's name in what writes its text.
const NAME: &str = "@NAME@";

/// The text of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    name: String,
    text: String,
}

impl Code {
    /// Names a kernel by its kind and its text, which has [`NAME`] where the name goes.
    fn new(kind: &str, text: &str) -> Self {
        let name = format!(
            "{kind}_{}",
            &hexadecimal(&digest(&SHA256, text.as_bytes()))[..16]
        );
        Self {
            text: text.replace(NAME, &name),
            name,
        }
    }

    /// The kernel's name: equal texts have equal names, and no others.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// CUDA C++, with what is in `kernels/fused/` before it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn hexadecimal(digest: &Digest) -> String {
    digest
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _written = write!(text, "{byte:02x}");
            text
        })
}
