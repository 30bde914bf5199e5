//! The lines or files to send, read on a thread of their own: a terminal or a pipe may keep a reader
//! waiting for ever, and nothing else must wait for it.

use std::{
    fmt,
    fs::File,
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::whole::{read_whole, whole_bytes};
use crate::cli::{Exit, Failure};

/// No NATS server takes a message larger than 64 MiB, so a longer line is a mistake.
pub(super) const LINE_BYTES_MAX: usize = 64 << 20;
/// Lines are handed over this many bytes at a time, as far as they are there.
const CHUNK_BYTES: usize = 128 << 10;
/// Chunks that may wait; with the one that is read, the memory that reading takes.
const CHUNKS: usize = 4;

/// Where a message was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Counted from one, over empty lines too.
    Line(u64),
    /// The same, for files that are each sent whole.
    File(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::File(number) => write!(f, "file {number}"),
        }
    }
}

/// One line, without its end, or one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) bytes: Bytes,
    /// What was read of the file up to the end of this line.
    pub(super) read: u64,
}

/// Where lines come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    Stdin,
    File(PathBuf),
    /// Each file is one message.
    Whole(Vec<PathBuf>),
}

impl From {
    pub(super) fn named(path: &Path) -> Self {
        if path.as_os_str() == "-" {
            Self::Stdin
        } else {
            Self::File(path.to_owned())
        }
    }

    /// Whether some of it is standard input.
    pub(super) fn is_stdin(&self) -> bool {
        match self {
            Self::Stdin => true,
            Self::File(_) => false,
            Self::Whole(paths) => paths.iter().any(|path| path.as_os_str() == "-"),
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Whole(_) => "the files".to_owned(),
        }
    }
}

/// A stream of lines.
pub(super) struct Lines {
    chunks: mpsc::Receiver<Result<Vec<Line>, Failure>>,
    ready: std::vec::IntoIter<Line>,
    /// How large the file is, where that is known.
    pub(super) bytes: Option<u64>,
}

impl Lines {
    /// Starts to read; again from the start when the file is over, if `repeat` says so.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn open(from: &From, repeat: bool) -> Result<Self, Failure> {
        let (sender, chunks) = mpsc::channel(CHUNKS);
        let mut bytes = None;
        let mut file = None;
        match from {
            From::Stdin => {}
            From::File(path) => {
                let opened = open(path)?;
                bytes = opened
                    .metadata()
                    .ok()
                    .filter(std::fs::Metadata::is_file)
                    .map(|meta| meta.len());
                file = Some(opened);
            }
            From::Whole(paths) => bytes = whole_bytes(paths)?,
        }
        let from = from.clone();
        let read = move || {
            let end = match (&from, file) {
                (From::Whole(paths), _) => read_whole(paths, repeat, &sender),
                (_, None) => {
                    let stdin = BufReader::with_capacity(CHUNK_BYTES, std::io::stdin().lock());
                    read_all(stdin, &from, &sender).map(drop)
                }
                (_, Some(file)) => read_file(file, &from, repeat, &sender),
            };
            if let Err(failure) = end {
                // Nobody to tell means that nobody wants to know.
                drop(sender.blocking_send(Err(failure)));
            }
        };
        std::thread::Builder::new()
            .name("lines".to_owned())
            .spawn(read)
            .map_err(|error| Failure::failed(format!("cannot start thread lines: {error}")))?;
        Ok(Self {
            chunks,
            ready: Vec::new().into_iter(),
            bytes,
        })
    }

    /// The next line that is not empty. Loses nothing when dropped half-way.
    ///
    /// # Errors
    /// The file cannot be read any further.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            if let Some(line) = self.ready.next() {
                return Ok(Some(line));
            }
            match self.chunks.recv().await {
                Some(chunk) => self.ready = chunk?.into_iter(),
                None => return Ok(None),
            }
        }
    }
}

pub(super) type Sender = mpsc::Sender<Result<Vec<Line>, Failure>>;

pub(super) fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| {
        Failure::new(
            Exit::NoInput,
            format!("{} cannot be opened: {error}", path.display()),
        )
    })
}

pub(super) fn cannot_read(from: &From, error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::NoInput,
        format!("{} cannot be read: {error}", from.name()),
    )
}

