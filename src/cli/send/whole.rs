//! Files that are each sent whole.

use std::{io::Read as _, path::PathBuf};

use super::lines::{From, LINE_BYTES_MAX, Line, Place, Sender, cannot_read, open};
use crate::cli::Failure;

/// The bytes of all files, where they are known. What is not there is said before anything is sent.
pub(super) fn whole_bytes(paths: &[PathBuf]) -> Result<Option<u64>, Failure> {
    let mut bytes = Some(0);
    for path in paths {
        let known = match From::named(path) {
            From::Stdin => None,
            _ => open(path)?.metadata().ok().map(|meta| meta.len()),
        };
        bytes = bytes.zip(known).map(|(sum, more)| sum + more);
    }
    Ok(bytes)
}

/// Sends each file as one message, again and again if `repeat` says so.
pub(super) fn read_whole(paths: &[PathBuf], repeat: bool, sender: &Sender) -> Result<(), Failure> {
    loop {
        let mut read = 0;
        for (number, path) in (1..).zip(paths) {
            let from = From::named(path);
            let mut bytes = Vec::new();
            let most = LINE_BYTES_MAX as u64 + 1;
            let got = match from {
                From::Stdin => std::io::stdin().lock().take(most).read_to_end(&mut bytes),
                _ => open(path)?.take(most).read_to_end(&mut bytes),
            };
            got.map_err(|error| cannot_read(&from, &error))?;
            if bytes.len() > LINE_BYTES_MAX {
                return Err(Failure::failed(format!(
                    "{} is larger than 64 MiB, which no NATS server takes",
                    from.name()
                )));
            }
            read += bytes.len() as u64;
            let file = Line {
                place: Place::File(number),
                bytes: bytes.into(),
                read,
            };
            if sender.blocking_send(Ok(vec![file])).is_err() {
                return Ok(());
            }
        }
        if !repeat {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, path::Path};

    use bytes::Bytes;

    use super::*;
    use crate::cli::send::lines::Lines;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(content).expect("writable");
        file
    }

    #[tokio::test]
    async fn files_are_sent_whole_and_in_order() {
        let first = file(b"\x89PNG\r\n\n ");
        let second = file(b"");
        let paths = [first.path(), second.path()].map(Path::to_owned);
        let from = From::Whole(paths.to_vec());
        assert!(!from.is_stdin());
        let mut lines = Lines::open(&from, true).expect("opens");
        assert_eq!(lines.bytes, Some(8));
        for (place, bytes, read) in [
            (Place::File(1), &b"\x89PNG\r\n\n "[..], 8),
            (Place::File(2), b"", 8),
            (Place::File(1), b"\x89PNG\r\n\n ", 8),
        ] {
            let bytes = Bytes::from(bytes);
            let line = lines.next().await.expect("reads");
            assert_eq!(line, Some(Line { place, bytes, read }));
        }
        let missing = From::Whole(vec![first.path().to_owned(), "no/such.png".into()]);
        let Err(failure) = Lines::open(&missing, false) else {
            panic!("there is no such file");
        };
        assert!(failure.to_string().contains("no/such.png"), "{failure}");
    }
}
