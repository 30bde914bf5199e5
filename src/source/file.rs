//! Messages from a file or from standard input: one JSON line, one message.

use std::{
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::{
    fs::File,
    io::{AsyncBufRead, AsyncBufReadExt, BufReader},
};
use tokio_util::sync::CancellationToken;

use super::{BoxFuture, Incoming, Intake, Source, SourceError};
use crate::{
    message::{Outcome, Position, Reject, Settled, Stage},
    telemetry::metrics::SourceMetrics,
};

/// Where the lines are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    /// The file; `None` is standard input.
    pub path: Option<PathBuf>,
}

/// A longer line is rejected: it is read into memory whole.
const LINE_BYTES_MAX: usize = 64 << 20;
/// How much of a line that is too long goes to the dead letter.
const LINE_BYTES_SHOWN: usize = 4096;
const BUFFER: usize = 256 << 10;

/// Reads lines, once, from the first to the last.
#[derive(Debug)]
pub struct FileSource {
    options: FileOptions,
}

impl FileSource {
    /// A source that opens the file when it runs.
    pub fn new(options: FileOptions) -> Self {
        Self { options }
    }
}

impl Source for FileSource {
    fn run(
        self: Box<Self>,
        intake: Intake,
        stop: CancellationToken,
    ) -> BoxFuture<Result<(), SourceError>> {
        Box::pin(async move {
            let (input, name, shown): (Pin<Box<dyn AsyncBufRead + Send>>, _, _) =
                match &self.options.path {
                    None => (
                        Box::pin(BufReader::with_capacity(BUFFER, tokio::io::stdin())),
                        "stdin".to_owned(),
                        "standard input".to_owned(),
                    ),
                    Some(path) => (
                        Box::pin(BufReader::with_capacity(BUFFER, open(path).await?)),
                        path.file_name()
                            .unwrap_or_default()
                            .to_string_lossy()
                            .into_owned(),
                        format!("`{}`", path.display()),
                    ),
                };
            intake.set_attached(true);
            let reading = Reading {
                lines: Lines::new(input, LINE_BYTES_MAX),
                intake,
                subject: Bytes::from(name.clone()),
                stream: name.into(),
                incarnation: now(),
                number: 0,
            };
            reading.run(&shown, stop).await
        })
    }
}

async fn open(path: &Path) -> Result<File, SourceError> {
    let error = match File::open(path).await {
        Ok(file) => match file.metadata().await {
            Ok(about) if about.is_dir() => "it is a folder".to_owned(),
            _ => return Ok(file),
        },
        Err(error) => crate::nats::plain(&error),
    };
    Err(SourceError::new(format!(
        "cannot read `{}`: {error}",
        path.display()
    )))
}

/// Tells one run from the next, so that a sink that stores each message once does not take the
/// second run for a repetition of the first.
fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or_default()
}

struct Reading {
    lines: Lines,
    intake: Intake,
    subject: Bytes,
    stream: Arc<str>,
    incarnation: u64,
    /// Of the last line read.
    number: u64,
}

impl Reading {
    async fn run(mut self, shown: &str, stop: CancellationToken) -> Result<(), SourceError> {
        let home = Arc::clone(self.intake.home());
        let mut lost = Lost::default();
        loop {
            let room = self.intake.room() > 0;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = home.wait_settled() => {
                    while let Some(settled) = home.next_settled() {
                        lost.settle(settled, self.intake.metrics());
                    }
                }
                line = self.lines.next(), if room => {
                    let mut next = line;
                    // What the buffer still has goes into the same block.
                    let more = loop {
                        let line = next.map_err(|error| {
                            SourceError::new(format!("cannot read {shown}: {}", crate::nats::plain(&error)))
                        })?;
                        let Some(line) = line else { break false };
                        self.take(line);
                        if self.intake.room() == 0 || self.intake.is_full() {
                            break true;
                        }
                        match self.lines.next().now_or_never() {
                            Some(line) => next = line,
                            None => break true,
                        }
                    };
                    self.intake.flush()?;
                    if !more {
                        break;
                    }
                }
            }
        }
        self.intake.close();
        let metrics = self.intake.metrics();
        self.intake
            .outcomes(|settled| lost.settle(settled, metrics))
            .await;
        lost.report(shown)
    }

    fn take(&mut self, line: Line) {
        self.number += 1;
        let (payload, too_long) = match line {
            Line::Whole(payload) => (payload, false),
            Line::TooLong(start) => (start, true),
        };
        if payload.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let incoming = Incoming {
            ticket: self.number,
            subject: self.subject.clone(),
            reply: None,
            payload,
            headers: None,
            position: Some(Arc::new(Position {
                stream: Arc::clone(&self.stream),
                incarnation: self.incarnation,
                sequence: self.number,
                delivered: 1,
                again: false,
                kept: true,
                stored: None,
            })),
        };
        if too_long {
            let reason = format!("the line is longer than {} MiB", LINE_BYTES_MAX >> 20);
            self.intake
                .reject(incoming, Reject::new(Stage::Source, "size", reason));
        } else {
            self.intake.push(incoming);
        }
    }
}

