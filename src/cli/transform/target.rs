//! A file that is there when it is whole, and not before.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::Failure;
use crate::rows::{RowsError, plain};

const BUFFER: usize = 256 << 10;

/// Where a file goes when it is whole. Dropped before that, it leaves nothing.
#[derive(Debug)]
pub(super) struct Target {
    /// Where it is written, and what it is called in the end; `None` where it is written at once.
    names: Option<(PathBuf, PathBuf)>,
}

impl Target {
    /// Begins a file, or standard output.
    pub(super) fn create(path: Option<&Path>) -> Result<(Self, Box<dyn Write + Send>), Failure> {
        let Some(path) = path else {
            let stdout = BufWriter::with_capacity(BUFFER, io::stdout());
            return Ok((Self { names: None }, Box::new(stdout)));
        };
        let fail = |error: &io::Error| {
            Failure::failed(format!(
                "`{}` cannot be written: {}",
                path.display(),
                plain(error)
            ))
        };
        // What a link leads to is replaced, and not the link.
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match place.metadata() {
            Ok(about) if about.is_dir() => {
                return Err(Failure::failed(format!(
                    "`{}` cannot be written: it is a folder",
                    path.display()
                )));
            }
            // A device or a pipe has no second name.
            Ok(about) if !about.is_file() => {
                let file = OpenOptions::new().write(true).open(&place);
                let file = file.map_err(|error| fail(&error))?;
                return Ok((Self { names: None }, buffered(file)));
            }
            Ok(about) if about.permissions().readonly() => {
                return Err(Failure::failed(format!(
                    "`{}` cannot be written: it is read-only",
                    path.display()
                )));
            }
            _ => {}
        }
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let part = place.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file = File::create(&part).map_err(|error| fail(&error))?;
        let target = Self {
            names: Some((part, place)),
        };
        Ok((target, buffered(file)))
    }

    /// Gives the file its name. It must have been written to its end.
    pub(super) fn keep(mut self) -> Result<(), RowsError> {
        if let Some((part, place)) = self.names.take() {
            fs::rename(&part, &place).map_err(|error| {
                let _gone = fs::remove_file(&part);
                RowsError::write(&format!("`{}`", place.display()), &error)
            })?;
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.names {
            let _gone = fs::remove_file(part);
        }
    }
}

fn buffered(file: File) -> Box<dyn Write + Send> {
    Box::new(BufWriter::with_capacity(BUFFER, file))
}
