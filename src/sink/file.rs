//! Results to a file or to standard output, one line each.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

use super::{BoxFuture, Outgoing, Rejects, Sink, SinkError};
use crate::{
    message::{Headers, Reject, Stage},
    nats::plain,
    telemetry::metrics::SinkMetrics,
};

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTarget {
    /// The file, appended to; `None` is standard output.
    pub path: Option<PathBuf>,
}

/// Appends a line for each result. What has headers (a dead letter) becomes a JSON object of its
/// headers and its payload.
#[derive(Debug)]
pub struct FileSink {
    target: FileTarget,
}

impl FileSink {
    /// A sink that opens the file when it runs.
    pub fn new(target: FileTarget) -> Self {
        Self { target }
    }
}

impl Sink for FileSink {
    fn run(
        self: Box<Self>,
        mut outgoing: mpsc::Receiver<Vec<Outgoing>>,
        rejects: Rejects,
        metrics: SinkMetrics,
    ) -> BoxFuture<Result<(), SinkError>> {
        Box::pin(async move {
            let mut output = Output::open(self.target.path.as_deref()).await?;
            let mut lines = Vec::new();
            while let Some(block) = outgoing.recv().await {
                let taken = Instant::now();
                let mut written = Vec::with_capacity(block.len());
                for next in block {
                    match write_line(&next, &mut lines) {
                        Ok(()) => written.push(next),
                        Err(reject) => rejects.reject(next.message, reject),
                    }
                }
                output.write(&lines).await?;
                lines.clear();
                let now = Instant::now();
                for Outgoing {
                    message,
                    payload,
                    outcome,
                    ..
                } in written
                {
                    metrics.published(payload.len(), message.received, now);
                    message.ack.resolve(outcome);
                }
                metrics.confirmed(now.duration_since(taken));
            }
            Ok(())
        })
    }
}

struct Output {
    stream: Box<dyn AsyncWrite + Send + Unpin>,
    shown: String,
}

impl Output {
    async fn open(path: Option<&Path>) -> Result<Self, SinkError> {
        let Some(path) = path else {
            return Ok(Self {
                stream: Box::new(tokio::io::stdout()),
                shown: "standard output".to_owned(),
            });
        };
        let shown = format!("`{}`", path.display());
        let file: File = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .await
            .map_err(|error| failed(&shown, &error))?;
        Ok(Self {
            stream: Box::new(file),
            shown,
        })
    }

    async fn write(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        let result = async {
            self.stream.write_all(lines).await?;
            self.stream.flush().await
        };
        result.await.map_err(|error| failed(&self.shown, &error))
    }
}

fn failed(shown: &str, error: &io::Error) -> SinkError {
    SinkError::new(match error.kind() {
        ErrorKind::BrokenPipe => {
            format!("cannot write to {shown}: whoever read it has gone (broken pipe)")
        }
        _ => format!("cannot write to {shown}: {}", plain(error)),
    })
}

fn write_line(next: &Outgoing, lines: &mut Vec<u8>) -> Result<(), Reject> {
    if !next.headers.is_empty() {
        write_letter(&next.headers, &next.payload, lines);
    } else if next.payload.contains(&b'\n') {
        return Err(Reject::new(
            Stage::Sink,
            "line",
            "the result has a line break in it and would be two lines of the file",
        ));
    } else {
        lines.extend_from_slice(&next.payload);
    }
    lines.push(b'\n');
    Ok(())
}

/// Writes an object of the headers and the payload: as text, or in base64 where it is none.
fn write_letter(headers: &Headers, payload: &[u8], lines: &mut Vec<u8>) {
    let (key, text) = match std::str::from_utf8(payload) {
        Ok(text) => ("payload", text.to_owned()),
        Err(_) => ("payload_base64", STANDARD.encode(payload)),
    };
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain([(key, text.as_str())]);
    for (index, (name, value)) in pairs.enumerate() {
        lines.push(if index == 0 { b'{' } else { b',' });
        for (part, after) in [(name, ":"), (value, "")] {
            lines.extend_from_slice(serde_json::Value::from(part).to_string().as_bytes());
            lines.extend_from_slice(after.as_bytes());
        }
    }
    lines.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(STANDARD.encode(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_dead_letter_is_one_json_line() {
        let headers = vec![("Forebay-Stage".into(), "decode".into())];
        let mut lines = Vec::new();
        write_letter(&headers, b"{\"a\":\n1", &mut lines);
        assert_eq!(
            String::from_utf8_lossy(&lines),
            r#"{"Forebay-Stage":"decode","payload":"{\"a\":\n1"}"#
        );
        lines.clear();
        write_letter(&headers, &[0xff, 0], &mut lines);
        assert_eq!(
            String::from_utf8_lossy(&lines),
            r#"{"Forebay-Stage":"decode","payload_base64":"/wA="}"#
        );
    }

    #[test]
    fn errors_are_sentences() {
        let full = io::Error::from_raw_os_error(28);
        assert_eq!(
            failed("`x`", &full).message,
            "cannot write to `x`: no space left on device"
        );
        let pipe = io::Error::from_raw_os_error(32);
        assert_eq!(
            failed("standard output", &pipe).message,
            "cannot write to standard output: whoever read it has gone (broken pipe)"
        );
    }
}
