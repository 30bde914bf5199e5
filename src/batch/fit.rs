//! How long a run takes for so many rows: a line, fitted to the runs of late. Pure.

/// Seconds for a batch: `fixed + per_row * rows`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Line {
    /// What a batch costs whatever is in it, in seconds; never negative.
    pub fixed: f64,
    /// What each row adds, in seconds; never negative.
    pub per_row: f64,
    /// How far runs are off the line, as a part of what it says (a standard deviation).
    pub spread: f64,
}

impl Line {
    /// What a batch of so many rows takes, in seconds.
    pub fn seconds(self, rows: f64) -> f64 {
        self.per_row.mul_add(rows, self.fixed)
    }

    /// Rows a second that one engine does in batches of this size; infinite where they cost nothing.
    pub fn rows_per_second(self, rows: f64) -> f64 {
        rows / self.seconds(rows)
    }
}

/// Fits a [`Line`] by least squares of the relative error. What was seen is forgotten exponentially.
#[derive(Debug, Clone, Default)]
pub struct Fit {
    /// Sums over runs, with their weights: 1, rows, rows², seconds, rows × seconds.
    weight: f64,
    rows: f64,
    rows_rows: f64,
    time: f64,
    rows_time: f64,
    /// Sums of squared relative errors and of their weights.
    squares: f64,
    errors: f64,
    seen: u32,
    /// Runs in a row that were far off.
    far_off: u32,
    line: Option<Line>,
}

/// What is left of a run's weight after one more: the last 50 or so count.
const KEPT: f64 = 0.98;
/// Fewer runs than this say nothing.
const RUNS_MIN: u32 = 8;
/// So many runs in a row that are far off are no accident: something has changed.
const CHANGED: u32 = 3;
/// A nanosecond and a day: what is outside was not measured well.
const SECONDS: [f64; 2] = [1e-9, 86_400.0];
/// How strongly the fixed part is drawn to zero, as a part of all weight: where all batches had one size, the
/// runs do not tell the two parts apart, and nothing is promised of larger batches then.
const TO_ZERO: f64 = 1e-3;

impl Fit {
    /// Takes one run into account. A single one that is far off hardly counts.
    pub fn observe(&mut self, rows: usize, seconds: f64) {
        if rows == 0 || seconds.is_nan() {
            return;
        }
        let (rows, seconds) = (rows as f64, seconds.clamp(SECONDS[0], SECONDS[1]));
        let expected = self
            .line
            .map(|line| line.seconds(rows))
            .map(|s| s.max(SECONDS[0]));
        let seconds = match (expected, self.line) {
            (Some(expected), Some(line)) => self.cut(seconds, expected, line.spread),
            _ => seconds,
        };
        // By what is expected, not by what came: else short runs would count for more.
        let weight = expected.unwrap_or(seconds).powi(-2);
        for (sum, add) in [
            (&mut self.weight, 1.0),
            (&mut self.rows, rows),
            (&mut self.rows_rows, rows * rows),
            (&mut self.time, seconds),
            (&mut self.rows_time, rows * seconds),
        ] {
            *sum = KEPT * *sum + weight * add;
        }
        if let Some(expected) = expected.filter(|_| self.far_off < CHANGED) {
            self.squares = KEPT * self.squares + (seconds / expected - 1.0).powi(2);
            self.errors = KEPT * self.errors + 1.0;
        }
        self.seen = self.seen.saturating_add(1);
        if self.seen >= RUNS_MIN {
            self.line = Some(self.solve());
        }
    }

    /// The line, once enough was seen.
    pub fn line(&self) -> Option<Line> {
        self.line
    }

    /// A run that is far off is taken for one just off, unless it is one of several.
    fn cut(&mut self, seconds: f64, expected: f64, spread: f64) -> f64 {
        let far = 1.0 + (4.0 * spread).max(0.5);
        let cut = seconds.clamp(expected / far, expected * far);
        if cut.total_cmp(&seconds).is_eq() {
            self.far_off = 0;
            return seconds;
        }
        self.far_off += 1;
        if self.far_off < CHANGED {
            return cut;
        }
        if self.far_off > CHANGED {
            return seconds;
        }
        // What was is no guide any more; a little of it keeps the slope until there are other sizes.
        for sum in [
            &mut self.weight,
            &mut self.rows,
            &mut self.rows_rows,
            &mut self.time,
            &mut self.rows_time,
        ] {
            *sum *= 0.002;
        }
        seconds
    }

