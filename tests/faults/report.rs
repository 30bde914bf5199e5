//! What a campaign came to.

use std::{fmt, time::Duration};

use crate::recovery::Moment;

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) worker_kills: u64,
    pub(crate) worker_stops: u64,
    pub(crate) server_kills: u64,
    pub(crate) freezes: u64,
    pub(crate) lame_ducks: u64,
    /// Connections cut or led astray.
    pub(crate) cuts: u64,
    /// Times that the output was full, or slow.
    pub(crate) jams: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.worker_kills, "workers killed"),
            (self.worker_stops, "workers stopped"),
            (self.server_kills, "servers killed"),
            (self.freezes, "servers frozen"),
            (self.lame_ducks, "lame ducks"),
            (self.cuts, "cuts"),
            (self.jams, "jams at the output"),
        ];
        let done = all.iter().filter(|(count, _)| *count > 0);
        let words: Vec<_> = done
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        f.write_str(&words.join(", "))
    }
}

/// What a campaign came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) name: &'static str,
    pub(crate) seed: u64,
    pub(crate) messages: usize,
    pub(crate) letters: usize,
    pub(crate) tally: Tally,
    pub(crate) redeliveries: u64,
    pub(crate) duplicates: u64,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) wrong: usize,
    /// The longest time without a result while there was something to do.
    pub(crate) longest_pause: Duration,
    /// How long it took to settle everything when faults and load were over.
    pub(crate) settled: Duration,
    /// How workers ended that nobody had asked to.
    pub(crate) ended: Vec<String>,
    pub(crate) stored: Vec<Moment>,
    pub(crate) probes: Vec<Moment>,
    /// Everything that is wrong, in words.
    pub(crate) findings: Vec<String>,
}

impl Report {
    /// Fails when anything is wrong.
    pub(crate) fn assert_clean(&self) {
        assert!(self.findings.is_empty(), "{self}");
    }
}

/// Findings that are shown; there may be thousands.
const SHOWN: usize = 12;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (seed {}): {} messages, {} of them to the dead letter; {}; {} redeliveries, {} duplicates suppressed; {} lost, {} doubled, {} wrong; longest pause {:.1?}, settled after {:.1?}",
            self.name,
            self.seed,
            self.messages,
            self.letters,
            self.tally,
            self.redeliveries,
            self.duplicates,
            self.lost,
            self.doubled,
            self.wrong,
            self.longest_pause,
            self.settled
        )?;
        for ended in &self.ended {
            write!(f, "\n  a worker ended by itself: {ended}")?;
        }
        for finding in self.findings.iter().take(SHOWN) {
            write!(f, "\n  {finding}")?;
        }
        match self.findings.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
