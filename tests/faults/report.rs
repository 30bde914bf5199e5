//! What a campaign came to.

use std::{fmt, time::Duration};

use crate::{
    recovery::{Moment, median_and_worst},
    spaced::target,
};

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
            (self.worker_kills, "processes killed"),
            (self.worker_stops, "processes stopped"),
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
    pub(crate) duplicates: usize,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) wrong: usize,
    /// The longest time without a result while there was something to do.
    pub(crate) longest_pause: Duration,
    /// How long it took to settle everything when faults and load were over.
    pub(crate) settled: Duration,
    /// How processes ended that nobody had asked to.
    pub(crate) ended: Vec<String>,
    /// When results were stored, in order.
    pub(crate) stored: Vec<Moment>,
    /// When inputs were stored, in order.
    pub(crate) arrived: Vec<Moment>,
    /// When messages of a bare publisher were stored beside the results, in order.
    pub(crate) probes: Vec<Moment>,
    /// Everything that is wrong, in words.
    pub(crate) findings: Vec<String>,
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
            write!(f, "\n  a process ended by itself: {ended}")?;
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

/// How long it took until it went on as before.
#[derive(Debug)]
pub(crate) struct Recovery {
    pub(crate) kind: &'static str,
    /// From the moment that what had failed was back; `None` where it never did.
    pub(crate) took: Option<Duration>,
    /// The broker's own pause, in a cluster.
    pub(crate) broker: Option<Duration>,
}

/// The campaigns as a table in Markdown.
pub(crate) fn campaigns_table(reports: &[Report]) -> String {
    let mut table = "| campaign | messages | dead letters | processes killed | processes stopped with SIGTERM | servers killed | frozen, lame ducks | cuts, jams | redeliveries | duplicates suppressed | lost | doubled | wrong | longest pause |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n".to_owned();
    for report in reports {
        let tally = &report.tally;
        table.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} s |\n",
            report.name,
            report.messages,
            report.letters,
            tally.worker_kills,
            tally.worker_stops,
            tally.server_kills,
            tally.freezes + tally.lame_ducks,
            tally.cuts + tally.jams,
            report.redeliveries,
            report.duplicates,
            report.lost,
            report.doubled,
            report.wrong,
            report.longest_pause.as_secs_f64(),
        ));
    }
    table
}

/// The recoveries as a table in Markdown: one row for each kind of fault.
pub(crate) fn recoveries_table(recoveries: &[Recovery]) -> String {
    let mut table =
        "| fault | times | median | worst | the broker's own pause (median, worst) | target | met |\n|---|--:|--:|--:|--:|---|---|\n"
            .to_owned();
    let mut kinds: Vec<_> = recoveries.iter().map(|one| one.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let of_kind: Vec<_> = recoveries.iter().filter(|one| one.kind == kind).collect();
        let took: Vec<_> = of_kind.iter().filter_map(|one| one.took).collect();
        let broker: Vec<_> = of_kind.iter().filter_map(|one| one.broker).collect();
        let target_of = |one: &Recovery| Some(target(kind)? + one.broker.unwrap_or_default());
        let is_met = |one: &&&Recovery| {
            let target = target_of(one);
            one.took
                .is_some_and(|took| target.is_some_and(|target| took <= target))
        };
        let met = of_kind.iter().filter(is_met).count();
        let met = format!("{met} of {}", of_kind.len());
        let (target, met) = match (target(kind), broker.is_empty()) {
            (None, _) => ("–".to_owned(), "–".to_owned()),
            (Some(most), true) => (format!("≤ {}", seconds(most)), met),
            (Some(most), false) => (format!("≤ the broker's + {}", seconds(most)), met),
        };
        table.push_str(&format!(
            "| {kind} | {} | {} | {} | {target} | {met} |\n",
            of_kind.len(),
            pair(&took).join(" | "),
            match pair(&broker) {
                [median, worst] if !broker.is_empty() => format!("{median}, {worst}"),
                _ => "–".to_owned(),
            },
        ));
    }
    table
}

fn pair(durations: &[Duration]) -> [String; 2] {
    match median_and_worst(durations) {
        Some((median, worst)) => [seconds(median), seconds(worst)],
        None => ["–", "–"].map(ToOwned::to_owned),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

#[test]
fn recoveries_become_rows() {
    let one = |kind, took, broker| Recovery {
        kind,
        took: Some(Duration::from_millis(took)),
        broker: (broker > 0).then(|| Duration::from_millis(broker)),
    };
    let killed = "the only process is killed and started again";
    let leader = "the leader of the output's stream is killed";
    let frozen = "the server stands still and goes on";
    let never = Recovery {
        took: None,
        ..one(killed, 0, 0)
    };
    let all = [
        one(killed, 900, 0),
        one(killed, 1100, 0),
        never,
        one(leader, 5900, 5000),
        one(frozen, 10, 0),
    ];
    insta::assert_snapshot!(recoveries_table(&all), @r"
    | fault | times | median | worst | the broker's own pause (median, worst) | target | met |
    |---|--:|--:|--:|--:|---|---|
    | the leader of the output's stream is killed | 1 | 5.90 s | 5.90 s | 5.00 s, 5.00 s | ≤ the broker's + 1.00 s | 1 of 1 |
    | the only process is killed and started again | 3 | 1.00 s | 1.10 s | – | ≤ 1.00 s | 1 of 3 |
    | the server stands still and goes on | 1 | 0.01 s | 0.01 s | – | – | – |
    ");
}
