//! Standard output, for data only; a reader that leaves early (`| head`) is no failure.

use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Stdout, Write as _};

use super::Failure;

/// Whether somebody still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Reader {
    /// Somebody does.
    There,
    /// The pipe is closed.
    Gone,
}

impl Reader {
    pub(super) fn is_gone(self) -> bool {
        self == Self::Gone
    }
}

/// Standard output.
pub(super) struct Output {
    stdout: BufWriter<Stdout>,
    terminal: bool,
}

impl Output {
    pub(super) fn new() -> Self {
        let stdout = io::stdout();
        Self {
            terminal: stdout.is_terminal(),
            stdout: BufWriter::with_capacity(64 * 1024, stdout),
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes the parts one after another, into a buffer.
    ///
    /// # Errors
    /// The system refuses for another reason than that nobody reads.
    pub(super) fn write(&mut self, parts: &[&[u8]]) -> Result<Reader, Failure> {
        let written = parts
            .iter()
            .try_for_each(|part| self.stdout.write_all(part));
        reader(written)
    }

    /// Hands on what is in the buffer.
    ///
    /// # Errors
    /// The system refuses for another reason than that nobody reads.
    pub(super) fn flush(&mut self) -> Result<Reader, Failure> {
        reader(self.stdout.flush())
    }
}

/// Writes a whole text. That nobody reads it is no failure.
///
/// # Errors
/// The system refuses for another reason.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut output = Output::new();
    if !output.write(&[text.as_bytes()])?.is_gone() {
        let _reader = output.flush()?;
    }
    Ok(())
}

fn reader(written: io::Result<()>) -> Result<Reader, Failure> {
    match written {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::failed(format!(
            "standard output cannot be written: {error}"
        ))),
    }
}
