//! What the demo knows of the rows it sent: how many came back, how soon, and how right.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::rows::{Rows, Scored};
use crate::cli::latency::Latencies;

/// How much of the past the shown rate is taken from.
const RATE_OVER: Duration = Duration::from_secs(2);

/// The score so far.
#[derive(Debug)]
pub(super) struct Score {
    pub(super) started: Instant,
    /// When the last result came.
    pub(super) last: Instant,
    pub(super) sent: u64,
    pub(super) results: u64,
    /// Results for rows that had one already.
    pub(super) doubled: u64,
    /// Results that cannot be read.
    pub(super) unreadable: u64,
    /// Rows in the dead letter.
    pub(super) dead: u64,
    pub(super) right: u64,
    pub(super) judged: u64,
    pub(super) latencies: Latencies,
    /// When rows were sent that have no result yet. As many as the window at most.
    outstanding: HashMap<u64, Instant>,
    past: VecDeque<(Instant, u64)>,
}

impl Score {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            last: now,
            sent: 0,
            results: 0,
            doubled: 0,
            unreadable: 0,
            dead: 0,
            right: 0,
            judged: 0,
            latencies: Latencies::default(),
            outstanding: HashMap::new(),
            past: VecDeque::new(),
        }
    }

    /// Rows without a result.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// The next row is on its way; its number.
    pub(super) fn send(&mut self) -> u64 {
        let number = self.sent;
        self.outstanding.insert(number, Instant::now());
        self.sent += 1;
        number
    }

    /// A result came.
    pub(super) fn result(&mut self, payload: &[u8], rows: &Rows) {
        let Ok(scored) = serde_json::from_slice::<Scored>(payload) else {
            self.unreadable += 1;
            return;
        };
        let Some(sent) = self.outstanding.remove(&scored.id) else {
            self.doubled += 1;
            return;
        };
        self.last = Instant::now();
        self.latencies.record(self.last - sent);
        self.results += 1;
        if let Some(right) = rows.is_right(scored.id, &scored.label) {
            self.judged += 1;
            self.right += u64::from(right);
        }
    }

    /// A row came back as a dead letter, with its payload as it was sent.
    pub(super) fn dead_letter(&mut self, payload: &[u8]) {
        self.dead += 1;
        if let Ok(row) = serde_json::from_slice::<Scored>(payload) {
            self.outstanding.remove(&row.id);
        }
    }

    /// The part of the labels that is right.
    pub(super) fn accuracy(&self) -> Option<f64> {
        (self.judged > 0).then(|| self.right as f64 / self.judged as f64)
    }

    /// Results in a second, lately. Call now and then.
    pub(super) fn rate_now(&mut self) -> f64 {
        let now = Instant::now();
        self.past.push_back((now, self.results));
        while self.past.len() > 2 && now - self.past[1].0 > RATE_OVER {
            self.past.pop_front();
        }
        let (then, before) = self.past[0];
        let seconds = (now - then).as_secs_f64();
        if seconds < 0.1 {
            return 0.0;
        }
        (self.results - before) as f64 / seconds
    }

    /// Results in a second, over the whole run.
    pub(super) fn rate(&self) -> f64 {
        self.results as f64 / (self.last - self.started).as_secs_f64().max(1e-3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_counts_once() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "{\"employed\":1}\n{\"employed\":0}\n").expect("writable");
        let rows = Rows::load(file.path(), "employed").expect("two rows");
        let mut score = Score::new();
        for number in 0..4 {
            assert_eq!(score.send(), number);
        }
        score.result(br#"{"id":2,"label":1,"score":0.9}"#, &rows);
        score.result(br#"{"id":2,"label":1,"score":0.9}"#, &rows);
        score.result(br#"{"id":1,"label":1}"#, &rows);
        score.result(b"{", &rows);
        score.dead_letter(br#"{"id":0,"employed":1}"#);
        assert_eq!(score.outstanding(), 1);
        assert_eq!(
            (score.results, score.doubled, score.unreadable, score.dead),
            (2, 1, 1, 1)
        );
        assert_eq!(score.accuracy(), Some(0.5));
        assert_eq!(score.latencies.count(), 2);
    }
}