    fn solve(&self) -> Line {
        let drawn = self.weight * (1.0 + TO_ZERO);
        let determinant = drawn * self.rows_rows - self.rows * self.rows;
        let fixed = (self.time * self.rows_rows - self.rows * self.rows_time) / determinant;
        let per_row = (drawn * self.rows_time - self.rows * self.time) / determinant;
        let spread = (self.squares / self.errors.max(1.0)).sqrt();
        // A negative part is noise: the other alone then.
        let (fixed, per_row) = if fixed < 0.0 || !fixed.is_finite() {
            (0.0, self.rows_time / self.rows_rows)
        } else if per_row < 0.0 {
            (self.time / self.weight, 0.0)
        } else {
            (fixed, per_row)
        };
        Line {
            fixed,
            per_row,
            spread,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Runs on a line, in sizes that differ: the line is found, with noise about as well.
        #[test]
        fn a_line_is_found(
            fixed in 1e-5..1e-2_f64,
            share in 0.001..1.0_f64,
            runs in prop::collection::vec((1usize..300, -0.1..0.1_f64), 60..200),
        ) {
            let per_row = fixed * share;
            let mut fit = Fit::default();
            for (rows, noise) in &runs {
                fit.observe(*rows, (fixed + per_row * *rows as f64) * (1.0 + noise));
            }
            let line = fit.line().expect("enough runs");
            for rows in [20.0, 100.0, 250.0] {
                let (found, right) = (line.seconds(rows), fixed + per_row * rows);
                prop_assert!((found / right - 1.0).abs() < 0.25, "{rows}: {found} for {right}");
            }
            prop_assert!(line.spread < 0.12, "{line:?}");
        }

        /// Whatever is measured, the parts are finite and not negative.
        #[test]
        fn no_part_is_negative(runs in prop::collection::vec((0usize..1000, prop::num::f64::ANY), 0..60)) {
            let mut fit = Fit::default();
            for (rows, seconds) in runs {
                fit.observe(rows, seconds.min(1e6));
            }
            if let Some(line) = fit.line() {
                prop_assert!(line.fixed >= 0.0 && line.fixed.is_finite(), "{line:?}");
                prop_assert!(line.per_row >= 0.0 && line.per_row.is_finite(), "{line:?}");
                prop_assert!(line.spread >= 0.0 && line.spread.is_finite(), "{line:?}");
            }
        }
    }

    fn fitted(runs: impl IntoIterator<Item = (usize, f64)>) -> Line {
        let mut fit = Fit::default();
        for (rows, seconds) in runs {
            fit.observe(rows, seconds);
        }
        fit.line().expect("enough runs")
    }

    /// 1 ms and 10 µs a row.
    fn run(number: usize) -> (usize, f64) {
        let rows = 1 + (number * 37) % 200;
        (rows, 1e-3 + 1e-5 * rows as f64)
    }

    #[test]
    fn one_run_that_is_far_off_hardly_counts() {
        let line = fitted((0..100).map(run).chain([(100, 2.0)]));
        assert!((line.seconds(100.0) / 2e-3 - 1.0).abs() < 0.05, "{line:?}");
    }

    #[test]
    fn several_in_a_row_are_the_truth() {
        let slower = (0..10)
            .map(run)
            .map(|(rows, seconds)| (rows, 8.0 * seconds));
        let line = fitted((0..100).map(run).chain(slower));
        assert!((line.seconds(100.0) / 16e-3 - 1.0).abs() < 0.2, "{line:?}");
    }

    #[test]
    fn batches_of_one_size_promise_nothing_of_larger_ones() {
        let line = fitted((0..100).map(|_| (10, 1e-3)));
        assert!((line.seconds(10.0) / 1e-3 - 1.0).abs() < 0.01, "{line:?}");
        assert!((line.seconds(20.0) / 2e-3 - 1.0).abs() < 0.01, "{line:?}");
    }

    #[test]
    fn few_runs_say_nothing() {
        let mut fit = Fit::default();
        (0..7).for_each(|number| fit.observe(run(number).0, run(number).1));
        assert_eq!(fit.line(), None);
    }
}
