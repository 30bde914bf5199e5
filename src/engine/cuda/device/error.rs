//! What the driver says when a call fails, in CUDA's words and in plain ones.

use std::fmt;

use super::OpenError;

/// A call of the CUDA driver that failed, or one that was not made because it could not go well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaError {
    call: &'static str,
    /// What the call was about (a kernel, say), where that helps.
    about: Option<String>,
    cause: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    /// CUDA's number and name, and what it means.
    Driver {
        code: u32,
        name: String,
        words: String,
    },
    /// What would have gone wrong; the driver was not asked.
    Refused(String),
    /// A status of cuBLASLt or cuDNN, whose numbers are their own; with how the names of these begin.
    Library {
        status: i32,
        name: (&'static str, &'static str),
        words: &'static str,
    },
}

/// Errors after which the context is dead: no later call in this process succeeds on this device.
/// After the comments of CUDA's `cuda.h` ("the process must be terminated and relaunched"), and those
/// where the device or the context is gone.
const FATAL: &[u32] = &[
    4, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 911, 999,
];

const OUT_OF_MEMORY: u32 = 2;
/// Work is still going on: what a query answers, and no failure.
pub(super) const NOT_READY: u32 = 600;

impl CudaError {
    /// What the driver answered: `name` is CUDA's own, `said` its sentence.
    pub(super) fn driver(call: &'static str, code: u32, name: &str, said: &str) -> Self {
        Self {
            call,
            about: None,
            cause: Cause::Driver {
                code,
                name: name.to_owned(),
                words: plain(code).map_or_else(|| said.to_owned(), str::to_owned),
            },
        }
    }

    /// What cuBLASLt or cuDNN answered: what is before and behind `_STATUS_` in its name for that, and plain words.
    pub(super) fn library(
        call: &'static str,
        status: i32,
        name: (&'static str, &'static str),
        words: &'static str,
    ) -> Self {
        Self {
            call,
            about: None,
            cause: Cause::Library {
                status,
                name,
                words,
            },
        }
    }

    /// A call that was not made, and why.
    pub(super) fn refused(call: &'static str, why: impl Into<String>) -> Self {
        Self {
            call,
            about: None,
            cause: Cause::Refused(why.into()),
        }
    }

    /// Adds what the call was about.
    pub(super) fn about(mut self, what: &str) -> Self {
        self.about = Some(what.to_owned());
        self
    }

    /// The driver's number of the error; none where the call was not made, or was one of cuBLASLt or cuDNN.
    pub fn code(&self) -> Option<u32> {
        match self.cause {
            Cause::Driver { code, .. } => Some(code),
            Cause::Refused(_) | Cause::Library { .. } => None,
        }
    }

    /// Whether the device has no more memory: a smaller piece of work may still fit.
    pub fn is_out_of_memory(&self) -> bool {
        self.code() == Some(OUT_OF_MEMORY)
    }

    /// Whether the device is lost to this process: every later call fails as well.
    pub fn is_lost(&self) -> bool {
        self.code().is_some_and(|code| FATAL.contains(&code))
    }
}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.call)?;
        if let Some(what) = &self.about {
            write!(f, " ({what})")?;
        }
        match &self.cause {
            Cause::Driver { code, name, words } => {
                write!(f, " failed: {words} ({name}, {code})")
            }
            Cause::Refused(why) => write!(f, ": {why}"),
            Cause::Library {
                status,
                name: (library, name),
                words,
            } => write!(f, " failed: {words} ({library}_STATUS_{name}, {status})"),
        }
    }
}

impl std::error::Error for CudaError {}

impl From<OpenError> for CudaError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Device(error) => error,
            OpenError::Missing(missing) => Self::refused("CUDA", missing.to_string()),
        }
    }
}

/// Plain words for what an operator can meet; `None` where CUDA's own must do.
fn plain(code: u32) -> Option<&'static str> {
    Some(match code {
        OUT_OF_MEMORY => "the device has not enough free memory",
        46 => "the device is busy or set to exclusive use by another process",
        100 => "there is no device that CUDA can use",
        200 => "the kernels are not in a form that this driver reads",
        209 => "the kernels hold no code for this device's architecture",
        214 => "the device found an error in its memory that it could not correct",
        218 => "the kernels' PTX cannot be compiled by this driver",
        222 => "the kernels' PTX is of a newer version than this driver reads",
        500 => "the kernels have nothing of that name",
        700 => "a kernel read or wrote memory that is not its own",
        702 => "a kernel ran longer than the device allows",
        715 => "a kernel came to an instruction that the device does not know",
        716 => "a kernel read or wrote at an address that is not aligned",
        719 => "a kernel failed",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_which_call_what_and_cudas_own_name() {
        let error = CudaError::driver("cuMemAlloc", 2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory");
        assert_eq!(
            error.to_string(),
            "cuMemAlloc failed: the device has not enough free memory (CUDA_ERROR_OUT_OF_MEMORY, 2)"
        );
        assert!(error.is_out_of_memory() && !error.is_lost());
        let error = CudaError::driver(
            "cuLaunchKernel",
            1,
            "CUDA_ERROR_INVALID_VALUE",
            "invalid argument",
        );
        assert_eq!(
            error.to_string(),
            "cuLaunchKernel failed: invalid argument (CUDA_ERROR_INVALID_VALUE, 1)"
        );
        let error = CudaError::refused("cuLaunchKernel", "the grid is empty").about("move");
        assert_eq!(
            error.to_string(),
            "cuLaunchKernel (move): the grid is empty"
        );
        assert_eq!(error.code(), None);
    }

    #[test]
    fn an_error_of_the_context_is_told_from_one_of_the_call() {
        let of = |code| CudaError::driver("cuStreamSynchronize", code, "", "").is_lost();
        assert!(of(700) && of(719) && of(214) && of(999));
        assert!(!of(1) && !of(2) && !of(500) && !of(701) && !of(800) && !of(900));
    }
}
