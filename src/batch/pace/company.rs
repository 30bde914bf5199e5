//! What company to expect: how often rows come, and how often while an engine waits for them.

use std::time::Instant;

/// Rows that came while an engine waited, and for how long it did.
#[derive(Debug, Default)]
pub(super) struct Company {
    pub(super) rows: f64,
    pub(super) seconds: f64,
}

impl Company {
    pub(super) fn forget(&mut self, share: f64) {
        let kept = (-share).exp();
        self.rows *= kept;
        self.seconds *= kept;
    }

    /// Rows a second that come to an engine that waits, where `rate` come at all times: what is expected
    /// as long as little was seen.
    pub(super) fn rate(&self, rate: f64) -> f64 {
        const EXPECTED: f64 = 10.0;
        if rate > 0.0 {
            (self.rows + EXPECTED) / (self.seconds + EXPECTED / rate)
        } else {
            0.0
        }
    }
}

/// How long is usual between arrivals.
#[derive(Debug, Clone, Default)]
pub(super) struct Gap {
    last: Option<Instant>,
    /// Two in five are shorter: also where arrivals come in pairs, with long pauses between.
    usual: Option<f64>,
}

/// So many usual gaps without an arrival, and no more is coming: by chance that happens once in 60
/// times (where arrivals are independent, two in five are shorter than 0.51 of the mean).
const PATIENCE: f64 = 8.0;

impl Gap {
    /// Gives the gap, in seconds.
    pub(super) fn arrived(&mut self, now: Instant) -> Option<f64> {
        const SHORTER: f64 = 0.4;
        const STEP: f64 = 0.1;
        let last = self.last.replace(now)?;
        let gap = now.saturating_duration_since(last).as_secs_f64().max(1e-7);
        let usual = self.usual.get_or_insert(gap);
        *usual *= if gap < *usual {
            -STEP * (1.0 - SHORTER)
        } else {
            STEP * SHORTER
        }
        .exp();
        *usual = usual.clamp(1e-7, 1e5);
        Some(gap)
    }

    /// How long more company is worth waiting for, in seconds.
    pub(super) fn patience(&self, now: Instant) -> f64 {
        match (self.usual, self.last) {
            (Some(usual), Some(last)) => {
                PATIENCE * usual - now.saturating_duration_since(last).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}
