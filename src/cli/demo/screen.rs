//! What the demo shows: a table refreshed in place on a terminal, a line now and then otherwise.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{score::Score, scrape::Numbers};
use crate::cli::{
    Failure,
    figures::grouped,
    output::{Output, Reader},
    send::milliseconds,
};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Where the demo shows itself.
pub(super) struct Screen {
    output: Output,
    /// The table; `None` where it cannot be refreshed in place.
    table: Option<ProgressBar>,
    line: Instant,
}

impl Screen {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self {
            output: Output::new(),
            table: (!bar.is_hidden()).then_some(bar),
            line: Instant::now(),
        }
    }

    /// Says one thing, for good.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn say(&mut self, text: &str) -> Result<Reader, Failure> {
        let Self { output, table, .. } = self;
        let mut write = || {
            if output.write(&[text.as_bytes(), b"\n"])?.is_gone() {
                return Ok(Reader::Gone);
            }
            output.flush()
        };
        match table {
            Some(table) => table.suspend(write),
            None => write(),
        }
    }

    /// Says the last thing, in place of the table.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn end(&mut self, text: &str) -> Result<(), Failure> {
        if let Some(table) = self.table.take() {
            table.finish_and_clear();
        }
        self.say(text).map(drop)
    }

    /// Shows how it goes.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn show(
        &mut self,
        score: &mut Score,
        numbers: &Numbers,
        length: Duration,
    ) -> Result<Reader, Failure> {
        let now = Now {
            elapsed: score.started.elapsed().min(length),
            length,
            rate: score.rate_now(),
        };
        if let Some(table) = &self.table {
            table.set_message(now.table(score, numbers));
            return Ok(Reader::There);
        }
        if self.line.elapsed() < LINE_EVERY {
            return Ok(Reader::There);
        }
        self.line += LINE_EVERY;
        self.say(&now.line(score, numbers))
    }
}

struct Now {
    elapsed: Duration,
    length: Duration,
    rate: f64,
}

impl Now {
    fn table(&self, score: &Score, numbers: &Numbers) -> String {
        let latencies = percentiles(score);
        format!(
            "\n  {:>3} s of {} s      {} rows so far\n\
             \n  rows/s        {}\
             \n  latency       {latencies}   from sending a row to seeing its result\
             \n  batch         {} rows on average\
             \n  in flight     {} rows in the pipeline, {} without a result\
             \n  accuracy      {} against the true labels\
             \n  rejected      {}\n",
            self.elapsed.as_secs_f64().round(),
            self.length.as_secs(),
            grouped(score.results),
            rounded(self.rate),
            batch(numbers),
            rounded(numbers.in_flight),
            grouped(score.outstanding() as u64),
            accuracy(score),
            rounded(numbers.rejected),
        )
    }

    fn line(&self, score: &Score, numbers: &Numbers) -> String {
        format!(
            "{:>3} s: {} rows/s, {}, batch {}, in flight {}, accuracy {}, rejected {}",
            self.elapsed.as_secs_f64().round(),
            rounded(self.rate),
            percentiles(score),
            batch(numbers),
            rounded(numbers.in_flight),
            accuracy(score),
            rounded(numbers.rejected),
        )
    }
}

/// What came of it all.
pub(super) fn summary(score: &Score, numbers: &Numbers) -> String {
    let seconds = (score.last - score.started).as_secs_f64();
    let lost = score.outstanding();
    let fate = if lost == 0 && score.doubled == 0 && score.dead == 0 {
        "each has exactly one".to_owned()
    } else {
        format!(
            "without one {lost}, with two {}, rejected {}",
            score.doubled, score.dead
        )
    };
    format!(
        "\n{} rows sent, {} results in {seconds:.1} s: {fate}\
         \n{} rows/s, {}, {} rows in a batch, accuracy {} against the true labels",
        grouped(score.sent),
        grouped(score.results),
        rounded(score.rate()),
        percentiles(score),
        batch(numbers),
        accuracy(score),
    )
}

fn percentiles(score: &Score) -> String {
    let time = |part| {
        let time = score.latencies.percentile(part);
        time.map_or_else(|| "-".to_owned(), milliseconds)
    };
    format!("p50 {}, p99 {}", time(0.5), time(0.99))
}

fn accuracy(score: &Score) -> String {
    score
        .accuracy()
        .map_or_else(|| "-".to_owned(), |part| format!("{:.1} %", part * 100.0))
}

fn batch(numbers: &Numbers) -> String {
    numbers
        .rows_per_batch()
        .map_or_else(|| "-".to_owned(), |rows| format!("{rows:.1}"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and rates are small and not negative"
)]
fn rounded(number: f64) -> String {
    grouped(number.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let numbers = [0, 12, 999, 1000, 12_345, 1_234_567];
        assert_eq!(
            numbers.map(grouped),
            ["0", "12", "999", "1,000", "12,345", "1,234,567"]
        );
    }

    #[test]
    fn nothing_yet_is_a_dash() {
        let text = summary(&Score::new(), &Numbers::default());
        assert!(
            text.contains("p50 -, p99 -, - rows in a batch, accuracy -"),
            "{text}"
        );
    }

    #[test]
    fn what_went_wrong_is_in_the_summary() {
        let mut score = Score::new();
        score.send();
        score.doubled = 2;
        let text = summary(&score, &Numbers::default());
        assert!(
            text.contains("without one 1, with two 2, rejected 0"),
            "{text}"
        );
    }
}
