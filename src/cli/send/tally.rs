//! What was sent and what came back: the progress bar, the replies, and the summary.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Settled;
use crate::cli::{
    Failure,
    latency::Latencies,
    output::{Output, Reader},
};

/// What is known of the work ahead.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known {
    Nothing,
    Messages(u64),
    Bytes(u64),
}

/// Counts.
pub(super) struct Tally {
    started: Instant,
    ended: Option<Instant>,
    bar: ProgressBar,
    known: Known,
    output: Output,
    shown: Instant,
    sent: u64,
    bytes: u64,
    stored: u64,
    duplicates: u64,
    errors: u64,
    unanswered: u64,
    latencies: Latencies,
    replies: bool,
}

impl Tally {
    pub(super) fn new(known: Known, replies: bool) -> Self {
        let output = Output::new();
        // Replies and a bar on the same screen would run into each other. On anything but a
        // terminal the bar hides itself.
        let target = if replies && output.is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let (length, style) = match known {
            Known::Nothing => (None, "{spinner} {msg}"),
            Known::Messages(length) | Known::Bytes(length) => {
                (Some(length), "{bar:40} {percent:>3} %  {msg}")
            }
        };
        let bar = ProgressBar::with_draw_target(length, target);
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self {
            started: Instant::now(),
            ended: None,
            bar,
            known,
            output,
            shown: Instant::now(),
            sent: 0,
            bytes: 0,
            stored: 0,
            duplicates: 0,
            errors: 0,
            unanswered: 0,
            latencies: Latencies::default(),
            replies,
        }
    }

    /// One more was sent; says how many these are. `read` is how far in the file it was.
    pub(super) fn sent(&mut self, bytes: usize, read: u64) -> u64 {
        self.sent += 1;
        self.bytes += bytes as u64;
        // Looked at now and then: the clock costs a part of what a publish does.
        if self.sent.is_multiple_of(64) || self.shown.elapsed() > Duration::from_millis(100) {
            self.shown = Instant::now();
            let rate = self.rate();
            self.bar
                .set_message(format!("{} messages, {rate:.0}/s", self.sent));
            match self.known {
                Known::Nothing => self.bar.tick(),
                Known::Messages(_) => self.bar.set_position(self.sent),
                Known::Bytes(_) => self.bar.set_position(read),
            }
        }
        self.sent
    }

    /// Something is known of a message; replies are printed.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn settled(&mut self, settled: Settled) -> Result<Reader, Failure> {
        match settled {
            Settled::Stored { duplicate } => {
                self.stored += 1;
                self.duplicates += u64::from(duplicate);
            }
            Settled::NoReply => self.unanswered += 1,
            Settled::Reply {
                payload,
                error,
                took,
            } => {
                self.latencies.record(took);
                self.errors += u64::from(error);
                if self.output.write(&[&payload, b"\n"])?.is_gone() {
                    return Ok(Reader::Gone);
                }
                return self.output.flush();
            }
        }
        Ok(Reader::There)
    }

    fn rate(&self) -> f64 {
        let end = self.ended.unwrap_or_else(Instant::now);
        self.sent as f64 / (end - self.started).as_secs_f64().max(1e-6)
    }

    /// Clears the bar and prints the summary to standard error: standard output is for replies.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn finish(&mut self, good: bool, confirmed: bool) -> Result<(), Failure> {
        self.ended = Some(Instant::now());
        self.bar.finish_and_clear();
        self.output.flush().map(drop)?;
        // What no stream has confirmed is not told as sent.
        let arrived = if confirmed { self.stored } else { self.sent };
        if good || arrived > 0 {
            use std::io::Write as _;
            drop(writeln!(std::io::stderr(), "{}", self.summary()));
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let end = self.ended.unwrap_or_else(Instant::now);
        let seconds = (end - self.started).as_secs_f64();
        let mut lines = vec![format!(
            "sent {} messages, {:.2} MB, in {seconds:.2} s: {:.0}/s",
            self.sent,
            self.bytes as f64 / 1e6,
            self.rate()
        )];
        if self.stored > 0 {
            lines.push(format!(
                "stored {}, of them duplicates {}",
                self.stored, self.duplicates
            ));
        }
        if self.replies {
            lines.push(format!(
                "replies {}, of them errors {}; without a reply {}",
                self.latencies.count(),
                self.errors,
                self.unanswered
            ));
            let time = |part| self.latencies.percentile(part).map(milliseconds);
            if let (Some(p50), Some(p99)) = (time(0.5), time(0.99)) {
                lines.push(format!("p50 {p50}, p99 {p99}"));
            }
        }
        lines.join("\n")
    }

    /// Whether every message did what it was sent for.
    ///
    /// # Errors
    /// Some did not.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        if self.unanswered > 0 {
            return Err(Failure::failed(format!(
                "{} of {} requests had no reply in time; is the pipeline's sink `reply: {{}}`? --timeout gives them longer, --window sends fewer at once",
                self.unanswered, self.sent
            )));
        }
        if self.errors > 0 {
            return Err(Failure::failed(format!(
                "{} of {} requests were answered with an error",
                self.errors, self.sent
            )));
        }
        Ok(())
    }
}

/// A time, with three digits.
pub(in crate::cli) fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 10.0 {
        format!("{ms:.2} ms")
    } else if ms < 100.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{ms:.0} ms")
    }
}