/// Lines that came to no end. A file is read once, so they must be named.
#[derive(Debug, Default)]
struct Lost {
    count: u64,
    first: u64,
}

impl Lost {
    fn settle(&mut self, settled: Settled, metrics: &SourceMetrics) {
        if let Outcome::Retry { .. } = settled.outcome {
            metrics.retried(1);
            self.first = if self.count == 0 {
                settled.ticket
            } else {
                self.first.min(settled.ticket)
            };
            self.count += 1;
        }
    }

    fn report(&self, shown: &str) -> Result<(), SourceError> {
        match self.count {
            0 => Ok(()),
            1 => Err(SourceError::new(format!(
                "line {} of {shown} could not be finished; send it again",
                self.first
            ))),
            count => Err(SourceError::new(format!(
                "{count} lines of {shown} could not be finished, the first is line {}; send them again",
                self.first
            ))),
        }
    }
}

enum Line {
    Whole(Bytes),
    /// Its beginning.
    TooLong(Bytes),
}

/// Reads lines of bounded length. Nothing is lost when a read is given up half-way.
struct Lines {
    input: Pin<Box<dyn AsyncBufRead + Send>>,
    line: Vec<u8>,
    limit: usize,
    too_long: bool,
}

impl Lines {
    fn new(input: Pin<Box<dyn AsyncBufRead + Send>>, limit: usize) -> Self {
        Self {
            input,
            line: Vec::new(),
            limit,
            too_long: false,
        }
    }

    async fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            let buffer = self.input.fill_buf().await?;
            if buffer.is_empty() {
                let rest = !self.line.is_empty() || self.too_long;
                return Ok(rest.then(|| self.finish()));
            }
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            if !self.too_long {
                if self.line.len() + part.len() > self.limit {
                    self.too_long = true;
                    self.line.truncate(LINE_BYTES_SHOWN);
                    self.line.shrink_to_fit();
                } else {
                    self.line.extend_from_slice(part);
                }
            }
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.input.as_mut().consume(used);
            if end.is_some() {
                return Ok(Some(self.finish()));
            }
        }
    }

    fn finish(&mut self) -> Line {
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if std::mem::take(&mut self.too_long) {
            Line::TooLong(line.into())
        } else {
            Line::Whole(line.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &'static [u8], buffer: usize, limit: usize) -> Vec<String> {
        let input = BufReader::with_capacity(buffer, text);
        let mut lines = Lines::new(Box::pin(input), limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.expect("memory can be read") {
            all.push(match line {
                Line::Whole(line) => format!("{line:?}"),
                Line::TooLong(start) => format!("{start:?}…"),
            });
        }
        all
    }

    #[tokio::test]
    async fn lines_end_anyhow_and_long_ones_are_named() {
        for buffer in [1, 2, 3, 100] {
            assert_eq!(
                lines(b"ab\r\n\ncd\nabcdefgh\nend", buffer, 5).await[..3],
                ["b\"ab\"", "b\"\"", "b\"cd\""]
            );
            let all = lines(b"abcdefgh\nend", buffer, 5).await;
            assert!(all[0].ends_with('…'), "{all:?}");
            assert_eq!(all[1], "b\"end\"");
        }
        assert!(lines(b"", 10, 5).await.is_empty());
    }
}
