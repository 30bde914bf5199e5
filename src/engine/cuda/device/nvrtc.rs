//! NVRTC: NVIDIA's compiler for kernels, where it is there. It needs no device.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    ptr,
};

use super::library::{Library, Loaded, functions};
use crate::engine::cuda::probe::{self, Missing};

/// What is compiled is the library's.
type Program = *mut c_void;

functions! {
    /// Those of `nvrtc.h`.
    create = "nvrtcCreateProgram"(*mut Program, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char);
    destroy = "nvrtcDestroyProgram"(*mut Program);
    compile = "nvrtcCompileProgram"(Program, c_int, *const *const c_char);
    cubin_size = "nvrtcGetCUBINSize"(Program, *mut usize);
    cubin = "nvrtcGetCUBIN"(Program, *mut c_char);
    log_size = "nvrtcGetProgramLogSize"(Program, *mut usize);
    log = "nvrtcGetProgramLog"(Program, *mut c_char);
}

static LIBRARY: Library<Functions> =
    Library::new(probe::NVRTC, "install NVRTC of CUDA 12 or newer");

/// The library of this process.
#[derive(Debug, Clone, Copy)]
pub struct Nvrtc(&'static Loaded<Functions>);

/// What is compiled together.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// CUDA C++.
    pub text: &'s str,
    /// What it may include: name and text.
    pub headers: &'s [(&'s str, &'s str)],
    /// The compiler's.
    pub options: &'s [String],
}

/// Why there is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A call that failed, by name.
    #[error("{call} failed: {words} ({status})")]
    Call {
        /// Which.
        call: &'static str,
        /// What it answered.
        status: i32,
        /// In plain words.
        words: &'static str,
    },
    /// The compiler does not take the source, or the options.
    #[error("NVRTC {version} does not compile them: {log}")]
    Source {
        /// The library's.
        version: String,
        /// What the compiler says.
        log: String,
    },
    /// A text holds a zero byte.
    #[error("a text with a zero byte cannot be compiled")]
    Zero,
}

/// `NVRTC_ERROR_COMPILATION`, `NVRTC_ERROR_INVALID_OPTION`: there is a log, or the options say enough.
const COMPILATION: c_int = 6;
const INVALID_OPTION: c_int = 5;
/// A log is cut to so many bytes: it goes into one line of ours.
const LOG: usize = 2000;

impl Nvrtc {
    /// The library of this process.
    ///
    /// # Errors
    /// It is not there, or lacks a function.
    pub fn loaded() -> Result<Self, Missing> {
        LIBRARY.loaded().map(Self)
    }

    /// Its version.
    pub fn version(self) -> &'static str {
        &self.0.version
    }

    /// Compiles to a cubin. (Never to PTX: a driver older than the library may not read that.)
    ///
    /// # Errors
    /// See [`CompileError`].
    pub fn compile(self, source: &Source<'_>) -> Result<Vec<u8>, CompileError> {
        let program = Compiling::new(&self.0.functions, source)?;
        let options = strings(source.options.iter().map(String::as_str))?;
        let options = pointers(&options);
        let count = c_int::try_from(options.len()).unwrap_or(c_int::MAX);
        // SAFETY: the program lives; there are as many options as is said, each ending with a zero.
        let status = unsafe { (self.0.functions.compile)(program.raw, count, options.as_ptr()) };
        if status == COMPILATION || status == INVALID_OPTION {
            return Err(CompileError::Source {
                version: self.0.version.clone(),
                log: program.log(),
            });
        }
        check("nvrtcCompileProgram", status)?;
        program.cubin()
    }
}

/// A program of the library's, destroyed when it is dropped.
struct Compiling<'f> {
    functions: &'f Functions,
    raw: Program,
}

impl<'f> Compiling<'f> {
    fn new(functions: &'f Functions, source: &Source<'_>) -> Result<Self, CompileError> {
        let text = CString::new(source.text).map_err(|_| CompileError::Zero)?;
        let names = strings(source.headers.iter().map(|(name, _)| *name))?;
        let texts = strings(source.headers.iter().map(|(_, text)| *text))?;
        let (names, texts) = (pointers(&names), pointers(&texts));
        let count = c_int::try_from(names.len()).unwrap_or(c_int::MAX);
        let mut raw = ptr::null_mut();
        // SAFETY: a place for one program; every text ends with a zero, there are as many headers as is said, and the
        // library copies them. Destroyed once, in `drop`.
        let status = unsafe {
            (functions.create)(
                &raw mut raw,
                text.as_ptr(),
                c"fused.cu".as_ptr(),
                count,
                texts.as_ptr(),
                names.as_ptr(),
            )
        };
        check("nvrtcCreateProgram", status)?;
        Ok(Self { functions, raw })
    }

    fn cubin(&self) -> Result<Vec<u8>, CompileError> {
        let mut size = 0;
        // SAFETY: a place for one number.
        let status = unsafe { (self.functions.cubin_size)(self.raw, &raw mut size) };
        check("nvrtcGetCUBINSize", status)?;
        let mut cubin = vec![0_u8; size];
        // SAFETY: there is room for as many bytes as the library said.
        let status = unsafe { (self.functions.cubin)(self.raw, cubin.as_mut_ptr().cast()) };
        check("nvrtcGetCUBIN", status)?;
        Ok(cubin)
    }

    /// What the compiler said, as one line.
    fn log(&self) -> String {
        let mut size = 0;
        // SAFETY: a place for one number.
        let status = unsafe { (self.functions.log_size)(self.raw, &raw mut size) };
        let mut log = vec![0_u8; size];
        let status = match status {
            // SAFETY: there is room for as many bytes as the library said.
            0 => unsafe { (self.functions.log)(self.raw, log.as_mut_ptr().cast()) },
            failed => failed,
        };
        let text = CStr::from_bytes_until_nul(&log).map(CStr::to_string_lossy);
        let text = text.unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if status != 0 || text.is_empty() {
            return "it does not say why".to_owned();
        }
        match text.char_indices().nth(LOG) {
            Some((end, _)) => format!("{} ...", &text[..end]),
            None => text,
        }
    }
}

impl Drop for Compiling<'_> {
    fn drop(&mut self) {
        // SAFETY: made by the library, destroyed only here.
        let status = unsafe { (self.functions.destroy)(&raw mut self.raw) };
        if status != 0 {
            tracing::debug!(status, "a program of NVRTC was not destroyed");
        }
    }
}

fn strings<'s>(texts: impl Iterator<Item = &'s str>) -> Result<Vec<CString>, CompileError> {
    texts
        .map(|text| CString::new(text).map_err(|_| CompileError::Zero))
        .collect()
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).collect()
}

/// What a call answered.
fn check(call: &'static str, status: c_int) -> Result<(), CompileError> {
    let words = match status {
        0 => return Ok(()),
        1 => "there is not enough memory",
        2 => "it cannot make a program of the source",
        3 | 4 => "it does not take the arguments",
        7 => {
            "its library of built-in operations (libnvrtc-builtins) is not beside it, or of another version"
        }
        _ => "something in the library failed",
    };
    Err(CompileError::Call {
        call,
        status,
        words,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_said_in_words() {
        assert_eq!(check("nvrtcCompileProgram", 0), Ok(()));
        let error = check("nvrtcCompileProgram", 7).unwrap_err();
        assert_eq!(
            error.to_string(),
            "nvrtcCompileProgram failed: its library of built-in operations (libnvrtc-builtins) is not beside it, or of \
             another version (7)"
        );
    }
}
