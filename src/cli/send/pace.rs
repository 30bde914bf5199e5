//! How fast to send.

use std::{str::FromStr, time::Duration};

use tokio::time::Instant;

/// Messages in a time, as the command line writes it: `1000/s`, `60/m`, `2.5k/s`, `1000`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    per_second: f64,
}

impl Rate {
    /// A rate of this many in a second.
    pub fn per_second(per_second: f64) -> Self {
        Self { per_second }
    }

    /// How many in a second.
    pub(in crate::cli) fn in_a_second(self) -> f64 {
        self.per_second
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no rate; write a number above zero and /s, /m or /h, like 1000/s")
        };
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number = number.trim();
        let (number, factor) = match number.strip_suffix(['k', 'K']) {
            Some(number) => (number, 1e3),
            None => (number, 1.0),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let per_second = number * factor / seconds;
        if !per_second.is_finite() || per_second <= 0.0 {
            return Err(wrong());
        }
        Ok(Self { per_second })
    }
}

/// When the next message is due. Keeps to a timetable, so that late timers do not add up.
#[derive(Debug)]
pub(in crate::cli) struct Pace {
    per_second: Option<f64>,
    start: Instant,
    sent: u64,
}

impl Pace {
    /// After a pause (of the server, say) at most this much is made up for: a rate is a promise
    /// not to flood.
    const CATCH_UP: Duration = Duration::from_millis(500);

    /// Starts now; no rate means as fast as it goes.
    pub(in crate::cli) fn new(rate: Option<Rate>) -> Self {
        Self {
            per_second: rate.map(|rate| rate.per_second),
            start: Instant::now(),
            sent: 0,
        }
    }

    /// Waits until the next message is due. Nothing is lost when dropped half-way.
    pub(in crate::cli) async fn due(&self) {
        if let Some(at) = self.next()
            && at > Instant::now()
        {
            tokio::time::sleep_until(at).await;
        }
    }

    /// A message was sent.
    pub(in crate::cli) fn sent(&mut self) {
        self.sent += 1;
        let Some(next) = self.next() else {
            return;
        };
        let late = Instant::now().saturating_duration_since(next);
        if late > Self::CATCH_UP {
            self.start += late.saturating_sub(Self::CATCH_UP);
        }
    }

    fn next(&self) -> Option<Instant> {
        let offset = self.sent as f64 / self.per_second?;
        // A year is never.
        Some(self.start + Duration::from_secs_f64(offset.min(3e7)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        let rate = |text: &str| text.parse::<Rate>().map(|rate| rate.per_second);
        assert_eq!(rate("1000/s"), Ok(1000.0));
        assert_eq!(rate("1000"), Ok(1000.0));
        assert_eq!(rate("60/m"), Ok(1.0));
        assert_eq!(rate("2.5k/s"), Ok(2500.0));
        for bad in ["", "0", "-1/s", "fast", "5/week", "inf/s", "nan"] {
            assert!(
                rate(bad).is_err_and(|error| error.contains("like 1000/s")),
                "{bad}"
            );
        }
    }

    async fn sends_in(rate: f64, time: Duration) -> u64 {
        let mut pace = Pace::new(Some(Rate::per_second(rate)));
        let end = Instant::now() + time;
        loop {
            pace.due().await;
            if Instant::now() >= end {
                return pace.sent;
            }
            pace.sent();
        }
    }

    #[tokio::test]
    async fn the_rate_is_kept() {
        for rate in [200.0, 20_000.0] {
            let sent = sends_in(rate, Duration::from_millis(500)).await as f64;
            assert!(
                (sent / (rate / 2.0) - 1.0).abs() < 0.2,
                "{sent} at {rate}/s"
            );
        }
    }

    #[tokio::test]
    async fn a_pause_is_not_made_up_for_with_a_flood() {
        let mut pace = Pace::new(Some(Rate::per_second(1000.0)));
        pace.start = Instant::now()
            .checked_sub(Duration::from_mins(1))
            .expect("the clock runs longer than that");
        pace.sent();
        let behind = Instant::now() - pace.next().expect("a rate");
        assert!(behind <= Duration::from_millis(520), "{behind:?}");
    }
}