fn read_file(mut file: File, from: &From, repeat: bool, sender: &Sender) -> Result<(), Failure> {
    loop {
        let lines = read_all(BufReader::with_capacity(CHUNK_BYTES, file), from, sender)?;
        let From::File(path) = from else {
            return Ok(());
        };
        if !repeat || sender.is_closed() {
            return Ok(());
        }
        if lines == 0 {
            return Err(Failure::failed(format!(
                "{} has no lines to repeat",
                from.name()
            )));
        }
        // Opened anew rather than wound back: a pipe cannot be, and a file that was replaced is
        // read as it is now.
        file = open(path)?;
    }
}

/// Reads to the end; says how many lines were not empty.
fn read_all(
    mut reader: BufReader<impl Read>,
    from: &From,
    sender: &Sender,
) -> Result<u64, Failure> {
    let (mut number, mut read, mut full, mut pending) = (0, 0, 0_u64, 0);
    let mut chunk = Vec::new();
    loop {
        let mut bytes = Vec::new();
        let got = (&mut reader)
            .take(LINE_BYTES_MAX as u64 + 1)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| cannot_read(from, &error))?;
        number += 1;
        read += got as u64;
        if got > LINE_BYTES_MAX {
            return Err(Failure::failed(format!(
                "{}: line {number} is longer than 64 MiB, which no NATS server takes",
                from.name()
            )));
        }
        let line = bytes.trim_ascii_end();
        if !line.is_empty() {
            bytes.truncate(line.len());
            pending += bytes.len();
            full += 1;
            chunk.push(Line {
                place: Place::Line(number),
                bytes: bytes.into(),
                read,
            });
        }
        // Whatever was typed goes out at once; a file goes out in large pieces.
        let over = got == 0;
        if (over || pending >= CHUNK_BYTES || reader.buffer().is_empty()) && !chunk.is_empty() {
            pending = 0;
            if sender
                .blocking_send(Ok(std::mem::take(&mut chunk)))
                .is_err()
            {
                return Ok(full);
            }
        }
        if over {
            return Ok(full);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    async fn all(mut lines: Lines, most: usize) -> Result<Vec<(String, String)>, Failure> {
        let mut found = Vec::new();
        while found.len() < most
            && let Some(line) = lines.next().await?
        {
            found.push((
                line.place.to_string(),
                String::from_utf8_lossy(&line.bytes).into_owned(),
            ));
        }
        Ok(found)
    }

    fn file(text: &[u8]) -> (tempfile::NamedTempFile, From) {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text).expect("writable");
        let from = From::named(file.path());
        (file, from)
    }

    fn pairs(lines: &[(u64, &str)]) -> Vec<(String, String)> {
        lines
            .iter()
            .map(|(n, text)| (format!("line {n}"), (*text).to_owned()))
            .collect()
    }

    #[tokio::test]
    async fn empty_lines_are_counted_but_not_sent() {
        let (_file, from) = file(b"a\n\n  b\r\nlast");
        let lines = Lines::open(&from, false).expect("opens");
        assert_eq!(lines.bytes, Some(12));
        let found = all(lines, 9).await.expect("reads");
        assert_eq!(found, pairs(&[(1, "a"), (3, "  b"), (4, "last")]));
    }

    #[tokio::test]
    async fn a_file_is_repeated_and_an_empty_one_is_not() {
        let (_file, from) = file(b"a\nb\n");
        let lines = Lines::open(&from, true).expect("opens");
        let found = all(lines, 5).await.expect("reads");
        assert_eq!(
            found,
            pairs(&[(1, "a"), (2, "b"), (1, "a"), (2, "b"), (1, "a")])
        );
        let (_file, from) = file(b"\n\n");
        let lines = Lines::open(&from, true).expect("opens");
        let failure = all(lines, 5).await.expect_err("no lines");
        assert!(failure.to_string().contains("has no lines to repeat"));
    }

    #[tokio::test]
    async fn many_chunks_come_in_order() {
        use std::fmt::Write as _;
        let mut text = String::new();
        for n in 0..50_000 {
            writeln!(text, "line {n}").expect("memory");
        }
        let (_file, from) = file(text.as_bytes());
        let found = all(Lines::open(&from, false).expect("opens"), usize::MAX)
            .await
            .expect("reads");
        assert_eq!(found.len(), 50_000);
        assert!(
            found
                .iter()
                .enumerate()
                .all(|(n, line)| line.1 == format!("line {n}"))
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let from = From::named(Path::new("no/such.jsonl"));
        let Err(failure) = Lines::open(&from, false) else {
            panic!("there is no such file");
        };
        assert_eq!(failure.exit(), Exit::NoInput);
        assert!(failure.to_string().contains("no/such.jsonl"));
    }
}
