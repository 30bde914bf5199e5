//! How a command ends: the exit codes, and the sentence that goes with them.

use std::fmt;

use crate::{pipeline::build::BuildError, threads::Lost};

/// The exit codes, as `--help` explains them. After sysexits.h where that has one that fits.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0   it went well; also after Ctrl-C or SIGTERM, once everything in flight is settled
  1   it failed; the last line says why
  2   the command line is wrong
  66  a file to read is missing or cannot be read
  69  something it needs is not there: a NATS server, a stream, ONNX Runtime
  70  a bug in forebay
  78  a pipeline file is wrong (the report says where), or its golden rows do not pass
  130, 143  stopped at once by a second Ctrl-C or SIGTERM";

/// Why the program ends, as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Something failed.
    Failed = 1,
    /// The command line is wrong in a way that only shows when it is used.
    Usage = 2,
    /// A file to read is missing or cannot be read (`EX_NOINPUT`).
    NoInput = 66,
    /// A server or a library is not there (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// A bug in forebay (`EX_SOFTWARE`).
    Bug = 70,
    /// A pipeline file is wrong (`EX_CONFIG`).
    Config = 78,
}

impl From<&BuildError> for Exit {
    fn from(error: &BuildError) -> Self {
        match error {
            BuildError::Golden(_) => Self::Config,
            BuildError::Load(lost) => lost.into(),
            _ => Self::Unavailable,
        }
    }
}

impl From<&Lost> for Exit {
    fn from(lost: &Lost) -> Self {
        match lost {
            Lost::Panicked { .. } => Self::Bug,
            Lost::NotStarted { .. } => Self::Unavailable,
        }
    }
}

/// Why a command failed: what to tell the user, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    text: String,
    rendered: bool,
}

impl Failure {
    /// A failure with one sentence: lower-case, what and where, and what to do about it.
    pub fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self {
            exit,
            text: sentence.into(),
            rendered: false,
        }
    }

    /// A failure whose text is a finished report (of a pipeline file, say) and is printed as it is.
    pub fn rendered(exit: Exit, report: impl Into<String>) -> Self {
        Self {
            rendered: true,
            ..Self::new(exit, report)
        }
    }

    /// Something failed, with no exit code of its own.
    pub fn failed(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Failed, sentence)
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What to print.
    pub fn report(&self) -> String {
        if self.rendered {
            self.text.trim_end().to_owned()
        } else {
            format!("error: {}", self.text)
        }
    }
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Self {
        Self::new(Exit::from(&lost), lost.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_while_it_loads_is_a_bug() {
        let thread = "load".to_owned();
        let panicked = BuildError::Load(Lost::Panicked {
            thread: thread.clone(),
            message: "no such branch".to_owned(),
        });
        assert_eq!(Exit::from(&panicked), Exit::Bug);
        assert!(panicked.to_string().ends_with("this is a bug in forebay"));
        let error = std::io::ErrorKind::OutOfMemory.into();
        let no_thread = Lost::NotStarted { thread, error };
        assert_eq!(Failure::from(no_thread).exit(), Exit::Unavailable);
    }
}
