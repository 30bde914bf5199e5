//! What the pipeline says about itself, read where an operator would read it: from `/metrics`.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::cli::figures::samples;

/// More than any number of metrics takes.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// The numbers that the demo shows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Numbers {
    /// Rows that went through the model.
    pub(super) rows: f64,
    /// Batches that they went in.
    pub(super) batches: f64,
    /// Messages in the pipeline now.
    pub(super) in_flight: f64,
    /// Messages and rows that were rejected.
    pub(super) rejected: f64,
}

impl Numbers {
    /// Rows in a batch, on average.
    pub(super) fn rows_per_batch(&self) -> Option<f64> {
        (self.batches > 0.0).then(|| self.rows / self.batches)
    }

    /// Reads them from the text format of Prometheus.
    pub(super) fn parse(text: &str) -> Self {
        let mut numbers = Self::default();
        for (name, value) in samples(text) {
            let sum = match name {
                "forebay_batch_rows_sum" => &mut numbers.rows,
                "forebay_batch_rows_count" => &mut numbers.batches,
                "forebay_in_flight_messages" => &mut numbers.in_flight,
                "forebay_rejects_total" | "forebay_row_rejects_total" => &mut numbers.rejected,
                _ => continue,
            };
            *sum += value;
        }
        numbers
    }
}

/// Asks for them; `None` when there is no answer now.
pub(super) async fn numbers(address: SocketAddr) -> Option<Numbers> {
    Some(Numbers::parse(&get(address, "/metrics").await?))
}

/// Whether the pipeline says that it is ready.
pub(super) async fn is_ready(address: SocketAddr) -> bool {
    get(address, "/readyz").await.is_some()
}

/// The body of an answer; `None` when there is none in time, or not a good one.
async fn get(address: SocketAddr, path: &str) -> Option<String> {
    let answer = timeout(Duration::from_secs(1), fetch(address, path));
    let answer = answer.await.ok()?.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let good = head.split(' ').nth(1) == Some("200");
    good.then(|| body.to_owned())
}

/// HTTP/1.0, so that the body is what comes until the end.
async fn fetch(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_string(&mut answer)
        .await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_format_is_read() {
        let text = "\
# HELP forebay_batch_rows Rows in a batch
# TYPE forebay_batch_rows histogram
forebay_batch_rows_bucket{pipeline=\"income\",le=\"1\"} 3
forebay_batch_rows_sum{pipeline=\"income\"} 5120
forebay_batch_rows_count{pipeline=\"income\"} 40
forebay_in_flight_messages{pipeline=\"income\"} 812
forebay_in_flight_messages_limit{pipeline=\"income\"} 8192
forebay_rejects_total{pipeline=\"income\",stage=\"decode\",reason=\"a b\"} 2
forebay_rejects_total{pipeline=\"income\",stage=\"source\",reason=\"x\"} 1
forebay_row_rejects_total{pipeline=\"income\",stage=\"decode\",reason=\"range\"} 4

nonsense
";
        let numbers = Numbers::parse(text);
        assert_eq!(
            numbers,
            Numbers {
                rows: 5120.0,
                batches: 40.0,
                in_flight: 812.0,
                rejected: 7.0
            }
        );
        assert_eq!(numbers.rows_per_batch(), Some(128.0));
        assert_eq!(Numbers::default().rows_per_batch(), None);
    }
}
